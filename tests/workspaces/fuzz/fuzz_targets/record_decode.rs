//! No bytes make decoding a record panic, and what decodes survives another round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session_core::store::Record;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::decode(bytes.to_vec()) {
        let encoded = record.encode();
        assert!(encoded.len() <= record.size());
        assert_eq!(Record::decode(encoded), Ok(record));
    }
});
