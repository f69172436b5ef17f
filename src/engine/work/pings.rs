//! The pings of a host: those in flight, the resets that wait for their turn, the heartbeats to
//! come, and whether suspects have to be pinged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::Purpose;
use crate::engine::soonest::Soonest;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// A ping in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    pub(crate) since: Time,
    pub(crate) purpose: Purpose,
    /// A waiter needs it: it is not limited.
    pub(crate) needed: bool,
    /// It has missed its time limit, and may still be answered.
    pub(crate) late: bool,
    /// `close_idle` was called since it started.
    pub(crate) cleared: bool,
    /// The host's suspect generation at its start: an answer proves no more than that.
    pub(crate) generation: u32,
}

impl Ping {
    /// Returns whether it counts as on its way to a waiter.
    pub(crate) fn counts(&self, now: Time, limits: &Limits) -> bool {
        !self.late && now < self.counts_until(limits)
    }

    fn counts_until(&self, limits: &Limits) -> Time {
        self.since.after(limits.ping_counts)
    }

    fn is_beating(&self) -> bool {
        !self.needed && self.purpose == Purpose::Heartbeat
    }

    /// Returns whether its connection may be lent meanwhile, if it is shared.
    pub(crate) fn leaves_it_to_borrowers(&self) -> bool {
        self.purpose == Purpose::Heartbeat && !self.late
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pings {
    /// By slot.
    in_flight: BTreeMap<u32, Ping>,
    /// Those of them that no waiter needs, and those that are late.
    spare: usize,
    late: usize,
    /// The heartbeats among those that no waiter needs.
    beating: usize,
    /// Connections whose reset has not started, in the order in which they returned.
    resets: BTreeSet<(u64, u32)>,
    /// Suspects have to be pinged even without waiters, and with this purpose.
    suspects: Option<Purpose>,
    /// When the first heartbeat is due.
    beats: Soonest,
    /// How long an answer takes, smoothed.
    usual: Duration,
    /// When the host was last known to live: a ping was answered, or a dial has succeeded.
    lived_at: Time,
}

/// Those of a host that has had none.
pub(crate) static NONE: Pings = Pings::new();

/// # In flight
impl Pings {
    pub(crate) const fn new() -> Self {
        Pings {
            in_flight: BTreeMap::new(),
            spare: 0,
            late: 0,
            beating: 0,
            resets: BTreeSet::new(),
            suspects: None,
            beats: Soonest::new(),
            usual: Duration::ZERO,
            lived_at: Time::START,
        }
    }

    pub(crate) fn begin(&mut self, slot: u32, ping: Ping) {
        self.spare += usize::from(!ping.needed);
        self.beating += usize::from(ping.is_beating());
        self.in_flight.insert(slot, ping);
    }

    /// Removes the ping of this connection, which has ended.
    pub(crate) fn end(&mut self, slot: u32) -> Option<Ping> {
        let ping = self.in_flight.remove(&slot)?;
        if self.in_flight.is_empty() {
            // Frees its memory.
            self.in_flight = BTreeMap::new();
        }
        self.spare -= usize::from(!ping.needed);
        self.beating -= usize::from(ping.is_beating());
        self.late -= usize::from(ping.late);
        Some(ping)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Ping)> {
        self.in_flight.iter().map(|(slot, ping)| (*slot, ping))
    }

    pub(crate) fn of(&self, slot: u32) -> Option<&Ping> {
        self.in_flight.get(&slot)
    }

    /// The ping of this connection has missed its time limit.
    pub(crate) fn note_late(&mut self, slot: u32) {
        if let Some(ping) = self.in_flight.get_mut(&slot) {
            self.late += usize::from(!ping.late);
            ping.late = true;
        }
    }

    pub(crate) fn late(&self) -> usize {
        self.late
    }

    /// `close_idle` was called.
    pub(crate) fn clear(&mut self) {
        self.in_flight.values_mut().for_each(|ping| ping.cleared = true);
    }

    /// Returns the start of the longest ping in flight that is not a heartbeat.
    pub(crate) fn since(&self) -> Option<Time> {
        let pings = self.in_flight.values().filter(|ping| ping.purpose != Purpose::Heartbeat);
        pings.map(|ping| ping.since).min()
    }

    /// Returns when the next one stops counting, or is silent.
    pub(crate) fn next(&self, now: Time, limits: &Limits) -> Time {
        let pings = self.in_flight.values();
        let ends = pings.flat_map(|ping| [ping.counts_until(limits), self.silent_at(ping, limits)]);
        ends.filter(|at| *at > now).min().unwrap_or(Time::NEVER)
    }

    /// Returns whether a connection that a waiter needs has not answered for so long that it may be
    /// dead, and the host has given no sign of life since it was asked.
    pub(crate) fn is_one_silent(&self, now: Time, limits: &Limits) -> bool {
        let is_asked = |ping: &Ping| ping.needed && ping.purpose == Purpose::Health;
        let mut asked = self.in_flight.values().filter(|ping| is_asked(ping));
        asked.any(|ping| ping.since >= self.lived_at && self.silent_at(ping, limits) <= now)
    }

    /// Returns when a ping takes hopelessly longer than usual.
    fn silent_at(&self, ping: &Ping, limits: &Limits) -> Time {
        let usual = Span::from(self.usual.saturating_mul(3));
        ping.since.after(usual.max(limits.ping_counts))
    }

    /// A ping was answered, or a dial has succeeded.
    pub(crate) fn note_life(&mut self, now: Time) {
        self.lived_at = now;
    }

    /// Returns whether one more ping may start that no waiter needs and that is no heartbeat, in a
    /// host with this many connections. Where heartbeats need more than the limit, they do not count.
    pub(crate) fn may_begin(&self, connections: usize, limits: &Limits) -> bool {
        let beats_count = self.beats_at_once(connections, limits) <= limits.pings_at_once;
        let counted = if beats_count { self.spare } else { self.spare - self.beating };
        counted < limits.pings_at_once
    }
}

/// # Resets
impl Pings {
    /// The connection has to be reset.
    pub(crate) fn await_reset(&mut self, last_use: u64, slot: u32) {
        self.resets.insert((last_use, slot));
    }

    /// Takes the connection whose reset is to start next.
    pub(crate) fn next_reset(&mut self) -> Option<u32> {
        self.resets.pop_first().map(|(_, slot)| slot)
    }

    /// The connection is closed instead.
    pub(crate) fn skip_reset(&mut self, last_use: u64, slot: u32) {
        self.resets.remove(&(last_use, slot));
    }

    /// Returns how many resets have not started.
    pub(crate) fn resets(&self) -> usize {
        self.resets.len()
    }

    /// Iterates over the connections whose reset has not started.
    pub(crate) fn awaiting_reset(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.resets.iter().map(|(_, slot)| *slot)
    }
}

/// # Suspects
impl Pings {
    /// Suspects have to be pinged: a connection was found dead, or its borrower suspects it.
    pub(crate) fn suspect(&mut self) {
        self.suspects = Some(Purpose::Health);
    }

    /// The same after a missed heartbeat.
    pub(crate) fn suspect_by_beat(&mut self) {
        self.suspects.get_or_insert(Purpose::Heartbeat);
    }

    /// Returns the purpose with which suspects have to be pinged, if they have to.
    pub(crate) fn of_suspects(&self) -> Option<Purpose> {
        self.suspects
    }

    /// None is left.
    pub(crate) fn end_suspicion(&mut self) {
        self.suspects = None;
    }
}

/// # Heartbeats
impl Pings {
    /// A heartbeat is due then.
    pub(crate) fn note_beat(&mut self, at: Time) {
        self.beats.note(at);
    }

    /// Returns a lower bound of the time when the first heartbeat is due.
    pub(crate) fn next_beat(&self) -> Time {
        self.beats.next()
    }

    /// Returns a connection whose heartbeat may be due. Once it is dealt with, the next one can be
    /// taken.
    pub(crate) fn take_beat<I>(&mut self, now: Time, all: impl FnOnce() -> I) -> Option<u32>
    where
        I: Iterator<Item = (Time, u32)>,
    {
        self.beats.take(now, all)
    }

    /// Returns whether a heartbeat at this time need not be noted.
    pub(crate) fn covers_beat(&mut self, at: Time) -> bool {
        self.beats.covers(at)
    }

    /// Returns whether one more heartbeat may start, in a host with this many connections: as many
    /// run at once as it takes to ping each once in an interval.
    pub(crate) fn may_beat(&self, connections: usize, limits: &Limits) -> bool {
        self.spare < limits.pings_at_once || self.beating < self.beats_at_once(connections, limits)
    }

    fn beats_at_once(&self, connections: usize, limits: &Limits) -> usize {
        let Some(beats) = limits.heartbeat else { return 0 };
        let (every, usual) = (u128::from(beats.every.nanos().max(1)), self.usual.as_nanos());
        // Twice, because answers do not come evenly.
        let at_once = (2 * connections as u128).saturating_mul(usual) / every;
        usize::try_from(at_once).unwrap_or(usize::MAX).min(connections)
    }

    /// A ping was answered after so long.
    pub(crate) fn note_answer(&mut self, took: Duration) {
        self.usual = if self.usual.is_zero() { took } else { self.usual / 8 * 7 + took / 8 };
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;
    use crate::policy::config::Config;
    use crate::policy::heartbeat::Heartbeat;

    fn at(seconds: u64) -> Time {
        Time::START.after(span(seconds))
    }

    fn span(seconds: u64) -> Span {
        Span::from(Duration::from_secs(seconds))
    }

    fn limits(pings_at_once: usize) -> Limits {
        Limits { pings_at_once, ping_counts: span(2), ..Config::default().limits() }
    }

    fn ping(seconds: u64, purpose: Purpose, needed: bool) -> Ping {
        Ping { since: at(seconds), purpose, needed, late: false, cleared: false, generation: 0 }
    }

    #[test]
    fn only_pings_that_no_waiter_needs_are_limited() {
        let mut pings = Pings::new();
        pings.begin(1, ping(0, Purpose::Health, true));
        pings.begin(2, ping(0, Purpose::Health, true));
        assert!(pings.may_begin(1, &limits(1)));
        pings.begin(3, ping(0, Purpose::Reset, false));
        assert!(!pings.may_begin(1, &limits(1)) && pings.may_begin(1, &limits(2)));
        assert!(pings.end(1).is_some_and(|ping| ping.needed));
        assert!(!pings.may_begin(1, &limits(1)), "the one that ended did not count");
        assert!(pings.end(3).is_some_and(|ping| !ping.needed));
        assert!(pings.may_begin(1, &limits(1)) && pings.len() == 1);
    }

    #[test]
    fn a_late_ping_is_counted_once_until_it_ends() {
        let mut pings = Pings::new();
        pings.begin(1, ping(0, Purpose::Heartbeat, false));
        pings.begin(2, ping(0, Purpose::Heartbeat, false));
        for slot in [1, 1, 5] {
            pings.note_late(slot);
            assert_eq!(pings.late(), 1);
        }
        assert!(pings.end(1).is_some_and(|ping| ping.late));
        assert!(pings.end(1).is_none() && pings.late() == 0);
        assert!(pings.end(2).is_some_and(|ping| !ping.late) && pings.is_empty());
    }

    #[test]
    fn a_ping_counts_for_a_while_unless_it_is_late() {
        let (mut pings, limits) = (Pings::new(), limits(1));
        pings.begin(1, ping(10, Purpose::Health, true));
        pings.begin(2, ping(11, Purpose::Heartbeat, false));
        let counting = |pings: &Pings, now| {
            pings.iter().filter(|(_, ping)| ping.counts(at(now), &limits)).count()
        };
        assert_eq!([11, 12, 13].map(|now| counting(&pings, now)), [2, 1, 0]);
        assert_eq!(
            [11, 12, 13].map(|now| pings.next(at(now), &limits)),
            [at(12), at(13), Time::NEVER]
        );
        assert_eq!(pings.since(), Some(at(10)), "heartbeats aside");
        pings.note_late(2);
        assert_eq!(counting(&pings, 12), 0);
    }

    /// With a heartbeat every 30 seconds.
    fn beating() -> Limits {
        let beats = Heartbeat::every(Duration::from_secs(30)).beats();
        Limits { heartbeat: Some(beats), ..limits(8) }
    }

    #[test]
    fn as_many_heartbeats_run_at_once_as_an_interval_needs_and_other_pings_do_not() {
        let mut pings = Pings::new();
        pings.note_answer(Duration::from_secs(5));
        (0..33).for_each(|slot| pings.begin(slot, ping(0, Purpose::Heartbeat, false)));
        assert!(!pings.may_beat(100, &beating()), "twice 100 answers of 5 s, in 30 s");
        pings.end(0);
        assert!(pings.may_beat(100, &beating()));
        assert!(!pings.may_beat(10, &beating()), "fewer connections need fewer");
        (40..48).for_each(|slot| {
            assert!(pings.may_begin(100, &beating()), "they do not wait for heartbeats");
            pings.begin(slot, ping(0, Purpose::Reset, false));
        });
        assert!(!pings.may_begin(100, &beating()), "at most 8");
    }

    #[test]
    fn no_more_heartbeats_run_at_once_than_there_are_connections() {
        let mut pings = Pings::new();
        pings.note_answer(Duration::from_secs(3600));
        (0..11).for_each(|slot| pings.begin(slot, ping(0, Purpose::Heartbeat, false)));
        assert!(pings.may_beat(12, &beating()));
        pings.begin(11, ping(0, Purpose::Heartbeat, false));
        assert!(!pings.may_beat(12, &beating()));
    }

    #[test]
    fn one_slow_answer_among_many_changes_the_pace_little() {
        let mut pings = Pings::new();
        pings.note_answer(Duration::from_millis(80));
        pings.note_answer(Duration::from_secs(8));
        assert_eq!(pings.usual, Duration::from_millis(1070));
    }

    #[test]
    fn a_missed_heartbeat_does_not_change_the_purpose_with_which_suspects_are_pinged() {
        let mut pings = Pings::new();
        assert_eq!(pings.of_suspects(), None);
        pings.suspect_by_beat();
        assert_eq!(pings.of_suspects(), Some(Purpose::Heartbeat));
        pings.suspect();
        pings.suspect_by_beat();
        assert_eq!(pings.of_suspects(), Some(Purpose::Health));
        pings.end_suspicion();
        assert_eq!(pings.of_suspects(), None);
    }

    #[test]
    fn resets_begin_in_the_order_of_the_returns_unless_they_are_skipped() {
        let mut pings = Pings::new();
        for (last_use, slot) in [(7, 3), (8, 1), (9, 2)] {
            pings.await_reset(last_use, slot);
        }
        pings.skip_reset(8, 1);
        assert_eq!((pings.resets(), pings.awaiting_reset().collect::<Vec<_>>()), (2, vec![3, 2]));
        assert_eq!(
            [pings.next_reset(), pings.next_reset(), pings.next_reset()],
            [Some(3), Some(2), None]
        );
    }
}
