#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use session_core::{Lifetime, SessionId};

use super::*;

/// Every field of the metadata in use, as `session-core` holds its format still: two tokens, a
/// label.
const FULL: &str = concat!(
    "01000102030405060708090a0b0c0d0e0f095f5f486f73742d6964ac020280d095ffbc31e0a499ffbc31",
    "80ace293bd3101f4d395ffbc310107757365723a3432010e5a6fc3abe28099732070686f6e65a0f73680",
    "dccc1401f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff02",
    "111111111111111111111111111111111111111111111111111111111111111180d095ffbc3101",
    "0181d095ffbc3101f4d395ffbc31",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1ff4d395ffbc31020000",
);

const TAG: Tag = Tag::from_bits(0x6b1f_0c6d_2a90_e3f4);

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn full() -> Record {
    let values = [
        ("", Value::new(Codec::Json, "null")),
        ("a", Value::new(Codec::Postcard, &b"\x96\x01"[..])),
        ("naïve", Value::new(Codec::Json, "\"ü\"")),
        ("nul", Value::new(Codec::Json, &b"\x00json"[..])),
        ("日本", Value::new(Codec::Postcard, &b""[..])),
    ];
    let values = values
        .map(|(key, value)| (key.into(), value))
        .into_iter()
        .collect();
    let seen = Timestamp::from_millis(1_700_000_060_000);
    let record = Record::from_parts(bytes_of(FULL), 300, seen, values).unwrap();
    record.with_tag(Some(TAG))
}

/// The arguments of a command that a record was put into.
fn written(record: &Record) -> Vec<Vec<u8>> {
    let mut command = Cmd::new();
    put_record(record, &mut command);
    let arguments = command.args_iter().map(|argument| match argument {
        redis::Arg::Simple(bytes) => bytes.to_vec(),
        _ => panic!("no argument of this kind"),
    });
    arguments.collect()
}

fn reply(fields: &[Vec<u8>]) -> Reply {
    Reply::Array(fields.iter().cloned().map(Reply::BulkString).collect())
}

fn pairs(fields: &[(&str, &[u8])]) -> Vec<Vec<u8>> {
    let both = |(name, content): &(&str, &[u8])| [name.as_bytes().to_vec(), content.to_vec()];
    fields.iter().flat_map(both).collect()
}

fn id() -> SessionId {
    full().id()
}

#[test]
fn a_golden_record_holds_the_fields_still() {
    let metadata = bytes_of(FULL);
    // 5 values of 0, 1, 6, 3, 6 bytes of key and 4, 2, 4, 5, 0 of value, and 9 for each; 160 and 9,
    // 7, 14 for names.
    let golden: [(&str, &[u8]); 12] = [
        ("s", b"300 6b1f0c6d2a90e3f4 1700000060000 76 5"),
        ("h", b"2 1700043200000 900000 190"),
        ("m", &metadata[..64]),
        ("m1", &metadata[64..128]),
        ("m2", &metadata[128..192]),
        ("m3", &metadata[192..]),
        ("p", b"user:42"),
        (".", b"null"),
        (".a", b"\x00\x01\x96\x01"),
        (".naïve", "\"ü\"".as_bytes()),
        (".nul", b"\x00\x00\x00json"),
        (".日本", b"\x00\x01"),
    ];
    assert_eq!(written(&full()), pairs(&golden));
    let again = read_record(id(), reply(&pairs(&golden))).unwrap().unwrap();
    assert_eq!((&*again, again.tag()), (&full(), Some(TAG)));
}

#[test]
fn a_record_without_principal_has_no_field_of_it() {
    let now = Timestamp::from_millis(1_000);
    let record = Record::new(id(), "id", Lifetime::default(), now).with_tag(Some(TAG));
    let metadata = record.encode_metadata();
    let golden: [(&str, &[u8]); 3] = [
        ("s", b"1 6b1f0c6d2a90e3f4 1000 0 0"),
        ("h", b"0 1209601000 7200000 162"),
        ("m", &metadata), // short enough
    ];
    assert_eq!(written(&record), pairs(&golden));
}

#[test]
fn long_metadata_is_not_cut() {
    let name = "n".repeat(300);
    let record = Record::new(
        id(),
        "id",
        Lifetime::default(),
        Timestamp::from_millis(1_000),
    )
    .with_principal(name);
    let fields = written(&record);
    assert_eq!(fields[4..6], [b"m".to_vec(), record.encode_metadata()]);
    assert_eq!(*read_record(id(), reply(&fields)).unwrap().unwrap(), record);
}

