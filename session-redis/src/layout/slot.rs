//! Slots of a Cluster: which one a name is in, and a name that is in one of some slots.

/// How many slots a Cluster has.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a name. Only what is between the first braces counts, if there is anything.
pub(crate) fn slot_of(name: &[u8]) -> u16 {
    crc16(tag_of(name).unwrap_or(name)) % SLOTS
}

/// The only slot that names with this prefix are in, if there is only one.
pub(crate) fn only_slot(prefix: &str) -> Option<u16> {
    tag_of(prefix.as_bytes()).map(|_| slot_of(prefix.as_bytes()))
}

/// What has to follow the prefix, so that a name is in a slot of which this is true.
pub(crate) fn name_in(prefix: &str, is_meant: impl Fn(u16) -> bool) -> String {
    let names = (0_u32..1 << 24).map(|number| format!("{{{number}}}"));
    let is_there = |rest: &String| is_meant(slot_of(format!("{prefix}{rest}").as_bytes()));
    match only_slot(prefix) {
        Some(_) => None,
        None => names.into_iter().find(is_there),
    }
    .unwrap_or_default()
}

fn tag_of(name: &[u8]) -> Option<&[u8]> {
    let begin = name.iter().position(|byte| *byte == b'{')? + 1;
    let length = name[begin..].iter().position(|byte| *byte == b'}')?;
    (length > 0).then(|| &name[begin..begin + length])
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    let step = |crc: u16, _| match crc & 0x8000 {
        0 => crc << 1,
        _ => (crc << 1) ^ 0x1021,
    };
    let add = |crc: u16, byte: &u8| (0..8).fold(crc ^ (u16::from(*byte) << 8), step);
    bytes.iter().fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (name, same) in [
            ("{user1000}.following", "user1000"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
        ] {
            assert_eq!(slot_of(name.as_bytes()), slot_of(same.as_bytes()), "{name}");
        }
        assert_eq!(slot_of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
    }

    #[test]
    fn there_is_a_name_in_every_slot() {
        for slot in [0, 1, 77, 8_191, 16_383] {
            for prefix in ["session:", "", "a{b"] {
                let name = format!("{prefix}{}", name_in(prefix, |it| it == slot));
                assert_eq!(slot_of(name.as_bytes()), slot, "{name}");
            }
        }
        assert_eq!(only_slot("session:"), None);
        assert_eq!(only_slot("{shop}:"), Some(slot_of(b"shop")));
    }
}
