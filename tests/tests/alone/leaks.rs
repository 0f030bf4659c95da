//! No token, key, value or full id in any event, error text or Debug output (S45).

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_cookie::CookieStore;
use session_core::store::{
    Changes, Metadata, Purpose, Record, RecordKey, SessionStore, StoreError, Update,
};
use session_core::{
    ClientToken, Codec, Directive, KeyError, KeyRing, Lifetime, Limits, OnCorrupt, OnReuse,
    Outcome, Rotation, SessionError, SessionId, SessionManager, SessionManagerBuilder, Timeouts,
    Timestamp, TypedKey,
};
use session_tests::{
    Backend, Call, Fault, FaultStore, Sim, TimelessStore, anonymous, open, token_of,
};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::ran_alone;

const VALUE: &str = "XVALUEX";
const KEY: [u8; 32] = *b"XKEYMATERIALX-XKEYMATERIALX-XKEY";
const PRINCIPAL: &str = "XPRINCIPALX";
const LABEL: &str = "XLABELX";

/// Everything that was written anywhere.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn debug(&self, value: &impl Debug) {
        writeln!(self.clone(), "{value:?}\n{value:#?}").unwrap();
    }

    fn display(&self, value: &impl Display) {
        writeln!(self.clone(), "{value}").unwrap();
    }

    /// An error with all that lies beneath it.
    fn error(&self, error: &(dyn StdError + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            writeln!(self.clone(), "{error}\n{error:?}\n{error:#?}").unwrap();
            next = error.source();
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What must not show, with a name for it.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        self.0.push((name, format!("{bytes:?}")));
        self.0.push((
            name,
            format!("{bytes:?}").trim_matches(['[', ']']).to_owned(),
        ));
        let hex = bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>();
        self.0.push((name, hex.to_uppercase()));
        self.0.push((name, hex));
    }

    fn id(&mut self, id: SessionId) {
        self.0.push(("an id", id.encode()));
        self.bytes("an id", id.as_bytes());
    }

    /// The token as a whole, and its secret part.
    fn token(&mut self, token: &str) {
        self.0.push(("a token", token.to_owned()));
        self.0.push((
            "a secret",
            token[token.len().min(43) - 16..token.len().min(43)].to_owned(),
        ));
    }

    fn check(&self, page: &str) {
        for (name, secret) in &self.0 {
            assert!(!page.contains(secret.as_str()), "{name} shows: {secret}");
        }
    }
}

fn secrets() -> Secrets {
    let mut secrets = Secrets::default();
    for (name, text) in [
        ("a value", VALUE),
        ("a principal", PRINCIPAL),
        ("a label", LABEL),
    ] {
        secrets.0.push((name, text.to_owned()));
        secrets.bytes(name, text.as_bytes());
    }
    secrets
        .0
        .push(("a key", String::from_utf8(KEY.to_vec()).unwrap()));
    secrets.bytes("a key", &KEY);
    secrets
}

fn keys() -> KeyRing {
    KeyRing::new(KEY).unwrap()
}

fn builder(store: impl SessionStore, sealed: bool) -> SessionManagerBuilder {
    let builder = SessionManager::builder(store);
    if sealed {
        builder
    } else {
        builder.keys(keys())
    }
}

