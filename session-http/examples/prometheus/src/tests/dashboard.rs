//! The dashboard for Grafana and the rules for alerts ask for what there is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use session_http::manager::{StoreOperation, StoreOutcome};

use super::promql::{groupings, selectors};
use super::traffic;

const DASHBOARD: &str = include_str!("../../../../docs/grafana.json");
const ALERTS: &str = include_str!("../../../../docs/alerts.yml");

/// Where connections are counted: a memory store has none.
const CONNECTIONS: [(&str, &str); 2] = [
    (
        "redis",
        include_str!("../../../../../session-redis/src/connection/meters.rs"),
    ),
    (
        "mongodb",
        include_str!("../../../../../session-mongo/src/meters.rs"),
    ),
];

/// Prometheus adds them, or an exporter does.
const OF_PROMETHEUS: [&str; 3] = ["job", "instance", "le"];

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).unwrap()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    let text = value[key].as_str().filter(|text| !text.is_empty());
    text.unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// All texts in a value, however deep.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => vec![],
    }
}

/// The values of each label of each metric.
#[derive(Default)]
struct Known(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Known {
    fn add(&mut self, text: &str) {
        for found in selectors(text) {
            let labels = self.0.entry(found.name.to_owned()).or_default();
            for (label, value) in found.labels {
                let values = labels.entry(label.to_owned()).or_default();
                values.insert(value.to_owned());
            }
        }
    }

    /// What the example serves, and what it would serve if its store had connections, was swept and
    /// failed in every way.
    async fn new() -> Self {
        let mut known = Self::default();
        for series in traffic().await.keys() {
            known.add(series);
        }
        for outcome in [
            StoreOutcome::Corrupt,
            StoreOutcome::Full,
            StoreOutcome::TooLarge,
            StoreOutcome::Unsupported,
        ] {
            let label = outcome.label();
            known.add(&format!("session_store_calls_total{{outcome=\"{label}\"}}"));
        }
        let sweep = StoreOperation::DeleteExpired.label();
        known.add(&format!(
            "session_store_call_seconds_bucket{{operation=\"{sweep}\"}}"
        ));
        for (store, source) in CONNECTIONS {
            for selector in selectors(source) {
                known.add(&format!("{}{{store=\"{store}\"}}", selector.name));
            }
        }
        known
    }

    /// Checks an expression, and counts its metrics.
    fn check(&self, expression: &str) -> usize {
        let found = selectors(expression);
        let mut names = BTreeSet::from(OF_PROMETHEUS);
        for selector in &found {
            let labels = self.0.get(selector.name);
            let labels = labels.unwrap_or_else(|| panic!("no such metric: {expression}"));
            names.extend(labels.keys().map(String::as_str));
            for (label, value) in &selector.labels {
                if !OF_PROMETHEUS.contains(label) {
                    let exists = labels.get(*label).is_some_and(|all| all.contains(*value));
                    assert!(exists, "no {label}={value} in {expression}");
                }
            }
        }
        if !found.is_empty() {
            for label in groupings(expression) {
                assert!(names.contains(label), "no label {label} in {expression}");
            }
        }
        found.len()
    }
}

#[tokio::test]
async fn asks_for_figures_that_are_served() {
    let (known, dashboard) = (Known::new().await, dashboard());
    let found: usize = texts(&dashboard)
        .into_iter()
        .map(|text| known.check(text))
        .sum();
    assert!(found > 20, "{found}");
    assert!(known.check(ALERTS) > 10);
}

/// The expression of an alert: its lines, up to the next key.
fn alert(name: &str) -> String {
    let (_, rule) = ALERTS.split_once(&format!("alert: {name}\n")).unwrap();
    let (_, expression) = rule.split_once("expr:").unwrap();
    let lines = expression.lines();
    lines.take_while(|line| !line.contains("labels:")).collect()
}

/// MongoDB's pool grows, and that is no connection that was lost.
#[test]
fn a_growing_pool_is_no_alert() {
    let expression = alert("SessionConnectionsMadeAnew");
    let mut found = selectors(&expression);
    let made = found.remove(0);
    assert_eq!(made.name, "session_connections_total");
    assert_eq!(made.labels, [("store", "redis")]);
    let [failed] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(failed.name, "session_connection_failures_total");
    assert_eq!(failed.labels, [("store", "mongodb")]);
}

#[test]
fn a_sweep_is_no_slow_call() {
    let expression = alert("SessionStoreSlow");
    let sweep = StoreOperation::DeleteExpired.label();
    assert!(
        expression.contains(&format!(r#"{{operation!="{sweep}"}}"#)),
        "{expression}"
    );
}

#[tokio::test]
#[should_panic = "no kind=stolen in"]
async fn a_label_that_does_not_exist_is_found() {
    Known::new()
        .await
        .check(r#"session_events_total{kind="stolen"}"#);
}

#[test]
fn asks_for_its_source_when_it_is_imported() {
    let dashboard = dashboard();
    let input = &dashboard["__inputs"][0];
    assert_eq!(text(input, "name"), "DS_PROMETHEUS");
    assert_eq!(text(input, "pluginId"), "prometheus");
    text(&dashboard, "uid");
    text(&dashboard, "title");
    assert!(dashboard["id"].is_null()); // Grafana gives it one
    assert!(dashboard["schemaVersion"].as_u64() >= Some(36));

    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables.iter().map(|it| text(it, "name")).collect();
    assert_eq!(names, ["job", "instance"]);
    let targets = panels(&dashboard)
        .flat_map(|panel| panel["targets"].as_array())
        .flatten();
    let graphs = panels(&dashboard).filter(|panel| panel["type"] != "row");
    for asks in variables.iter().chain(targets).chain(graphs) {
        assert_eq!(text(&asks["datasource"], "type"), "prometheus");
        assert_eq!(text(&asks["datasource"], "uid"), "${DS_PROMETHEUS}");
    }
}

#[test]
fn each_panel_shows_something() {
    let dashboard = dashboard();
    let rows = panels(&dashboard).filter(|panel| panel["type"] == "row");
    let rows: Vec<&str> = rows.map(|row| text(row, "title")).collect();
    assert_eq!(rows, ["People", "Store", "Commits", "Caches"]);
    for panel in panels(&dashboard).filter(|panel| panel["type"] != "row") {
        text(panel, "title");
        text(panel, "description");
        let targets = panel["targets"].as_array().unwrap();
        let ids: BTreeSet<&str> = targets.iter().map(|target| text(target, "refId")).collect();
        assert!(!targets.is_empty() && ids.len() == targets.len(), "{panel}");
        for target in targets {
            let (expression, legend) = (text(target, "expr"), text(target, "legendFormat"));
            let filter = r#"{job=~"$job", instance=~"$instance""#;
            let (metrics, filtered) = (selectors(expression), expression.matches(filter));
            assert!(
                !metrics.is_empty() && filtered.count() == metrics.len(),
                "{expression}"
            );
            for label in legend.split("{{").skip(1) {
                let label = label.split("}}").next().unwrap();
                assert!(
                    groupings(expression).contains(&label),
                    "{label}: {expression}"
                );
            }
        }
    }
}

#[test]
fn panels_have_places_of_their_own() {
    let dashboard = dashboard();
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels(&dashboard) {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(w > 0 && h > 0 && x + w <= 24, "{panel}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(
                places.insert(place),
                "{panel} overlaps another one at {place:?}"
            );
        }
    }
}
