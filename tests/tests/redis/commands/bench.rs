//! Counts the commands of a server, and listens to them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use session_tests::servers::RedisServer;

/// A command that the server carried out.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// By a script, not by a client.
    pub(super) inner: bool,
    pub(super) words: Vec<String>,
}

impl Seen {
    pub(super) fn name(&self) -> &str {
        &self.words[0]
    }

    pub(super) fn keys(&self) -> &[String] {
        match self.name() {
            "EVAL" | "EVALSHA" => &self.words[3..3 + self.words[2].parse::<usize>().unwrap()],
            _ => &self.words[1..2],
        }
    }
}

/// Hears each command that a server carries out for clients by TCP. The tests themselves come by
/// its socket file.
pub(super) struct Monitor<'a> {
    server: &'a RedisServer,
    lines: Receiver<String>,
}

impl<'a> Monitor<'a> {
    pub(super) fn start(server: &'a RedisServer) -> Self {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        assert_eq!(first, "+OK\r\n");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { server, lines }
    }

    /// What was carried out since the last call.
    pub(super) fn seen(&self) -> Vec<Seen> {
        // What a client sent before this, the server has carried out before this.
        self.server.command(&["ECHO", "that was all"]);
        let mut seen = Vec::new();
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).unwrap();
            let (source, words) = line.split_once("] ").unwrap();
            let by_tests = source.contains("unix:");
            if by_tests && words.contains("that was all") {
                return seen;
            }
            if !by_tests {
                let inner = source.ends_with(" lua");
                let mut words = unquoted(words);
                words[0].make_ascii_uppercase();
                seen.push(Seen { inner, words });
            }
        }
    }
}

/// Words in double quotes. Escaped bytes stay as they are: they are in values only.
pub(super) fn unquoted(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.chars();
    while rest.by_ref().any(|c| c == '"') {
        let mut word = String::new();
        loop {
            match rest.next().unwrap() {
                '"' => break,
                '\\' => match rest.next().unwrap() {
                    'n' => word.push('\n'),
                    quoted @ ('"' | '\\') => word.push(quoted),
                    other => word.extend(['\\', other]),
                },
                other => word.push(other),
            }
        }
        words.push(word);
    }
    words
}

/// A server and what is counted on it.
pub(super) struct Bench<'a> {
    server: &'a RedisServer,
    pub(super) monitor: Monitor<'a>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(server: &'a RedisServer) -> Self {
        let monitor = Monitor::start(server);
        Self { server, monitor }
    }

    /// Calls of each command since the server's start, the tests' own left out.
    pub(super) fn counted(&self) -> BTreeMap<String, u64> {
        let stats = self.server.command(&["INFO", "commandstats"]).text();
        let counted = stats.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = rest.split(',').next()?.parse().ok()?;
            Some((name.to_uppercase(), calls))
        });
        let own = ["INFO", "ECHO", "PING", "MONITOR", "SCRIPT|FLUSH"];
        counted
            .filter(|(name, _)| !own.contains(&&**name))
            .collect()
    }

    /// The commands of clients, then those of scripts, that something costs.
    pub(super) async fn cost<T>(&self, act: impl Future<Output = T>) -> (T, String, String) {
        self.monitor.seen();
        let before = self.counted();
        let done = act.await;
        let mut counted = self.counted();
        for (name, calls) in &before {
            *counted.get_mut(name).unwrap() -= calls;
        }
        counted.retain(|_, calls| *calls > 0);
        let (inner, outer): (Vec<_>, Vec<_>) =
            self.monitor.seen().into_iter().partition(|seen| seen.inner);
        // Both ways to count agree.
        let mut heard = BTreeMap::new();
        for seen in inner.iter().chain(&outer) {
            *heard.entry(seen.name().to_owned()).or_insert(0) += 1;
        }
        assert_eq!(heard, counted);
        (done, names(&outer), names(&inner))
    }

    /// Pins what something costs.
    pub(super) async fn costs<T>(
        &self,
        what: &str,
        outer: &str,
        inner: &str,
        act: impl Future<Output = T>,
    ) -> T {
        let (done, sent, called) = self.cost(act).await;
        assert_eq!((&*sent, &*called), (outer, inner), "{what}");
        done
    }
}

pub(super) fn names(seen: &[Seen]) -> String {
    let names: Vec<_> = seen.iter().map(|seen| seen.name().to_lowercase()).collect();
    names.join(" ")
}
