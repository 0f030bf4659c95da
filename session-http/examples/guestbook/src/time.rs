//! Times as people and programs read them.

use session_core::Timestamp;

const DAY: u64 = 86_400;

/// `2026-08-21T13:37:00Z`.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let seconds = at.as_millis() / 1000;
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `13:37:00`.
pub(crate) fn clock(at: Timestamp) -> String {
    let seconds = at.as_millis() / 1000;
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}")
}

/// The date that is `days` days after 1970-01-01. The years here begin in March, so a leap day is
/// the last day of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, day) = (days / 146_097, days % 146_097); // of 400 years
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
}
