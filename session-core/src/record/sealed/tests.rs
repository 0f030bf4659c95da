use super::*;
use proptest::collection;
use proptest::prelude::*;

const ID: [u8; 16] = [
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
];

fn id() -> SessionId {
    SessionId::from_bytes(ID)
}

fn keys(bytes: &[u8]) -> ValueKeys {
    let ring = KeyRing::from_keys(bytes.iter().map(|byte| [*byte; 32])).unwrap();
    ValueKeys::new(&ring, "__Host-id")
}

fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

fn sealed(bytes: impl Into<Bytes>) -> Value {
    Value::new(Codec::Sealed, bytes)
}

fn seal(keys: &ValueKeys, key: &str, value: &Value) -> Value {
    let sealed = keys.seal(id(), || [(key, value)].into_iter()).unwrap();
    sealed.into_iter().next().unwrap()
}

fn open(keys: &ValueKeys, key: &str, value: Value) -> Result<Value, SealFault> {
    let values = [(key.into(), value)].into_iter().collect();
    let opened = keys.open(id(), &values)?;
    Ok(opened.get(key).unwrap().clone())
}

/// The bytes of the golden file: hexadecimal, with comments on lines of their own.
fn golden() -> Vec<u8> {
    let text = include_str!("../../../tests/golden/sealed-value-v1.hex");
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_golden_file_holds_the_format_still() {
    let keys = keys(&[0x4b]);
    let value = json(r#"{"name":"Ann"}"#);
    let nonce = std::array::from_fn(|at| at as u8);
    let mut bytes = Vec::new();
    let mut place = Place::new(&keys, id());
    keys.seal_into(place.of("größe"), &value, &nonce, &mut bytes)
        .unwrap();
    assert_eq!(bytes, golden());
    assert_eq!(bytes.len(), value.bytes().len() + SEALING_OVERHEAD);
    assert_eq!(open(&keys, "größe", sealed(bytes)), Ok(value));
}

#[test]
fn a_value_opens_in_its_place_only() {
    let keys = keys(&[0x4b]);
    assert_eq!(
        open(&keys, "grösse", sealed(golden())),
        Err(SealFault::Forged)
    );
    let values = [("größe".into(), sealed(golden()))].into_iter().collect();
    let other = SessionId::from_bytes([0xa0; 16]);
    assert_eq!(keys.open(other, &values), Err(SealFault::Forged));

    // Not even if scopes had the same key.
    let mut elsewhere = self::keys(&[0x4b]);
    elsewhere.context = ValueKeys::new(&KeyRing::new([1; 32]).unwrap(), "__Host-ib").context;
    assert_eq!(
        open(&elsewhere, "größe", sealed(golden())),
        Err(SealFault::Forged)
    );
}

#[test]
fn no_two_places_are_alike() {
    let ring = KeyRing::new([1; 32]).unwrap();
    let place = |scope: &str, id: [u8; 16], key: &str| {
        let keys = ValueKeys::new(&ring, scope);
        let mut place = Place::new(&keys, SessionId::from_bytes(id));
        place.of("another key, which is longer");
        place.of(key).to_vec()
    };
    assert_eq!(
        place("a", *b"0123456789abcdef", "bc"),
        b"session-core sealed value v1\0\0\0\0\0\0\0\0\x01a0123456789abcdef\0\0\0\0\0\0\0\x02bc"
    );
    assert_ne!(
        place("a", *b"b123456789abcdef", "c"),
        place("ab", *b"123456789abcdefc", "")
    );
}

#[test]
fn keys_that_share_an_id_are_all_tried() {
    let same_id = |bytes: &[u8]| {
        let mut keys = keys(bytes);
        keys.keys.iter_mut().for_each(|key| key.id = [9; KEY_ID]);
        keys
    };
    let value = seal(&same_id(&[2]), "a", &json("1"));
    assert_eq!(open(&same_id(&[1, 2]), "a", value.clone()), Ok(json("1")));
    assert_eq!(open(&same_id(&[1, 3]), "a", value), Err(SealFault::Forged));
}

/// Written by a newer version, or by a fault of ours.
#[test]
fn a_codec_that_is_not_known_is_refused() {
    let keys = keys(&[1]);
    let twice = seal(&keys, "a", &seal(&keys, "a", &json("1")));
    assert_eq!(open(&keys, "a", twice), Err(SealFault::Codec));

    let mut bytes = Vec::new();
    let mut place = Place::new(&keys, id());
    keys.seal_into(place.of("a"), &json("1"), &[7; NONCE], &mut bytes)
        .unwrap();
    let mut plain = vec![77, b'1'];
    let tag = keys.keys[0]
        .cipher
        .encrypt_inout_detached(
            &[7; NONCE].into(),
            place.of("a"),
            plain.as_mut_slice().into(),
        )
        .unwrap();
    bytes.truncate(HEADER);
    bytes.extend_from_slice(&plain);
    bytes.extend_from_slice(&tag);
    assert_eq!(open(&keys, "a", sealed(bytes)), Err(SealFault::Codec));
}

#[test]
fn nothing_is_too_short_to_be_refused() {
    let keys = keys(&[0x4b]);
    let golden = golden();
    for length in 0..golden.len() {
        let cut = sealed(golden[..length].to_vec());
        assert_eq!(
            open(&keys, "größe", cut),
            Err(SealFault::Forged),
            "{length}"
        );
    }
    // Header and tag, with nothing between them.
    let mut empty = golden[..HEADER].to_vec();
    empty.extend_from_slice(&[0; TAG]);
    assert_eq!(open(&keys, "größe", sealed(empty)), Err(SealFault::Forged));
}

proptest! {
    #[test]
    fn every_value_comes_back(
        entries in collection::btree_map(
            ".{0,6}",
            (any::<bool>(), any::<bool>(), collection::vec(any::<u8>(), 0..80)),
            0..12,
        ),
    ) {
        let keys = keys(&[1, 2]);
        let older = self::keys(&[2]);
        let value = |json: bool, bytes: &Vec<u8>| {
            let codec = if json { Codec::Json } else { Codec::Postcard };
            Value::new(codec, bytes.clone())
        };
        let plain: Values = entries
            .iter()
            .map(|(key, (json, _, bytes))| (key.as_str().into(), value(*json, bytes)))
            .collect();
        let all = keys.seal(id(), || plain.iter()).unwrap();
        // Some sealed together, some alone by an older key, some not at all.
        let mixed: Values = entries
            .iter()
            .zip(all)
            .enumerate()
            .map(|(at, ((key, (json, seals, bytes)), together))| {
                let plain = value(*json, bytes);
                let stored = match (seals, at % 2) {
                    (true, 0) => together,
                    (true, _) => seal(&older, key, &plain),
                    (false, _) => plain,
                };
                (key.as_str().into(), stored)
            })
            .collect();
        prop_assert_eq!(keys.open(id(), &mixed).unwrap(), plain);
    }

    #[test]
    fn no_bytes_are_a_fault_of_ours(bytes in collection::vec(any::<u8>(), 0..120)) {
        let keys = keys(&[1]);
        let mut known = vec![FORMAT];
        known.extend_from_slice(&keys.keys[0].id);
        known.extend_from_slice(&bytes);
        prop_assert_eq!(open(&keys, "a", sealed(known)), Err(SealFault::Forged));
        prop_assert!(open(&keys, "a", sealed(bytes)).is_err());
    }
}
