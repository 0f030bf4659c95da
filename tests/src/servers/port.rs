//! Ports that stay ours, also while the server on them is down.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give to clients (32768 and up), with room for the bus of a cluster
/// node above each.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;
/// Where a cluster node listens to its kind: this much above its port.
const BUS: u16 = 10_000;

/// A TCP port and the one of its cluster bus, on loopback. Nobody listens there yet; UDP sockets of
/// the same numbers tell other tests, also those of other processes, that both are taken.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reserved: [UdpSocket; 2],
}

impl Port {
    /// One that nobody uses.
    pub fn reserve() -> Self {
        (0..COUNT)
            .find_map(|_| Self::of(next()))
            .unwrap_or_else(|| panic!("no free port"))
    }

    fn of(number: u16) -> Option<Self> {
        let reserve = |number| UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok();
        let is_free = |number| TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        let reserved = [reserve(number)?, reserve(number + BUS)?];
        (is_free(number) && is_free(number + BUS)).then_some(Self {
            number,
            _reserved: reserved,
        })
    }

    /// Its number.
    pub const fn number(&self) -> u16 {
        self.number
    }
}

/// One after the other, from a place drawn by each process.
fn next() -> u16 {
    static START: OnceLock<u16> = OnceLock::new();
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let start = *START.get_or_init(|| {
        let drawn = RandomState::new().build_hasher().finish() % u64::from(COUNT);
        u16::try_from(drawn).unwrap()
    });
    FIRST + (start + TRIED.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT
}
