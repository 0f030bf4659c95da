//! Numbers as the page has them.

/// With commas between thousands.
pub fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With two places below one, with one below a hundred, and then with none.
pub fn short(value: f64) -> String {
    if value == 0.0 || value >= 100.0 {
        whole(value)
    } else if value < 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}

/// A number of sessions.
pub fn sessions(value: u64) -> String {
    const BILLION: u64 = 1_000_000_000;
    const MILLION: u64 = 1_000_000;
    match value {
        _ if value >= BILLION && value.is_multiple_of(BILLION) => {
            format!("{} billion", value / BILLION)
        }
        _ if value >= MILLION && value.is_multiple_of(MILLION) => {
            format!("{} million", value / MILLION)
        }
        _ => whole(value as f64),
    }
}

/// In GiB.
pub fn gib(bytes: f64) -> String {
    format!("{} GiB", short(bytes / f64::from(1 << 30)))
}

/// Bytes a second, in MB.
pub fn rate(bytes: f64) -> String {
    format!("{} MB/s", short(bytes / 1e6))
}

pub fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}
