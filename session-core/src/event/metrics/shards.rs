//! Counts that threads do not share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// So many shards at most. A shard is about 1 KiB.
const MOST: usize = 64;

/// A row of counts, once for each of some threads.
///
/// Two threads that add to one counter pass its cache line to and fro, which takes longer than the
/// rest of an addition by far. So each thread adds to a shard of its own (if there are more threads
/// than processors, some share one), and whoever wants the sums takes them out of all shards.
pub(super) struct Shards<const N: usize>(Box<[Shard<N>]>);

/// As far apart that no two are in one cache line, or in two that a processor fetches together.
#[repr(align(128))]
struct Shard<const N: usize>([AtomicU64; N]);

impl<const N: usize> Shards<N> {
    /// One for each processor.
    pub(super) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let count = processors.next_power_of_two().min(MOST);
        let shard = |_| Shard([const { AtomicU64::new(0) }; N]);
        Self((0..count).map(shard).collect())
    }

    pub(super) fn add(&self, place: usize, count: u64) {
        // Their number is a power of two.
        let shard = &self.0[number_of_thread() & (self.0.len() - 1)];
        shard.0[place].fetch_add(count, Ordering::Relaxed);
    }

    /// What was added at this place since it was last taken.
    pub(super) fn take(&self, place: usize) -> u64 {
        let taken = |shard: &Shard<N>| match shard.0[place].load(Ordering::Relaxed) {
            // Most of them are: their cache lines stay where they are.
            0 => 0,
            _ => shard.0[place].swap(0, Ordering::Relaxed),
        };
        self.0.iter().map(taken).sum()
    }
}

fn number_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn each_addition_is_taken_once_whoever_adds_and_takes_meanwhile() {
        const THREADS: u64 = 8;
        const ROUNDS: u64 = 5_000;
        let (shards, barrier) = (Shards::<3>::new(), Barrier::new(THREADS as usize));
        let taken = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (shards, barrier, taken) = (&shards, &barrier, &taken);
                scope.spawn(move || {
                    barrier.wait();
                    for round in 0..ROUNDS {
                        shards.add(1, 1 + thread);
                        if round % 3 == thread % 3 {
                            taken.fetch_add(shards.take(1), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let left = shards.take(1);
        let all = ROUNDS * (1..=THREADS).sum::<u64>();
        assert_eq!(taken.into_inner() + left, all);
        assert_eq!((shards.take(0), shards.take(1), shards.take(2)), (0, 0, 0));
    }
}
