//! Numbers and times as BSON has them. What is beyond its range becomes its largest value.

use mongodb::bson::DateTime;
use session_core::Timestamp;

pub(crate) fn number(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

pub(crate) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(number(at.as_millis()))
}

/// `None` for a date before 1970.
pub(crate) fn timestamp(date: DateTime) -> Option<Timestamp> {
    let millis = u64::try_from(date.timestamp_millis()).ok()?;
    Some(Timestamp::from_millis(millis))
}
