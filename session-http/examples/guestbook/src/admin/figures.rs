//! The part of the page that has plots and figures.

use std::fmt::Write;

use session_core::{EventKind, Opened};

use super::plot::{self, Scale, millis, number};
use super::recorder::Snapshot;
use super::tally::{COUNTED, KINDS, OPENED, Operation, RISING, Series};

pub(super) fn events(body: &mut String, snapshot: &Snapshot) {
    body.push_str("<section><h2>Events</h2><p class=soft>What happened to sessions.</p>");
    body.push_str("<div class=groups>");
    let kinds: Vec<_> = KINDS.iter().zip(&snapshot.events).collect();
    for (title, range) in [
        ("Alert at once", 0..RISING),
        ("Alert on a sudden rise", RISING..COUNTED),
        ("Only count", COUNTED..KINDS.len()),
    ] {
        let _ = write!(body, "<div><h3>{title}</h3><div class=tiles>");
        for (kind, series) in kinds.get(range).unwrap_or_default() {
            tile(body, &title_of(**kind), series, snapshot);
        }
        body.push_str("</div></div>");
    }
    body.push_str("</div></section>");
}

fn title_of(kind: EventKind) -> String {
    capital(&words(kind.label()))
}

pub(super) fn requests(body: &mut String, snapshot: &Snapshot) {
    body.push_str(
        "<section><h2>Requests</h2><p class=soft>What the tokens of each request opened.</p>\
         <div class=\"tiles six\">",
    );
    for (opened, series) in OPENED.iter().zip(&snapshot.opened) {
        let title = match opened {
            Opened::Session => "A session".to_owned(),
            opened => capital(&words(opened.label())),
        };
        tile(body, &title, series, snapshot);
    }
    body.push_str("</div></section>");
}

pub(super) fn store(body: &mut String, snapshot: &Snapshot) {
    body.push_str("<section><h2>Store</h2><p class=soft>Calls of all operations.</p>");
    body.push_str("<div class=\"tiles four\">");
    for (title, series) in [
        ("Calls", &snapshot.calls),
        ("Failed", &snapshot.failed),
        ("Conflicts", &snapshot.conflicts),
        ("Cancelled", &snapshot.cancelled),
    ] {
        tile(body, title, series, snapshot);
    }
    body.push_str("</div>");
    if snapshot.operations.is_empty() {
        body.push_str("<p class=soft>No operation was called.</p></section>");
        return;
    }
    body.push_str(
        "<p class=soft id=by>By operation, in 15 minutes. Latencies are in milliseconds.</p>\
         <div class=wide tabindex=0 role=region aria-labelledby=by><table id=calls>\
         <thead><tr><th scope=col>Operation<th scope=col class=n>Calls<th scope=col class=n>Failed\
         <th scope=col class=n>Median<th scope=col class=n>95 %<th scope=col class=n>99 %\
         <th scope=col class=n>Maximum<th scope=col class=n>Conflicts\
         <th scope=col class=n>Cancelled</tr></thead><tbody>",
    );
    for operation in &snapshot.operations {
        row(body, operation);
    }
    body.push_str("</tbody></table></div>");
    latencies(body, snapshot);
    body.push_str("</section>");
}

fn row(body: &mut String, operation: &Operation) {
    let _ = write!(
        body,
        "<tr><th scope=row>{}<td class=n>{}<td class=n>{}",
        words(operation.label),
        number(operation.calls),
        number(operation.failed())
    );
    for (failure, count) in &operation.failures {
        let _ = write!(body, "<small>{} {}</small>", number(*count), words(failure));
    }
    let latency = operation.latency;
    let times = latency.map(|of| [of.median, of.p95, of.p99, of.longest].map(millis));
    for time in times.unwrap_or_else(|| std::array::from_fn(|_| "–".to_owned())) {
        let _ = write!(body, "<td class=n>{time}");
    }
    for count in [operation.conflicts, operation.cancelled] {
        let _ = write!(body, "<td class=n>{}", number(count));
    }
    body.push_str("</tr>");
}

fn latencies(body: &mut String, snapshot: &Snapshot) {
    let timed = || {
        let operations = snapshot.operations.iter();
        operations.filter(|operation| operation.latency.is_some())
    };
    if timed().next().is_none() {
        body.push_str(
            "<p class=soft id=untimed>These calls are not timed: the store waits for nothing, as a \
             store in memory does, and looking at a clock would take longer than a call.</p>",
        );
        return;
    }
    let scale = Scale::of(timed().flat_map(|operation| operation.latencies.iter().flatten()));
    let _ = write!(
        body,
        "<div class=legend>{}<ol aria-label=Legend><li>Line: to the maximum<li>Frame: to 99 %\
         <li>Box: to 95 %<li>Bold stroke: the median</ol></div><div class=latencies>",
        plot::key()
    );
    for operation in timed() {
        let title = format!("Latency of {}", words(operation.label));
        let _ = write!(
            body,
            "<figure><figcaption><span>{title}</span></figcaption><div class=\"graph tall\">\
             {}{}{X_AXIS}</div></figure>",
            plot::axis(scale),
            plot::boxes(&operation.latencies, scale, snapshot.now, &title)
        );
    }
    body.push_str("</div>");
}

const X_AXIS: &str = "<div class=x aria-hidden=true><span>−15 min</span><span>−10</span>\
                      <span>−5</span><span>now</span></div>";

fn tile(body: &mut String, title: &str, series: &Series, snapshot: &Snapshot) {
    let total = total(series);
    let class = if total == 0 { " class=none" } else { "" };
    let _ = write!(
        body,
        "<figure{class}><figcaption><span>{title}</span><b>{}</b></figcaption><div class=graph>\
         <div class=y aria-hidden=true><span>{}</span><span>0</span></div>\
         {}{X_AXIS}</div></figure>",
        number(total),
        number(plot::top(series).into()),
        plot::bars(series, snapshot.now, title)
    );
}

pub(super) fn total(series: &Series) -> u64 {
    series.iter().map(|count| u64::from(*count)).sum()
}

/// A label for people.
pub(super) fn words(label: &str) -> String {
    label.replace('_', " ")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
