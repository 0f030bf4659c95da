//! What a Redis server was asked: the commands of a piece of work, as MONITOR shows them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::BoxError;

/// Name and arguments.
pub type Command = Vec<Vec<u8>>;

/// What a server was asked.
#[derive(Debug, Default)]
pub struct Asked {
    /// From clients.
    pub commands: Vec<Command>,
    /// From scripts, which are counted with the client's call of them.
    pub by_scripts: Vec<Command>,
}

/// Runs some work, and says which commands the server had from all its clients meanwhile.
pub fn commands(address: &str, work: impl FnOnce()) -> Result<Vec<Command>, BoxError> {
    Ok(asked(address, work)?.commands)
}

/// The same, with those of scripts.
pub fn asked(address: &str, work: impl FnOnce()) -> Result<Asked, BoxError> {
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    stream.get_mut().write_all(b"MONITOR\r\n")?;
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    work();
    let mut other = TcpStream::connect(address)?;
    other.write_all(b"ECHO the-end\r\n")?;
    let mut seen = Asked::default();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Err("the server ended the connection".into());
        }
        let command = arguments(&line);
        if command.last().is_some_and(|last| last == b"the-end") {
            return Ok(seen);
        }
        let head = line.split(|&byte| byte == b'"').next().unwrap_or_default();
        if head.ends_with(b" lua] ") {
            seen.by_scripts.push(command);
        } else {
            seen.commands.push(command);
        }
    }
}

/// The strings in quotes in a line.
fn arguments(line: &[u8]) -> Command {
    let mut arguments = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, &mut open) {
            (b'"', None) => open = Some(Vec::new()),
            (b'"', Some(_)) => arguments.extend(open.take()),
            (b'\\', Some(argument)) => match bytes.next() {
                Some(b'n') => argument.push(b'\n'),
                Some(b'r') => argument.push(b'\r'),
                Some(b't') => argument.push(b'\t'),
                Some(b'a') => argument.push(7),
                Some(b'b') => argument.push(8),
                Some(b'x') => {
                    let mut digit = || bytes.next().and_then(|digit| (digit as char).to_digit(16));
                    let (high, low) = (digit().unwrap_or(0), digit().unwrap_or(0));
                    argument.extend(u8::try_from(16 * high + low));
                }
                other => argument.extend(other),
            },
            (byte, Some(argument)) => argument.push(byte),
            (_, None) => {}
        }
    }
    arguments
}
