use super::*;
use crate::error::StoreError;
use crate::record::TokenHash;
use proptest::prelude::*;
use proptest::{collection, option};

/// The bytes of a golden file: hexadecimal, with comments on lines of their own.
fn golden(text: &str) -> Vec<u8> {
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|at| first + at as u8)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn postcard_value(bytes: &[u8]) -> Value {
    Value::new(Codec::Postcard, bytes.to_vec())
}

fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

fn minimal() -> Record {
    Record::new(
        SessionId::from_bytes([0; 16]),
        "id",
        Lifetime::default(),
        at(0),
    )
}

fn full() -> Record {
    let lifetime = Lifetime::aal3().persistent();
    let id = SessionId::from_bytes(counting(0));
    Record {
        version: 300,
        epoch: 2,
        last_seen: at(1_700_000_060_000),
        authenticated: Some(at(1_700_000_000_500)),
        principal: Some("user:42".into()),
        label: Some("Zoë’s phone".into()),
        csrf_seed: counting(0xf0),
        tokens: [
            TokenHash {
                hash: [0x11; 32],
                issued: at(1_700_000_000_000),
                epoch: 1,
                confirmed: Some(at(1_700_000_000_001)),
                retired: Some(at(1_700_000_000_500)),
            },
            TokenHash {
                hash: counting(0),
                issued: at(1_700_000_000_500),
                epoch: 2,
                confirmed: None,
                retired: None,
            },
        ]
        .into_iter()
        .collect(),
        ..Record::new(id, "__Host-id", lifetime, at(1_700_000_000_000))
    }
    .with_value("", json("null"))
    .with_value("a", postcard_value(b"\x96\x01"))
    .with_value("naïve", json("\"ü\""))
    .with_value("z", json("[1,2]"))
    .with_value("日本", postcard_value(b""))
}

