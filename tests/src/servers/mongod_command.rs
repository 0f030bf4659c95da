//! What the tests themselves ask a MongoDB server.

use std::thread;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::Document;
use mongodb::error::{Error, Result};
use mongodb::options::ClientOptions;
use tokio::runtime;
use tokio::time::timeout;

/// How long an answer may take, with all that is needed to ask.
const LIMIT: Duration = Duration::from_secs(15);
/// How long it may take to find out that nobody answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the very server at `uri`, whatever it is to others, on a connection of this call's own.
///
/// It takes a thread and a runtime of its own, so that tests can ask from within theirs.
pub(super) fn ask(uri: &str, database: &str, command: Document) -> Result<Document> {
    let asking = || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let answer = async { timeout(LIMIT, answer(uri, database, command)).await };
        runtime.block_on(answer).unwrap_or_else(|_| {
            let text = format!("no answer within {LIMIT:?}");
            Err(Error::custom(text))
        })
    };
    thread::scope(|scope| scope.spawn(asking).join().unwrap())
}

async fn answer(uri: &str, database: &str, command: Document) -> Result<Document> {
    let mut options = ClientOptions::parse(uri).await?;
    options.direct_connection = Some(true);
    options.connect_timeout = Some(PATIENCE);
    options.server_selection_timeout = Some(PATIENCE);
    let client = Client::with_options(options)?;
    client.database(database).run_command(command).await
}
