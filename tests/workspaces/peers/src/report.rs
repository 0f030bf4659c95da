//! Results as lines of a table.

use std::fmt;

/// One line of `results.tsv`.
pub struct Row {
    pub scenario: String,
    pub measure: &'static str,
    pub ours: f64,
    pub peer: f64,
    pub peer_name: String,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            measure,
            ours,
            peer,
            peer_name,
        } = self;
        let ratio = match *peer {
            0.0 => "-".to_owned(),
            peer => format!("{:.3}", ours / peer),
        };
        write!(
            f,
            "{scenario}\t{measure}\t{}\t{}\t{peer_name}\t{ratio}",
            Short(*ours),
            Short(*peer)
        )
    }
}

/// A number with one decimal, where it has any; a small one with two.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.0.abs() < 10.0 { 100.0 } else { 10.0 };
        let rounded = (self.0 * unit).round() / unit;
        write!(f, "{rounded}")
    }
}

/// The one in the middle.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
