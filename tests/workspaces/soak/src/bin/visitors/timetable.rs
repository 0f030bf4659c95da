//! What is done to the site, and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::BoxError;
use crate::disturbances::GENTLE;
use crate::fleet::Fleet;
use crate::options::Kind;
use crate::store::Store;
use crate::world::World;

/// Peace at the end, so that faults which outlast their disturbance show.
const PEACE: Duration = Duration::from_secs(10);

/// Between two disturbances, so that each fault belongs to one.
const BETWEEN: Duration = Duration::from_secs(4);

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
            Self::Restart => GENTLE[0],
            Self::KillServer => "a server killed",
            Self::RotateKeys => GENTLE[1],
            Self::StepDown => "step-down of the primary",
            Self::KillPrimary => "a primary killed",
            Self::KillPrimaryOfLateReplica => "a primary killed whose replica was late",
            Self::PausePrimary => "a primary paused",
        }
    }

    /// What happens on this store, and the part of the run after which it begins. In a short run
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
    for (part, act) in Act::all(kind) {
        wait_until((begin + lasts.mul_f64(*part)).max(Instant::now() + BETWEEN)).await;
        world.disturbances.begin(act.what());
        perform(*act, world, fleet, store).await?;
        world.disturbances.end();
    }
    wait_until((begin + lasts).max(Instant::now() + PEACE)).await;
    Ok(())
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
            let lost = move |at| world.disturbances.primary_is_lost(at);
            spawn_blocking(move || store.kill_primary(lost)).await?;
        }
        Act::KillPrimaryOfLateReplica => {
            let lost = move |at| world.disturbances.primary_is_lost(at);
            spawn_blocking(move || store.kill_primary_of_late_replica(lost)).await?;
        }
        Act::PausePrimary => {
            let lost = move |at| world.disturbances.primary_is_lost(at);
            spawn_blocking(move || store.pause_primary(lost)).await?;
        }
    }
    Ok(())
}

async fn wait_until(at: Instant) {
    sleep(at.saturating_duration_since(Instant::now())).await;
}
