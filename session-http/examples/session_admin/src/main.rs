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
//! session-admin STORE_URL copy TARGET_URL [--continue] [--update]
//! session-admin STORE_URL reseal --keys-env NAME    seals values again with the newest key
//! ```
//!
//! Run it with `cargo run -p session-admin -- ARGUMENT...`. A store is a URL as an application
//! passes it to `RedisStore` or `MongoStore`: `redis://`, `rediss://`, `redis-cluster://`,
//! `redis-sentinel://`, `unix://`, `mongodb://`, `mongodb+srv://`. `--prefix`, `--layout`,
//! `--database` and `--collection` are the settings of the same names. They come before the
//! command.
//!
//! Other users of the machine can see arguments in the list of processes. So leave out a URL that
//! has a password, and set `SESSION_STORE_URL`, and for the target of `copy` `SESSION_TARGET_URL`:
//! `SESSION_STORE_URL=redis://.. session-admin count`.
//!
//! # What it shows
//!
//! With `--json` it prints one JSON object on each line of stdout. Times are then milliseconds
//! since 1970. Otherwise it prints text for people. Messages and progress go to stderr. Control
//! characters in names are escaped in both.
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
//! found damage that is still there, or `reseal` sessions that do not open. 4: the target of `copy`
//! has other content under some ids. 5: it has sessions already, and `--continue` is not given.
//! 130: it was stopped by Ctrl-C. `copy` and `reseal` then finish the session at which they are,
//! and print what they have done.

mod ask;
mod check;
mod copy;
mod count;
mod interrupt;
mod output;
mod pages;
mod reseal;
mod sessions;
mod store;
mod time;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use session_core::store::SessionStore;
use session_core::{KeyRing, SessionId};

use crate::ask::Consent;
use crate::output::{Failure, Output};
use crate::store::{Place, StoreOptions};

/// Reads, checks, mends and copies the sessions of a store.
#[derive(Debug, Parser)]
#[command(name = "session-admin", max_term_width = 100)]
struct Cli {
    /// The store: redis://, rediss://, redis-cluster://, redis-sentinel://, unix://, mongodb://.
    /// Without it, the environment variable SESSION_STORE_URL names the store: other users of the
    /// machine can see arguments, and passwords in them
    store: Option<String>,
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
    /// Copies all sessions to another store, except those that it has already. Reports those that
    /// are different there
    Copy {
        /// The other store. Without it, the environment variable SESSION_TARGET_URL names it
        target: Option<String>,
        /// Replaces sessions of the target that were active later in the source
        #[arg(long)]
        update: bool,
        /// Copies into a target that has sessions already: to go on with a copy that was stopped,
        /// or to compare. Sessions that have ended there for longer than their marks last come back
        #[arg(long = "continue")]
        continued: bool,
        #[command(flatten)]
        options: TargetOptions,
    },
    /// Seals values again that were not sealed with the newest key. All nodes must know that key
    Reseal {
        /// The environment variable that has the keys of `seal_values`, newest first
        #[arg(long)]
        keys_env: String,
        /// Only sessions of this scope: as a rule the name of the cookie
        #[arg(long)]
        scope: Option<String>,
        /// Also seals values that are not sealed. That trusts what is stored: a value that somebody
        /// has added to the database becomes a sealed one. Only if all nodes seal them
        #[arg(long)]
        seal_plain: bool,
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
    let done = run(cli, &output).await;
    match done.and_then(|()| output.check()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.message(failure.text());
            failure.code()
        }
    }
}

async fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let place = Place::of(cli.store, "SESSION_STORE_URL", cli.options)?;
    let shared: Arc<dyn SessionStore> = place.open().await?.into();
    let store = &*shared;
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
        Command::Copy {
            target,
            update,
            continued,
            options,
        } => {
            let other = Place::of(target, "SESSION_TARGET_URL", options.into())?;
            if other == place {
                return Err(Failure::usage("source and target are the same store"));
            }
            let differing = match update {
                true => copy::Differing::Updated,
                false => copy::Differing::Reported,
            };
            let target = other.open().await?;
            if !continued {
                copy::refuse_used(&*target, output).await?;
            }
            copy::copy(store, &*target, differing, output).await
        }
        Command::Reseal {
            keys_env,
            scope,
            seal_plain,
        } => {
            let keys = KeyRing::from_env(&keys_env);
            let keys = keys.map_err(|error| Failure::usage(error.to_string()))?;
            let plain = match seal_plain {
                true => reseal::Plain::Sealed,
                false => reseal::Plain::Left,
            };
            let chosen = reseal::Chosen { scope, plain };
            reseal::reseal(Arc::clone(&shared), &keys, &chosen, output).await
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

    #[test]
    fn a_command_without_a_store_is_no_store() {
        let store = |words: &[&str]| {
            let words = ["session-admin"].iter().chain(words);
            Cli::try_parse_from(words).map(|cli| (cli.store, cli.command))
        };
        assert!(matches!(store(&["count"]), Ok((None, Command::Count))));
        let url = "redis://localhost";
        let named = store(&[url, "count"]);
        assert!(matches!(named, Ok((Some(named), Command::Count)) if named == url));
        let copied = store(&["copy", "--update"]);
        let is_copy = matches!(
            copied,
            Ok((
                None,
                Command::Copy {
                    target: None,
                    update: true,
                    ..
                }
            ))
        );
        assert!(is_copy);
        assert!(store(&[url]).is_err());
    }
}