fn large() -> Record {
    let last = at(u64::MAX);
    let century = Duration::from_secs(36_525 * 24 * 3600);
    let lifetime = Lifetime::new(Duration::from_millis(1), century).unwrap();
    let id = SessionId::from_bytes([0xff; 16]);
    Record {
        version: MOST_COUNTED - 1,
        epoch: MOST_COUNTED - 1,
        authenticated: Some(last),
        csrf_seed: [0xff; 16],
        tokens: [TokenHash {
            hash: [0xff; 32],
            issued: last,
            epoch: u64::MAX,
            confirmed: Some(last),
            retired: Some(last),
        }]
        .into_iter()
        .collect(),
        ..Record::new(id, "s".repeat(200), lifetime, last)
    }
    .with_value(
        "k".repeat(200),
        postcard_value(&(0..20_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>()),
    )
}

/// `full()` encoded up to the number of values, then these bytes.
fn with_values(values: &[u8]) -> Vec<u8> {
    let mut bytes = full().encode_metadata();
    bytes.extend_from_slice(values);
    bytes
}

/// `full()`, whose client has still to be told of its token.
fn owed() -> Record {
    Record {
        owed: true,
        ..full()
    }
}

/// `full()`, bound to a device.
fn bound() -> Record {
    full().with_device(DeviceKey::from_bytes(counting(0x40)), at(1_700_000_001_000))
}

#[test]
fn golden_files_hold_the_format_still() {
    let bound_and_owed = Record {
        owed: true,
        ..bound()
    };
    let cases = [
        (
            bound(),
            include_str!("../../../tests/golden/record-v3-bound.hex"),
        ),
        (
            bound_and_owed,
            include_str!("../../../tests/golden/record-v4-bound-owed.hex"),
        ),
        (
            owed(),
            include_str!("../../../tests/golden/record-v2-owed.hex"),
        ),
        (
            minimal(),
            include_str!("../../../tests/golden/record-v1-minimal.hex"),
        ),
        (
            full(),
            include_str!("../../../tests/golden/record-v1-full.hex"),
        ),
        (
            large(),
            include_str!("../../../tests/golden/record-v1-large.hex"),
        ),
    ];
    for (record, text) in cases {
        let golden = golden(text);
        assert_eq!(record.encode(), golden);
        assert_eq!(Record::decode(golden).unwrap(), record);
    }
}

fn parts(metadata: impl Into<Bytes>) -> Result<Record, FormatError> {
    Record::from_parts(metadata, 7, at(8), Values::default())
}

#[test]
fn the_device_is_metadata_and_takes_what_its_estimate_says() {
    let metadata = bound().encode_metadata();
    assert_eq!(parts(metadata.clone()).unwrap().device, bound().device);
    let added = metadata.len() - full().encode_metadata().len();
    assert_eq!((added, bound().size() - full().size()), (70, 80));
    assert_eq!(bound().limited_size(), full().limited_size());
    for cut in 1..=added {
        let cut = metadata[..metadata.len() - cut].to_vec();
        assert_eq!(parts(cut), Err(FormatError::Damaged("device")));
    }
    let mut plain = metadata.clone();
    plain[0] = 1;
    assert_eq!(parts(plain), Err(FormatError::Damaged("end")));
    let mut unknown = metadata;
    unknown[0] = 5;
    assert_eq!(parts(unknown), Err(FormatError::Version(5)));
}

#[test]
fn the_format_says_what_the_client_is_owed_and_nothing_else_differs() {
    let (plain, other) = (full().encode(), owed().encode());
    assert_eq!((plain[0], other[0]), (1, 2));
    assert_eq!(plain[1..], other[1..]);
    assert!(parts(owed().encode_metadata()).unwrap().owed);
    assert!(!parts(full().encode_metadata()).unwrap().owed);
}

#[test]
fn numbers_that_nobody_counts_to_are_damage() {
    let damaged = FormatError::Damaged("version or epoch");
    for (version, epoch) in [
        (MOST_COUNTED, 0),
        (1, MOST_COUNTED),
        (u64::MAX, 0),
        (1, u64::MAX),
    ] {
        let record = Record {
            version,
            epoch,
            ..minimal()
        };
        assert_eq!(Record::decode(record.encode()), Err(damaged));
    }
    let metadata = minimal().encode_metadata();
    let kept = |version| Record::from_parts(metadata.clone(), version, at(0), Values::default());
    assert_eq!(kept(MOST_COUNTED), Err(damaged));
    assert!(kept(MOST_COUNTED - 1).is_ok());
}

#[test]
fn metadata_and_values_may_be_kept_apart() {
    for record in [minimal(), full(), large()] {
        let metadata = record.encode_metadata();
        assert!(record.encode().starts_with(&metadata));
        let again = Record::from_parts(
            metadata.clone(),
            record.version(),
            record.last_seen(),
            record.values().clone(),
        )
        .unwrap();
        assert_eq!(again, record);

        let bare = parts(metadata.clone()).unwrap();
        assert_eq!(
            (bare.version(), bare.last_seen()),
            (7, at(8)),
            "what was kept beside it wins"
        );
        assert!(bare.values().is_empty());
        assert_eq!(bare.tokens(), record.tokens());

        for end in 0..metadata.len() {
            assert!(parts(metadata[..end].to_vec()).is_err());
        }
        let mut longer = metadata;
        longer.push(0);
        let error = parts(longer).unwrap_err();
        assert_eq!(error, FormatError::Damaged("end"));
    }
}

#[test]
fn a_record_without_values_ends_after_their_number() {
    let mut bytes = minimal().encode_metadata();
    bytes.push(0);
    assert_eq!(minimal().encode(), bytes);
}

#[test]
fn every_truncation_is_an_error() {
    for record in [minimal(), full()] {
        let bytes = record.encode();
        assert_eq!(Record::decode(Vec::new()), Err(FormatError::Empty));
        for end in 1..bytes.len() {
            let error = Record::decode(bytes[..end].to_vec()).unwrap_err();
            assert!(matches!(error, FormatError::Damaged(_)), "{end}: {error}");
        }
    }
}

#[test]
fn where_the_damage_is() {
    let metadata = full().encode_metadata();
    let decode = |bytes: &[u8]| Record::decode(bytes.to_vec()).unwrap_err();
    assert_eq!(
        decode(&metadata[..metadata.len() - 1]),
        FormatError::Damaged("metadata")
    );
    assert_eq!(decode(&metadata), FormatError::Damaged("values"));
    let mut longer = full().encode();
    longer.push(0);
    assert_eq!(decode(&longer), FormatError::Damaged("end"));
}

#[test]
fn only_these_formats_are_read() {
    for format in (0..=255).filter(|format| !(1..=4).contains(format)) {
        let mut bytes = full().encode();
        bytes[0] = format;
        assert_eq!(
            Record::decode(bytes.clone()),
            Err(FormatError::Version(format)),
            "the rest is not looked at"
        );
        assert_eq!(parts(bytes), Err(FormatError::Version(format)));
    }
}

#[test]
fn a_lifetime_that_cannot_be_is_damage() {
    let mut record = minimal();
    record.lifetime = Lifetime::new(Duration::from_millis(5), Duration::from_millis(6)).unwrap();
    let bytes = record.encode();
    let idle = bytes.windows(2).position(|pair| pair == [5, 6]).unwrap();
    for (value, fine) in [(0, false), (6, true), (7, false)] {
        let mut bytes = bytes.clone();
        bytes[idle] = value;
        assert_eq!(
            Record::decode(bytes).is_ok(),
            fine,
            "idle {value}, absolute 6"
        );
    }
}

#[test]
fn keys_stand_once_and_in_order() {
    let decode = |values: &[u8]| Record::decode(with_values(values));
    let fine = decode(b"\x02\x01a\x00\x011\x01b\x01\x012").unwrap();
    assert_eq!(fine.values().len(), 2);
    assert_eq!(fine.values().get("a"), Some(&json("1")));
    assert_eq!(fine.values().get("b"), Some(&postcard_value(b"2")));
    let order = Err(FormatError::Damaged("order of keys"));
    assert_eq!(decode(b"\x02\x01b\x00\x011\x01a\x00\x012"), order);
    assert_eq!(decode(b"\x02\x01a\x00\x011\x01a\x00\x012"), order);
    assert_eq!(decode(b"\x02\x00\x00\x011\x00\x00\x012"), order);
}

#[test]
fn values_that_are_damaged() {
    let decode = |values: &[u8]| Record::decode(with_values(values)).unwrap_err();
    let values = FormatError::Damaged("values");
    for tag in (0..=255).filter(|tag| Codec::from_tag(*tag).is_none()) {
        let entry = [1, 1, b'a', tag, 1, b'1'];
        assert_eq!(decode(&entry), FormatError::Damaged("codec of a value"));
    }
    assert_eq!(
        decode(b"\x01\x01\xff\x00\x011"),
        values,
        "a key that is not UTF-8"
    );
    assert_eq!(decode(b"\x01\x02\xc3\x28\x00\x011"), values);
    assert_eq!(
        decode(b"\x01\x05a\x00\x011"),
        values,
        "a key beyond the end"
    );
    assert_eq!(
        decode(b"\x01\x01a\x00\x021"),
        values,
        "a value beyond the end"
    );
    assert_eq!(
        decode(b"\x00\x01a\x00\x011"),
        FormatError::Damaged("end"),
        "fewer than there are"
    );
    assert_eq!(decode(b"\x02\x01a\x00\x011"), values, "more than there are");
}

#[test]
fn metadata_that_is_not_text_is_damage() {
    let bytes = full().encode();
    for name in ["__Host-id", "user:42", "Zoë’s phone"] {
        let mut bytes = bytes.clone();
        let there = bytes
            .windows(name.len())
            .position(|part| part == name.as_bytes())
            .unwrap();
        bytes[there] = 0xff;
        assert_eq!(
            Record::decode(bytes),
            Err(FormatError::Damaged("metadata")),
            "{name}"
        );
    }
}

#[test]
fn numbers_of_up_to_five_bytes() {
    let mut read: &[u8] = b"\xff\xff\xff\xff\x7f rest";
    assert_eq!(take_varint(&mut read), Some((1 << 35) - 1));
    assert_eq!(read, b" rest");
    assert_eq!(
        take_varint(&mut &b"\x80\x80\x80\x80\x01"[..]),
        Some(1 << 28)
    );
    assert_eq!(take_varint(&mut &b"\x80\x80\x80\x80\x80\x01"[..]), None);
    assert_eq!(take_varint(&mut &b"\x80\x80"[..]), None);
    assert_eq!(take_varint(&mut &b""[..]), None);
    for (number, bytes) in [
        (0, &b"\x00"[..]),
        (1, b"\x01"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
    ] {
        let mut written = vec![9];
        put_varint(number, &mut written);
        assert_eq!(written[1..], *bytes);
        assert_eq!(take_varint(&mut &*bytes), Some(number));
    }
}

#[test]
fn over_long_numbers_are_damage() {
    let values = Err(FormatError::Damaged("values"));
    let decode = |values: &[u8]| Record::decode(with_values(values));
    assert_eq!(decode(b"\x80\x80\x80\x80\x80\x00"), values);
    assert_eq!(decode(b"\x01\x80\x80\x80\x80\x80\x00"), values);
    assert_eq!(decode(b"\x01\x01a\x00\x80\x80\x80\x80\x80\x00"), values);
    let mut bytes = minimal().encode();
    bytes.splice(17..18, [0x80; 11]);
    assert_eq!(Record::decode(bytes), Err(FormatError::Damaged("metadata")));
}

#[test]
fn forged_lengths_reserve_no_memory() {
    // 2^35 - 1 entries would be more than a terabyte.
    let values = Err(FormatError::Damaged("values"));
    assert_eq!(Record::decode(with_values(b"\xff\xff\xff\xff\x7f")), values);
    assert_eq!(
        Record::decode(with_values(b"\xff\xff\xff\xff\x7f\x01a\x00\x011")),
        values
    );
    assert_eq!(
        Record::decode(with_values(b"\x01\xff\xff\xff\xff\x7fa\x00\x011")),
        values
    );
    assert_eq!(
        Record::decode(with_values(b"\x01\x01a\x00\xff\xff\xff\xff\x7f1")),
        values
    );
    // The number of tokens is the last byte of the metadata here.
    let mut tokens = minimal().encode_metadata();
    tokens.pop();
    tokens.extend_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    assert_eq!(
        Record::decode(tokens),
        Err(FormatError::Damaged("metadata"))
    );
}

#[test]
fn decoding_shares_the_bytes() {
    let bytes = Bytes::from(full().encode());
    let record = Record::decode(bytes.clone()).unwrap();
    let range = bytes.as_ptr_range();
    let inside = |part: &[u8]| {
        let part = part.as_ptr_range();
        range.start <= part.start && part.end <= range.end
    };
    assert!(inside(record.scope().as_bytes()));
    assert!(inside(record.principal().unwrap().as_bytes()));
    assert!(inside(record.label().unwrap().as_bytes()));
    for (key, value) in record.values().iter() {
        assert!(inside(key.as_bytes()) || key.is_empty());
        assert!(inside(value.bytes()) || value.bytes().is_empty());
    }
    let metadata = Bytes::from(full().encode_metadata());
    let record = parts(metadata.clone()).unwrap();
    let range = metadata.as_ptr_range();
    assert!(range.contains(&record.scope().as_ptr()));
}

#[test]
fn milliseconds_do_not_overflow() {
    assert_eq!(millis(Duration::from_millis(1_999)), 1_999);
    assert_eq!(millis(Duration::from_micros(1_999)), 1);
    assert_eq!(millis(Duration::from_millis(u64::MAX)), u64::MAX);
    assert_eq!(millis(Duration::MAX), u64::MAX);
}

#[test]
fn texts_of_the_errors() {
    assert_eq!(
        FormatError::Empty.to_string(),
        "the record is empty; delete it"
    );
    assert_eq!(
        FormatError::Version(7).to_string(),
        "the record has format 7, this version reads formats 1 to 4; a newer version may have \
         written it: update this one"
    );
    assert_eq!(
        FormatError::Damaged("end").to_string(),
        "the record is damaged in its end; delete it, or restore it from a copy"
    );
    let error = StoreError::from(FormatError::Empty);
    assert!(matches!(error, StoreError::Corrupt(_)));
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "the record is empty; delete it");
}

fn arbitrary_time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_millis)
}

