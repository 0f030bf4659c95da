//! Key rings: where keys come from, what is refused, and what is derived from them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::process::Command;

use session_core::store::Purpose;
use session_core::{KeyError, KeyRing};

const ALL: [Purpose; 5] = [
    Purpose::Token,
    Purpose::SealedMac,
    Purpose::SealedAead,
    Purpose::Csrf,
    Purpose::ValueAead,
];
/// 32 bytes, in turn 0xfb, 0xff and 0xbe, whose base64 differs between the alphabets.
const STANDARD: &str = "+/+++/+++/+++/+++/+++/+++/+++/+++/+++/+++/8=";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn ids(ring: &KeyRing) -> Vec<[u8; 4]> {
    let derived = ring.derive(Purpose::Token, "id");
    derived.iter().map(|key| key.id()).collect()
}

fn id_of(key: &[u8]) -> [u8; 4] {
    ids(&KeyRing::new(key).unwrap())[0]
}

fn refusal(list: &str) -> String {
    KeyRing::from_base64(list).unwrap_err().to_string()
}

#[test]
fn keys_have_at_least_32_bytes() {
    for length in [0, 1, 16, 31] {
        let error = KeyRing::new(vec![1; length]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "key 1 has {length} bytes, at least 32 are needed; make one with `openssl rand \
                 -base64 32`"
            )
        );
    }
    for length in [32, 33, 64, 200] {
        assert_eq!(KeyRing::new(vec![1; length]).unwrap().len(), 1);
    }
}

#[test]
fn the_first_key_that_is_too_short_is_named() {
    let lengths = [32, 31, 5];
    let keys = lengths.map(|length| vec![1; length]);
    let error = KeyRing::from_keys(&keys).unwrap_err();
    assert!(matches!(
        error,
        KeyError::TooShort {
            position: 2,
            bytes: 31,
            ..
        }
    ));
    let error = KeyRing::from_keys(&keys[2..]).unwrap_err();
    assert!(matches!(
        error,
        KeyError::TooShort {
            position: 1,
            bytes: 5,
            ..
        }
    ));
    let error = KeyRing::from_keys(&keys[..1])
        .unwrap()
        .with_older([1; 31])
        .unwrap_err();
    assert!(matches!(
        error,
        KeyError::TooShort {
            position: 2,
            bytes: 31,
            ..
        }
    ));
}

#[test]
fn a_ring_is_never_empty() {
    let error = KeyRing::from_keys(Vec::<Vec<u8>>::new()).unwrap_err();
    assert!(matches!(error, KeyError::Empty));
    let text = "there is no key; make one with `openssl rand -base64 32`";
    assert_eq!(error.to_string(), text);
    for list in ["", " ", ",", " ,\n,\t"] {
        assert_eq!(refusal(list), text);
    }
}

#[test]
fn newest_first() {
    let ring = KeyRing::from_keys([[1; 32], [2; 32]])
        .unwrap()
        .with_older([3; 32])
        .unwrap();
    assert_eq!(ring.len(), 3);
    assert_eq!(
        ids(&ring),
        [id_of(&[1; 32]), id_of(&[2; 32]), id_of(&[3; 32])]
    );
    assert_eq!(ids(&ring.clone()), ids(&ring));
}

#[test]
fn generated_keys_differ() {
    let (one, other) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
    assert_eq!(one.len(), 1);
    assert_ne!(
        one.derive(Purpose::Token, "id")[0].bytes(),
        other.derive(Purpose::Token, "id")[0].bytes()
    );
    assert_ne!(ids(&one), [id_of(&[0; 32])], "they are not zeros");
}

#[test]
fn base64_in_each_spelling() {
    let key: [u8; 32] = std::array::from_fn(|at| [0xfb, 0xff, 0xbe][at % 3]);
    let safe = STANDARD.replace('+', "-").replace('/', "_");
    let expected = [id_of(&key)];
    for text in [
        STANDARD,
        safe.as_str(),
        safe.trim_end_matches('='),
        STANDARD.trim_end_matches('='),
    ] {
        assert_eq!(
            ids(&KeyRing::from_base64(text).unwrap()),
            expected,
            "{text}"
        );
    }
    let ones = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    assert_eq!(ids(&KeyRing::from_base64(ones).unwrap()), [id_of(&[1; 32])]);
}

#[test]
fn lists_with_commas_and_white_space() {
    let (one, two) = (
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI",
    );
    let expected = [id_of(&[1; 32]), id_of(&[2; 32])];
    for between in [",", " ", ", ", "\n", "\r\n", "\t", " ,, \n"] {
        let ring = KeyRing::from_base64(&format!("{between}{one}{between}{two}{between}")).unwrap();
        assert_eq!(ids(&ring), expected, "{between:?}");
    }
}

#[test]
fn what_is_not_base64() {
    let one = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let text = "key 1 is not base64; make one with `openssl rand -base64 32`";
    for word in ["not*base64", "A", "AQ==A", "+_+_", "=", &format!("{one}=")] {
        assert_eq!(refusal(word), text, "{word}");
    }
    // Spare bits that are not zero.
    assert_eq!(refusal(&one.replace("E=", "F=")), text);
    assert_eq!(
        refusal(&format!("{one},,{one} *")),
        "key 3 is not base64; make one with `openssl rand -base64 32`"
    );
    assert_eq!(
        refusal(&format!("{one}, AAAA")),
        "key 2 has 3 bytes, at least 32 are needed; make one with `openssl rand -base64 32`"
    );
}

