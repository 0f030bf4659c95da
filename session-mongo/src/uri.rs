//! A client from a URI, and what is wrong with one.

use std::time::Duration;

use mongodb::Client;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, Tls};
use session_core::ConfigError;

use crate::settings::server_wait;
use crate::tls;

pub(crate) async fn client(uri: &str, deadline: Duration) -> Result<Client, ConfigError> {
    if uri.starts_with("mongodb+srv://") && !cfg!(feature = "dns") {
        return Err(ConfigError::new(
            "mongodb+srv needs the feature `dns` of session-mongo (`mongo-dns` of session-http)",
        ));
    }
    if uri.trim() != uri || uri.contains(char::is_control) {
        return Err(ConfigError::new(
            "the MongoDB URI is wrong: there is a space before or after it, or a line break in it",
        ));
    }
    if !uri.starts_with("mongodb://") && !uri.starts_with("mongodb+srv://") {
        return Err(ConfigError::new(
            "not a URI of MongoDB: it begins with mongodb:// or mongodb+srv://",
        ));
    }
    let parsed = ClientOptions::parse(uri).await;
    let mut options = parsed.map_err(|error| wrong(&error))?;
    if let Some(Tls::Enabled(tls)) = &options.tls {
        tls::check(tls)?;
    }
    options.max_pool_size.get_or_insert(64);
    options.max_connecting.get_or_insert(8);
    options.heartbeat_freq.get_or_insert(Duration::from_secs(1));
    options
        .connect_timeout
        .get_or_insert(Duration::from_secs(1));
    options
        .server_selection_timeout
        .get_or_insert(server_wait(deadline));
    #[cfg(feature = "metrics")]
    options
        .cmap_event_handler
        .get_or_insert_with(crate::meters::handler);
    Client::with_options(options).map_err(|_| {
        ConfigError::new(
            "the settings in the MongoDB URI cannot be used: a certificate file that cannot be \
             read, or some that contradict each other",
        )
    })
}

/// Words of the driver's texts, and what is wrong where they occur. A later row may have words that
/// occur with those of an earlier one.
const FAULTS: [(&str, &str); 30] = [
    (
        "w=0 and j=true",
        "w=0 asks for no answer and journal=true for one; take w=0 out, a majority is the default",
    ),
    (
        "illegal character in database name",
        "the name of the database contains one of / \\ \" $ and space, percent-encoded or not, \
         which MongoDB does not allow",
    ),
    (
        "database name must be URL encoded",
        "the name of the database is percent-encoded, and not as UTF-8",
    ),
    (
        "username must be URL encoded",
        "the username has one of : / ? # [ ] @ in it that is not percent-encoded",
    ),
    (
        "password must be URL encoded",
        "the password has one of : / ? # [ ] @ in it that is not percent-encoded",
    ),
    (
        "cannot contain unescaped %",
        "a % in the username or password is not percent-encoded; write it as %25",
    ),
    (
        "the port must be an integer",
        "a port is no number from 1 to 65535, or one of : / ? # [ ] @ in the username or password \
         is not percent-encoded",
    ),
    (
        "the hostname cannot be empty",
        "a host is missing; the path of a Unix socket is percent-encoded, as in \
         mongodb://%2Frun%2Fmongodb.sock/shop",
    ),
    (
        "unix domain sockets must be URL-encoded",
        "the path of a Unix socket is percent-encoded, as in mongodb://%2Frun%2Fmongodb.sock/shop",
    ),
    (
        "IP literal hostname",
        "the ] after an IPv6 address is missing",
    ),
    (
        "the hostname can only be followed by a port",
        "only a port may follow the ] of an IPv6 address",
    ),
    (
        "username and mechanism both not provided",
        "there is an @ and no username before it",
    ),
    (
        "is not a 'key=value' pair",
        "an option is not of the form name=value; a ? or & in the username or password is \
         percent-encoded",
    ),
    (
        "repeated options are not allowed",
        "an option is there twice",
    ),
    (
        "negative integer",
        "the option w has a wrong value; it is majority, or a number of nodes from 1",
    ),
    (
        "is not a valid read preference tag",
        "the option readPreferenceTags has a wrong value; it is like dc:east",
    ),
    (
        "is not a valid read preference",
        "the option readPreference has a wrong value",
    ),
    (
        "without also setting read",
        "readPreferenceTags and maxStalenessSeconds need a readPreference",
    ),
    (
        "taleness",
        "the option maxStalenessSeconds has a wrong value; it is 90 or more, and needs a \
         readPreference of secondaries",
    ),
    (
        "heartbeat_freq",
        "the option heartbeatFrequencyMS has a wrong value; it is 500 or more",
    ),
    ("maxPoolSize=0", "maxPoolSize=0 would leave no connection"),
    (
        "maxConnecting=0",
        "maxConnecting=0 would make no connection",
    ),
    (
        "multiple seeds",
        "directConnection=true and loadBalanced=true go with one host",
    ),
    (
        "with loadBalanced=true",
        "loadBalanced=true does not go with replicaSet or directConnection",
    ),
    (
        "socketTimeoutMS",
        "the driver has no socketTimeoutMS; use the store's `call_timeout`",
    ),
    ("empty authSource", "authSource is empty"),
    ("if tls=false", "a file for TLS is named where tls=false"),
    (
        "cannot set both",
        "tlsInsecure and tlsAllowInvalidCertificates are both there",
    ),
    (
        "SRV",
        "mongodb+srv goes with one name of a host, without a port and directConnection; \
         srvServiceName and srvMaxHosts with it alone",
    ),
    (
        "mongodb+srv",
        "mongodb+srv goes with one name of a host, without a port",
    ),
];

