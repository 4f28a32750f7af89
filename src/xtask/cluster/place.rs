//! Where a cluster listens and which addresses its pods get.
//!
//! Promises: no port and no pod range that another known cluster has. Does not know who listens where.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::state::State;

/// Below the range from which Linux takes ports for outgoing connections (32768 and up), so that a port stays free
/// between its choice and its use.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// The ports and the pod range of one cluster. Everything listens on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) etcd: u16,
    pub(crate) etcd_peer: u16,
    pub(crate) api: u16,
    /// The kubelet's, or kwok's.
    pub(crate) node: u16,
    /// The third byte of the pod range.
    pod_range: u8,
}

impl Place {
    /// The addresses of the pods, as `10.88.N.0/24`.
    pub(crate) fn pod_subnet(&self) -> String {
        format!("{}/24", Ipv4Addr::new(10, 88, self.pod_range, 0))
    }

    fn ports(&self) -> [u16; 4] {
        [self.etcd, self.etcd_peer, self.api, self.node]
    }
}

/// A place beside the clusters `others`. The search for a pod range begins at `first`, which differs between cache
/// folders, because a cluster of another cache is not among `others`.
pub(crate) fn choose(others: &[State], first: u8) -> Result<Place> {
    let mut taken: HashSet<u16> = others.iter().flat_map(|other| other.place.ports()).collect();
    let ranges: HashSet<u8> = others.iter().map(|other| other.place.pod_range).collect();
    let mut candidates = (0..=u8::MAX).map(|step| first.wrapping_add(step));
    let pod_range = candidates.find(|range| !ranges.contains(range)).context("256 clusters run already")?;
    let mut port = || {
        let free = PORTS
            .clone()
            .find(|port| !taken.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let free = free.context("no port between 20000 and 30000 is free")?;
        taken.insert(free);
        anyhow::Ok(free)
    };
    Ok(Place { etcd: port()?, etcd_peer: port()?, api: port()?, node: port()?, pod_range })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::state::NodeKind;
    use super::*;

    #[test]
    fn clusters_side_by_side_share_neither_a_port_nor_a_pod_range() {
        let mut states: Vec<State> = Vec::new();
        for _ in 0..5 {
            let place = choose(&states, 255).unwrap();
            states.push(State::new("x", Path::new("/"), NodeKind::Real, place));
        }
        let ports: HashSet<u16> = states.iter().flat_map(|state| state.place.ports()).collect();
        assert_eq!(ports.len(), 20);
        let subnets: HashSet<String> = states.iter().map(|state| state.place.pod_subnet()).collect();
        assert_eq!(subnets.len(), 5);
        assert!(subnets.contains("10.88.0.0/24"), "{subnets:?}");
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_chosen() {
        let first = choose(&[], 0).unwrap();
        let _listener = TcpListener::bind(("127.0.0.1", first.etcd)).unwrap();
        assert_ne!(choose(&[], 0).unwrap().etcd, first.etcd);
    }
}
