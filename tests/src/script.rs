//! Requests as lists of operations, with what they come to one after the other.

use std::collections::{BTreeMap, BTreeSet};

use session_core::Session;

use crate::Rng;

/// What a session of numbers holds.
pub type Numbers = BTreeMap<String, u64>;

/// One thing that a handler does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Inserts a number that nobody else inserts.
    Insert(String, u64),
    /// Removes a key.
    Remove(String),
    /// Adds to a number.
    Add(String, u64),
    /// Doubles a number in place; where there is none it becomes 1.
    Double(String),
    /// Removes an even number, by a closure that looks at it.
    RemoveEven(String),
    /// Removes everything.
    Clear,
}

impl Op {
    /// Does it.
    pub fn on(&self, session: &Session) {
        match self {
            Self::Insert(key, value) => session.insert(key, value).unwrap(),
            Self::Remove(key) => {
                session.remove(key);
            }
            Self::Add(key, by) => {
                let by = *by;
                session
                    .update(key, move |n: Option<u64>| n.unwrap_or(0) + by)
                    .unwrap();
            }
            Self::Double(key) => session.modify(key, double).unwrap(),
            Self::RemoveEven(key) => session.modify(key, remove_even).unwrap(),
            Self::Clear => session.clear(),
        }
    }

    fn on_model(&self, numbers: &mut Numbers) {
        match self {
            Self::Insert(key, value) => {
                numbers.insert(key.clone(), *value);
            }
            Self::Remove(key) => {
                numbers.remove(key);
            }
            Self::Add(key, by) => *numbers.entry(key.clone()).or_default() += by,
            Self::Double(key) => change(numbers, key, double),
            Self::RemoveEven(key) => change(numbers, key, remove_even),
            Self::Clear => numbers.clear(),
        }
    }
}

fn double(number: &mut Option<u64>) {
    match number {
        Some(number) => *number *= 2,
        None => *number = Some(1),
    }
}

fn remove_even(number: &mut Option<u64>) {
    if number.is_some_and(|number| number.is_multiple_of(2)) {
        *number = None;
    }
}

fn change(numbers: &mut Numbers, key: &str, f: fn(&mut Option<u64>)) {
    let mut number = numbers.remove(key);
    f(&mut number);
    if let Some(number) = number {
        numbers.insert(key.to_owned(), number);
    }
}

/// Which operations requests are drawn from. Each has those of the one before it.
#[derive(Clone, Copy, Debug)]
pub enum Kinds {
    /// Insert, remove and add.
    Plain = 6,
    /// A clear too.
    Clears = 7,
    /// Changes in place too, some of which remove.
    Changes = 10,
}

/// What request number `who` does: up to four operations on a key of its own and on one that all
/// share.
pub fn draw(rng: &Rng, who: usize, kinds: Kinds) -> Vec<Op> {
    let own = format!("own{who}");
    let unique = 1_000_000 * (who as u64 + 1);
    (0..=rng.below(4))
        .map(|step| match rng.below(kinds as usize) {
            0 | 1 => Op::Insert(own.clone(), unique + step as u64),
            2 => Op::Remove(own.clone()),
            3 | 4 => Op::Add("shared".into(), 1 << (8 * who + step)),
            5 => Op::Insert("shared".into(), unique + 500 + step as u64),
            6 => Op::Clear,
            7 | 8 => Op::Double("shared".into()),
            _ => Op::RemoveEven("shared".into()),
        })
        .collect()
}

/// All that the requests may leave behind, by the order in which they take effect.
pub fn outcomes(start: &Numbers, requests: &[Vec<Op>]) -> BTreeSet<Vec<(String, u64)>> {
    let mut outcomes = BTreeSet::new();
    let mut left: Vec<usize> = (0..requests.len()).collect();
    descend(start, requests, &mut left, &mut outcomes);
    outcomes
}

fn descend(
    numbers: &Numbers,
    requests: &[Vec<Op>],
    left: &mut Vec<usize>,
    outcomes: &mut BTreeSet<Vec<(String, u64)>>,
) {
    if left.is_empty() {
        outcomes.insert(numbers.clone().into_iter().collect());
    }
    for at in 0..left.len() {
        let who = left.remove(at);
        let mut after = numbers.clone();
        requests[who].iter().for_each(|op| op.on_model(&mut after));
        descend(&after, requests, left, outcomes);
        left.insert(at, who);
    }
}