fn arbitrary_token() -> impl Strategy<Value = TokenHash> {
    (
        any::<[u8; 32]>(),
        arbitrary_time(),
        any::<u64>(),
        option::of(arbitrary_time()),
        option::of(arbitrary_time()),
    )
        .prop_map(|(hash, issued, epoch, confirmed, retired)| TokenHash {
            hash,
            issued,
            epoch,
            confirmed,
            retired,
        })
}

fn arbitrary_lifetime() -> impl Strategy<Value = Lifetime> {
    const CENTURY: u64 = 36_525 * 24 * 3_600_000;
    (1..=CENTURY, 1..=CENTURY, any::<bool>()).prop_map(|(one, other, persistent)| {
        let [idle, absolute] = [one.min(other), one.max(other)].map(Duration::from_millis);
        let lifetime = Lifetime::new(idle, absolute).unwrap();
        if persistent {
            lifetime.persistent()
        } else {
            lifetime
        }
    })
}

fn arbitrary_values() -> impl Strategy<Value = Values> {
    let value = (any::<bool>(), collection::vec(any::<u8>(), 0..300)).prop_map(|(json, bytes)| {
        let codec = if json { Codec::Json } else { Codec::Postcard };
        Value::new(codec, bytes)
    });
    collection::vec((any::<String>().prop_map(ByteString::from), value), 0..12)
        .prop_map(|entries| entries.into_iter().collect())
}

