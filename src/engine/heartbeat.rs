//! Heartbeats: pings of idle connections, on a timer.
//!
//! A connection that is asked is *checking*, as a suspect is. One that has not answered in time has
//! missed a beat and is *late*, but its ping goes on: nobody knows the state of a conversation that
//! was cut off, and a late answer is an answer. It is given up when it has missed too many, or as
//! soon as it keeps a waiter from a connection; then it is closed.
//!
//! A missed beat is a finding like any other: the older peers are suspect, and are asked at once
//! rather than in their turn.

use super::connection::{Health, Tracked};
use super::effects::{CloseReason, Effects};
use super::health::{Asked, Purpose};
use super::share::Beat;
use super::share_pings::ProbeEnd;
use super::time::{Span, Time};
use super::{Engine, Parts, Phase};

/// Heartbeats of one host that may be on their way at once.
pub(super) const BEATS_AT_ONCE: usize = 8;

/// The share of the interval by which each connection's own is shortened, at most.
const JITTER: f64 = 0.1;

/// How idle connections are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beats {
    pub(crate) every: Span,
    /// In a row, for a connection to be closed.
    pub(crate) max_missed: u32,
}

impl<P: Parts> Engine<P> {
    /// The health of a connection that begins now.
    pub(super) fn new_health(&mut self, at: usize, now: Time) -> Health {
        let jitter = JITTER * self.rng.f64();
        let every = self.limits.heartbeat.map_or(Span::FOREVER, |b| b.every.shortened(jitter));
        let doubts = self.hosts[at].doubts;
        Health { doubts, missed: 0, late: false, every, next_beat: now.after(every) }
    }

    /// Asks the idle connections whose time has come, those first that have been idle for longest.
    pub(super) fn beat(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        while self.hosts[at].beating < BEATS_AT_ONCE {
            if self.sharing.is_some() {
                if self.probe_next(at, now, fx) {
                    continue;
                }
                return;
            }
            let mut idle = self.hosts[at].idle.iter();
            let Some(position) = idle.position(|c| c.health.next_beat <= now) else { return };
            self.check(at, position, Purpose::Heartbeat, fx);
        }
    }

    /// The time for an answer is over, and there is none. Says whether to go on waiting for it.
    pub(crate) fn beat_missed(
        &mut self,
        at: usize,
        carrier: Option<u32>,
        health: &mut Health,
        now: Time,
        fx: &mut Effects<P>,
    ) -> bool {
        self.count_missed_beat(at, health, now);
        if let Some(key) = carrier {
            self.hosts[at].carriers[key as usize].beat = Beat::Late;
        }
        self.hosts[at].late += usize::from(!health.late);
        self.totals.late += usize::from(!health.late);
        health.late = true;
        self.after(at, now, fx);
        !self.has_missed_enough(health) && !self.gives_up(at, carrier, true)
    }

    /// The ping has ended with an error. A connection that is open and not waited for gets another
    /// chance; it is suspect until it answers.
    pub(crate) fn beat_failed(
        &mut self,
        at: usize,
        mut connection: Box<Tracked<P::Connection>>,
        asked: Asked,
        is_open: bool,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        if !connection.health.late {
            self.count_missed_beat(at, &mut connection.health, now);
        }
        let is_wanted = self.hosts[at].waiters.waiting() > 0;
        let is_dead = !is_open || is_wanted || self.has_missed_enough(&connection.health);
        if connection.carrier.is_some() {
            self.note_told(at, &connection, is_open);
            let dead = ProbeEnd::Dead(CloseReason::HeartbeatMissed);
            let end = if is_dead { dead } else { ProbeEnd::Open };
            return self.probed(at, connection, Purpose::Heartbeat, end, now, fx);
        }
        self.end_check(at, &mut connection.health, Purpose::Heartbeat);
        if is_dead {
            self.bury(at, connection, CloseReason::HeartbeatMissed, now, fx);
        } else {
            connection.health.rest(now);
            self.rejoin(at, connection, asked, now, fx);
        }
    }

    fn count_missed_beat(&mut self, at: usize, health: &mut Health, now: Time) {
        health.missed += 1;
        self.hosts[at].counters.missed_heartbeats += 1;
        if self.doubt_peers_of(at, health.doubts) {
            self.ask_suspects_next(at, now);
        }
    }

    fn ask_suspects_next(&mut self, at: usize, now: Time) {
        let host = &mut self.hosts[at];
        let doubts = host.doubts;
        let idle = host.idle.iter_mut().map(|c| &mut c.health);
        let carried = host.carriers.iter_mut().map(|(_, c)| &mut c.connection.health);
        let suspects = idle.chain(carried).filter(|health| health.doubts != doubts);
        for suspect in suspects.filter(|health| health.missed == 0) {
            suspect.next_beat = now;
        }
    }

    fn has_missed_enough(&self, health: &Health) -> bool {
        self.limits.heartbeat.is_none_or(|beats| health.missed >= beats.max_missed)
    }

    /// Whether a ping in the background is given up: its connection is known to be dead, or it is late
    /// and keeps somebody waiting, here or for the room, or nobody wants to know any more.
    pub(crate) fn gives_up(&self, at: usize, carrier: Option<u32>, late: bool) -> bool {
        let is_dead = |key: u32| self.hosts[at].carriers[key as usize].is_dead();
        carrier.is_some_and(is_dead) || self.gives_up_some(at, late)
    }

    fn gives_up_some(&self, at: usize, late: bool) -> bool {
        let host = &self.hosts[at];
        let waiting = host.waiters.waiting();
        let is_in_the_way = || waiting > host.coming() || self.room_is_wanted();
        (late && is_in_the_way()) || (waiting == 0 && self.phase != Phase::Open)
    }

    /// Tells the pings of a host when one of them is to be given up.
    pub(super) fn hurry(&self, at: usize, fx: &mut Effects<P>) {
        let host = &self.hosts[at];
        if (host.checking > 0 || !host.carriers.is_empty()) && self.gives_up_some(at, host.late > 0)
        {
            fx.rest().hurry.push(host.shell.clone());
        }
    }
}