/// Says what is wrong and quotes nothing of the URI: there may be a password anywhere in it.
fn wrong(error: &Error) -> ConfigError {
    let text = match &*error.kind {
        ErrorKind::InvalidArgument { message, .. } => fault(message),
        ErrorKind::DnsResolve { .. } => Some("the name of its host does not resolve".to_owned()),
        _ => None,
    };
    let text = text.unwrap_or_else(|| {
        "an option has a wrong value or one that this driver was built without, a name does not \
         resolve, or : / ? # [ ] @ in the username or password are not percent-encoded"
            .to_owned()
    });
    ConfigError::new(format!(
        "the MongoDB URI is wrong: {text}; it is like \
         mongodb://user:password@host:27017/database?authSource=admin"
    ))
}

fn fault(message: &str) -> Option<String> {
    if message.contains("is an invalid option") {
        // The driver takes the similar name from its own list, so it is none of the URI's words.
        let alike = message.split_once("An option with a similar name exists: ");
        return Some(match alike {
            Some((_, alike)) => format!("an option is not known; is it meant to be {alike}?"),
            None => "an option is not known".to_owned(),
        });
    }
    let known = FAULTS.iter().find(|(words, _)| message.contains(words));
    if let Some((_, text)) = known {
        return Some((*text).to_owned());
    }
    // Here the driver quotes its own name of the option.
    let (_, rest) = message.split_once("connection string `")?;
    let (option, _) = rest.split_once('`')?;
    Some(format!("the option {option} has a wrong value"))
}

#[cfg(test)]
mod tests {
    use crate::MongoStore;

