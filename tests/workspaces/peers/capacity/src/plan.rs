//! From traffic and machines to a number of nodes.

use crate::cost::{Costs, Request, Requests};
use crate::law::{self, RedisLaw};

/// What clients ask for, in the busiest hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Sessions that live at a time.
    pub sessions: u64,
    /// Requests of each session in an hour.
    pub requests_per_hour: f64,
    /// Shares of the requests. The others read.
    pub writes: f64,
    pub sign_ins: f64,
    pub sign_outs: f64,
    /// Shares of the reads: served by a near cache, or unchanged since this process read it.
    pub near: f64,
    pub unchanged: f64,
}

/// What servers run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    pub memory_gib: f64,
    /// Of MongoDB. Redis uses one.
    pub cores: f64,
    /// In each direction.
    pub gbit_per_second: f64,
    /// The share of memory, processor and network that stays free.
    pub headroom: f64,
    /// Copies of each node.
    pub replicas: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            sessions: 1_000_000,
            requests_per_hour: 12.0,
            writes: 0.17,
            sign_ins: 0.02,
            sign_outs: 0.01,
            near: 0.0,
            unchanged: 0.0,
        }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            memory_gib: 32.0,
            cores: 8.0,
            gbit_per_second: 1.0,
            headroom: 0.5,
            replicas: 2,
        }
    }
}

/// A store, as the tables name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Packed,
    Fields,
    Mongo,
}

impl Store {
    pub const ALL: [Self; 3] = [Self::Packed, Self::Fields, Self::Mongo];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Packed => "Redis, packed",
            Self::Fields => "Redis, fields",
            Self::Mongo => "MongoDB",
        }
    }

    pub const fn requests(self, costs: &Costs) -> Requests {
        match self {
            Self::Packed => costs.packed.requests,
            Self::Fields => costs.fields.requests,
            Self::Mongo => costs.mongo.requests,
        }
    }

    /// Memory of a session for planning, in bytes. `None` if fewer than two sizes were measured.
    pub fn bytes_per_session(self, costs: &Costs) -> Option<f64> {
        let redis = match self {
            Self::Packed => costs.packed,
            Self::Fields => costs.fields,
            Self::Mongo => return Some(law::mongo(costs.mongo.space, law::cached)?.per_session),
        };
        let law = RedisLaw::of(redis.memory)?;
        Some(law.worst_per_session() * law::fragmentation(&redis).max(1.0))
    }

    /// Bytes of a node's memory that sessions may take.
    fn memory(self, machine: &Machine) -> f64 {
        let left = machine.memory_gib * machine.usable();
        let gib = match self {
            Self::Packed | Self::Fields => left,
            // The cache that MongoDB makes by default, up to where it begins to evict.
            Self::Mongo => left.min(((machine.memory_gib - 1.0) / 2.0).max(0.25) * 0.8),
        };
        gib * f64::from(1 << 30)
    }

    /// How many primaries there are where one is not enough, at least.
    const fn fewest(self) -> u64 {
        match self {
            // A Cluster needs a majority of them.
            Self::Packed | Self::Fields => 3,
            Self::Mongo => 2,
        }
    }

    const fn cores(self, machine: &Machine) -> f64 {
        match self {
            Self::Packed | Self::Fields => 1.0,
            Self::Mongo => machine.cores,
        }
    }
}

/// What all nodes have to do together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    pub requests_per_second: f64,
    pub commands_per_second: f64,
    pub memory: f64,
    /// Processors that are busy all the time.
    pub cores: f64,
    /// Bytes a second, in the direction that has more of them.
    pub network: f64,
}

/// How many nodes that takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nodes {
    pub demand: Demand,
    pub by_memory: u64,
    pub by_cpu: u64,
    pub by_network: u64,
    pub primaries: u64,
    /// With the replicas.
    pub all: u64,
}

impl Nodes {
    /// What there is least of.
    pub fn limit(&self) -> &'static str {
        let (others, name) = match self.by_cpu >= self.by_network {
            true => (self.by_cpu, "CPU"),
            false => (self.by_network, "network"),
        };
        match self.by_memory >= others {
            true => "memory",
            false => name,
        }
    }
}

impl Traffic {
    /// What a request costs in the mean.
    pub fn mean(&self, of: &Requests) -> Request {
        let reads = 1.0 - self.writes - self.sign_ins - self.sign_outs;
        let loads = reads * (1.0 - self.near - self.unchanged);
        let shares = [
            (loads, of.load),
            (reads * self.unchanged, of.unchanged),
            (self.writes, of.write),
            (self.sign_ins, of.sign_in),
            (self.sign_outs, of.sign_out),
        ];
        let sum = |cost: fn(&Request) -> f64| shares.iter().map(|(s, r)| s * cost(r)).sum();
        Request {
            commands: sum(|r| r.commands),
            cpu_us: sum(|r| r.cpu_us),
            bytes_in: sum(|r| r.bytes_in),
            bytes_out: sum(|r| r.bytes_out),
            replicated: sum(|r| r.replicated),
        }
    }

    /// # Errors
    ///
    /// Says which share cannot be.
    pub fn check(&self) -> Result<(), String> {
        let changing = self.writes + self.sign_ins + self.sign_outs;
        let shares = [
            self.writes,
            self.sign_ins,
            self.sign_outs,
            self.near,
            self.unchanged,
        ];
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err("a share is a number from 0 to 1".to_owned());
        }
        if changing > 1.0 {
            return Err("writes, sign-ins and sign-outs are more than all requests".to_owned());
        }
        if self.near + self.unchanged > 1.0 {
            return Err("near and unchanged are more than all reads".to_owned());
        }
        Ok(())
    }
}

impl Machine {
    /// The share of a node that does not stay free.
    pub fn usable(&self) -> f64 {
        1.0 - self.headroom
    }

    /// # Errors
    ///
    /// Says what is missing.
    pub fn check(&self) -> Result<(), String> {
        if self.memory_gib <= 0.0 || self.cores <= 0.0 || self.gbit_per_second <= 0.0 {
            return Err("a node needs memory, cores and a network".to_owned());
        }
        if !(0.0..1.0).contains(&self.headroom) {
            return Err("the headroom is a number from 0 to less than 1".to_owned());
        }
        Ok(())
    }
}

/// How many nodes a store takes. `None` if fewer than two sizes were measured.
pub fn nodes(store: Store, costs: &Costs, traffic: &Traffic, machine: &Machine) -> Option<Nodes> {
    let mean = traffic.mean(&store.requests(costs));
    let rate = traffic.sessions as f64 * traffic.requests_per_hour / 3600.0;
    let out = mean.bytes_out + machine.replicas as f64 * mean.replicated;
    let demand = Demand {
        requests_per_second: rate,
        commands_per_second: rate * mean.commands,
        memory: traffic.sessions as f64 * store.bytes_per_session(costs)?,
        cores: rate * mean.cpu_us / 1e6,
        network: rate * mean.bytes_in.max(out),
    };
    let usable = machine.usable();
    let of = |demand: f64, node: f64| ((demand / node).ceil() as u64).max(1);
    let by_memory = of(demand.memory, store.memory(machine));
    let by_cpu = of(demand.cores, store.cores(machine) * usable);
    let by_network = of(demand.network, machine.gbit_per_second * 1e9 / 8.0 * usable);
    let primaries = match by_memory.max(by_cpu).max(by_network) {
        1 => 1,
        most => most.max(store.fewest()),
    };
    Some(Nodes {
        demand,
        by_memory,
        by_cpu,
        by_network,
        primaries,
        all: primaries * (1 + machine.replicas),
    })
}