fn arbitrary_record() -> impl Strategy<Value = Record> {
    let names = (
        any::<String>(),
        option::of(any::<String>()),
        option::of(any::<String>()),
    );
    let times = (
        arbitrary_time(),
        arbitrary_time(),
        arbitrary_time(),
        option::of(arbitrary_time()),
    );
    let numbers = (
        any::<[u8; 16]>(),
        0..MOST_COUNTED,
        0..MOST_COUNTED,
        any::<[u8; 16]>(),
        any::<bool>(),
    );
    let tokens = collection::vec(arbitrary_token(), 0..5);
    let device = option::of((collection::vec(any::<u8>(), 64), arbitrary_time()));
    (
        device,
        names,
        times,
        numbers,
        arbitrary_lifetime(),
        tokens,
        arbitrary_values(),
    )
        .prop_map(
            |(device, names, times, numbers, lifetime, tokens, values)| Record {
                tag: None,
                device: device.map(|(key, since)| {
                    let key = DeviceKey::from_bytes(key.try_into().unwrap());
                    Arc::new(Device { key, since })
                }),
                hidden: 0,
                sealed_form: SealedForm::unknown(),
                id: SessionId::from_bytes(numbers.0),
                scope: names.0.into(),
                version: numbers.1,
                epoch: numbers.2,
                created: times.0,
                last_seen: times.1,
                deadline: times.2,
                authenticated: times.3,
                principal: names.1.map(ByteString::from),
                label: names.2.map(ByteString::from),
                lifetime,
                csrf_seed: numbers.3,
                owed: numbers.4,
                tokens: tokens.into_iter().collect(),
                values,
            },
        )
}