#[test]
fn a_missing_piece_of_the_metadata_is_noticed() {
    for missing in ["m", "m1", "m2", "m3"] {
        let fields = written(&full());
        let kept = fields
            .chunks(2)
            .filter(|pair| pair[0] != missing.as_bytes());
        let kept: Vec<_> = kept.flatten().cloned().collect();
        assert_eq!(kept.len() + 2, fields.len());
        assert!(
            matches!(read_record(id(), reply(&kept)), Err(StoreError::Corrupt(_))),
            "{missing}"
        );
    }
}

#[test]
fn both_protocols_are_read() {
    let fields = written(&full());
    let map = fields.chunks(2).map(|pair| {
        let [name, content] = [0, 1].map(|at| Reply::BulkString(pair[at].clone()));
        (name, content)
    });
    let record = read_record(id(), Reply::Map(map.collect()))
        .unwrap()
        .unwrap();
    assert_eq!(*record, full());
    assert!(read_record(id(), Reply::Array(vec![])).unwrap().is_none());
    assert!(read_record(id(), Reply::Map(vec![])).unwrap().is_none());
    for nonsense in [
        Reply::Nil,
        Reply::Int(1),
        Reply::Array(vec![Reply::Nil, Reply::Nil]),
    ] {
        assert!(matches!(
            read_record(id(), nonsense),
            Err(StoreError::Corrupt(_))
        ));
    }
}

/// The golden record with another content of one field.
fn with(name: &str, content: &str) -> Result<Option<Arc<Record>>, StoreError> {
    let mut fields = written(&full());
    let at = fields
        .iter()
        .step_by(2)
        .position(|field| field == name.as_bytes());
    fields[2 * at.unwrap() + 1] = content.as_bytes().to_vec();
    read_record(id(), reply(&fields))
}

#[test]
fn numbers_are_read_as_the_scripts_read_them() {
    assert!(
        with("s", "300 6b1f0c6d2a90e3f4 1700000060000 0 0")
            .unwrap()
            .is_some()
    );
    for state in [
        "",
        "300",
        "300 6b1f0c6d2a90e3f4 1700000060000 76",
        "300 6b1f0c6d2a90e3f4 1700000060000 76 5 ",
        " 300 6b1f0c6d2a90e3f4 1700000060000 76 5",
        "300 1700000060000 76 5",
        "300 6b1f0c6d2a90e3f 1700000060000 76 5",
        "300 6B1F0C6D2A90E3F4 1700000060000 76 5",
        "300  6b1f0c6d2a90e3f4 1700000060000 76 5",
        "300 6b1f0c6d2a90e3f4 1700000060000 76 5 6",
        "300 6b1f0c6d2a90e3f4 1700000060000 76 5\n",
        "+300 6b1f0c6d2a90e3f4 1700000060000 76 5",
        "0300 6b1f0c6d2a90e3f4 1700000060000 76 5",
        "300 6b1f0c6d2a90e3f4 1700000060000 76 00",
        "-300 6b1f0c6d2a90e3f4 1700000060000 76 5",
        "3e2 6b1f0c6d2a90e3f4 1700000060000 76 5",
        "99999999999999999999 6b1f0c6d2a90e3f4 1700000060000 76 5",
        "9007199254740992 6b1f0c6d2a90e3f4 1700000060000 76 5",
        "٣ 6b1f0c6d2a90e3f4 1700000060000 76 5",
    ] {
        assert!(
            matches!(with("s", state), Err(StoreError::Corrupt(_))),
            "{state:?}"
        );
    }
    // What contradicts the metadata.
    for head in [
        "1 1700043200000 900000 190",
        "02 1700043200000 900000 190",
        "2 1700043200001 900000 190",
        "2 1700043200000 900001 190",
        "2 1700043200000 900000",
    ] {
        assert!(
            matches!(with("h", head), Err(StoreError::Corrupt(_))),
            "{head:?}"
        );
    }
}

#[test]
fn a_value_says_which_codec_wrote_it() {
    let read = |content: &'static [u8]| value(Bytes::from_static(content));
    assert_eq!(read(b"").unwrap(), Value::new(Codec::Json, ""));
    assert_eq!(read(b"\x00\x00").unwrap(), Value::new(Codec::Json, ""));
    assert_eq!(
        read(b"\x00\x01x").unwrap(),
        Value::new(Codec::Postcard, "x")
    );
    for broken in [&b"\x00"[..], b"\x00\x03x", b"\x00\xff"] {
        assert!(
            matches!(read(broken), Err(StoreError::Corrupt(_))),
            "{broken:?}"
        );
    }
}
