//! The figures of one run, written by
//! `tests/bench capacity 10000 100000 300000`.

use crate::cost::{Costs, Mongo, MongoSpace, Redis, RedisMemory, Request, Requests};

/// What was measured.
pub const COSTS: Costs = Costs {
    packed: Redis {
        memory: &[
            RedisMemory {
                sessions: 10000,
                keys: 20000,
                expires: 20000,
                used: 14581400,
                dataset: 10836856,
                rss: 25849856,
            },
            RedisMemory {
                sessions: 100000,
                keys: 200000,
                expires: 200000,
                used: 126299400,
                dataset: 104484840,
                rss: 138833920,
            },
            RedisMemory {
                sessions: 300000,
                keys: 600000,
                expires: 600000,
                used: 378925496,
                dataset: 312528024,
                rss: 394031104,
            },
        ],
        requests: Requests {
            load: Request {
                commands: 1.0,
                cpu_us: 3.6,
                bytes_in: 50.0,
                bytes_out: 817.8,
                replicated: 0.0,
            },
            unchanged: Request {
                commands: 1.0,
                cpu_us: 2.3,
                bytes_in: 50.0,
                bytes_out: 817.6,
                replicated: 0.0,
            },
            write: Request {
                commands: 2.0,
                cpu_us: 17.4,
                bytes_in: 1165.1,
                bytes_out: 823.6,
                replicated: 900.6,
            },
            sign_in: Request {
                commands: 4.0,
                cpu_us: 62.0,
                bytes_in: 1489.0,
                bytes_out: 16.0,
                replicated: 2041.0,
            },
            sign_out: Request {
                commands: 3.0,
                cpu_us: 46.2,
                bytes_in: 443.0,
                bytes_out: 871.0,
                replicated: 398.0,
            },
        },
    },
    fields: Redis {
        memory: &[
            RedisMemory {
                sessions: 10000,
                keys: 20000,
                expires: 20000,
                used: 22477752,
                dataset: 18733432,
                rss: 34193408,
            },
            RedisMemory {
                sessions: 100000,
                keys: 200000,
                expires: 200000,
                used: 205475944,
                dataset: 183661608,
                rss: 221102080,
            },
            RedisMemory {
                sessions: 300000,
                keys: 600000,
                expires: 600000,
                used: 616548744,
                dataset: 550151496,
                rss: 645459968,
            },
        ],
        requests: Requests {
            load: Request {
                commands: 1.0,
                cpu_us: 6.6,
                bytes_in: 54.0,
                bytes_out: 987.8,
                replicated: 0.0,
            },
            unchanged: Request {
                commands: 1.0,
                cpu_us: 4.3,
                bytes_in: 140.0,
                bytes_out: 8.0,
                replicated: 0.0,
            },
            write: Request {
                commands: 2.0,
                cpu_us: 22.0,
                bytes_in: 421.0,
                bytes_out: 996.6,
                replicated: 128.0,
            },
            sign_in: Request {
                commands: 4.0,
                cpu_us: 65.7,
                bytes_in: 1650.0,
                bytes_out: 16.0,
                replicated: 1601.0,
            },
            sign_out: Request {
                commands: 3.0,
                cpu_us: 48.4,
                bytes_in: 492.0,
                bytes_out: 1042.0,
                replicated: 496.0,
            },
        },
    },
    mongo: Mongo {
        space: &[
            MongoSpace {
                sessions: 10000,
                data: 10147780,
                storage: 2334720,
                indexes: 1036288,
                cache_made: 15571199,
                cache_read: 12542792,
            },
            MongoSpace {
                sessions: 100000,
                data: 101677780,
                storage: 23449600,
                indexes: 14479360,
                cache_made: 85210062,
                cache_read: 126142169,
            },
            MongoSpace {
                sessions: 300000,
                data: 305477780,
                storage: 71372800,
                indexes: 48508928,
                cache_made: 224045084,
                cache_read: 379578245,
            },
        ],
        requests: Requests {
            load: Request {
                commands: 1.0,
                cpu_us: 36.6,
                bytes_in: 310.0,
                bytes_out: 1248.7,
                replicated: 0.0,
            },
            unchanged: Request {
                commands: 1.0,
                cpu_us: 40.8,
                bytes_in: 310.2,
                bytes_out: 1250.1,
                replicated: 0.0,
            },
            write: Request {
                commands: 2.0,
                cpu_us: 364.9,
                bytes_in: 809.9,
                bytes_out: 1501.5,
                replicated: 413.5,
            },
            sign_in: Request {
                commands: 1.0,
                cpu_us: 608.4,
                bytes_in: 1324.4,
                bytes_out: 238.9,
                replicated: 1334.0,
            },
            sign_out: Request {
                commands: 2.0,
                cpu_us: 897.1,
                bytes_in: 766.9,
                bytes_out: 1515.9,
                replicated: 408.0,
            },
        },
    },
};