    async fn said(uri: &str) -> String {
        match MongoStore::builder(uri).lazy().await {
            Err(error) => error.to_string(),
            Ok(store) => format!("{store:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_without_the_password() {
        for (uri, reason) in [
            ("", "begins with"),
            ("redis://:opensesame@host/", "begins with"),
            ("mongo://:opensesame@host/", "begins with"),
            ("host:27017", "begins with"),
            ("mongodb://user:opensesame@host/shop\n", "line break"),
            (" mongodb://user:opensesame@host/shop", "space before"),
            ("mongodb://user:open/sesame@host/", "password has one of"),
            ("mongodb://us/er:opensesame@host/", "username has one of"),
            ("mongodb://user:open@sesame@host/", "password has one of"),
            ("mongodb://user:open%sesame@host/", "%25"),
            ("mongodb://user:open%se%ffsame@host/", "%25"),
            ("mongodb://user:open?sesame@host/", "a port is no number"),
            ("mongodb://:opensesame@host/", "no username"),
            ("mongodb://host:opensesame/", "a port is no number"),
            ("mongodb://host:0/", "a port is no number"),
            ("mongodb://host:65536/", "a port is no number"),
            ("mongodb://", "a host is missing"),
            ("mongodb:///shop", "a host is missing"),
            ("mongodb:///run/mongodb.sock", "a host is missing"),
            ("mongodb://a,,b/", "a host is missing"),
            ("mongodb://[::1/", "the ] after"),
            ("mongodb://[::1]27017/", "only a port"),
            (
                "mongodb://host/my%20db",
                "the name of the database contains",
            ),
            ("mongodb://host/my db", "the name of the database contains"),
            (
                "mongodb://host/my%2Fdb",
                "the name of the database contains",
            ),
            ("mongodb://host/a/b", "the name of the database contains"),
            ("mongodb://host/a%2Eb", "the name of the database contains"),
            ("mongodb://host/a%00b", "control character"),
            ("mongodb://host/%ff", "UTF-8"),
            ("mongodb://host/local", "server's own"),
            ("mongodb://user:opensesame@host/admin", "authSource"),
            (
                "mongodb://host/?maxPoolSize=many",
                "maxpoolsize has a wrong value",
            ),
            (
                "mongodb://user:opensesame@host/?maxPoolSize=opensesame",
                "wrong value",
            ),
            ("mongodb://host/?tls=opensesame", "tls has a wrong value"),
            (
                "mongodb://host/?retryWrites=1",
                "retrywrites has a wrong value",
            ),
            (
                "mongodb://user:opensesame@host/?retryWritse=true",
                "retrywrites?",
            ),
            (
                "mongodb://user:opensesame@host/?opensesame=true",
                "not known",
            ),
            ("mongodb://host/?w=1&w=2", "twice"),
            ("mongodb://host/?opensesame", "name=value"),
            (
                "mongodb://host/?readPreference=opensesame",
                "readPreference",
            ),
            (
                "mongodb://host/?readPreferenceTags=a:b",
                "need a readPreference",
            ),
            (
                "mongodb://host/?maxStalenessSeconds=90",
                "need a readPreference",
            ),
            (
                "mongodb://host/?readPreference=secondary&maxStalenessSeconds=9",
                "90 or more",
            ),
            ("mongodb://host/?heartbeatFrequencyMS=9", "500 or more"),
            ("mongodb://host/?maxPoolSize=0", "no connection"),
            ("mongodb://host/?maxConnecting=0", "no connection"),
            ("mongodb://a,b/?directConnection=true", "one host"),
            (
                "mongodb://a/?replicaSet=r&loadBalanced=true",
                "loadBalanced",
            ),
            ("mongodb://host/?socketTimeoutMS=9", "call_timeout"),
            (
                "mongodb://user:opensesame@host/?authSource=",
                "authSource is empty",
            ),
            ("mongodb://host/?tls=false&tlsCAFile=/nope", "tls=false"),
            ("mongodb://host/?srvMaxHosts=2", "mongodb+srv"),
            ("mongodb://host/?authMechanism=opensesame", "is wrong"),
        ] {
            let said = said(uri).await;
            assert!(
                said.contains(reason) && !said.contains("sesame"),
                "{uri}: {said}"
            );
        }
    }

    /// What the driver takes is taken.
    #[tokio::test]
    async fn other_forms_are_taken() {
        for (uri, names) in [
            ("mongodb://host", "sessions.sessions"),
            ("mongodb://host/", "sessions.sessions"),
            ("mongodb://host/shop", "shop.sessions"),
            ("mongodb://host/sh%C3%B6p", "shöp.sessions"),
            (
                "mongodb://user:p%40ss%3A%2F%25@host:27018/shop",
                "shop.sessions",
            ),
            ("mongodb://user:a&b=c;d@host/shop", "shop.sessions"),
            ("mongodb://a,b:2,[::1]:3/shop?replicaSet=r", "shop.sessions"),
            ("mongodb://%2Frun%2Fmongodb.sock/shop", "shop.sessions"),
            (
                "mongodb://host/shop?readPreference=secondary",
                "shop.sessions",
            ),
            (
                "mongodb://host/shop?readConcernLevel=snapshot",
                "shop.sessions",
            ),
            ("mongodb://host?retryWrites=false", "sessions.sessions"),
        ] {
            let said = said(uri).await;
            assert!(said.contains(names), "{uri}: {said}");
        }
    }

    #[cfg(not(feature = "dns"))]
    #[tokio::test]
    async fn a_missing_feature_is_named() {
        assert!(
            said("mongodb+srv://host.example/")
                .await
                .contains("mongo-dns")
        );
    }
}
