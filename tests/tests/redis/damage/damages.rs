//! What another program may do to a session.

use super::bench::{Absent, Bench, Corrupt, Done, Outcome, key_of_another};

/// What another program did to a session, and what `load`, a versioned update, an update and a
/// clear then come to.
pub(super) struct Damage {
    pub(super) name: &'static str,
    pub(super) done: fn(&mut Bench, &str),
    pub(super) load: Outcome,
    pub(super) updates: [Outcome; 3],
    /// It says that it is another principal's.
    pub(super) says_another: bool,
}

pub(super) fn put(bench: &mut Bench, key: &str, field: &str, content: &[u8]) {
    bench.run::<()>("HSET", (key, field, content));
}

pub(super) fn drop_field(bench: &mut Bench, key: &str, field: &str) {
    assert_eq!(bench.run::<u64>("HDEL", (key, field)), 1);
}

pub(super) const DAMAGES: &[Damage] = &[
    Damage {
        name: "deleted",
        done: |bench, key| bench.run("DEL", key),
        load: Absent,
        updates: [Absent; 3],
        says_another: false,
    },
    Damage {
        name: "a string",
        done: |bench, key| bench.run("SET", (key, "text")),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "a list",
        done: |bench, key| {
            bench.run::<()>("DEL", key);
            bench.run::<()>("RPUSH", (key, "a", "b"));
        },
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "a set",
        done: |bench, key| {
            bench.run::<()>("DEL", key);
            bench.run::<()>("SADD", (key, "a", "b"));
        },
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "a hash of another program",
        done: |bench, key| {
            bench.run::<()>("DEL", key);
            bench.run::<()>("HSET", (key, "name", "Ann", ".a", "1"));
        },
        load: Absent,
        updates: [Absent; 3],
        says_another: false,
    },
    Damage {
        name: "without m",
        done: |bench, key| drop_field(bench, key, "m"),
        load: Corrupt,
        // The server does not look at it.
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "without s",
        done: |bench, key| drop_field(bench, key, "s"),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "without h",
        done: |bench, key| drop_field(bench, key, "h"),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "m alone",
        done: |bench, key| {
            drop_field(bench, key, "s");
            drop_field(bench, key, "h");
        },
        load: Corrupt,
        updates: [Absent; 3],
        says_another: false,
    },
    Damage {
        name: "an empty m",
        done: |bench, key| put(bench, key, "m", b""),
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "half of m",
        done: |bench, key| {
            let whole: Vec<u8> = bench.run("HGET", (key, "m"));
            put(bench, key, "m", &whole[..whole.len() / 2]);
        },
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "more than m",
        done: |bench, key| {
            let whole: Vec<u8> = bench.run("HGET", (key, "m"));
            put(bench, key, "m", &[&whole[..], b"x"].concat());
        },
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "m of a newer format",
        done: |bench, key| {
            let mut whole: Vec<u8> = bench.run("HGET", (key, "m"));
            whole[0] = 255;
            put(bench, key, "m", &whole);
        },
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "m of another session",
        done: |bench, key| {
            let other = key_of_another(bench);
            let whole: Vec<u8> = bench.run("HGET", (other, "m"));
            put(bench, key, "m", &whole);
        },
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "without p",
        done: |bench, key| drop_field(bench, key, "p"),
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "without p and h",
        done: |bench, key| {
            drop_field(bench, key, "p");
            drop_field(bench, key, "h");
        },
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "another p",
        done: |bench, key| put(bench, key, "p", b"user:2"),
        load: Corrupt,
        updates: [Done; 3],
        says_another: true,
    },
    Damage {
        name: "an empty p",
        done: |bench, key| put(bench, key, "p", b""),
        load: Corrupt,
        updates: [Done; 3],
        says_another: true,
    },
    Damage {
        name: "an empty s",
        done: |bench, key| put(bench, key, "s", b""),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "three numbers in s",
        done: |bench, key| put(bench, key, "s", b"1 2 3"),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "more than s",
        done: |bench, key| bench_append(bench, key, "s", " x"),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "a negative number in s",
        done: |bench, key| bench_prepend(bench, key, "s", "-"),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "a version that nobody counts to",
        done: |bench, key| bench_prepend(bench, key, "s", "99999999999999999999"),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "bytes that are no text in s",
        done: |bench, key| put(bench, key, "s", b"\xff\xfe \x00"),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "an empty h",
        done: |bench, key| put(bench, key, "h", b""),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "more than h",
        done: |bench, key| bench_append(bench, key, "h", "\n"),
        load: Corrupt,
        updates: [Corrupt; 3],
        says_another: false,
    },
    Damage {
        name: "another epoch in h than in m",
        done: |bench, key| bench_prepend(bench, key, "h", "1"),
        load: Corrupt,
        updates: [Absent; 3],
        says_another: false,
    },
    Damage {
        name: "another deadline in h than in m",
        done: |bench, key| put(bench, key, "h", b"0 1 1 1"),
        load: Corrupt,
        updates: [Absent; 3],
        says_another: false,
    },
    Damage {
        name: "a value of an unknown codec",
        done: |bench, key| put(bench, key, ".b", b"\x00\xffx"),
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "a value of half a tag",
        done: |bench, key| put(bench, key, ".b", b"\x00"),
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "a value whose name is not UTF-8",
        done: |bench, key| bench.run("HSET", (key, &b".\xff\xfe"[..], "1")),
        load: Corrupt,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "a foreign field",
        done: |bench, key| bench.run("HSET", (key, &b"\xffx"[..], "1", "name", "Ann", "", "")),
        load: Done,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "values that are no JSON",
        done: |bench, key| put(bench, key, ".b", b"{\"\xff"),
        load: Done,
        updates: [Done; 3],
        says_another: false,
    },
    Damage {
        name: "sizes that are not so",
        done: |bench, key| {
            let state: String = bench.run("HGET", (key, "s"));
            let numbers: Vec<_> = state.split(' ').collect();
            put(
                bench,
                key,
                "s",
                format!("{} 0 0", numbers[..3].join(" ")).as_bytes(),
            );
        },
        load: Done,
        updates: [Done; 3],
        says_another: false,
    },
];

pub(super) fn bench_append(bench: &mut Bench, key: &str, field: &str, text: &str) {
    let content: String = bench.run("HGET", (key, field));
    put(bench, key, field, (content + text).as_bytes());
}

pub(super) fn bench_prepend(bench: &mut Bench, key: &str, field: &str, text: &str) {
    let content: String = bench.run("HGET", (key, field));
    put(bench, key, field, (text.to_owned() + &content).as_bytes());
}
