//! Peers of shared connections that raise or lower their limits while callers wait.
//!
//! A connection is asked how many leases it takes when one of its leases ends. If all leases are
//! long, that may be too late for the waiters: full connections are also asked when a caller joins
//! the queue, and once a second, a few at a time and in turn. The runtime layer asks, because that
//! calls user code.

use smallvec::SmallVec;

use super::HostState;
use crate::engine::connections::entry::{Entry, State};
use crate::engine::{Common, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// How often the peers are asked while there are waiters.
const ASKED_EVERY: Span = Span::from_nanos(1_000_000_000);

/// How many a caller asks that joins the queue, how many it asks in a crowd, where the next one goes
/// on, and how many are asked each second.
const ASKED_BY_CALLER: usize = 4;
const ASKED_IN_CROWD: usize = 1;
const ASKED_AT_ONCE: usize = 1024;

/// For each one that is asked, up to 16 entries are looked at.
const LOOKED_AT: usize = 16;

/// Who has to be asked next, and when.
#[derive(Debug)]
pub(super) struct Peers {
    asked_at: Time,
    /// The slot to go on from.
    from: u32,
}

impl Default for Peers {
    fn default() -> Self {
        Peers { asked_at: Time::START, from: 0 }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// A caller that joins the queue, or finds nothing.
    Caller,
    /// A caller that joins others: asking four costs half as much as the rest of its wait.
    InCrowd,
    /// Maintenance.
    Each,
}

/// A connection that is full, as last reported by its peer.
pub(crate) struct FullPeer<P: Parts> {
    slot: u32,
    id: u64,
    /// A share with which to ask.
    pub(crate) connection: P::Connection,
    pub(crate) max_leases: u32,
}

/// A caller in a crowd asks one.
pub(crate) type FullPeers<P> = SmallVec<[FullPeer<P>; ASKED_IN_CROWD]>;

fn is_full<P: Parts>(entry: &Entry<P>) -> bool {
    entry.state == State::InUse && entry.room() == 0
}

impl<P: Parts> HostState<P> {
    /// Returns the next few shared connections that are full.
    pub(crate) fn full_peers(&mut self, asking: Asking, common: &Common<P>) -> FullPeers<P> {
        let Some(share) = common.share else { return FullPeers::new() };
        let most = match asking {
            Asking::Caller => ASKED_BY_CALLER,
            Asking::InCrowd => ASKED_IN_CROWD,
            Asking::Each => ASKED_AT_ONCE,
        };
        let (mut from, mut peers) = (self.rare().peers.from, FullPeers::new());
        for (slot, entry) in self.connections.iter_from(from).take(most * LOOKED_AT) {
            from = slot + 1;
            if is_full(entry) {
                let (id, max_leases) = (entry.id, entry.max_leases);
                peers.push(FullPeer { slot, id, connection: entry.share(share), max_leases });
            }
            if peers.len() == most {
                break;
            }
        }
        self.rare().peers.from = from;
        peers
    }

    /// A full connection was asked and takes this many leases now; none means that it is not open.
    /// It may have changed since.
    pub(crate) fn heard(
        &mut self,
        peer: &FullPeer<P>,
        max_leases: usize,
        section: &mut Section<'_, P>,
    ) {
        let is_it = |entry: &Entry<P>| entry.id == peer.id && entry.state == State::InUse;
        if !self.connections.get(peer.slot).is_some_and(is_it) {
            return;
        }
        if max_leases == 0 {
            return self.kill(peer.slot, CloseReason::NotOpen, section);
        }
        self.note_max_leases(peer.slot, max_leases);
    }

    /// The first waiter joins, and asks.
    pub(super) fn begin_to_ask(&mut self, section: &Section<'_, P>) {
        if section.common.is_shared() {
            self.rare().peers.asked_at = section.now;
        }
    }

    /// Has the peers asked. If no connection is full, they are still asked again in a second: one
    /// may be full at the end of this section.
    pub(super) fn ask_for_leases(&mut self, section: &mut Section<'_, P>) {
        section.actions.ask_peers = self.next_ask(section) <= section.now;
        if self.waiting() > 0 && section.common.is_shared() {
            let peers = &mut self.rare().peers;
            if peers.asked_at.after(ASKED_EVERY) <= section.now {
                peers.asked_at = section.now;
            }
        }
    }

    /// Returns when the peers have to be asked next.
    pub(super) fn next_ask(&self, section: &Section<'_, P>) -> Time {
        let may = section.common.is_shared()
            && self.waiting() > 0
            && self.connections.gauges().in_use > 0;
        let asked_at = self.rare.as_ref().map(|rare| rare.peers.asked_at);
        asked_at.filter(|_| may).map_or(Time::NEVER, |at| at.after(ASKED_EVERY))
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;
    use crate::engine::programs::world::World;
    use crate::engine::tests::support::shared;

    /// A host with this many full connections, each for two leases.
    fn full(connections: usize) -> World {
        let mut world = shared(2, |_| ());
        (0..2 * connections).for_each(|_| world.borrow(0));
        world
    }

    /// Returns the connections that one caller asks.
    fn asked(world: &mut World, asking: Asking) -> Vec<usize> {
        let at = world.find(0).expect("it is known");
        let peers = world.cells[at].state.full_peers(asking, &world.common);
        peers.into_iter().map(|peer| peer.connection).collect()
    }

    #[test]
    fn a_caller_asks_four_full_peers_at_most_in_turn_and_in_the_end_all() {
        let mut world = full(10);
        for round in 0..3 {
            let mut heard: Vec<usize> = Vec::new();
            while heard.len() < 10 {
                let asked = asked(&mut world, Asking::Caller);
                assert!((1..=4).contains(&asked.len()), "{} in round {round}", asked.len());
                heard.extend(asked);
            }
            let mut all = heard[..10].to_vec();
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>(), "each once, in round {round}");
        }
    }

    #[test]
    fn each_caller_in_a_crowd_asks_the_next_one() {
        let mut world = full(3);
        let heard: Vec<usize> = (0..6).flat_map(|_| asked(&mut world, Asking::InCrowd)).collect();
        assert_eq!(heard[..3], heard[3..], "in turn");
        let mut all = heard[..3].to_vec();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2], "and each of them");
    }

    #[test]
    fn a_connection_with_room_is_not_asked() {
        let mut world = full(3);
        world.return_last();
        assert_eq!(asked(&mut world, Asking::Caller).len(), 2);
    }

    #[test]
    fn maintenance_asks_a_thousand_peers_at_once() {
        let mut world = full(1030);
        let mut heard = asked(&mut world, Asking::Each);
        assert_eq!(heard.len(), ASKED_AT_ONCE);
        heard.extend(asked(&mut world, Asking::Each));
        let mut all = heard[..1030].to_vec();
        all.sort_unstable();
        assert_eq!(all, (0..1030).collect::<Vec<_>>(), "each once");
    }
}
