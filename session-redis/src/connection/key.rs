//! Which connection, and which node, a command goes to: its key says that.

use redis::{Arg, Cmd};

/// The key of a command. All commands and scripts here have one, in front of their arguments.
pub(super) fn key_of(command: &Cmd) -> &[u8] {
    let mut words = command.args_iter().filter_map(|word| match word {
        Arg::Simple(word) => Some(word),
        _ => None,
    });
    let key = match words.next() {
        Some(b"EVALSHA" | b"EVAL") => words.nth(2),
        _ => words.next(),
    };
    key.unwrap_or_default()
}

/// Which of `count` connections the commands on a key take. The names of sessions end with random
/// letters.
pub(super) fn share(key: &[u8], count: usize) -> usize {
    let mut end = [0; 8];
    let length = key.len().min(end.len());
    end[..length].copy_from_slice(&key[key.len() - length..]);
    // The upper bits depend on all letters.
    let hash = u64::from_le_bytes(end).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let place = (hash * u64::try_from(count).unwrap_or(1)) >> 32;
    usize::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use session_core::SessionId;

    use super::*;

    #[test]
    fn sessions_and_principals_are_spread_over_the_connections() {
        for count in [2, 3, 4, 7] {
            let mut sessions = vec![0; count];
            let mut principals = vec![0; count];
            for n in 0..4096_u32 {
                let id = SessionId::random().unwrap();
                let name = format!("session:{}", id.encode());
                let call = cmd_of(&name);
                let place = share(key_of(&call), count);
                assert_eq!(share(key_of(&script_of(&name)), count), place);
                sessions[place] += 1;
                principals[share(format!("session:principal:user:{n}").as_bytes(), count)] += 1;
            }
            let fair = 4096 / count;
            for part in [sessions, principals].concat() {
                assert!(
                    (fair * 3 / 4..=fair * 5 / 4).contains(&part),
                    "{part} of {fair}"
                );
            }
        }
        assert!(share(b"", 3) < 3);
        assert!(share(b"a", 3) < 3);
    }

    fn cmd_of(name: &str) -> Cmd {
        let mut command = redis::cmd("GET");
        command.arg(name);
        command
    }

    fn script_of(name: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg("f00").arg(1).arg(name).arg("argument");
        command
    }
}
