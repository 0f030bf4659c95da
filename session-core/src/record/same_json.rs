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
/// Most texts that differ hold other characters, which sums over their bytes show. Only the
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

/// What one pass over a text shows.
struct Scan {
    /// Sum and exclusive or of the bytes that are no white space. The order does not matter.
    held: (u8, u8),
    /// Whether it could be written in another way: it has an object, white space or an escape.
    varies: bool,
    escapes: bool,
}

impl Scan {
    /// All in bytes, so that the compiler makes vector instructions of it: a long text is written
    /// in less time than any other way of looking at it takes.
    fn of(text: &[u8]) -> Self {
        let (mut sum, mut either) = (0_u8, 0_u8);
        let (mut least, mut backslash, mut brace) = (u8::MAX, u8::MAX, u8::MAX);
        for byte in text {
            let held = if *byte > b' ' { *byte } else { 0 };
            sum = sum.wrapping_add(held);
            either ^= held;
            least = least.min(*byte);
            backslash = backslash.min(byte ^ b'\\');
            brace = brace.min(byte ^ b'{');
        }
        let escapes = backslash == 0;
        Self {
            held: (sum, either),
            varies: escapes || brace == 0 || least <= b' ',
            escapes,
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