#[test]
fn the_largest_metadata_fits_its_estimate() {
    let record = large();
    assert!(record.encode().len() <= record.size());
    assert_eq!(record.encode().capacity(), record.size());
}

proptest! {
    #[test]
    fn any_record_comes_back(record in arbitrary_record()) {
        let bytes = record.encode();
        prop_assert!(bytes.len() <= record.size());
        prop_assert_eq!(bytes.capacity(), record.size(), "allocated once");
        let metadata = record.encode_metadata();
        prop_assert!(metadata.len() <= record.size() - record.values.size());
        prop_assert_eq!(metadata.capacity(), record.size() - record.values.size());
        let values = record.values.clone();
        let again = Record::from_parts(metadata, record.version, record.last_seen, values);
        prop_assert_eq!(&again.unwrap(), &record);
        prop_assert_eq!(Record::decode(bytes).unwrap(), record);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in collection::vec(any::<u8>(), 0..400)) {
        let mut formatted = vec![1];
        formatted.extend_from_slice(&bytes);
        for bytes in [bytes, formatted] {
            if let Ok(record) = Record::decode(bytes.clone()) {
                prop_assert!(record.encode().len() <= bytes.len());
            }
            let _ = parts(bytes);
        }
    }

    #[test]
    fn one_wrong_byte_never_panics(place in 0_usize..1_000, byte in any::<u8>()) {
        let mut bytes = full().encode();
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(record) = Record::decode(bytes) {
            prop_assert_eq!(Record::decode(record.encode()).unwrap(), record);
        }
    }
}
