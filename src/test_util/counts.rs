//! What a connector has counted.

use std::collections::HashMap;
use std::hash::Hash;

/// What a [`TestConnector`](super::TestConnector) has counted.
///
/// A connection is *live* from the end of its dial until it is dropped. It is *open* from the
/// beginning of its dial until it is dropped or known to be dead: until `is_open` said no, a ping
/// failed, or [`bury`](super::TestConnection::bury) was called. That is what a pool's caps count, so
/// that `peak_open` must never be above them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Counts<K> {
    /// Dials begun.
    pub dials: usize,
    /// Dials under way.
    pub dialing: usize,
    /// Dials under way at once, at most.
    pub peak_dialing: usize,
    /// Connections made.
    pub made: usize,
    /// Connections dropped.
    pub dropped: usize,
    /// Pings begun.
    pub pings: usize,
    /// Closes begun.
    pub closes: usize,
    /// Connections open, those being dialed included.
    pub open: usize,
    /// Connections open at once, at most.
    pub peak_open: usize,
    /// Connections open, by host.
    pub open_of: HashMap<K, usize>,
    /// Connections open at once, at most, by host.
    pub peak_of: HashMap<K, usize>,
    /// Dials under way now, by host.
    pub dialing_of: HashMap<K, usize>,
    /// Pings under way now, by host, but for those that [`answer`](super::TestConnector::answer) answers.
    pub pinging_of: HashMap<K, usize>,
}

impl<K> Counts<K> {
    /// Connections that were made and not dropped.
    pub fn live(&self) -> usize {
        self.made - self.dropped
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Counts {
            dials: 0,
            dialing: 0,
            peak_dialing: 0,
            made: 0,
            dropped: 0,
            pings: 0,
            closes: 0,
            open: 0,
            peak_open: 0,
            open_of: HashMap::new(),
            peak_of: HashMap::new(),
            dialing_of: HashMap::new(),
            pinging_of: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> Counts<K> {
    pub(super) fn begin_dial(&mut self, host: &K) {
        self.dials += 1;
        self.dialing += 1;
        self.peak_dialing = self.peak_dialing.max(self.dialing);
        *self.dialing_of.entry(host.clone()).or_default() += 1;
        self.open(host);
    }

    pub(super) fn end_dial(&mut self, host: &K) {
        self.dialing -= 1;
        less(&mut self.dialing_of, host);
    }

    pub(super) fn begin_ping(&mut self, host: &K) {
        *self.pinging_of.entry(host.clone()).or_default() += 1;
    }

    pub(super) fn end_ping(&mut self, host: &K) {
        less(&mut self.pinging_of, host);
    }

    pub(super) fn open(&mut self, host: &K) {
        self.open += 1;
        self.peak_open = self.peak_open.max(self.open);
        let open = self.open_of.entry(host.clone()).or_default();
        *open += 1;
        let peak = self.peak_of.entry(host.clone()).or_default();
        *peak = (*peak).max(*open);
    }

    pub(super) fn shut(&mut self, host: &K) {
        self.open -= 1;
        less(&mut self.open_of, host);
    }
}

fn less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, host: &K) {
    if let Some(count) = counts.get_mut(host) {
        *count -= 1;
    }
}
