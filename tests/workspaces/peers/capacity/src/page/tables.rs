//! The tables, computed.

use super::format::{gib, percent, rate, sessions, short, whole};
use crate::cost::{Costs, Redis};
use crate::law::{self, RedisLaw};
use crate::plan::{Machine, Nodes, Store, Traffic, nodes};

/// The sizes of the page.
const SIZES: [u64; 3] = [1_000_000, 100_000_000, 1_000_000_000];
/// The size of the worked example.
const EXAMPLE: u64 = 100_000_000;

/// All tables with their names. `None` if fewer than three sizes were measured.
pub fn all(costs: &Costs) -> Option<Vec<(&'static str, String)>> {
    let (traffic, machine) = (Traffic::default(), Machine::default());
    Some(vec![
        ("nodes", plan(costs, &SIZES, &traffic, &machine)?),
        ("assumptions", assumptions(&traffic, &machine)),
        ("example", example(costs, &traffic, &machine)?),
        ("command", command(costs)),
        ("memory", memory(costs)),
        ("law", law(costs)?),
        ("planned", planned(costs)?),
        ("requests", requests(costs)),
    ])
}

/// Joins the cells of each row. The first `text` columns are texts.
fn table(text: usize, head: &[&str], rows: Vec<Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    for column in 0..head.len() {
        out += if column < text { "|---" } else { "|--:" };
    }
    out += "|\n";
    rows.into_iter().map(line).fold(out, |out, row| out + &row)
}

/// How many nodes each store takes.
pub fn plan(costs: &Costs, sizes: &[u64], traffic: &Traffic, machine: &Machine) -> Option<String> {
    let mut rows = Vec::new();
    for size in sizes {
        let traffic = Traffic {
            sessions: *size,
            ..*traffic
        };
        for store in Store::ALL {
            rows.push(planned_row(
                store,
                &nodes(store, costs, &traffic, machine)?,
                *size,
            ));
        }
    }
    let head = [
        "sessions",
        "store",
        "first limit",
        "memory",
        "busy cores",
        "network",
        "primaries",
        "all nodes",
    ];
    Some(table(3, &head, rows))
}

fn planned_row(store: Store, nodes: &Nodes, size: u64) -> Vec<String> {
    let demand = &nodes.demand;
    let limit = match nodes.primaries {
        1 => "none",
        _ => nodes.limit(),
    };
    vec![
        sessions(size),
        store.name().to_owned(),
        limit.to_owned(),
        gib(demand.memory),
        short(demand.cores),
        rate(demand.network),
        whole(nodes.primaries as f64),
        whole(nodes.all as f64),
    ]
}

fn assumptions(traffic: &Traffic, machine: &Machine) -> String {
    let reads = 1.0 - traffic.writes - traffic.sign_ins - traffic.sign_outs;
    let row = |option: &str, value: String, meaning: &str| {
        vec![format!("`{option}`"), meaning.to_owned(), value]
    };
    let rows = vec![
        row(
            "--requests-per-hour",
            traffic.requests_per_hour.to_string(),
            "requests of each live session, in the busiest hour",
        ),
        row(
            "--writes",
            percent(traffic.writes),
            "of the requests write a value or the activity",
        ),
        row(
            "--sign-ins",
            percent(traffic.sign_ins),
            "of the requests make a session and sign in",
        ),
        row(
            "--sign-outs",
            percent(traffic.sign_outs),
            "of the requests sign out",
        ),
        row("(the rest)", percent(reads), "of the requests read"),
        row(
            "--near",
            percent(traffic.near),
            "of the reads are served by a near cache",
        ),
        row(
            "--unchanged",
            percent(traffic.unchanged),
            "of the reads are of a session that the process holds unchanged",
        ),
        row(
            "--memory",
            format!("{} GiB", machine.memory_gib),
            "memory of a node",
        ),
        row(
            "--cores",
            machine.cores.to_string(),
            "cores of a MongoDB node; a Redis node uses 1",
        ),
        row(
            "--gbit",
            format!("{} Gbit/s", machine.gbit_per_second),
            "network of a node, in each direction",
        ),
        row(
            "--headroom",
            percent(machine.headroom),
            "of memory, CPU and network stay free",
        ),
        row(
            "--replicas",
            machine.replicas.to_string(),
            "replicas of each primary",
        ),
    ];
    table(2, &["option", "what it is", "here"], rows).replace("`(the rest)`", "")
}

