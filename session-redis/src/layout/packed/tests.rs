#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use session_core::{Codec, Lifetime, Timestamp};

use session_core::store::Tag;

use super::*;

const TAG: Tag = Tag::from_bits(0x6b1f_0c6d_2a90_e3f4);

fn id() -> SessionId {
    SessionId::from_bytes([7; 16])
}

fn record() -> Record {
    let record = Record::new(
        id(),
        "id",
        Lifetime::default(),
        Timestamp::from_millis(1_000),
    );
    record
        .with_value("a", Codec::Json.encode(&1).unwrap())
        .with_tag(Some(TAG))
}

fn written(record: &Record) -> Vec<u8> {
    let mut command = Cmd::new();
    put_record(record, &mut command);
    match command.args_iter().next() {
        Some(redis::Arg::Simple(text)) if command.args_iter().len() == 1 => text.to_vec(),
        _ => panic!("not one argument"),
    }
}

fn read(text: impl Into<Bytes>) -> Result<Arc<Record>, StoreError> {
    read_record(id(), &text.into())
}

#[test]
fn golden_texts_hold_the_layout_still() {
    let nobody = record().with_version(3);
    let golden = [
        &b"0 3 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 \n"[..],
        &nobody.encode(),
    ]
    .concat();
    assert_eq!(written(&nobody), golden);
    let again = read(golden).unwrap();
    assert_eq!((&*again, again.tag()), (&nobody, Some(TAG)));

    for (name, line) in [
        (
            "user:42",
            "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7\nuser:42",
        ),
        ("", "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 0\n"),
        (
            "日\n本",
            "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7\n日\n本",
        ),
    ] {
        let somebody = record().with_principal(name);
        let golden = [line.as_bytes(), &somebody.encode()].concat();
        assert_eq!(written(&somebody), golden, "{name}");
        assert_eq!(*read(golden).unwrap(), somebody, "{name}");
    }
}

#[test]
fn probation_is_no_part_of_the_record() {
    let text = written(&record());
    assert_eq!(*read([b"12", &text[1..]].concat()).unwrap(), record());
}

#[test]
fn a_line_of_the_longest_numbers_is_short_enough() {
    let most = |text: &[u8]| text.iter().position(|byte| *byte == b'\n').unwrap();
    let century = std::time::Duration::from_secs(100 * 365 * 24 * 3600);
    let forever = Lifetime::new(century, century).unwrap();
    let record = Record::new(id(), "id", forever, Timestamp::from_millis(u64::MAX));
    let record = record
        .with_version((1 << 53) - 1)
        .with_principal("x".repeat(100_000));
    let text = written(&record);
    // An epoch, and a probation, of as many digits as the version would come beside it.
    assert!(most(&text) + 15 + 15 < LINE, "{}", most(&text));
    assert_eq!(*read(text).unwrap(), record);
}

#[test]
fn what_was_damaged_is_corrupt() {
    let record = record().with_principal("user:42");
    let text = written(&record);
    let line = text.iter().position(|byte| *byte == b'\n').unwrap();
    let with = |line: &str| {
        [
            line.as_bytes(),
            &text[text.len() - record.encode().len() - 7..],
        ]
        .concat()
    };
    assert!(read(with("0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7\n")).is_ok());
    for other in [
        "",
        "\n",
        " \n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000\n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 \n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 6\n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 07\n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 -7\n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 99999999999999999999\n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7 7\n",
        "0 2 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7\n",
        "0 01 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7\n",
        "0 1 6b1f0c6d2a90e3f4 1001 0 1209601000 7200000 7\n",
        "0 1 6b1f0c6d2a90e3f4 1000 1 1209601000 7200000 7\n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601001 7200000 7\n",
        "0 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200001 7\n",
        "0 1 1000 0 1209601000 7200000 7\n",
        "0 1 6b1f0c6d2a90e3f 1000 0 1209601000 7200000 7\n",
        "0 1 6B1F0C6D2A90E3F4 1000 0 1209601000 7200000 7\n",
        "x 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7\n",
        " 1 6b1f0c6d2a90e3f4 1000 0 1209601000 7200000 7\n",
    ] {
        assert!(
            matches!(read(with(other)), Err(StoreError::Corrupt(_))),
            "{other:?}"
        );
    }
    for end in 0..text.len() {
        assert!(
            matches!(read(text[..end].to_vec()), Err(StoreError::Corrupt(_))),
            "{end}"
        );
    }
    for (at, _) in text.iter().enumerate().take(line) {
        let mut other = text.clone();
        other[at] = b'x';
        assert!(matches!(read(other), Err(StoreError::Corrupt(_))), "{at}");
    }
    // Of another session.
    let other = read_record(SessionId::from_bytes([8; 16]), &text.into());
    assert!(matches!(other, Err(StoreError::Corrupt(_))));
}

#[test]
fn a_text_is_still_the_same_if_its_line_says_so() {
    let content = Content::of(&record().with_version(3));
    for (text, is) in [
        ("0 3 6b1f0c6d2a90e3f4 1000 0", true),
        ("3 3 6b1f0c6d2a90e3f4 1000 0", true),
        ("0 4 6b1f0c6d2a90e3f4 1000 0", false),
        ("0 33 6b1f0c6d2a90e3f4 1000 0", false),
        ("0 03 6b1f0c6d2a90e3f4 1000 0", false),
        ("0 3 6b1f0c6d2a90e3f5 1000 0", false),
        ("0 3 6B1F0C6D2A90E3F4 1000 0", false),
        ("0 3 6b1f0c6d2a90e3f4", false),
        ("03 6b1f0c6d2a90e3f4 1000 0", false),
        (" 3 6b1f0c6d2a90e3f4 1000 0", false),
        ("x 3 6b1f0c6d2a90e3f4 1000 0", false),
        ("0x3 6b1f0c6d2a90e3f4 1000 0", false),
        ("18446744073709551616 3 6b1f0c6d2a90e3f4 1000 0", false),
        ("0", false),
        ("", false),
    ] {
        assert_eq!(is_still(content, text.as_bytes()), is, "{text}");
    }
}
