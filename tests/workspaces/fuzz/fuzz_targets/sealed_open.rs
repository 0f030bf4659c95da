//! No token makes a sealed store panic, and none opens but the genuine one.
//!
//! An even first byte: the rest is the token. An odd one: the rest edits the genuine tokens,
//! four bytes a step (what to do, where in two bytes, with which character).
#![no_main]

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use session_cookie::{CookieStore, Sealing};
use session_core::store::{Changes, Record, RecordKey, SessionStore, Update, Updated};
use session_core::{KeyRing, Timestamp};

const ALPHABET: &[u8; 66] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+";
const SIGNED: &str = include_str!("../../../../session-cookie/tests/golden/signed.txt");
const ENCRYPTED: &str = include_str!("../../../../session-cookie/tests/golden/encrypted.txt");

struct Setup {
    signed: CookieStore,
    encrypted: CookieStore,
    either: CookieStore,
    signed_token: &'static str,
    encrypted_token: &'static str,
    scope: &'static str,
    now: Timestamp,
    record: Arc<Record>,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let ring = KeyRing::new(bytes(field(SIGNED, "key"))).unwrap();
    Setup {
        signed: CookieStore::signed(ring.clone()),
        encrypted: CookieStore::encrypted(ring.clone()),
        either: CookieStore::signed(ring).with_former_sealing(Sealing::Encrypted),
        signed_token: field(SIGNED, "token"),
        encrypted_token: field(ENCRYPTED, "token"),
        scope: field(SIGNED, "scope"),
        now: Timestamp::from_millis(field(SIGNED, "issued").parse().unwrap()),
        record: Arc::new(Record::decode(bytes(field(SIGNED, "record"))).unwrap()),
    }
});

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let setup = &*SETUP;
    if mode % 2 == 0 {
        setup.check(&String::from_utf8_lossy(rest));
    } else {
        setup.check(&edit(setup.signed_token, rest));
        setup.check(&edit(setup.encrypted_token, rest));
    }
});

impl Setup {
    fn check(&self, token: &str) {
        let signed = token == self.signed_token;
        let encrypted = token == self.encrypted_token;
        assert_eq!(self.opens(&self.signed, token), signed);
        assert_eq!(self.opens(&self.encrypted, token), encrypted);
        assert_eq!(self.opens(&self.either, token), signed || encrypted);
    }

    fn opens(&self, store: &CookieStore, token: &str) -> bool {
        let key = RecordKey::sealed(self.scope, token);
        let loaded = ready(store.load(&key, self.now)).unwrap();
        if let Some(record) = &loaded {
            assert_eq!(*record, self.record);
        }
        let update = Update::new(
            Arc::clone(&self.record),
            Changes::new(),
            self.record.epoch(),
        );
        let updated = ready(store.update(&key, &update, self.now)).unwrap();
        assert_eq!(matches!(updated, Updated::Saved { .. }), loaded.is_some());
        loaded.is_some()
    }
}

fn edit(token: &str, steps: &[u8]) -> String {
    let mut token = token.as_bytes().to_vec();
    for step in steps.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([step[1], step[2]])) % (token.len() + 1);
        let character = ALPHABET[usize::from(step[3]) % ALPHABET.len()];
        match step[0] % 4 {
            0 if at < token.len() => token[at] = character,
            1 if at < token.len() => drop(token.remove(at)),
            2 => token.insert(at, character),
            _ => token.truncate(at),
        }
    }
    String::from_utf8(token).unwrap()
}

fn field(golden: &'static str, name: &str) -> &'static str {
    let mut lines = golden.lines().filter_map(|line| line.split_once(" = "));
    lines.find(|(key, _)| *key == name).unwrap().1
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// A sealed store never waits.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!(),
    }
}
