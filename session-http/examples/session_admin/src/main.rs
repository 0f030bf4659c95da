//! The operator's tool: reads, checks, mends and copies the sessions of a store.
//!
//! ```text
//! session-admin STORE_URL count                     live, expired and unreadable; by scope
//! session-admin STORE_URL list PRINCIPAL            the sessions of one person
//! session-admin STORE_URL show ID [--values]        one session
//! session-admin STORE_URL end ID                    ends one session
//! session-admin STORE_URL end-all PRINCIPAL [--except ID]
//! session-admin STORE_URL sweep                     removes what has expired
//! session-admin STORE_URL check [--repair [--end-unreadable]]
//! session-admin STORE_URL copy TARGET_URL           copies what the target does not have yet
//! ```
//!
//! Run it with `cargo run -p session-admin -- ARGUMENT...`. A store is a URL as an application
//! passes it to `RedisStore` or `MongoStore`: `redis://`, `rediss://`, `redis-cluster://`,
//! `redis-sentinel://`, `unix://`, `mongodb://`, `mongodb+srv://`. `--prefix`, `--layout`,
//! `--database` and `--collection` are the settings of the same names. They come before the
//! command.
//!
//! # What it shows
//!
//! With `--json` it prints one JSON object on each line of stdout. Times are then milliseconds
//! since 1970. Otherwise it prints text for people. Messages and progress go to stderr.
//!
//! Ids of sessions are printed whole by `list`, `show` and `check`, because `end` and `show` take
//! them. An id is no token and lets nobody in: a token has the id and a secret, and the store has
//! only a hash of that secret. Values are printed only by `show --values`. A sealed value stays
//! sealed.
//!
//! # What it asks
//!
//! Before it ends sessions it asks on the terminal. `--yes` answers in advance. Without a terminal
//! it refuses unless `--yes` is given.
//!
//! # Exit codes
//!
//! 0: it is done. 1: it failed. 2: the arguments are wrong, or it would have had to ask. 3: `check`
//! found damage that is still there.

mod ask;
mod check;
mod copy;
mod count;
mod output;
mod pages;
mod sessions;
mod store;
mod time;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use session_core::SessionId;

use crate::ask::Consent;
use crate::output::{Failure, Output};
use crate::store::{Place, StoreOptions};

/// Reads, checks, mends and copies the sessions of a store.
#[derive(Debug, Parser)]
#[command(name = "session-admin", max_term_width = 100)]
struct Cli {
    /// The store: redis://, rediss://, redis-cluster://, redis-sentinel://, unix://, mongodb://
    store: String,
    #[command(flatten)]
    options: StoreOptions,
    /// Prints one JSON object on each line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Counts all sessions: live, expired, marks of ended ones, unreadable; and live ones by scope
    Count,
    /// Lists the sessions of a principal
    List { principal: String },
    /// Shows one session
    Show {
        #[arg(value_parser = id)]
        id: SessionId,
        /// Shows its values too. Sealed ones stay sealed
        #[arg(long)]
        values: bool,
    },
    /// Ends one session
    End {
        #[arg(value_parser = id)]
        id: SessionId,
        #[command(flatten)]
        asking: Asking,
    },
    /// Ends all sessions of a principal
    EndAll {
        principal: String,
        /// The session that is not ended
        #[arg(long, value_parser = id)]
        except: Option<SessionId>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Removes what has expired, where the server does not do that by itself
    Sweep,
    /// Reports sessions that cannot be read, and sessions that the index of their principal lacks
    Check {
        /// Mends the index
        #[arg(long)]
        repair: bool,
        /// Ends the sessions that cannot be read. A newer version may have written them
        #[arg(long, requires = "repair")]
        end_unreadable: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// Copies all sessions to another store, except those that it has already
    Copy {
        /// The other store
        target: String,
        #[command(flatten)]
        options: TargetOptions,
    },
}

#[derive(Debug, Args)]
struct Asking {
    /// Does not ask before it ends sessions
    #[arg(long)]
    yes: bool,
}

impl Asking {
    fn consent(&self) -> Consent {
        match self.yes {
            true => Consent::Given,
            false => Consent::Asked,
        }
    }
}

/// The settings of the other store.
#[derive(Debug, Args)]
struct TargetOptions {
    /// What the keys in the target begin with (Redis)
    #[arg(long)]
    target_prefix: Option<String>,
    /// How sessions are stored in the target (Redis)
    #[arg(long)]
    target_layout: Option<store::LayoutName>,
    /// The database of the target (MongoDB)
    #[arg(long)]
    target_database: Option<String>,
    /// The collection of the target (MongoDB)
    #[arg(long)]
    target_collection: Option<String>,
}

impl From<TargetOptions> for StoreOptions {
    fn from(options: TargetOptions) -> Self {
        Self {
            prefix: options.target_prefix,
            layout: options.target_layout,
            database: options.target_database,
            collection: options.target_collection,
        }
    }
}

fn id(text: &str) -> Result<SessionId, String> {
    let id = text.parse::<SessionId>();
    id.map_err(|_| "an id has 22 letters, as `list` prints them".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    match run(cli, &output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.message(&failure.text());
            failure.code()
        }
    }
}

async fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let place = Place::new(cli.store, cli.options)?;
    let store = place.open().await?;
    let store = &*store;
    match cli.command {
        Command::Count => count::count(store, output).await,
        Command::List { principal } => sessions::list(store, &principal, output).await,
        Command::Show { id, values } => {
            let values = match values {
                true => sessions::Values::Shown,
                false => sessions::Values::Hidden,
            };
            sessions::show(store, id, values, output).await
        }
        Command::End { id, asking } => sessions::end(store, id, asking.consent(), output).await,
        Command::EndAll {
            principal,
            except,
            asking,
        } => sessions::end_all(store, &principal, except, asking.consent(), output).await,
        Command::Sweep => sessions::sweep(store, output).await,
        Command::Check {
            repair,
            end_unreadable,
            asking,
        } => {
            let task = match (repair, end_unreadable) {
                (false, _) => check::Task::Report,
                (true, false) => check::Task::MendIndex,
                (true, true) => check::Task::EndUnreadable(asking.consent()),
            };
            check::check(store, task, output).await
        }
        Command::Copy { target, options } => {
            let other = Place::new(target, options.into())?;
            if other == place {
                return Err(Failure::usage("source and target are the same store"));
            }
            copy::copy(store, &*other.open().await?, output).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
