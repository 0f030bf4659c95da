//! Computes how many nodes a site takes, from the costs that were measured.
//!
//!     capacity --table                 prints the tables of the page
//!     capacity --bless                 writes them into the page
//!     capacity --OPTION VALUE...       prints the nodes for one's own figures

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use session_capacity::plan::{Machine, Traffic};
use session_capacity::{COSTS, page};

const HELP: &str = "\
tests/bench capacity SIZE...          measures, with so many sessions each; writes costs.rs
tests/bench capacity --table          prints the tables of session-http/docs/capacity.md
tests/bench capacity --bless          writes them into that page
tests/bench capacity --OPTION VALUE.. prints how many nodes your own figures take

  --sessions N            sessions at a time                        (1000000)
  --requests-per-hour N   requests of each session                  (12)
  --writes SHARE          of the requests, from 0 to 1              (0.17)
  --sign-ins SHARE        of the requests                           (0.02)
  --sign-outs SHARE       of the requests                           (0.01)
  --near SHARE            of the reads, from a near cache           (0)
  --unchanged SHARE       of the reads, of sessions that are held   (0)
  --memory GIB            of a node                                 (32)
  --cores N               of a MongoDB node                         (8)
  --gbit N                network of a node, in each direction      (1)
  --headroom SHARE        of a node, that stays free                (0.5)
  --replicas N            of each primary                           (2)
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] | ["--help"] => {
            print!("{HELP}");
            Ok(())
        }
        ["--table"] => print_tables(),
        ["--bless"] => bless(),
        _ => print_plan(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}. `tests/bench capacity --help` lists the options.");
            ExitCode::FAILURE
        }
    }
}

fn print_tables() -> Result<(), String> {
    let tables = page::tables(&COSTS).ok_or("the costs are of fewer than three sizes")?;
    for (name, table) in tables {
        println!("{name}\n\n{table}");
    }
    Ok(())
}

fn bless() -> Result<(), String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../..")
        .join(page::PATH);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", page::PATH))?;
    let filled = page::fill(&text, &COSTS)?;
    fs::write(&path, filled).map_err(|error| format!("{}: {error}", page::PATH))
}

fn print_plan(arguments: &[&str]) -> Result<(), String> {
    let (mut traffic, mut machine) = (Traffic::default(), Machine::default());
    for pair in arguments.chunks(2) {
        let [option, value] = pair else {
            return Err(format!("{} needs a value", pair[0]));
        };
        let number = value.parse::<f64>();
        let number = number
            .ok()
            .filter(|number| number.is_finite() && *number >= 0.0);
        let number = number.ok_or_else(|| format!("{value} is no number of {option}"))?;
        match *option {
            "--sessions" => traffic.sessions = number as u64,
            "--requests-per-hour" => traffic.requests_per_hour = number,
            "--writes" => traffic.writes = number,
            "--sign-ins" => traffic.sign_ins = number,
            "--sign-outs" => traffic.sign_outs = number,
            "--near" => traffic.near = number,
            "--unchanged" => traffic.unchanged = number,
            "--memory" => machine.memory_gib = number,
            "--cores" => machine.cores = number,
            "--gbit" => machine.gbit_per_second = number,
            "--headroom" => machine.headroom = number,
            "--replicas" => machine.replicas = number as u64,
            _ => return Err(format!("there is no option {option}")),
        }
    }
    traffic.check()?;
    machine.check()?;
    let table = page::plan(&COSTS, &[traffic.sessions], &traffic, &machine);
    print!("{}", table.ok_or("the costs are of fewer than two sizes")?);
    Ok(())
}
