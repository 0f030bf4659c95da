//! Plots, as SVG that is part of the page. The style sheet has the colours, and the text beside a
//! plot is HTML, so that it keeps its size while the plot is stretched.

use std::fmt::Write;
use std::time::Duration;

use session_core::Timestamp;

use super::latency::Latency;
use super::ring::{self, INTERVALS};
use super::tally::Series;
use crate::time;

/// The least that a bar is high, in percent: one call must be seen beside a thousand.
const LOWEST: f64 = 4.0;

/// A bar for each interval, between 0 and the round number `top`.
pub(super) fn bars(series: &Series, now: Timestamp, title: &str) -> String {
    let top = top(series);
    let mut svg = open(&summary(series, title));
    for (at, count) in series.iter().enumerate().filter(|(_, count)| **count > 0) {
        let high = (f64::from(*count) * 100.0 / f64::from(top)).max(LOWEST);
        let _ = write!(
            svg,
            "<rect class=bar x={at}.1 y={:.1} width=.8 height={high:.1}><title>{} at {}</title>\
             </rect>",
            100.0 - high,
            number((*count).into()),
            time::clock(ring::begin(at, now))
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The number at the upper end of the axis: 1, 2 or 5 and zeros.
pub(super) fn top(series: &Series) -> u32 {
    let most = series.iter().copied().max().unwrap_or(0);
    let mut power = 1_u32;
    loop {
        for step in [1, 2, 5] {
            let top = power.saturating_mul(step);
            if top >= most {
                return top;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// What a plot of bars shows, for who does not see it.
fn summary(series: &Series, title: &str) -> String {
    let total: u64 = series.iter().map(|count| u64::from(*count)).sum();
    let most = series.iter().copied().max().unwrap_or(0);
    format!(
        "{title}: {} in 15 minutes, {} at most in 15 seconds",
        number(total),
        number(most.into())
    )
}

/// A logarithmic axis, from one power of ten (of microseconds) to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    low: u32,
    high: u32,
}

impl Scale {
    /// The axis on which all of these have room.
    pub(super) fn of<'a>(latencies: impl IntoIterator<Item = &'a Latency>) -> Self {
        let (mut low, mut high) = (u32::MAX, 0);
        for latency in latencies {
            low = low.min(micros(latency.median).ilog10());
            let longest = micros(latency.longest);
            high = high.max(longest.ilog10() + u32::from(!is_power(longest)));
        }
        let low = if low == u32::MAX { 2 } else { low };
        let high = high.max(low + 1);
        Self { low, high }
    }

    /// How far below the upper end of the axis, in percent.
    fn below(self, duration: Duration) -> f64 {
        let log = (micros(duration) as f64).log10();
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        (100.0 * (high - log) / (high - low)).clamp(0.0, 100.0)
    }

    /// The powers of ten, each with its place in percent.
    fn marks(self) -> impl Iterator<Item = (f64, &'static str)> {
        let names = [
            "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s",
        ];
        let all = names.into_iter().enumerate();
        let marks = all.map(|(power, name)| (power as u32, name));
        marks
            .filter(move |(power, _)| (self.low..=self.high).contains(power))
            .map(move |(power, name)| (self.below(Duration::from_micros(10_u64.pow(power))), name))
    }
}

/// The names of the marks on a logarithmic axis.
pub(super) fn axis(scale: Scale) -> String {
    let mut svg = "<svg class=marks aria-hidden=true>".to_owned();
    for (below, name) in scale.marks() {
        let _ = write!(svg, "<text x=100% y={below:.1}%>{name}</text>");
    }
    svg.push_str("</svg>");
    svg
}

/// For each interval a box from the median to the 95 % percentile, a frame around the next 4 %, and
/// a line to the maximum. All are told apart by their form.
pub(super) fn boxes(
    latencies: &[Option<Latency>; INTERVALS],
    scale: Scale,
    now: Timestamp,
    title: &str,
) -> String {
    let mut svg = open(title);
    for (below, _) in scale.marks() {
        let _ = write!(svg, "<path class=grid d='M0 {below:.1}H{INTERVALS}'/>");
    }
    for (at, latency) in latencies.iter().enumerate() {
        let Some(latency) = latency else { continue };
        let _ = write!(
            svg,
            "<g><title>{}: median {}, 95 % {}, 99 % {}, maximum {} ms</title>",
            time::clock(ring::begin(at, now)),
            millis(latency.median),
            millis(latency.p95),
            millis(latency.p99),
            millis(latency.longest)
        );
        shape(&mut svg, at, latency, scale);
        svg.push_str("</g>");
    }
    svg.push_str("</svg>");
    svg
}

/// The same once, large, for the legend.
pub(super) fn key() -> String {
    let latency = Latency {
        median: Duration::from_micros(100),
        p95: Duration::from_micros(316),
        p99: Duration::from_micros(562),
        longest: Duration::from_micros(1_000),
    };
    let mut svg = "<svg class=key viewBox='0 0 1 100' preserveAspectRatio=none \
                   aria-hidden=true>"
        .to_owned();
    shape(&mut svg, 0, &latency, Scale { low: 2, high: 3 });
    svg.push_str("</svg>");
    svg
}

fn shape(svg: &mut String, at: usize, latency: &Latency, scale: Scale) {
    let [median, p95, p99, longest] = [latency.median, latency.p95, latency.p99, latency.longest]
        .map(|duration| scale.below(duration));
    let _ = write!(
        svg,
        "<path class=most d='M{at}.5 {longest:.1}V{p99:.1}M{at}.3 {longest:.1}h.4'/>\
         <rect class=rare x={at}.3 y={p99:.1} width=.4 height={:.1} />\
         <rect class=box x={at}.1 y={p95:.1} width=.8 height={:.1} />\
         <path class=median d='M{at} {median:.1}h1'/>",
        p95 - p99,
        median - p95,
    );
}

fn open(label: &str) -> String {
    format!(
        "<svg class=plot viewBox='0 0 {INTERVALS} 100' preserveAspectRatio=none role=img \
         aria-label=\"{}\">",
        crate::page::escape(label)
    )
}

/// Milliseconds, with two digits after the point.
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1_000.0)
}

/// A number whose thousands are apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}'); // a narrow space, at which no line ends
        }
        text.push(digit);
    }
    text
}

