//! The figures of one run, written by
//! `tests/bench capacity 10000 100000 1000000`.

use crate::cost::{Costs, Mongo, MongoSpace, Redis, RedisMemory, Request, Requests};

/// What was measured.
pub const COSTS: Costs = Costs {
    packed: Redis {
        memory: &[
            RedisMemory {
                sessions: 10000,
                keys: 20000,
                expires: 20000,
                used: 14580168,
                dataset: 10835880,
                rss: 26030080,
            },
            RedisMemory {
                sessions: 100000,
                keys: 200000,
                expires: 200000,
                used: 126274872,
                dataset: 104460568,
                rss: 138883072,
            },
            RedisMemory {
                sessions: 1000000,
                keys: 2000000,
                expires: 2000000,
                used: 1235635000,
                dataset: 1040460568,
                rss: 1259909120,
            },
        ],
        requests: Requests {
            load: Request {
                commands: 1.0,
                cpu_us: 4.5,
                bytes_in: 50.0,
                bytes_out: 817.8,
                replicated: 0.0,
            },
            unchanged: Request {
                commands: 1.0,
                cpu_us: 3.7,
                bytes_in: 50.0,
                bytes_out: 817.7,
                replicated: 0.0,
            },
            write: Request {
                commands: 2.0,
                cpu_us: 26.8,
                bytes_in: 1165.2,
                bytes_out: 823.6,
                replicated: 900.7,
            },
            sign_in: Request {
                commands: 4.0,
                cpu_us: 81.7,
                bytes_in: 1489.0,
                bytes_out: 16.0,
                replicated: 2041.0,
            },
            sign_out: Request {
                commands: 3.0,
                cpu_us: 44.1,
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
                used: 22470824,
                dataset: 18726344,
                rss: 34115584,
            },
            RedisMemory {
                sessions: 100000,
                keys: 200000,
                expires: 200000,
                used: 205445528,
                dataset: 183631032,
                rss: 221024256,
            },
            RedisMemory {
                sessions: 1000000,
                keys: 2000000,
                expires: 2000000,
                used: 2027610320,
                dataset: 1832435696,
                rss: 2083270656,
            },
        ],
        requests: Requests {
            load: Request {
                commands: 1.0,
                cpu_us: 8.3,
                bytes_in: 54.0,
                bytes_out: 987.8,
                replicated: 0.0,
            },
            unchanged: Request {
                commands: 1.0,
                cpu_us: 6.5,
                bytes_in: 140.0,
                bytes_out: 8.0,
                replicated: 0.0,
            },
            write: Request {
                commands: 2.0,
                cpu_us: 22.0,
                bytes_in: 421.0,
                bytes_out: 996.7,
                replicated: 128.0,
            },
            sign_in: Request {
                commands: 4.0,
                cpu_us: 90.2,
                bytes_in: 1650.0,
                bytes_out: 16.0,
                replicated: 1601.0,
            },
            sign_out: Request {
                commands: 3.0,
                cpu_us: 58.4,
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
                indexes: 1040384,
                cache_made: 15569884,
                cache_read: 12545676,
            },
            MongoSpace {
                sessions: 100000,
                data: 101677780,
                storage: 23224320,
                indexes: 10698752,
                cache_made: 144384189,
                cache_read: 126179565,
            },
            MongoSpace {
                sessions: 1000000,
                data: 1018777780,
                storage: 233758720,
                indexes: 155688960,
                cache_made: 1183606521,
                cache_read: 1267108751,
            },
        ],
        requests: Requests {
            load: Request {
                commands: 1.0,
                cpu_us: 25.0,
                bytes_in: 310.2,
                bytes_out: 1250.1,
                replicated: 0.0,
            },
            unchanged: Request {
                commands: 1.0,
                cpu_us: 24.6,
                bytes_in: 310.2,
                bytes_out: 1250.1,
                replicated: 0.0,
            },
            write: Request {
                commands: 2.0,
                cpu_us: 270.3,
                bytes_in: 811.2,
                bytes_out: 1500.1,
                replicated: 402.0,
            },
            sign_in: Request {
                commands: 1.0,
                cpu_us: 363.7,
                bytes_in: 1323.2,
                bytes_out: 231.5,
                replicated: 1334.0,
            },
            sign_out: Request {
                commands: 2.0,
                cpu_us: 537.1,
                bytes_in: 766.5,
                bytes_out: 1513.0,
                replicated: 408.0,
            },
        },
    },
};
