//! Measures what sessions cost the servers of their stores.
//!
//!     measure SIZE...    fills servers with so many sessions each, and writes costs.rs to stdout
//!
//! What it finds on the way goes to stderr. Commands, bytes and memory are the same each time.
//! Times are those of processors, in the middle of several rounds.

mod mongo;
mod redis;
mod rounds;
mod site;

// The session of `tests/bench`. It derives what serde has, with the serde of this package.
#[path = "../../../../src/fixture.rs"]
mod fixture;
#[path = "../../../../src/monitor.rs"]
mod monitor;

use fixture::{CART, USER, User, next_visit};
use session_capacity::Costs;
use session_redis::Layout;
use tokio::runtime::Runtime;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), BoxError> {
    let mut sizes = Vec::new();
    for argument in std::env::args().skip(1) {
        let size = argument.parse::<u64>();
        sizes.push(size.map_err(|_| format!("{argument} is no number of sessions"))?);
    }
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.len() < 2 || sizes[0] < site::LEAST {
        let least = site::LEAST;
        return Err(format!("state two sizes or more, each of at least {least} sessions").into());
    }
    let runtime = Runtime::new()?;
    let costs = Costs {
        packed: redis::measure(&runtime, Layout::Packed, &sizes)?,
        fields: redis::measure(&runtime, Layout::Fields, &sizes)?,
        mongo: mongo::measure(&runtime, &sizes)?,
    };
    let sizes: Vec<_> = sizes.iter().map(u64::to_string).collect();
    print!(
        "{}",
        costs.source(&format!("tests/bench capacity {}", sizes.join(" ")))
    );
    Ok(())
}
