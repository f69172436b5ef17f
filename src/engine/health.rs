//! Doubts about connections, and the pings that settle them.
//!
//! The first connection of a host that is found dead makes every older one suspect: the host's count
//! of doubts grows, and a connection that was made or has answered before that differs from it.
//! Suspects are pinged before they are lent. While somebody waits they are not left in the idle
//! list: they are pinged in the background, all at once, and whoever waits takes what answers first,
//! or a dial.

use super::connection::{Health, Tracked};
use super::effects::{CloseReason, Effects, PingOrder};
use super::share_pings::ProbeEnd;
use super::time::Time;
use super::waiters::{Ticket, WaiterId};
use super::{Engine, HostId, Lent, Parts, Phase, Place};

/// What the caller gets in place of a connection that did not answer, or is outdated.
pub(crate) enum AfterPing<P: Parts> {
    /// One that needs no ping.
    Connection(Box<Tracked<P::Connection>>),
    /// A place at the head of the queue.
    Queued(WaiterId),
    Closed,
}

/// Why a connection is pinged in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Suspicion,
    Heartbeat,
}

/// What a ping in the background was ordered for, and what was known then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) purpose: Purpose,
    /// The host's doubts: an answer proves no more.
    pub(crate) doubts: u32,
    /// How often the owner had asked for all idle connections to be closed.
    pub(crate) clearings: u32,
}

impl Purpose {
    /// Why a connection is closed that does not answer.
    pub(super) fn reason(self) -> CloseReason {
        match self {
            Purpose::Suspicion => CloseReason::PingFailed,
            Purpose::Heartbeat => CloseReason::HeartbeatMissed,
        }
    }
}

impl<P: Parts> Engine<P> {
    /// A connection that is to be lent has answered, with the doubts that the host had when it was
    /// asked. Says why it may not be lent all the same, if it was outdated meanwhile: then
    /// [`Engine::replace_pinged`] is to be called.
    pub(crate) fn ping_answered(
        &mut self,
        at: usize,
        connection: &mut Tracked<P::Connection>,
        doubts: u32,
        now: Time,
    ) -> Option<CloseReason> {
        connection.health.answered(doubts);
        self.hosts[at].counters.pings += 1;
        self.outdated(at, connection, now)
    }

    /// A ping is not waited for any more, because the caller is gone or its time is over. Nobody
    /// knows the state of a conversation that was cut off: the connection is closed. No answer in all
    /// of a caller's time is a finding like a failed ping.
    pub(crate) fn ping_cut_off(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        expired: bool,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        let counters = &mut self.hosts[at].counters;
        counters.waited += 1;
        counters.timed_out += u64::from(expired);
        counters.cancelled += u64::from(!expired);
        self.hosts[at].reused -= 1;
        if expired {
            self.count_failed_ping(at, &connection);
            self.check_suspects(at, now, fx);
        }
        self.bury(at, connection, CloseReason::PingFailed, now, fx);
    }

    pub(crate) fn doubts(&self, at: usize) -> u32 {
        self.hosts[at].doubts
    }

    fn count_failed_ping(&mut self, at: usize, dead: &Tracked<P::Connection>) {
        self.doubt_peers_of(at, self.doubts_of(at, dead));
        let counters = &mut self.hosts[at].counters;
        counters.pings += 1;
        counters.failed_pings += 1;
    }

    /// A borrower says that the connection has died.
    pub(crate) fn discard(
        &mut self,
        at: usize,
        dead: Box<Tracked<P::Connection>>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.doubt_peers_of(at, self.doubts_of(at, &dead));
        self.bury(at, dead, CloseReason::Discarded, now, fx);
    }

    /// A lease may be older than its carrier's last answer.
    fn doubts_of(&self, at: usize, connection: &Tracked<P::Connection>) -> u32 {
        let carrier = connection.carrier_key().map(|key| &self.hosts[at].carriers[key].connection);
        carrier.map_or(connection.health.doubts, |carrier| carrier.health.doubts)
    }

    /// A connection with these doubts was found dead: if nobody had doubted it, its older peers are
    /// suspect now. Says whether that is news.
    pub(super) fn doubt_peers_of(&mut self, at: usize, doubts: u32) -> bool {
        let host = &mut self.hosts[at];
        let is_news = doubts == host.doubts;
        host.doubts = host.doubts.wrapping_add(u32::from(is_news));
        is_news
    }

    /// The ping of a connection that was to be lent has failed. It is closed, its older peers are
    /// suspect and pinged in the background, and the caller does not wait for another ping: it gets
    /// a connection that needs none, or waits before all others.
    pub(crate) fn ping_failed(
        &mut self,
        at: usize,
        dead: Box<Tracked<P::Connection>>,
        now: Time,
        place: Place,
        waker: P::Waker,
        fx: &mut Effects<P>,
    ) -> AfterPing<P> {
        self.count_failed_ping(at, &dead);
        self.replace_pinged(at, (dead, CloseReason::PingFailed), now, place, waker, fx)
    }