/// One line of the table of nodes, step by step.
fn example(costs: &Costs, traffic: &Traffic, machine: &Machine) -> Option<String> {
    let store = Store::Packed;
    let traffic = Traffic {
        sessions: EXAMPLE,
        ..*traffic
    };
    let nodes = nodes(store, costs, &traffic, machine)?;
    let mean = traffic.mean(&store.requests(costs));
    let demand = &nodes.demand;
    let free = machine.usable();
    let memory = machine.memory_gib * free;
    let megabytes = machine.gbit_per_second * 1e3 / 8.0 * free;
    let out = mean.bytes_out + machine.replicas as f64 * mean.replicated;
    let rows = [
        (
            "requests a second",
            format!(
                "{} x {} / 3,600",
                whole(EXAMPLE as f64),
                traffic.requests_per_hour
            ),
            whole(demand.requests_per_second),
        ),
        (
            "commands a second",
            format!(
                "{} x {:.2}",
                whole(demand.requests_per_second),
                mean.commands
            ),
            whole(demand.commands_per_second),
        ),
        (
            "memory",
            format!(
                "{} x {} B",
                whole(EXAMPLE as f64),
                whole(store.bytes_per_session(costs)?)
            ),
            gib(demand.memory),
        ),
        (
            "primaries by memory",
            format!("{} / {memory} GiB", gib(demand.memory)),
            whole(nodes.by_memory as f64),
        ),
        (
            "busy cores",
            format!(
                "{} x {:.1} us",
                whole(demand.requests_per_second),
                mean.cpu_us
            ),
            short(demand.cores),
        ),
        (
            "primaries by CPU",
            format!("{} / {free} core", short(demand.cores)),
            whole(nodes.by_cpu as f64),
        ),
        (
            "network, out",
            format!(
                "{} x ({:.0} + {} x {:.0}) B",
                whole(demand.requests_per_second),
                mean.bytes_out,
                machine.replicas,
                mean.replicated
            ),
            rate(demand.requests_per_second * out),
        ),
        (
            "network, in",
            format!(
                "{} x {:.0} B",
                whole(demand.requests_per_second),
                mean.bytes_in
            ),
            rate(demand.requests_per_second * mean.bytes_in),
        ),
        (
            "primaries by network",
            format!("{} / {megabytes} MB/s", rate(demand.network)),
            whole(nodes.by_network as f64),
        ),
        (
            "primaries",
            format!(
                "the most of {}, {}, {}",
                nodes.by_memory, nodes.by_cpu, nodes.by_network
            ),
            whole(nodes.primaries as f64),
        ),
        (
            "all nodes",
            format!("{} x (1 + {})", nodes.primaries, machine.replicas),
            whole(nodes.all as f64),
        ),
    ];
    let rows = rows.map(|(what, how, result)| vec![what.to_owned(), how, result]);
    Some(table(2, &["what", "how", "result"], rows.into()))
}

/// The command that measures, with the sizes that were measured.
fn command(costs: &Costs) -> String {
    let sizes = costs.packed.memory.iter().map(|at| at.sessions.to_string());
    let sizes: Vec<_> = sizes.collect();
    format!("```sh\ntests/bench capacity {}\n```\n", sizes.join(" "))
}

fn memory(costs: &Costs) -> String {
    let mut rows = Vec::new();
    let each = |bytes: u64, sessions: u64| whole(bytes as f64 / sessions as f64);
    for (store, redis) in redis_stores(costs) {
        for (what, bytes) in [
            (
                "`used_memory`",
                (|at| at.used) as fn(&crate::RedisMemory) -> u64,
            ),
            ("`used_memory_dataset`", |at| at.dataset),
            ("`used_memory_rss`", |at| at.rss),
        ] {
            let measured = redis.memory.iter().map(|at| each(bytes(at), at.sessions));
            rows.push(row(&[store.name(), what], measured));
        }
    }
    for (what, bytes) in [
        (
            "documents, `size`",
            (|at| at.data) as fn(&crate::MongoSpace) -> u64,
        ),
        ("documents on disk, `storageSize`", |at| at.storage),
        ("indexes on disk, `totalIndexSize`", |at| at.indexes),
        ("cache, after they were made", |at| at.cache_made),
        ("cache, after they were read", |at| at.cache_read),
    ] {
        let measured = costs.mongo.space.iter();
        let measured = measured.map(|at| each(bytes(at), at.sessions));
        rows.push(row(&[Store::Mongo.name(), what], measured));
    }
    let sizes = costs.packed.memory.iter().map(|at| sessions(at.sessions));
    let head: Vec<_> = ["store", "bytes a session"]
        .map(str::to_owned)
        .into_iter()
        .chain(sizes)
        .collect();
    let head: Vec<_> = head.iter().map(String::as_str).collect();
    table(2, &head, rows)
}