/// A session's whole life, with everything that can go wrong.
fn battery(backend: Backend, page: &Page, secrets: &mut Secrets) {
    let mut sim = Sim::new(1);
    let inner = match backend {
        Backend::Signed => Arc::new(CookieStore::signed(keys())) as Arc<dyn SessionStore>,
        Backend::Encrypted => Arc::new(CookieStore::encrypted(keys())),
        server => server.store(),
    };
    // Without a sense of time, so that the manager finds what has expired.
    let store = FaultStore::new(TimelessStore::new(inner));
    let builder = builder(Arc::clone(&store), backend.is_sealed())
        .clock(sim.clock())
        .lifetime(Lifetime::default().persistent());
    page.debug(&builder);
    let manager = builder.build().unwrap();
    page.debug(&manager);
    page.debug(&manager.store());
    let clock = sim.clock();
    sim.block_on(async {
        let session = anonymous(&manager).await;
        session.insert("v", VALUE).unwrap();
        session.set_label(LABEL).unwrap();
        session.sign_in(PRINCIPAL).unwrap();
        page.debug(&session);
        let directive = session.finish(Outcome::Success).await.unwrap();
        page.debug(&directive);
        page.debug(&session);
        let token = token_of(&directive);
        secrets.token(&token);
        secrets.id(session.id().unwrap());
        page.debug(&session.id());
        page.display(&session.id().unwrap().short());

        // Refused tokens: forged, of a wrong form, too many, of two sessions.
        let mut forged = token.clone();
        forged.truncate(token.len() - 1);
        for tokens in [
            vec!["x"; 9],
            vec![&forged],
            vec![""],
            vec!["a", "b", "c", "d", "e"],
        ] {
            drop(manager.begin(&tokens).await.unwrap());
        }
        let other = anonymous(&manager).await;
        other.insert("v", VALUE).unwrap();
        let second = token_of(&other.finish(Outcome::Success).await.unwrap());
        secrets.token(&second);
        secrets.id(other.id().unwrap());
        page.debug(&manager.begin(&[&token, &second]).await.unwrap());

        // Values that are not what they are asked for.
        let session = open(&manager, &token).await;
        page.error(&session.get::<u64>("v").unwrap_err());
        page.error(&session.get::<Shape>("v").unwrap_err());
        let key = TypedKey::<Shape>::new("v").or_discard();
        assert!(session.at(key).get().unwrap().is_none());
        page.debug(&session.at(key));
        page.error(
            &session
                .update("v", |v: Option<u64>| v.unwrap_or(0))
                .unwrap_err(),
        );
        page.error(&session.insert("w", Grumpy).unwrap_err());
        page.error(
            &session
                .insert("w", format!("{VALUE}{}", "x".repeat(2_000_000)))
                .unwrap_err(),
        );
        page.error(&session.insert(&"k".repeat(3_000), 1).unwrap_err());
        page.error(
            &session
                .set_label(&format!("{LABEL}{}", "x".repeat(3_000)))
                .unwrap_err(),
        );
        page.error(
            &session
                .sign_in(&format!("{PRINCIPAL}{}", "x".repeat(3_000)))
                .unwrap_err(),
        );

        // Faults of the store.
        for fault in [
            Fault::Unavailable,
            Fault::LostRequest,
            Fault::Corrupt,
            Fault::Hang,
        ] {
            store.plan(Call::Load, fault);
            match manager.begin(&[&token]).await {
                Ok(session) => page.debug(&session),
                Err(error) => page.error(&error),
            }
            let session = open(&manager, &token).await;
            session.insert("v", format!("{VALUE}{fault:?}")).unwrap();
            store.plan(Call::Update, fault);
            page.error(&session.save().await.unwrap_err());
            page.debug(&session);
            drop(session);
        }
        store.plan(Call::Delete, Fault::Unavailable);
        let session = open(&manager, &token).await;
        session.destroy().unwrap();
        let failed = session.finish(Outcome::Success).await.unwrap_err();
        page.error(&failed);
        page.error(&failed.error);
        page.debug(&session);

        // Conflict, touch that fails, renewal, a retired token, an end under way, expiry.
        let token = second;
        let session = open(&manager, &token).await;
        session.insert("v", format!("{VALUE}2")).unwrap();
        store.plan(Call::Update, Fault::Conflict);
        store.plan(Call::Update, Fault::Conflict);
        session.finish(Outcome::Success).await.unwrap();
        clock.advance(Duration::from_secs(61));
        store.plan(Call::Update, Fault::Unavailable);
        let session = open(&manager, &token).await;
        session.finish(Outcome::Success).await.unwrap();
        let session = open(&manager, &token).await;
        let late = open(&manager, &token).await;
        session.sign_in(PRINCIPAL).unwrap();
        let new = token_of(&session.finish(Outcome::Success).await.unwrap());
        secrets.token(&new);
        page.debug(&open(&manager, &token).await);
        late.insert("v", VALUE).unwrap();
        if let Err(error) = late.save().await {
            page.error(&error);
        }
        late.finish(Outcome::Success).await.unwrap();
        let session = open(&manager, &new).await;
        session.insert("v", VALUE).unwrap();
        drop(session);
        let session = open(&manager, &new).await;
        session.destroy().unwrap();
        session.insert("v", VALUE).unwrap();
        let new = token_of(&session.finish(Outcome::Success).await.unwrap());
        secrets.token(&new);
        secrets.id(session.id().unwrap());
        clock.advance(Duration::from_secs(7_200));
        page.debug(&open(&manager, &new).await);
    });
}