    /// Closes what was lent to a caller who has waited for a ping already, and lends it another that
    /// can be lent as it is, or puts it first in the queue.
    pub(crate) fn replace_pinged(
        &mut self,
        at: usize,
        (old, reason): (Box<Tracked<P::Connection>>, CloseReason),
        now: Time,
        place: Place,
        waker: P::Waker,
        fx: &mut Effects<P>,
    ) -> AfterPing<P> {
        let host = &mut self.hosts[at];
        host.reused -= 1;
        let id = HostId { index: at, generation: host.generation };
        // While the old one is still counted the host cannot be forgotten. What is idle after this
        // can be lent as it is.
        self.sweep(at, now, fx);
        self.check_suspects(at, now, fx);
        if matches!(reason, CloseReason::PingFailed | CloseReason::NotOpen) {
            self.bury_quietly(at, old, reason, now, fx);
        } else {
            self.close_loan(at, old, reason, fx);
        }
        if self.phase == Phase::Closed {
            fx.unused.push(waker);
            self.after(at, now, fx);
            return AfterPing::Closed;
        }
        if let Lent::Connection { connection, look, .. } = self.lend_unpinged(id, now, place) {
            fx.upkeep |= look;
            fx.unused.push(waker);
            self.after(at, now, fx);
            return AfterPing::Connection(connection);
        }
        self.front_ticket -= 1;
        let ticket = Ticket(self.front_ticket);
        let host = &mut self.hosts[at];
        host.counters.waited += 1;
        let waiter = host.waiters.enqueue_first(ticket, now, place, waker);
        host.note_waiting();
        self.after(at, now, fx);
        AfterPing::Queued(waiter)
    }

    /// Takes every idle connection out that must answer a ping before it is lent, to be pinged.
    pub(super) fn check_suspects(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        self.probe_suspects(at, now, fx);
        let mut position = 0;
        while let Some(connection) = self.hosts[at].idle.get(position) {
            if self.hosts[at].must_ping(connection, &self.limits, now) {
                self.check(at, position, Purpose::Suspicion, fx);
            } else {
                position += 1;
            }
        }
    }

    /// Takes an idle connection out to be pinged in the background.
    pub(super) fn check(
        &mut self,
        at: usize,
        position: usize,
        purpose: Purpose,
        fx: &mut Effects<P>,
    ) {
        let Some(connection) = self.hosts[at].idle.remove(position) else { return };
        self.left_idle();
        let host = &mut self.hosts[at];
        host.checking += 1;
        host.beating += usize::from(purpose == Purpose::Heartbeat);
        host.loans.clear(connection.loan);
        let asked = host.asked(purpose);
        fx.rest().ping.push(PingOrder { host: host.shell.clone(), connection, asked });
    }

    /// From here on the connection counts as in use, as one that has just returned.
    pub(super) fn end_check(&mut self, at: usize, health: &mut Health, purpose: Purpose) {
        let host = &mut self.hosts[at];
        host.checking -= 1;
        host.in_use += 1;
        host.beating -= usize::from(purpose == Purpose::Heartbeat);
        let was_late = std::mem::take(&mut health.late);
        host.late -= usize::from(was_late);
        self.totals.late -= usize::from(was_late);
    }

    /// A ping in the background was answered: the connection is as free as if it had returned, but
    /// was not used. It may be going away all the same.
    pub(crate) fn check_answered(
        &mut self,
        at: usize,
        mut connection: Box<Tracked<P::Connection>>,
        asked: Asked,
        is_open: bool,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        let counters = &mut self.hosts[at].counters;
        match asked.purpose {
            Purpose::Suspicion => counters.pings += 1,
            Purpose::Heartbeat => counters.heartbeats += 1,
        }
        if connection.carrier.is_some() {
            self.note_told(at, &connection, is_open);
            let dead = ProbeEnd::Dead(CloseReason::NotOpen);
            let end = if is_open { ProbeEnd::Answered(asked.doubts) } else { dead };
            return self.probed(at, connection, asked.purpose, end, now, fx);
        }
        connection.health.answered(asked.doubts);
        connection.health.rest(now);
        self.end_check(at, &mut connection.health, asked.purpose);
        if is_open {
            self.rejoin(at, connection, asked, now, fx);
        } else {
            self.bury(at, connection, CloseReason::NotOpen, now, fx);
        }
    }

    /// Puts a connection back that was idle when it was asked, unless what was idle then was to be
    /// closed meanwhile, and nobody waits.
    pub(super) fn rejoin(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        asked: Asked,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        let host = &self.hosts[at];
        if host.waiters.waiting() > 0 {
            return self.settle(at, connection, now, fx);
        }
        if asked.clearings == host.clearings {
            return self.put_back(at, connection, now, fx);
        }
        self.hosts[at].in_use -= 1;
        self.close_live(at, connection, CloseReason::Asked, fx);
        self.after(at, now, fx);
    }

    /// A ping in the background has failed, or was given up, or nobody is left to wait for it.
    pub(crate) fn check_failed(
        &mut self,
        at: usize,
        mut dead: Box<Tracked<P::Connection>>,
        purpose: Purpose,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        let given_up = self.gives_up(at, dead.carrier, false);
        if purpose == Purpose::Suspicion && !given_up {
            self.count_failed_ping(at, &dead);
        }
        if dead.carrier.is_some() {
            // A heartbeat that was lost in time says nothing of a connection that others use.
            let is_dead = !given_up && (dead.health.late || purpose == Purpose::Suspicion);
            let end = if is_dead { ProbeEnd::Dead(purpose.reason()) } else { ProbeEnd::Open };
            return self.probed(at, dead, purpose, end, now, fx);
        }
        let reason = if given_up { CloseReason::PoolClosed } else { purpose.reason() };
        self.end_check(at, &mut dead.health, purpose);
        self.bury(at, dead, reason, now, fx);
    }
}
