//! What the servers of the site log. Each has a line for each event that counts here (`note` of the
//! site), and one for each session that was dropped before its commit.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use session_soak::DROPPED;

/// How often each thing is in the logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    /// Alarms of theft, though nobody steals anything here.
    pub(crate) false_alarms: u64,
    /// Alarms for sessions of which Redis may have lost a rotation at a fail-over. Then a visitor
    /// looks like a thief.
    pub(crate) alarms_by_lost_rotation: u64,
    pub(crate) corrupt: u64,
    pub(crate) dropped: u64,
    pub(crate) panics: u64,
}

impl Logged {
    /// Reads the logs of this directory. `lost` has the short ids of sessions with a lost rotation.
    pub(crate) fn in_logs(logs: &Path, lost: &BTreeSet<String>) -> Self {
        let mut all = Self::default();
        for file in fs::read_dir(logs).into_iter().flatten().flatten() {
            let text = fs::read(file.path()).unwrap_or_default();
            for line in String::from_utf8_lossy(&text).lines() {
                all.note(line, lost);
            }
        }
        all
    }

    fn note(&mut self, line: &str, lost: &BTreeSet<String>) {
        if line.contains("kind=Reused") {
            let is_lost = session(line).is_some_and(|session| lost.contains(session));
            match is_lost {
                true => self.alarms_by_lost_rotation += 1,
                false => self.false_alarms += 1,
            }
        } else if line.contains("kind=Corrupt") {
            self.corrupt += 1;
        } else if line.contains(DROPPED) {
            self.dropped += 1;
        } else if line.contains("panicked at") {
            self.panics += 1;
        }
    }
}

/// The short id in `session=Some(d761d406)`.
fn session(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" session=Some(")?;
    rest.split(')').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_counts() {
        let lost = BTreeSet::from(["d761d406".to_owned()]);
        let mut all = Logged::default();
        for line in [
            "WARN soak: kind=Reused session=Some(d761d406) at=1 reason=\"x\"",
            "WARN soak: kind=Reused session=Some(d761d407) at=1 reason=\"x\"",
            "WARN soak: kind=Reused session=None at=1 reason=\"x\"",
            "WARN soak: kind=Corrupt session=Some(d761d406) at=1",
            "WARN soak: kind=Refused session=None at=1",
            &format!("WARN soak: {DROPPED}"),
            "thread 'main' panicked at src/main.rs:1:1",
        ] {
            all.note(line, &lost);
        }
        let expected = Logged {
            false_alarms: 2,
            alarms_by_lost_rotation: 1,
            corrupt: 1,
            dropped: 1,
            panics: 1,
        };
        assert_eq!(all, expected);
    }
}