/// Tokens that rotate and come back, sessions that are ended from elsewhere, tokens of forms.
fn rotations(backend: Backend, page: &Page, secrets: &mut Secrets) {
    let mut sim = Sim::new(1);
    let clock = sim.clock();
    let manager = SessionManager::builder(backend.store())
        .clock(sim.clock())
        .keys(KeyRing::new(KEY).unwrap())
        .rotation(Rotation::default())
        .on_reuse(OnReuse::Revoke)
        .build()
        .unwrap();
    sim.block_on(async {
        page.debug(&manager);
        for ending in 0..3 {
            let session = anonymous(&manager).await;
            session.sign_in(PRINCIPAL).unwrap();
            session.insert("v", VALUE).unwrap();
            secrets
                .0
                .push(("a CSRF token", session.csrf_token().unwrap()));
            let first = token_of(&session.finish(Outcome::Success).await.unwrap());
            secrets.token(&first);
            secrets.id(session.id().unwrap());
            clock.advance(Duration::from_secs(5));
            let session = open(&manager, &first).await;
            let second = token_of(&session.finish(Outcome::Success).await.unwrap());
            secrets.token(&second);
            let session = open(&manager, &second).await;
            session.finish(Outcome::Success).await.unwrap();
            clock.advance(Duration::from_secs(10));
            match ending {
                0 => drop(open(&manager, &first).await),
                1 => drop(manager.sign_out_everywhere(PRINCIPAL).await.unwrap()),
                _ => {
                    for info in manager.sessions_of(PRINCIPAL).await.unwrap() {
                        page.debug(&info);
                        manager.end(PRINCIPAL, info.id()).await.unwrap();
                    }
                }
            }
        }
    });
}

#[derive(Debug, serde::Deserialize)]
enum Shape {
    #[allow(dead_code, reason = "only its name matters")]
    Round,
}

/// A value whose own error quotes it.
struct Grumpy;

impl serde::Serialize for Grumpy {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(VALUE))
    }
}

#[test]
fn no_event_error_or_debug_output_shows_a_secret() {
    if ran_alone("leaks::no_event_error_or_debug_output_shows_a_secret") {
        return;
    }
    let page = log().clone();
    let mut secrets = secrets();
    for backend in Backend::ALL {
        battery(backend, &page, &mut secrets);
        if !backend.is_sealed() {
            rotations(backend, &page, &mut secrets);
        }
    }
    let text = page.text();
    for event in EVENTS {
        assert!(text.contains(event), "the battery left out: {event}");
    }
    secrets.check(&text);
}

/// The page of all events. The subscriber is everybody's: a test without one could have tracing
/// take the place of an event for one that nobody asks for.
fn log() -> &'static Page {
    static LOG: std::sync::LazyLock<Page> = std::sync::LazyLock::new(|| {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        page
    });
    &LOG
}

const EVENTS: [&str; 20] = [
    "session.open",
    "session.commit",
    "session.store",
    "created",
    "renewed",
    "destroyed",
    "gone",
    "expired",
    "conflict",
    "not saved",
    "the store failed",
    "activity could not",
    "could not be deleted",
    "refused a token",
    "reason=Renewed",
    "reason=Ambiguous",
    "rotated",
    "came back",
    "revoked",
    "cannot be read",
];