#[test]
fn keys_in_a_file() {
    let directory = std::env::temp_dir().join(format!("session-core-keys-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("keys");
    std::fs::write(&file, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n").unwrap();
    let ring = KeyRing::from_file(&file);
    std::fs::write(&file, "short\n").unwrap();
    let short = KeyRing::from_file(&file);
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(ids(&ring.unwrap()), [id_of(&[1; 32])]);
    assert!(matches!(
        short,
        Err(KeyError::NotBase64 { position: 1, .. })
    ));

    let error = KeyRing::from_file(&file).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key file cannot be read; check its path and who may read it"
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("No such file") || cause.contains("cannot find"),
        "{cause}"
    );
}

/// Runs itself in a process that has the variable, since a test cannot set one safely.
#[test]
fn keys_in_the_environment() {
    const NAME: &str = "SESSION_CORE_TEST_KEYS";
    if std::env::var_os(NAME).is_some() {
        let ring = KeyRing::from_env(NAME).unwrap();
        assert_eq!(ids(&ring), [id_of(&[1; 32])]);
        return;
    }
    let error = KeyRing::from_env(NAME).unwrap_err();
    assert!(matches!(&error, KeyError::NoVariable(name) if name == NAME));
    assert_eq!(
        error.to_string(),
        "the environment variable SESSION_CORE_TEST_KEYS is not set; set it to base64 keys, \
         newest first, separated by commas"
    );
    let run = |value: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "keys_in_the_environment"])
            .env(NAME, value)
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(run("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="));
    assert!(
        !run("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"),
        "another key"
    );
    assert!(!run(""));
}

/// RFC 5869 over the info `session-core v1`, purpose and scope, by another implementation.
#[test]
fn known_keys_are_derived() {
    let ring = KeyRing::new([1; 32])
        .unwrap()
        .with_older((0..40).collect::<Vec<u8>>())
        .unwrap();
    let expected = [
        [
            "cbed02830ccac0147389d529ca65786e9bab176c88bc1d80769af86e730b7985",
            "2ce4f979a0d42a113f95215b36311c83848f3383c01e605140aa7c8d2faf8dfa",
            "3013edbf4e049e565c3d8e12c613e369656692015e03779c1d187bc426887143",
            "e4bf8ab126dda5809989eca06e786831805d7dd9a1f3dbcaf05c4f0f9ecbb410",
            "19162d666fda6ad93f0d4cb39ecd248bd87d8aa590fae97a10d4c0f6b9b2f6b2",
        ],
        [
            "c13acf633305349397fcf6cead288d97cc00245259fa075d29f5e6fdd2abc9bd",
            "d049b80869dab3eaab0bc9615c800fe54b8bb53720c74d6f6dbf2da1e51af808",
            "ec088f1931f247aaf76b63c58bfc9f21eb5ec7f746007fbf1dfe1af272f48cf5",
            "ac4ce6581814546ad56db6db197159bd40eaf233026a00809c9026b3178e5324",
            "0ae3f68f654755e993a1f6eb2c4fde69e70e6d65ca9591c38439cabf805a772a",
        ],
    ];
    for (at, purpose) in ALL.into_iter().enumerate() {
        let [new, old] = &ring.derive(purpose, "__Host-id")[..] else {
            unreachable!("two keys")
        };
        assert_eq!(hex(new.bytes()), expected[0][at], "{purpose:?}");
        assert_eq!(hex(old.bytes()), expected[1][at], "{purpose:?}");
        assert_eq!(
            (hex(&new.id()), hex(&old.id())),
            ("eec65f7a".into(), "5ff806f7".into())
        );
    }
    let scoped = |scope| hex(ring.derive(Purpose::Token, scope)[0].bytes());
    assert_eq!(
        scoped("other"),
        "49deeaf7b938da31c02e437879595aaa1a1fc43df845cdf24cac8bbeb9dfb331"
    );
    assert_eq!(
        scoped(""),
        "5ec77176665dd77f3c4b96da3dd01704462a3ce717129255ad8115d86099ccc2"
    );
}

#[test]
fn each_use_has_a_key_of_its_own() {
    let mut seen = Vec::new();
    for key in [[1; 32], [2; 32]] {
        for scope in ["id", "__Host-id", "admin"] {
            for purpose in ALL {
                let derived = KeyRing::new(key).unwrap().derive(purpose, scope);
                seen.push(*derived[0].bytes());
            }
        }
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((all, seen.len()), (30, 30));
}

#[test]
fn labels_never_change() {
    let labels = ALL.map(Purpose::label);
    assert_eq!(
        labels,
        [
            &b"token"[..],
            b"sealed-mac",
            b"sealed-aead",
            b"csrf",
            b"value-aead"
        ]
    );
}

#[test]
fn nothing_of_a_key_is_shown() {
    let ring = KeyRing::new([0x41; 32])
        .unwrap()
        .with_older([0x42; 32])
        .unwrap();
    assert_eq!(format!("{ring:?}"), "KeyRing { keys: 2, .. }");
    let derived = ring.derive(Purpose::Csrf, "id");
    assert_eq!(format!("{:?}", derived[0]), "DerivedKey { .. }");
    assert_eq!(
        KeyError::Random.to_string(),
        "the operating system's random source failed; try again, and look at the machine if it \
         stays so"
    );
}
