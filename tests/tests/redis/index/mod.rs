//! The index of principals in Redis: what signs in, moves, ends and is ended at once, and what dies
//! half-way.
//!
//! No live session of a principal is ever outside of the principal's index, unless it is on
//! probation and so ends soon by itself. What is in the index and has no session is found and taken
//! out by whoever lists.

/// Makes a test of each of these functions in each layout.
macro_rules! in_both_layouts {
    ($($test:ident,)+) => {
        in_both_layouts!(fields Fields $($test,)+);
        in_both_layouts!(packed Packed $($test,)+);
    };
    ($module:ident $layout:ident $($test:ident,)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(session_redis::Layout::$layout).await;
                }
            )+
        }
    };
}

mod cut;
mod held;
mod many;
mod moved;
mod names;
mod racing;
mod scan;
pub(crate) mod site;
mod stale;
mod steps;
mod unreadable;