#[test]
fn no_public_type_shows_a_secret() {
    if ran_alone("leaks::no_public_type_shows_a_secret") {
        return;
    }
    log();
    let page = Page::default();
    let mut secrets = secrets();
    let id = SessionId::from_bytes(*b"XFULLIDXXFULLIDX");
    secrets.id(id);
    let value = Codec::Json.encode(VALUE).unwrap();
    let now = Timestamp::from_millis(1_000);
    let record = Record::new(id, "scope", Lifetime::default(), now)
        .with_value("v", value.clone())
        .with_principal(PRINCIPAL);
    let changes = Changes::new()
        .set("v", value.clone())
        .with_metadata(Metadata::Replaced);
    let limits = Limits::default();
    let record = Arc::new(record);
    page.debug(
        &Update::new(Arc::clone(&record), changes.clone(), 0)
            .with_expected_version(1)
            .with_limits(limits),
    );
    page.debug(&record.values());
    page.debug(&value);
    page.debug(&value.decode::<u64>().unwrap_err());
    page.display(&value.decode::<u64>().unwrap_err());
    page.debug(&id);
    page.debug(&id.short());
    page.debug(&RecordKey::Id(id));
    page.debug(&RecordKey::sealed("scope", VALUE));
    page.debug(&keys());
    for purpose in [
        Purpose::Token,
        Purpose::SealedMac,
        Purpose::SealedAead,
        Purpose::Csrf,
        Purpose::ValueAead,
    ] {
        let derived = keys().derive(purpose, "scope");
        derived
            .iter()
            .for_each(|key| secrets.bytes("a derived key", key.bytes()));
        page.debug(&derived);
    }
    for error in [
        KeyRing::new(&KEY[..20]).unwrap_err(),
        KeyRing::from_base64("XKEYMATERIALX!!").unwrap_err(),
        KeyRing::from_base64("WEtFWU1BVEVSSUFMWA==").unwrap_err(),
        KeyRing::from_keys::<[[u8; 32]; 0]>([]).unwrap_err(),
        KeyRing::from_file("/nowhere/at/all").unwrap_err(),
    ] {
        let error: KeyError = error;
        page.error(&error);
    }
    secrets.0.push(("key text", "XKEYMATERIALX".to_owned()));
    secrets
        .0
        .push(("key text", "WEtFWU1BVEVSSUFMWA".to_owned()));
    page.error(&"not an id: XFULLIDX".parse::<SessionId>().unwrap_err());
    page.error(&Record::decode(VALUE.as_bytes().to_vec()).unwrap_err());
    for error in [
        SessionError::Gone,
        SessionError::Contended,
        SessionError::Detached,
        SessionError::Random,
        SessionError::Store(StoreError::IdTaken),
        SessionError::Store(StoreError::Full { capacity: 1 }),
        SessionError::Store(StoreError::Unsupported("that")),
        SessionError::Store(StoreError::corrupt(Record::decode(vec![1, 2]).unwrap_err())),
    ] {
        page.error(&error);
    }
    page.debug(&(Timeouts::default(), OnCorrupt::Refuse, limits));
    page.debug(&Backend::Memory.store());
    page.debug(&CookieStore::signed(keys()));
    let manager = SessionManager::builder(Backend::Memory.store())
        .keys(keys())
        .build()
        .unwrap();
    let run = async {
        let session = anonymous(&manager).await;
        session.insert("v", VALUE).unwrap();
        let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
            panic!()
        };
        let token: ClientToken = token;
        page.debug(&token);
        secrets.token(token.as_str());
    };
    futures_util::FutureExt::now_or_never(run).unwrap();
    let text = page.text();
    assert!(text.contains("Update {") && text.contains("ClientToken"));
    secrets.check(&text);
}

#[test]
fn the_check_finds_what_shows() {
    if ran_alone("leaks::the_check_finds_what_shows") {
        return;
    }
    let mut secrets = secrets();
    secrets.id(SessionId::from_bytes([7; 16]));
    for text in [
        VALUE.to_owned(),
        format!("{:?}", [7u8; 16]),
        SessionId::from_bytes([7; 16]).encode(),
        format!("{:?}", KEY),
    ] {
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| secrets.check(&text)));
        assert!(found.is_err(), "{text}");
    }
}
