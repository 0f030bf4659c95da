//! Any bytes, and proofs with one character changed.

use proptest::prelude::*;

use super::*;

/// The characters that can be in a JWS, and some that cannot.
const CHARACTERS: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/=\"' \\\t\0\x7f\x80\xff";

/// All spellings of the last characters, where base64url has spare bits.
#[test]
fn no_last_character_of_a_part_can_be_replaced() {
    for (jws, registers) in [(A_REGISTRATION.as_str(), true), (A_REFRESH.as_str(), false)] {
        let dots = jws.match_indices('.').map(|(at, _)| at);
        for at in dots.chain([jws.len()]).flat_map(|end| [end - 2, end - 1]) {
            for &character in CHARACTERS {
                let mut other = jws.as_bytes().to_vec();
                if other[at] == character {
                    continue;
                }
                other[at] = character;
                let refused = if registers {
                    register(&other).err()
                } else {
                    renew(&other).err()
                };
                assert!(refused.is_some(), "{at}: {character}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..3),
    ) {
        let values: Vec<_> = values.iter().map(Vec::as_slice).collect();
        prop_assert!(registration(&values).is_err());
        prop_assert!(refresh(&values, &STORED).is_err());
    }

    /// Any header and payload that are not signed by this key.
    #[test]
    fn any_unsigned_parts_are_refused(
        header in prop_oneof![
            Just(REFRESH.to_owned()),
            Just(bringing(&jwk())),
            "\\{\"(alg|typ|jwk|crit)\":(\"(ES256|dbsc\\+jwt)\"|[\\[{}\\]0-9,]{0,9})\\}",
            ".{0,40}",
        ],
        payload in prop_oneof![Just(PAYLOAD.to_owned()), ".{0,40}"],
        signature in prop_oneof![
            prop::collection::vec(any::<u8>(), 64),
            prop::collection::vec(any::<u8>(), 0..80),
        ],
        key in prop::collection::vec(any::<u8>(), 64),
    ) {
        let jws = with_signature(&header, &payload, signature);
        prop_assert!(register(&jws).is_err());
        prop_assert!(renew(&jws).is_err());
        let key = key.try_into().unwrap();
        prop_assert!(refresh(&[jws.as_bytes()], &key).is_err());
    }

    #[test]
    fn a_proof_with_one_character_changed_is_refused(
        quoted: bool,
        at: prop::sample::Index,
        to in prop_oneof![any::<u8>(), prop::sample::select(CHARACTERS)],
        how in 0..3,
    ) {
        for (jws, registers) in [(A_REGISTRATION.as_str(), true), (A_REFRESH.as_str(), false)] {
            let jws = if quoted { format!("\"{jws}\"") } else { jws.to_owned() };
            let mut other = jws.clone().into_bytes();
            let at = at.index(other.len());
            match how {
                0 => other[at] = to,
                1 => other.insert(at, to),
                _ => drop(other.remove(at)),
            }
            prop_assume!(other != jws.as_bytes());
            let refused = if registers { register(&other).err() } else { renew(&other).err() };
            prop_assert!(refused.is_some());
        }
    }
}
