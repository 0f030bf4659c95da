//! Hears what the driver sends.

use std::sync::{Arc, Mutex};

use mongodb::Client;
use mongodb::bson::Document;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{ClientOptions, ServerAddress};

/// A command that was sent, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) name: String,
    pub(crate) command: Document,
    pub(crate) to: ServerAddress,
}

/// Everything that a client sends after it has connected.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Vec<Sent>>>);

impl Watch {
    pub(crate) async fn client(uri: &str) -> (Client, Self) {
        let watch = Self::default();
        let sent = Arc::clone(&watch.0);
        let mut options = ClientOptions::parse(uri).await.unwrap();
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event {
                sent.lock().unwrap().push(Sent {
                    name: started.command_name,
                    command: started.command,
                    to: started.connection.address,
                });
            }
        }));
        (Client::with_options(options).unwrap(), watch)
    }

    /// What was sent since the last call.
    pub(crate) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Pins what something sends.
    pub(super) async fn costs<T>(
        &self,
        what: &str,
        names: &str,
        act: impl Future<Output = T>,
    ) -> T {
        self.take();
        let done = act.await;
        let sent = self.take();
        let sent: Vec<_> = sent.iter().map(|sent| &*sent.name).collect();
        assert_eq!(sent.join(" "), names, "{what}");
        done
    }
}

/// The filters of an update, a deletion or a query, and whatever may be an upsert.
pub(super) fn filters(sent: &Sent) -> Vec<&Document> {
    let each = |list: &str| {
        let all = sent.command.get_array(list).unwrap().iter();
        all.map(|one| one.as_document().unwrap().get_document("q").unwrap())
            .collect()
    };
    match &*sent.name {
        "update" => each("updates"),
        "delete" => each("deletes"),
        "find" => vec![sent.command.get_document("filter").unwrap()],
        "findAndModify" => vec![sent.command.get_document("query").unwrap()],
        _ => vec![],
    }
}
