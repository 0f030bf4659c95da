//! What a node of a Cluster says of it.

use std::collections::BTreeMap;

/// The primaries of a Cluster, as one of its nodes sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    /// What is counted up when a replica asks to be promoted.
    epoch: String,
    /// By their ids: the slots of each. Without those that have failed and have no slots.
    slots: BTreeMap<String, String>,
}

impl Topology {
    pub(super) fn has_same_primaries(&self, other: &Self) -> bool {
        self.slots.keys().eq(other.slots.keys())
    }
}

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Empty for a node that does not know its own.
    pub(super) host: String,
    pub(super) name: Option<String>,
    pub(super) port: u16,
}

/// Reads the answers to `CLUSTER INFO` and `CLUSTER NODES`. Nothing, if a primary is failing or the
/// node is not well.
pub(super) fn read(info: &str, nodes: &str) -> Option<(Topology, Vec<Address>)> {
    let fact = |name: &str| {
        let mut facts = info.lines().filter_map(|line| line.split_once(':'));
        facts
            .find(|(fact, _)| *fact == name)
            .map(|(_, value)| value)
    };
    if fact("cluster_state")? != "ok" {
        return None;
    }
    let epoch = fact("cluster_current_epoch")?.to_owned();
    let (mut slots, mut addresses) = (BTreeMap::new(), Vec::new());
    for node in nodes.lines() {
        let words: Vec<_> = node.split(' ').collect();
        let [id, address, flags, _, _, _, _, _, ranges @ ..] = &words[..] else {
            continue;
        };
        let has = |flag| flags.split(',').any(|it| it == flag);
        if !has("master") {
            continue;
        }
        // Behind them a node lists which of its own slots are moving.
        let ranges: Vec<_> = ranges
            .iter()
            .copied()
            .take_while(|range| !range.starts_with('['))
            .collect();
        if has("fail") && ranges.is_empty() {
            continue;
        }
        if has("fail") || has("fail?") || has("noaddr") {
            return None;
        }
        addresses.push(Address::of(address)?);
        slots.insert((*id).to_owned(), ranges.join(" "));
    }
    Some((Topology { epoch, slots }, addresses)).filter(|(_, addresses)| !addresses.is_empty())
}

impl Address {
    /// Of `host:port@bus,name`, where the bus and the name may be missing.
    fn of(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let (address, name) = (parts.next()?, parts.next());
        let address = address.split('@').next()?;
        let (host, port) = address.rsplit_once(':')?;
        Some(Self {
            host: host.to_owned(),
            name: name.filter(|name| !name.is_empty()).map(str::to_owned),
            port: port.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    const INFO: &str = "cluster_state:ok\r\ncluster_size:2\r\ncluster_current_epoch:7\r\n";
    const NODES: &str = "\
        a 10.0.0.1:6379@16379,a.example myself,master - 0 1 1 connected 0-99 [100-<-b]\n\
        b 10.0.0.2:6379@16379 master - 0 1 2 connected 100-16383\n\
        c 10.0.0.3:6379@16379 slave a 0 1 1 connected\n\
        d 10.0.0.4:6379@16379,,tls-port=1 master - 0 1 3 connected\n";

    fn topology(info: &str, nodes: &str) -> Option<Topology> {
        read(info, nodes).map(|(topology, _)| topology)
    }

    #[test]
    fn primaries_and_their_addresses() {
        let (_, addresses) = read(INFO, NODES).unwrap();
        let found: Vec<_> = addresses
            .iter()
            .map(|it| (&*it.host, it.name.as_deref(), it.port))
            .collect();
        let expected = [
            ("10.0.0.1", Some("a.example"), 6379),
            ("10.0.0.2", None, 6379),
            ("10.0.0.4", None, 6379),
        ];
        assert_eq!(found, expected);
        assert_eq!(Address::of(":6379@16379").unwrap().host, "");
        assert_eq!(Address::of("::1:6379").unwrap().host, "::1");
    }

    #[test]
    fn each_node_sees_the_same_however_it_says_it() {
        let other = NODES
            .replace("myself,", "")
            .replace(" [100-<-b]", "")
            .replace("a 10.0.0.1", "a 127.0.0.1")
            .replace(
                "c 10.0.0.3:6379@16379 slave",
                "c 10.0.0.3:6379@16379 slave,fail",
            );
        assert_eq!(topology(INFO, NODES), topology(INFO, &other));
        let dead = format!("{NODES}e 10.0.0.5:6379@16379 master,fail - 0 1 3 disconnected\n");
        assert_eq!(topology(INFO, NODES), topology(INFO, &dead));
    }

    #[test]
    fn what_concerns_a_primary_is_another_topology() {
        let was = topology(INFO, NODES).unwrap();
        let epoch = INFO.replace("epoch:7", "epoch:8");
        assert_ne!(topology(&epoch, NODES), Some(was.clone()));
        for (from, to) in [
            ("0-99", "0-98"),
            (
                "c 10.0.0.3:6379@16379 slave a",
                "c 10.0.0.3:6379@16379 master -",
            ),
            (
                "d 10.0.0.4:6379@16379,,tls-port=1 master -",
                "d 10.0.0.4:6379@16379 slave a",
            ),
        ] {
            assert!(NODES.contains(from));
            let other = topology(INFO, &NODES.replace(from, to));
            assert!(other.is_some());
            assert_ne!(other, Some(was.clone()), "{to}");
        }
    }

    #[test]
    fn a_cluster_that_is_not_well_has_none() {
        assert_eq!(topology(&INFO.replace(":ok", ":fail"), NODES), None);
        assert_eq!(topology("", NODES), None);
        assert_eq!(topology(INFO, ""), None);
        for flag in ["fail", "fail?", "noaddr"] {
            let failing = NODES.replace(
                "16379 master - 0 1 2",
                &format!("16379 master,{flag} - 0 1 2"),
            );
            assert_ne!(failing, NODES);
            assert_eq!(topology(INFO, &failing), None, "{flag}");
        }
    }
}
