//! Whether a codec gives back what it was given: for the tests of applications.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::{Codec, CodecFault};

/// Checks that `codec` gives `value` back.
///
/// Call it in a test, for every type that a session keeps, with values that differ: each variant of
/// an enum, and each optional field absent and present.
///
/// [`Session::insert`](crate::Session::insert) refuses what it can notice, but the loss of some
/// types cannot be noticed when they are written. [`Codec`] lists them.
///
/// A value that is not equal to itself, such as a float that is not a number, never round-trips.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use session_core::{Codec, RoundTripError, round_trips};
///
/// #[derive(PartialEq, Serialize, Deserialize)]
/// #[serde(untagged)]
/// enum Contact {
///     Phone(u64),
///     Mail(String),
/// }
///
/// let contact = Contact::Mail("ann@example.org".into());
/// assert_eq!(round_trips(Codec::Json, &contact), Ok(()));
///
/// // Nothing in postcard's bytes says which variant it was.
/// let refused = round_trips(Codec::Postcard, &contact);
/// assert!(matches!(refused, Err(RoundTripError::Decode { .. })));
/// ```
///
/// # Errors
///
/// [`RoundTripError`] says at which step it fails. It shows nothing of the value.
pub fn round_trips<T>(codec: Codec, value: &T) -> Result<(), RoundTripError>
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    let type_name = type_name::<T>();
    let encode = |value| {
        let encoded = codec.encode(value);
        encoded.map_err(|fault| RoundTripError::Encode { type_name, fault })
    };
    let before = encode(value)?;
    let read: T = before
        .decode()
        .map_err(|fault| RoundTripError::Decode { type_name, fault })?;
    if read == *value {
        return Ok(());
    }
    let after = encode(&read)?;
    let pairs = before.bytes().iter().zip(after.bytes());
    let same = pairs.take_while(|(before, after)| before == after).count();
    Err(RoundTripError::Differs {
        type_name,
        codec,
        from: (before != after).then_some(same),
    })
}

/// Why a value does not [round-trip](round_trips).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundTripError {
    /// The codec refuses the value, as an insert of it would.
    #[error("a value of type {type_name} cannot be encoded; use another type, or another codec")]
    #[non_exhaustive]
    Encode {
        /// The Rust type.
        type_name: &'static str,
        /// Why.
        #[source]
        fault: CodecFault,
    },
    /// The codec writes the value and cannot read it.
    #[error(
        "an encoded value of type {type_name} cannot be decoded; use another type, or another codec"
    )]
    #[non_exhaustive]
    Decode {
        /// The Rust type.
        type_name: &'static str,
        /// Why.
        #[source]
        fault: CodecFault,
    },
    /// Another value comes back.
    #[error(
        "another value of type {type_name} comes back from {codec:?}, {}; use another type, or \
         another codec",
        described(*from)
    )]
    #[non_exhaustive]
    Differs {
        /// The Rust type.
        type_name: &'static str,
        /// The codec.
        codec: Codec,
        /// The first byte in which the two values differ when they are encoded, counted from 0.
        /// `None` if both have the same bytes, because the encoding does not contain what differs.
        from: Option<usize>,
    },
}

fn described(from: Option<usize>) -> String {
    match from {
        Some(at) => format!("which differs from byte {at} of its encoding on"),
        None => "although both are encoded alike".to_owned(),
    }
}
