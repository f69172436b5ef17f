//! Records which servers were found to be read-only, so that all connections to them are known to
//! be outdated.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::dial::Peer;

/// The servers that a connector has dialed, by their addresses.
#[derive(Clone, Default)]
pub(super) struct Servers(Arc<Mutex<HashMap<Peer, Arc<AtomicU32>>>>);

impl Servers {
    /// The record of a new connection, on which the server has just said that it accepts writes.
    pub(super) fn writes(&self, peer: &Peer) -> Writes {
        let found = Arc::clone(self.0.lock().entry(peer.clone()).or_default());
        Writes { known: found.load(Ordering::Relaxed), found }
    }
}

/// Holds that a server accepts writes, until it is found that it does not.
pub(super) struct Writes {
    /// How often the server was found to be read-only.
    found: Arc<AtomicU32>,
    /// The value of `found` when the connection was made.
    known: u32,
}

impl Writes {
    pub(super) fn is_outdated(&self) -> bool {
        self.found.load(Ordering::Relaxed) != self.known
    }

    /// The server is read-only. Connections that are made later are not affected.
    pub(super) fn refute(&self) {
        let next = self.known.wrapping_add(1);
        // Another connection may have found out before.
        let _ = self.found.compare_exchange(self.known, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_finding_outdates_all_that_were_made_before_it_and_none_after() {
        let (here, there) =
            (Peer::Tcp(([127, 0, 0, 1], 1).into()), Peer::Tcp(([127, 0, 0, 1], 2).into()));
        let servers = Servers::default();
        let before = [servers.writes(&here), servers.writes(&here)];
        let elsewhere = servers.writes(&there);
        before[0].refute();
        let after = servers.writes(&here);
        before[1].refute();
        assert!(before.iter().all(Writes::is_outdated));
        assert!(!after.is_outdated() && !elsewhere.is_outdated());
    }
}
