//! What must hold of the connections of a host: everything that is kept in step agrees with the
//! entries.

use super::Connections;
use super::entry::{Entry, Holds, State};
use super::gauges::Gauges;
use crate::engine::Parts;

impl<P: Parts> Connections<P> {
    /// Panics if something is not in step.
    pub(crate) fn check(&self) {
        self.check_gauges();
        self.check_order();
        self.check_ranks();
        let trusted = self.slots(|entry| entry.is_trusted(self.generation)).len();
        assert_eq!(self.trusted as usize, trusted, "those with room that are not suspect");
        if self.is_shared() {
            let leases = self.iter().map(|(_, entry)| entry.leases().len()).sum::<usize>();
            assert_eq!(self.leases(), leases, "3: the leases");
        }
    }

    /// 3: the gauges equal a count of the entries by state.
    fn check_gauges(&self) {
        let count = |is_it: &dyn Fn(&Entry<P>) -> bool| {
            let entries = self.iter().filter(|(_, entry)| is_it(entry));
            u32::try_from(entries.count()).expect("few entries")
        };
        let has_place = |entry: &Entry<P>| entry.holds == Holds::Place;
        let has_permit = |entry: &Entry<P>| entry.holds != Holds::Nothing;
        let drains = |entry: &Entry<P>| matches!(entry.state, State::Draining(_));
        let pinging = |entry: &Entry<P>| {
            matches!(entry.state, State::Pinging | State::AwaitsReset)
                || (drains(entry) && has_place(entry))
        };
        let unused = |entry: &Entry<P>| entry.leases().is_empty();
        let is_idle = |entry: &Entry<P>| entry.state == State::Idle;
        let counted = Gauges {
            dialing: count(&|entry| entry.state == State::Dialing && has_permit(entry)),
            idle: count(&|entry| is_idle(entry) || (pinging(entry) && unused(entry))),
            free: count(&is_idle),
            kept: count(&|entry| is_idle(entry) && entry.kept),
            answering: count(&|entry| {
                matches!(entry.state, State::Pinging | State::AwaitsReset) && entry.room() > 0
            }),
            in_use: count(&|entry| {
                entry.state == State::InUse || (pinging(entry) && !unused(entry))
            }),
            closing: count(&|entry| entry.state == State::Closing && has_permit(entry)),
            draining: count(&|entry| drains(entry) && has_permit(entry)),
            leaving: count(&|entry| drains(entry) && has_place(entry)),
            places: count(&has_place),
            permits: count(&has_permit),
        };
        assert_eq!(self.gauges, counted, "3: the gauges");
    }

    /// The connections at rest are in the order of their last uses, in both directions.
    fn check_order(&self) {
        let mut expected = self.slots(|entry| entry.is_at_rest()).to_vec();
        expected.sort_by_key(|slot| self[*slot].last_use);
        let forward: Vec<_> = self.at_rest().take(expected.len() + 1).collect();
        assert_eq!(forward, expected, "those at rest, in the order of their use");
        let mut back: Vec<_> = self.at_rest_newest_first().take(expected.len() + 1).collect();
        back.reverse();
        assert_eq!(back, expected, "the same, from the other end");
    }

    /// The shared connections with room are in the order in which they are lent.
    fn check_ranks(&self) {
        let Some(ranked) = &self.ranked else { return };
        let ranks = self.iter().filter_map(|(slot, entry)| Some((ranked.rank(entry)?, slot)));
        let mut expected: Vec<_> = ranks.collect();
        expected.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(|(_, slot)| slot).collect();
        assert_eq!(ranked.iter().collect::<Vec<_>>(), expected, "those with room, in their order");
    }
}
