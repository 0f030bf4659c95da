//! What is done to the site, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::BoxError;
use crate::disturbances::{KEYS, KILLED_SERVER, Loss, RESTART};
use crate::fleet::Fleet;
use crate::options::Kind;
use crate::store::Store;
use crate::world::World;

/// Peace at the end, so that faults which outlast their disturbance show.
const PEACE: Duration = Duration::from_secs(10);

/// Between two disturbances, so that each fault belongs to one.
const BETWEEN: Duration = Duration::from_secs(4);

/// A long run has several rounds, each of about this length.
const ROUND: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug)]
enum Act {
    Restart,
    KillServer,
    RotateKeys,
    StepDown,
    KillPrimary,
    KillPrimaryOfLateReplica,
    PausePrimary,
}

impl Act {
    const fn what(self) -> &'static str {
        match self {
            Self::Restart => RESTART,
            Self::KillServer => KILLED_SERVER,
            Self::RotateKeys => KEYS,
            Self::StepDown => "step-down of the primary",
            Self::KillPrimary => "a primary killed",
            Self::KillPrimaryOfLateReplica => "a primary killed whose replica was late",
            Self::PausePrimary => "a primary paused",
        }
    }

    /// Whether all servers restart for it.
    const fn restarts_all(self) -> bool {
        matches!(self, Self::Restart | Self::RotateKeys)
    }

    /// What happens on this store, and the part of a round after which it begins. In a short run
    /// one may still last then, and the next begins when it is over.
    const fn all(store: Kind) -> &'static [(f64, Self)] {
        match store {
            Kind::Redis => &[
                (0.10, Self::Restart),
                (0.28, Self::KillServer),
                (0.38, Self::RotateKeys),
                (0.56, Self::KillPrimary),
                (0.68, Self::KillPrimaryOfLateReplica),
                (0.82, Self::PausePrimary),
            ],
            Kind::Mongo => &[
                (0.10, Self::Restart),
                (0.28, Self::KillServer),
                (0.38, Self::RotateKeys),
                (0.56, Self::StepDown),
                (0.68, Self::KillPrimary),
                (0.82, Self::PausePrimary),
            ],
        }
    }
}

/// Disturbs the site. Returns when the run is over.
pub(crate) async fn run(
    world: &Arc<World>,
    fleet: &mut Fleet,
    store: &Arc<Store>,
    kind: Kind,
    lasts: Duration,
) -> Result<(), BoxError> {
    let begin = Instant::now();
    for (at, act) in plan(kind, lasts) {
        let before = epoch(store).await?;
        wait_until((begin + at).max(Instant::now() + BETWEEN)).await;
        note_fail_over(world, before, epoch(store).await?);
        world.disturbances.begin(act.what());
        perform(act, world, fleet, store).await?;
        world.disturbances.end();
    }
    let before = epoch(store).await?;
    wait_until((begin + lasts).max(Instant::now() + PEACE)).await;
    note_fail_over(world, before, epoch(store).await?);
    Ok(())
}

async fn epoch(store: &Arc<Store>) -> Result<Option<i64>, BoxError> {
    let store = Arc::clone(store);
    Ok(spawn_blocking(move || store.epoch()).await?)
}

/// A machine that is too busy can make a store fail over by itself. Nothing excuses what that
/// loses, but whoever reads the report should know.
fn note_fail_over(world: &World, before: Option<i64>, now: Option<i64>) {
    if before != now {
        world.note(&format!(
            "the store failed over though nobody had asked for it: epoch {before:?}, then {now:?}"
        ));
    }
}

/// What happens when. All servers restart in the first round and in the last one, so that between
/// them some live for long, and their memory shows.
fn plan(kind: Kind, lasts: Duration) -> Vec<(Duration, Act)> {
    let rounds = (lasts.as_secs() / ROUND.as_secs()).clamp(1, 10_000) as u32;
    let length = lasts / rounds;
    let round = |round: u32| {
        let is_outer = round == 0 || round + 1 == rounds;
        let acts = Act::all(kind).iter();
        let acts = acts.filter(move |(_, act)| is_outer || !act.restarts_all());
        acts.map(move |(part, act)| (length * round + length.mul_f64(*part), *act))
    };
    (0..rounds).flat_map(round).collect()
}

async fn perform(
    act: Act,
    world: &Arc<World>,
    fleet: &mut Fleet,
    store: &Arc<Store>,
) -> Result<(), BoxError> {
    let (store, world) = (Arc::clone(store), Arc::clone(world));
    match act {
        Act::Restart => fleet.roll().await?,
        Act::KillServer => fleet.kill(1).await?,
        Act::RotateKeys => {
            let (new, old) = (fleet.new_key(), fleet.keys().to_vec());
            // First every server accepts the new key, and then they sign with it.
            let last = old.iter().chain([&new]).cloned().collect();
            fleet.set_keys(last)?;
            fleet.roll().await?;
            fleet.set_keys([new].into_iter().chain(old).collect())?;
            fleet.roll().await?;
        }
        Act::StepDown => spawn_blocking(move || store.step_down()).await?,
        Act::KillPrimary => {
            let lost = move |loss: Loss| world.disturbances.lost(loss);
            spawn_blocking(move || store.kill_primary(lost)).await?;
        }
        Act::KillPrimaryOfLateReplica => {
            let lost = move |loss: Loss| world.disturbances.lost(loss);
            spawn_blocking(move || store.kill_primary_of_late_replica(lost)).await?;
        }
        Act::PausePrimary => {
            let lost = move |loss: Loss| world.disturbances.lost(loss);
            spawn_blocking(move || store.pause_primary(lost)).await?;
        }
    }
    Ok(())
}

async fn wait_until(at: Instant) {
    sleep(at.saturating_duration_since(Instant::now())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(minutes: u64, is: impl Fn(Act) -> bool) -> usize {
        let plan = plan(Kind::Redis, Duration::from_secs(60 * minutes));
        plan.into_iter().filter(|(_, act)| is(*act)).count()
    }

    #[test]
    fn a_long_run_has_several_rounds() {
        let killed = |act| matches!(act, Act::KillPrimary);
        assert_eq!(
            [1, 10, 19, 60].map(|minutes| times(minutes, killed)),
            [1, 1, 1, 6]
        );
        assert_eq!(
            [1, 10, 60].map(|minutes| times(minutes, Act::restarts_all)),
            [2, 2, 4]
        );
        let hour = Duration::from_secs(3_600);
        let plan = plan(Kind::Mongo, hour);
        assert!(plan.windows(2).all(|two| two[0].0 < two[1].0) && plan[0].0 > Duration::ZERO);
        assert!(plan.iter().all(|(at, _)| *at < hour));
    }
}