fn row(texts: &[&str], numbers: impl Iterator<Item = String>) -> Vec<String> {
    let texts = texts.iter().map(|text| (*text).to_owned());
    texts.chain(numbers).collect()
}

const fn redis_stores(costs: &Costs) -> [(Store, Redis); 2] {
    [(Store::Packed, costs.packed), (Store::Fields, costs.fields)]
}

/// What the smaller sizes predict of the largest one.
fn law(costs: &Costs) -> Option<String> {
    let mut rows = Vec::new();
    let mut add = |what: &str, sizes: u64, predicted: f64, measured: u64| {
        let off = percent(law::error(predicted, measured));
        let (predicted, measured) = (whole(predicted / 1e6), whole(measured as f64 / 1e6));
        let texts = [what.to_owned(), sessions(sizes), predicted, measured, off];
        rows.push(texts.into());
    };
    for (store, redis) in redis_stores(costs) {
        let (last, smaller) = redis.memory.split_last()?;
        let predicted = RedisLaw::of(smaller)?.used(last.sessions);
        let what = format!("{}, `used_memory`", store.name());
        add(&what, last.sessions, predicted, last.used);
    }
    let (last, smaller) = costs.mongo.space.split_last()?;
    for (what, bytes) in [
        (
            "MongoDB, documents",
            (|at| at.data) as fn(&crate::MongoSpace) -> u64,
        ),
        ("MongoDB, documents on disk", |at| at.storage),
        ("MongoDB, indexes on disk", |at| at.indexes),
        ("MongoDB, cache", law::cached),
    ] {
        let predicted = law::mongo(smaller, bytes)?.at(last.sessions);
        add(what, last.sessions, predicted, bytes(last));
    }
    let head = [
        "memory",
        "sessions",
        "predicted, MB",
        "measured, MB",
        "off by",
    ];
    Some(table(1, &head, rows))
}

/// What the table of nodes takes a session to be.
fn planned(costs: &Costs) -> Option<String> {
    let mut rows = Vec::new();
    for (store, redis) in redis_stores(costs) {
        let law = RedisLaw::of(redis.memory)?;
        rows.push(vec![
            store.name().to_owned(),
            whole(law.line.per_session),
            short(law.worst_per_session() - law.line.per_session),
            format!("{:.2}", law::fragmentation(&redis).max(1.0)),
            whole(store.bytes_per_session(costs)?),
        ]);
    }
    let mongo = store_bytes(costs)?;
    rows.push(row(
        &["MongoDB"],
        [mongo.clone(), "0".into(), "1.00".into(), mongo].into_iter(),
    ));
    let head = [
        "store",
        "line, B",
        "tables, B",
        "of the system",
        "planned, B",
    ];
    Some(table(1, &head, rows))
}

fn store_bytes(costs: &Costs) -> Option<String> {
    Some(whole(Store::Mongo.bytes_per_session(costs)?))
}

fn requests(costs: &Costs) -> String {
    let mut rows = Vec::new();
    for store in Store::ALL {
        for (name, cost) in store.requests(costs).each() {
            let numbers = [
                cost.commands,
                cost.cpu_us,
                cost.bytes_in,
                cost.bytes_out,
                cost.replicated,
            ];
            rows.push(row(&[store.name(), name], numbers.into_iter().map(short)));
        }
    }
    let head = [
        "store",
        "request",
        "commands",
        "CPU, us",
        "bytes in",
        "bytes out",
        "to each replica",
    ];
    table(2, &head, rows)
}
