//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::BoxError;

pub(crate) const USAGE: &str = "\
visitors STORE MINUTES [--visitors N] [--seed N] [--report FILE]

  STORE     redis: a cluster of six nodes; mongo: a replica set of three
  MINUTES   how long visitors come, at least 1";

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
    pub(crate) seed: u64,
    pub(crate) report: Option<PathBuf>,
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
            seed: 1,
            report: None,
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match flag.as_str() {
                "--visitors" => options.visitors = value.parse().map_err(|_| USAGE)?,
                "--seed" => options.seed = value.parse().map_err(|_| USAGE)?,
                "--report" => options.report = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}
