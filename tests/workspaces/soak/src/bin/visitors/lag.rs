//! Times at which this process was held up, as it has measured itself. A machine that is too busy
//! lets calls of a store time out, and that says nothing about the site.

use std::sync::Weak;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::world::World;

const EACH: Duration = Duration::from_millis(20);
/// A thread that wakes this much too late was held up.
const LONG: Duration = Duration::from_millis(200);

/// Sleeps and looks at the clock, on a thread of its own, until the world is gone.
pub(crate) fn watch(world: &Weak<World>) {
    let mut before = Instant::now();
    loop {
        sleep(EACH);
        let now = Instant::now();
        let Some(world) = world.upgrade() else { return };
        if let Some(since) = held_up(before, now) {
            world.disturbances.held_up(since, now);
        }
        before = now;
    }
}

/// Since when this process was held up, if its sleep took too long.
fn held_up(before: Instant, now: Instant) -> Option<Instant> {
    (now - before > EACH + LONG).then_some(before + EACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_sleep_is_a_lag() {
        let now = Instant::now();
        assert_eq!(held_up(now, now + EACH + LONG), None);
        let late = now + EACH + LONG + Duration::from_millis(1);
        assert_eq!(held_up(now, late), Some(now + EACH));
    }
}
