//! Arguments of commands that the driver has no form for.

use std::io::Write;

use redis::{Cmd, RedisWrite, ToRedisArgs};

/// One argument of several parts.
pub(super) struct Parts<'a, const N: usize>(pub(super) [&'a [u8]; N]);

impl<const N: usize> ToRedisArgs for Parts<'_, N> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        put_written(out, |argument| {
            self.0.iter().try_for_each(|part| argument.write_all(part))
        });
    }
}

/// Adds one argument that is written piece by piece.
pub(super) fn put_written<W: ?Sized + RedisWrite>(
    out: &mut W,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) {
    // It goes to memory, so it cannot fail.
    let written = write(&mut out.writer_for_next_arg());
    debug_assert!(written.is_ok());
}

/// Adds an argument, or an empty one. The driver would add none for `None`, and the scripts count
/// their arguments.
pub(crate) fn put_optional(argument: Option<impl ToRedisArgs>, call: &mut Cmd) {
    match argument {
        Some(argument) => call.arg(argument),
        None => call.arg(""),
    };
}

/// Adds the principal behind a `p`, so that no principal differs from one with an empty name.
pub(crate) fn put_principal(principal: Option<&str>, call: &mut Cmd) {
    put_optional(
        principal.map(|principal| Parts([b"p", principal.as_bytes()])),
        call,
    );
}