/// At least one, so that it has a logarithm.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros())
        .unwrap_or(u64::MAX)
        .max(1)
}

const fn is_power(number: u64) -> bool {
    10_u64.pow(number.ilog10()) == number
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_764_504_000_000);

    fn latency(micros: u64) -> Latency {
        let one = Duration::from_micros(micros);
        Latency {
            median: one,
            p95: one * 2,
            p99: one * 3,
            longest: one * 4,
        }
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (most, expected) in [
            (0, 1),
            (1, 1),
            (3, 5),
            (11, 20),
            (50, 50),
            (51, 100),
            (u32::MAX, u32::MAX),
        ] {
            let mut series = [0; INTERVALS];
            series[7] = most;
            assert_eq!(top(&series), expected);
        }
    }

    #[test]
    fn bars_are_as_high_as_their_counts() {
        let mut series = [0; INTERVALS];
        (series[0], series[58], series[59]) = (1, 50, 100);
        let svg = bars(&series, NOON, "Created");
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("x=0.1 y=96.0 width=.8 height=4.0"), "{svg}"); // and not 1 %
        assert!(svg.contains("x=58.1 y=50.0 width=.8 height=50.0"), "{svg}");
        assert!(svg.contains("x=59.1 y=0.0 width=.8 height=100.0"), "{svg}");
        assert!(svg.contains("<title>100 at 12:00:00</title>"), "{svg}");
        assert!(svg.contains("<title>1 at 11:45:15</title>"), "{svg}");
        let label = "Created: 151 in 15 minutes, 100 at most in 15 seconds";
        assert!(svg.contains(&format!("aria-label=\"{label}\"")), "{svg}");
    }

    #[test]
    fn a_logarithmic_axis_has_room_for_everything() {
        let scale = Scale::of(&[latency(300), latency(20_000)]);
        assert_eq!(scale, Scale { low: 2, high: 5 });
        let marks: Vec<_> = scale.marks().map(|(_, name)| name).collect();
        assert_eq!(marks, ["100 µs", "1 ms", "10 ms", "100 ms"]);
        assert_eq!(scale.below(Duration::from_micros(100_000)), 0.0);
        assert_eq!(scale.below(Duration::from_micros(100)), 100.0);
        let third = scale.below(Duration::from_millis(10));
        assert!((33.0..34.0).contains(&third), "{third}");
        assert_eq!(Scale::of(&[]), Scale { low: 2, high: 3 });
        assert_eq!(Scale::of(&[latency(0)]), Scale { low: 0, high: 1 });
    }

    #[test]
    fn intervals_without_calls_have_no_box() {
        let mut latencies = [None; INTERVALS];
        latencies[59] = Some(latency(1_000));
        let scale = Scale::of(latencies.iter().flatten());
        let svg = boxes(&latencies, scale, NOON, "load");
        assert_eq!(svg.matches("<g>").count(), 1);
        assert!(svg.contains(
            "<title>12:00:00: median 1.00, 95 % 2.00, 99 % 3.00, maximum 4.00 ms</title>"
        ));
        // One decade: the median at its lower end, four times as much 60 % above.
        assert!(svg.contains("d='M59.5 39.8V52.3M59.3 39.8h.4'"), "{svg}");
        assert!(svg.contains("d='M59 100.0h1'"), "{svg}");
    }

    #[test]
    fn numbers_are_grouped() {
        for (plain, grouped) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1\u{202f}000"),
            (1_234_567, "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!(number(plain), grouped);
        }
    }
}
