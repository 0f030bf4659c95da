//! Where a request ends.

/// Bytes of a client, which come in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Requests(Vec<u8>);

impl Requests {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The first request, as soon as all of it is there.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let end = end(&self.0)?;
        Some(self.0.drain(..end).collect())
    }
}

/// Where the request ends that `bytes` begin with: an array of byte strings,
/// `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`, or else a line. In MongoDB's protocol a message begins with
/// its length, and is never so long that the last byte of that is not zero, which is no byte of
/// what Redis is asked.
fn end(bytes: &[u8]) -> Option<usize> {
    if let [a, b, c, 0] = bytes.get(..4)? {
        let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, 0])).ok()?;
        return (length <= bytes.len()).then_some(length);
    }
    let (first, mut at) = line(bytes, 0)?;
    let Some(count) = number(first, b'*') else {
        return Some(at);
    };
    for _ in 0..count {
        let (head, start) = line(bytes, at)?;
        at = match number(head, b'$') {
            Some(length) => start + length + 2,
            None => start,
        };
    }
    (at <= bytes.len()).then_some(at)
}

/// The line that starts `at`, without its end, and where the next one starts.
fn line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let length = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&rest[..length], at + length + 2))
}

fn number(line: &[u8], kind: u8) -> Option<usize> {
    let digits = line.strip_prefix(&[kind])?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Requests;

    fn are_found_in_pieces_of_any_size(sent: &[&[u8]]) {
        let bytes = sent.concat();
        for size in 1..=bytes.len() {
            let mut requests = Requests::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                requests.push(piece);
                found.extend(std::iter::from_fn(|| requests.next()));
            }
            assert_eq!(found, sent, "pieces of {size}");
        }
    }

    #[test]
    fn requests_are_found_in_pieces_of_any_size() {
        let sent: [&[u8]; 4] = [
            b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n",
            b"PING\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n",
        ];
        are_found_in_pieces_of_any_size(&sent);
    }

    #[test]
    fn messages_that_begin_with_their_length_are_found() {
        let messages: [&[u8]; 3] = [b"\x0a\0\0\0abcd\r\n", b"\x05\0\0\0x", b"\x06\0\0\0*1"];
        are_found_in_pieces_of_any_size(&messages);
    }

    #[test]
    fn half_a_request_is_none() {
        let mut requests = Requests::default();
        requests.push(b"*2\r\n$3\r\nGET\r\n$4\r\nab\r\n");
        assert_eq!(requests.next(), None);
    }
}
