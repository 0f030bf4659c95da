//! Which session a cookie is for, and where a Redis Cluster keeps it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use session_http::SessionId;
use session_soak::COOKIE;

/// What the store puts before the id of a session.
const PREFIX: &str = "session:";
const SLOTS: u16 = 16_384;
/// The part of a token that has the id and the secret.
const PLAIN: usize = 43;

/// The session of a `Cookie` or of the beginning of a `Set-Cookie`. `None` if it has no token.
pub(crate) fn session_in(cookie: &str) -> Option<SessionId> {
    let token = cookie.strip_prefix(COOKIE)?.strip_prefix('=')?;
    let bytes = URL_SAFE_NO_PAD.decode(token.get(..PLAIN)?).ok()?;
    let id = bytes.get(..16)?.try_into().ok()?;
    Some(SessionId::from_bytes(id))
}

/// The slot of a Cluster that has the session.
pub(crate) fn slot_of(session: SessionId) -> u16 {
    crc16(format!("{PREFIX}{}", session.encode()).as_bytes()) % SLOTS
}

/// CRC-16/XMODEM, as the specification of the Cluster says.
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
    fn a_cookie_says_its_session() {
        let mut bytes = [7; 32];
        bytes[16..].fill(9);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let session = Some(SessionId::from_bytes([7; 16]));
        assert_eq!(session_in(&format!("id={token}")), session);
        let signed = format!("id={token}AAAAAAAAAAAAAAAAAAAAAA; Path=/");
        assert_eq!(session_in(&signed), session);
        for none in ["id=", "id=; Path=/", "other=x", ""] {
            assert_eq!(session_in(none), None, "{none}");
        }
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert!(slot_of(SessionId::from_bytes([7; 16])) < SLOTS);
    }
}
