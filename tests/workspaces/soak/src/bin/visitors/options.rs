//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::BoxError;

pub(crate) const USAGE: &str = "\
visitors STORE MINUTES [--visitors N] [--pace N] [--seed N] [--report FILE]
         [--commit TEXT]

  STORE     redis: a cluster of six nodes; mongo: a replica set of three
  MINUTES   how long visitors come, at least 1
  --pace    how busy visitors are: 1 is usual, with 0.5 their pauses are twice as long
  --commit  which commit of the repository this is, for the report";

/// Which store the site keeps its sessions in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Mongo,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) store: Kind,
    pub(crate) lasts: Duration,
    pub(crate) visitors: usize,
    pub(crate) pace: f64,
    pub(crate) seed: u64,
    pub(crate) report: Option<PathBuf>,
    pub(crate) commit: Option<String>,
}

impl Options {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let store = match args.next().as_deref() {
            Some("redis") => Kind::Redis,
            Some("mongo") => Kind::Mongo,
            _ => return Err(USAGE.into()),
        };
        let minutes: f64 = args.next().ok_or(USAGE)?.parse().map_err(|_| USAGE)?;
        if !(1.0..=100_000.0).contains(&minutes) {
            return Err(USAGE.into());
        }
        let mut options = Self {
            store,
            lasts: Duration::from_secs_f64(minutes * 60.0),
            visitors: 150,
            pace: 1.0,
            seed: 1,
            report: None,
            commit: None,
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match flag.as_str() {
                "--visitors" => options.visitors = value.parse().map_err(|_| USAGE)?,
                "--pace" => options.pace = pace(&value)?,
                "--seed" => options.seed = value.parse().map_err(|_| USAGE)?,
                "--commit" => options.commit = Some(value),
                "--report" => options.report = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

fn pace(text: &str) -> Result<f64, BoxError> {
    let pace = text.parse().map_err(|_| USAGE)?;
    match (0.01..=100.0).contains(&pace) {
        true => Ok(pace),
        false => Err(USAGE.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Options, BoxError> {
        Options::from_args(text.split(' ').map(str::to_owned))
    }

    #[test]
    fn the_pace_is_a_positive_number() {
        let slow = options("mongo 1 --pace 0.5").unwrap();
        assert_eq!((slow.store, slow.pace), (Kind::Mongo, 0.5));
        assert_eq!(options("redis 60").unwrap().pace, 1.0);
        for wrong in ["0", "-1", "NaN", "fast", ""] {
            assert!(
                options(&format!("redis 1 --pace {wrong}")).is_err(),
                "{wrong}"
            );
        }
    }
}
