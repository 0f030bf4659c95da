//! What a run of the suite has shown.

use std::fmt;

use super::case::Case;

/// The outcome of each case.
///
/// `Display` is what a person reads: the failed cases with their sentence, the reason, the calls
/// that led there and how to run the case again; then what was left out, and what passed.
#[derive(Debug)]
pub struct Report {
    pub(super) seed: u64,
    pub(super) rounds: u32,
    pub(super) results: Vec<(&'static Case, CaseOutcome)>,
    pub(super) unknown: Vec<String>,
}

/// The outcome of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaseOutcome {
    /// The store keeps this sentence of the contract, as far as the case can tell.
    Passed,
    /// It does not, for this reason.
    Failed(String),
    /// The case does not apply to this store, for this reason.
    LeftOut(String),
}

impl Report {
    /// Whether no case failed, and every name given to [`Suite::only`](super::Suite::only) is that
    /// of a case.
    pub fn is_success(&self) -> bool {
        self.unknown.is_empty() && self.failed().next().is_none()
    }

    /// The seed that repeats the random choices of this run.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The cases that were run or left out, with their outcomes.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static Case, &CaseOutcome)> {
        self.results.iter().map(|(case, outcome)| (*case, outcome))
    }

    /// The outcome of the case with this name, if it was among those to run.
    pub fn outcome(&self, name: &str) -> Option<&CaseOutcome> {
        self.outcomes()
            .find(|(case, _)| case.name() == name)
            .map(|(_, outcome)| outcome)
    }

    fn failed(&self) -> impl Iterator<Item = (&'static Case, &String)> {
        self.outcomes().filter_map(|(case, outcome)| match outcome {
            CaseOutcome::Failed(reason) => Some((case, reason)),
            _ => None,
        })
    }

    fn left_out(&self) -> impl Iterator<Item = (&'static Case, &String)> {
        self.outcomes().filter_map(|(case, outcome)| match outcome {
            CaseOutcome::LeftOut(reason) => Some((case, reason)),
            _ => None,
        })
    }

    fn passed(&self) -> impl Iterator<Item = &'static str> {
        self.outcomes()
            .filter(|(_, outcome)| matches!(outcome, CaseOutcome::Passed))
            .map(|(case, _)| case.name())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, rounds, .. } = self;
        writeln!(
            f,
            "session store: {} cases passed, {} failed, {} left out (seed {seed}, rounds {rounds})",
            self.passed().count(),
            self.failed().count(),
            self.left_out().count()
        )?;
        for name in &self.unknown {
            writeln!(f, "\nthere is no case {name:?}; `cases()` has all names")?;
        }
        for (case, reason) in self.failed() {
            let name = case.name();
            writeln!(f, "\nFAILED {name}: {}", case.sentence())?;
            for line in reason.lines() {
                writeln!(f, "    {line}")?;
            }
            writeln!(
                f,
                "    again: .seed({seed}).rounds({rounds}).only({name:?})"
            )?;
        }
        if self.left_out().next().is_some() {
            writeln!(f)?;
        }
        for (case, reason) in self.left_out() {
            writeln!(f, "left out {}: {reason}", case.name())?;
        }
        if self.passed().next().is_some() {
            let names: Vec<_> = self.passed().collect();
            write!(f, "\npassed: {}", names.join(", "))?;
        }
        Ok(())
    }
}
