//! Whether two JSON texts are the same value.

use std::borrow::Cow;

/// `serde_json` reads lists and objects that are nested up to this depth.
const DEEPEST: u8 = 127;

/// Whether two texts that differ are the same JSON value: their objects have the same entries in
/// another order, or the texts differ only in white space or escapes. `false` also for a text that
/// is no JSON, and for an object that has a key twice.
///
/// Numbers are compared as text. `1` and `1.0` decode to different types, and two large integers
/// that differ can be the same float.
///
/// Most texts that differ hold other characters, which a sum over their bytes shows. Only the
/// others are parsed, which takes time and memory in proportion to their length.
pub(crate) fn is_same_json(one: &[u8], other: &[u8]) -> bool {
    let (first, second) = (Scan::of(one), Scan::of(other));
    let may_vary = first.varies || second.varies;
    let escapes = first.escapes || second.escapes;
    if !may_vary || (!escapes && first.held != second.held) {
        return false;
    }
    match (Tree::parse(one), Tree::parse(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// The sum of this many bytes fits into 16 bits.
const CHUNK: usize = 256;

/// What one pass over a text shows.
#[derive(Default)]
struct Scan {
    /// The number and the sum of the bytes that are no white space. The order does not matter.
    held: (usize, u64),
    /// Whether it could be written in another way: it has an object, white space or an escape.
    varies: bool,
    escapes: bool,
}

impl Scan {
    fn of(text: &[u8]) -> Self {
        text.chunks(CHUNK).fold(Self::default(), Self::add)
    }

    /// The counters are small, so that the compiler can use vector instructions.
    fn add(self, chunk: &[u8]) -> Self {
        let (mut count, mut sum, mut escapes, mut objects) = (0_u16, 0_u16, 0_u8, 0_u8);
        for byte in chunk {
            let counts = u8::from(*byte > b' ');
            count += u16::from(counts);
            sum += u16::from(byte * counts);
            escapes |= u8::from(*byte == b'\\');
            objects |= u8::from(*byte == b'{');
        }
        let escapes = escapes != 0;
        let spaces = usize::from(count) < chunk.len();
        Self {
            held: (
                self.held.0 + usize::from(count),
                self.held.1 + u64::from(sum),
            ),
            varies: self.varies || escapes || spaces || objects != 0,
            escapes: self.escapes || escapes,
        }
    }
}

/// A value of JSON. Objects are sorted by key, and have each key once.
#[derive(PartialEq)]
enum Tree<'t> {
    /// The text of a number, `true`, `false` or `null`.
    Plain(&'t [u8]),
    Text(Cow<'t, str>),
    List(Vec<Self>),
    Object(Vec<(Cow<'t, str>, Self)>),
}

impl<'t> Tree<'t> {
    fn parse(text: &'t [u8]) -> Option<Self> {
        let mut rest = Rest(text);
        let tree = rest.value(DEEPEST)?;
        rest.skip_space();
        rest.0.is_empty().then_some(tree)
    }
}

/// The part of a text that is still to be parsed.
struct Rest<'t>(&'t [u8]);

impl<'t> Rest<'t> {
    fn value(&mut self, depth: u8) -> Option<Tree<'t>> {
        self.skip_space();
        match self.0.first()? {
            b'"' => self.text().map(Tree::Text),
            b'[' => {
                let depth = depth.checked_sub(1)?;
                let items = self.parts(b']', |rest| rest.value(depth))?;
                Some(Tree::List(items))
            }
            b'{' => {
                let depth = depth.checked_sub(1)?;
                let mut entries = self.parts(b'}', |rest| rest.entry(depth))?;
                entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
                let doubled = entries.windows(2).any(|pair| pair[0].0 == pair[1].0);
                (!doubled).then_some(Tree::Object(entries))
            }
            _ => {
                let ends = |byte: &u8| {
                    matches!(byte, b',' | b']' | b'}' | b':' | b'"') || byte.is_ascii_whitespace()
                };
                let end = self.0.iter().position(ends).unwrap_or(self.0.len());
                (end > 0).then(|| Tree::Plain(self.take(end)))
            }
        }
    }

    fn entry(&mut self, depth: u8) -> Option<(Cow<'t, str>, Tree<'t>)> {
        self.skip_space();
        let key = self.text()?;
        self.expect(b':')?;
        Some((key, self.value(depth)?))
    }

    /// The parts, separated by commas, between the bracket that comes next and `close`.
    fn parts<T>(
        &mut self,
        close: u8,
        mut part: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.take(1);
        let mut parts = Vec::new();
        if self.expect(close).is_some() {
            return Some(parts);
        }
        parts.reserve_exact(1);
        loop {
            parts.push(part(self)?);
            if self.expect(close).is_some() {
                return Some(parts);
            }
            self.expect(b',')?;
        }
    }

    /// A text in quotation marks, decoded.
    fn text(&mut self) -> Option<Cow<'t, str>> {
        let inner = self.0.strip_prefix(b"\"")?;
        let mut escaped = false;
        let mut at = 0;
        loop {
            match inner.get(at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    at += 2;
                }
                0..b' ' => return None,
                _ => at += 1,
            }
        }
        let quoted = self.take(at + 2);
        match escaped {
            true => serde_json::from_slice(quoted).ok().map(Cow::Owned),
            false => std::str::from_utf8(&inner[..at]).ok().map(Cow::Borrowed),
        }
    }

    /// Takes `byte`, and white space before it, if that comes next.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn take(&mut self, count: usize) -> &'t [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn skip_space(&mut self) {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let count = self.0.iter().take_while(space).count();
        self.take(count);
    }
}

#[cfg(test)]
mod tests;
