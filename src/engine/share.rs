//! Shared connections: many leases on one.
//!
//! A connection with leases is *carried*: it counts as in use, and lies among the host's carriers
//! instead of in a borrower's hand. Borrowers hold leases, copies of its record that name it and
//! have a loan of their own. What a lease goes through (handed over, pinged, given back, buried) is
//! what a connection goes through that is lent to one, and ends here instead.
//!
//! The last lease to end puts the connection back among the idle, or closes it. One that is *leaving*
//! (too old, retired, above a lowered cap) takes no new leases. One that is *dead* (not open, no
//! answer, discarded) takes none either, and its slot is free at once, while its last borrowers find
//! out.
//!
//! Two rules stand beside the invariants of the engine: while somebody waits no carrier has room
//! that may be given, and a carrier without leases and without a heartbeat on its way is none.

use super::connection::Tracked;
use super::effects::{CloseOrder, CloseReason, Effects};
use super::health::Purpose;
use super::lend::Lent;
use super::time::Time;
use super::waiters::Outcome;
use super::{Engine, Parts, Phase, Place};
use crate::spread::Spread;

/// The place of a ping among the loans.
pub(super) const NO_LOAN: u32 = u32::MAX;

/// What makes an engine's connections shared ones.
pub(crate) struct Sharing<P: Parts> {
    /// Makes a lease's view of a connection. Runs under the lock: no code of the user's.
    pub(crate) copy: fn(&P::Connection) -> P::Connection,
    pub(crate) spread: Spread,
}

/// A connection that is carried.
pub(crate) struct Carrier<T> {
    pub(crate) connection: Box<Tracked<T>>,
    pub(crate) leases: usize,
    pub(crate) standing: Standing,
    pub(crate) beat: Beat,
    /// It has been lent since it was last idle; otherwise it goes back to its old place there.
    used: bool,
    /// It has been lent or has answered since it was last idle: only suspicion calls for a ping.
    pub(super) trusted: bool,
}

/// Whether a carrier takes new leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    /// It must answer a ping before its next lease, and is being asked because somebody waits.
    Suspect,
    Leaving(CloseReason),
    Dead(CloseReason),
}

/// A carrier's heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Still,
    Asked,
    Late,
}

/// Where the next lease is to be.
enum Choice {
    Carrier(usize),
    /// At this position of the idle list.
    Idle(usize),
}

impl<T> Carrier<T> {
    /// Leases that it will carry if it answers the ping that is on its way in time.
    pub(super) fn room_to_come(&self) -> usize {
        let is_asked = self.standing == Standing::Suspect && self.beat != Beat::Late;
        if is_asked { self.connection.max_leases.saturating_sub(self.leases) } else { 0 }
    }

    fn has_room(&self) -> bool {
        self.standing == Standing::Open
            && self.beat != Beat::Late
            && self.leases < self.connection.max_leases
    }

    /// It has no leases, and is not dead: as good as idle.
    pub(super) fn is_only_asked(&self) -> bool {
        self.leases == 0 && !self.is_dead()
    }

    pub(super) fn is_dead(&self) -> bool {
        matches!(self.standing, Standing::Dead(_))
    }

    fn stays(&self) -> bool {
        matches!(self.standing, Standing::Open | Standing::Suspect)
    }

    fn is_empty(&self) -> bool {
        self.leases == 0 && self.beat == Beat::Still
    }
}

/// # Giving leases
impl<P: Parts> Engine<P> {
    /// Lends a lease where none has to wait for a ping: on a carrier with room, or on an idle
    /// connection.
    pub(super) fn lend_lease(&mut self, at: usize, now: Time, place: Place) -> Lent<P::Connection> {
        let Some(key) = self.key_to_lend(at, now) else {
            return if self.has_stale(at, now) { Lent::Stale } else { Lent::Nothing };
        };
        self.hosts[at].reused += 1;
        let connection = Box::new(self.grant(at, key, now, place));
        let look = self.is_low(at) || self.watch_loan(at, now);
        Lent::Connection { connection, must_ping: false, look }
    }

    /// The carrier of the next lease that has to wait for no ping.
    fn key_to_lend(&mut self, at: usize, now: Time) -> Option<usize> {
        match self.choose(at, false, now)? {
            Choice::Carrier(key) => Some(key),
            Choice::Idle(position) => self.carry_idle(at, position),
        }
    }

    pub(super) fn has_stale(&self, at: usize, now: Time) -> bool {
        self.hosts[at].idle.iter().any(|connection| connection.deadline <= now)
    }

    /// Gives waiters what is there, and asks what must answer first.
    pub(super) fn look_for_waiters(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        if self.hosts[at].waiters.waiting() > 0 {
            self.close_expired(at, now, fx);
            self.serve(at, now, fx);
            self.ask_for_waiters(at, now, fx);
        }
    }

    /// Asks connections that must answer before their next lease, while more wait than what is on its
    /// way will serve. A caller waits for that in the queue, so a ping depends on nobody's patience.
    fn ask_for_waiters(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        while self.hosts[at].waiters.waiting() > self.hosts[at].coming() {
            let key = match self.choose(at, true, now) {
                Some(Choice::Carrier(key)) => key,
                Some(Choice::Idle(position)) => {
                    let Some(key) = self.carry_idle(at, position) else { return };
                    key
                }
                None => return,
            };
            self.suspect(at, key, fx);
        }
    }

    pub(super) fn suspect(&mut self, at: usize, key: usize, fx: &mut Effects<P>) {
        self.stand(at, key, Standing::Suspect);
        if self.hosts[at].carriers[key].beat == Beat::Still {
            self.probe(at, key, Purpose::Suspicion, fx);
        }
    }

    fn choose(&self, at: usize, pinged: bool, now: Time) -> Option<Choice> {
        let carrier = || self.carrier_with_room(at, pinged, now).map(Choice::Carrier);
        let idle = || self.idle_to_lend(at, pinged, now).map(Choice::Idle);
        match self.spread() {
            Spread::OldestFirst => carrier().or_else(idle),
            Spread::LeastLoaded => idle().or_else(carrier),
        }
    }

    fn spread(&self) -> Spread {
        self.sharing.as_ref().map_or(Spread::OldestFirst, |sharing| sharing.spread)
    }

    /// The carrier that the next lease goes to, if one has room.
    fn carrier_with_room(&self, at: usize, pinged: bool, now: Time) -> Option<usize> {
        let host = &self.hosts[at];
        let may = host.carriers.iter().filter(|(_, carrier)| {
            let trusted = pinged || !self.carrier_must_ping(at, carrier, now);
            carrier.has_room() && trusted && self.unfit(at, &carrier.connection, now).is_none()
        });
        let chosen = match self.spread() {
            Spread::OldestFirst => may.min_by_key(|(_, carrier)| carrier.connection.id),
            Spread::LeastLoaded => may.min_by_key(|(_, carrier)| carrier.leases),
        };
        chosen.map(|(key, _)| key)
    }

    /// Whether the next lease must wait for a ping.
    pub(super) fn carrier_must_ping(
        &self,
        at: usize,
        Carrier { connection, trusted, .. }: &Carrier<P::Connection>,
        now: Time,
    ) -> bool {
        let host = &self.hosts[at];
        let is_suspect = connection.health.doubts != host.doubts;
        is_suspect || (!trusted && host.must_ping(connection, &self.limits, now))
    }

    /// Whether somebody who asks now would get something.
    pub(super) fn has_room(&self, at: usize, now: Time) -> bool {
        self.choose(at, false, now).is_some()
    }

    pub(super) fn carry_idle(&mut self, at: usize, position: usize) -> Option<usize> {
        let connection = self.hosts[at].idle.remove(position)?;
        self.left_idle();
        self.hosts[at].in_use += 1;
        Some(self.carry(at, connection, false))
    }

    /// Makes a carrier of a connection that is counted as in use.
    fn carry(&mut self, at: usize, connection: Box<Tracked<P::Connection>>, used: bool) -> usize {
        let (standing, beat) = (Standing::Open, Beat::Still);
        let host = &mut self.hosts[at];
        // From here on the leases' loans are noted; it may have been looked at before.
        host.loans.clear(connection.loan);
        host.carriers.insert(Carrier { connection, leases: 0, standing, beat, used, trusted: used })
    }

    fn grant(&mut self, at: usize, key: usize, now: Time, place: Place) -> Tracked<P::Connection> {
        let loan = self.hosts[at].loans.enter();
        let carrier = &mut self.hosts[at].carriers[key];
        carrier.leases += 1;
        let was_in_use = std::mem::replace(&mut carrier.used, true);
        carrier.trusted = true;
        carrier.connection.uses += 1;
        let mut lease = self.copy(at, key, loan);
        if was_in_use {
            lease.idle_since = now;
        }
        self.hosts[at].begin_loan(&mut lease, now, place);
        lease
    }

    /// A record that names its carrier.
    pub(super) fn copy(&self, at: usize, key: usize, loan: u32) -> Tracked<P::Connection> {
        let sharing = self.sharing.as_ref().expect("only shared connections are carried");
        let original = &*self.hosts[at].carriers[key].connection;
        let connection = (sharing.copy)(&original.connection);
        let carrier = Some(u32::try_from(key).expect("fewer than four thousand million carriers"));
        Tracked { loan, carrier, connection, ..*original }
    }

    /// Gives leases to waiters, the oldest first, while a carrier has room.
    pub(super) fn serve(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        while let Some((_, place)) = self.hosts[at].waiters.oldest_origin() {
            let Some(key) = self.key_to_lend(at, now) else { return };
            let lease = Box::new(self.grant(at, key, now, place));
            let host = &mut self.hosts[at];
            fx.wake.extend(host.waiters.resolve_oldest(Outcome::Connection(lease)));
        }
    }

    /// Puts a connection that has come free under the leases of whoever waits. One that was not used
    /// must answer a ping before, if it had to.
    pub(super) fn carry_for_waiters(
        &mut self,
        at: usize,
        connection: Box<Tracked<P::Connection>>,
        used: bool,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        let key = self.carry(at, connection, used);
        self.serve(at, now, fx);
        if self.hosts[at].carriers[key].is_empty() {
            // It is suspect: whoever waits gets it when it has answered.
            self.suspect(at, key, fx);
        }
    }

    /// The connection tells that it carries another number of leases now. Says whether those that
    /// are out fit.
    pub(crate) fn max_leases_told(
        &mut self,
        at: usize,
        lease: &Tracked<P::Connection>,
        now: Time,
        fx: &mut Effects<P>,
    ) -> bool {
        let Some(key) = lease.carrier_key() else { return true };
        self.note_max_leases(at, key, lease.max_leases);
        self.serve(at, now, fx);
        self.after(at, now, fx);
        self.hosts[at].carriers[key].leases <= lease.max_leases
    }

    /// A ping has ended, and its connection was asked what it carries, if it is open.
    pub(super) fn note_told(&mut self, at: usize, probe: &Tracked<P::Connection>, is_open: bool) {
        if let Some(key) = probe.carrier_key().filter(|_| is_open) {
            self.note_max_leases(at, key, probe.max_leases);
        }
    }

    fn note_max_leases(&mut self, at: usize, key: usize, max: usize) {
        let host = &mut self.hosts[at];
        host.carriers[key].connection.max_leases = max;
        host.carries = max;
    }
}

/// # Ending them
impl<P: Parts> Engine<P> {
    /// A lease is over.
    pub(super) fn end_lease(
        &mut self,
        at: usize,
        key: usize,
        lease: Box<Tracked<P::Connection>>,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.note_max_leases(at, key, lease.max_leases.max(1));
        self.end_grant(at, key, lease, fx);
        self.carrier_changed(at, key, now, fx);
    }

    fn end_grant(
        &mut self,
        at: usize,
        key: usize,
        lease: Box<Tracked<P::Connection>>,
        fx: &mut Effects<P>,
    ) {
        self.note_end_of_loan(at, lease.loan, fx);
        let host = &mut self.hosts[at];
        host.loans.leave(lease.loan);
        host.carriers[key].leases -= 1;
        fx.rest().copies.push(lease);
    }

    /// Something about a carrier is different: it may have to leave, have room, or be empty.
    pub(super) fn carrier_changed(
        &mut self,
        at: usize,
        key: usize,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        let carrier = &self.hosts[at].carriers[key];
        let unfit = self.unfit(at, &carrier.connection, now);
        if let Some(reason) = unfit.filter(|_| carrier.standing == Standing::Open) {
            self.stand(at, key, Standing::Leaving(reason));
        }
        // A connection that is empty may be given up for a host that has nothing at all.
        let is_empty = self.hosts[at].carriers[key].is_empty();
        if !(is_empty && self.an_older_host_starves(at)) {
            self.serve(at, now, fx);
        }
        self.release_if_empty(at, key, now, fx);
        self.after(at, now, fx);
    }

    /// Takes a carrier without leases apart: its connection goes idle or is closed.
    fn release_if_empty(&mut self, at: usize, key: usize, now: Time, fx: &mut Effects<P>) {
        if !self.hosts[at].carriers[key].is_empty() {
            return;
        }
        let standing = self.hosts[at].carriers[key].standing;
        self.stand(at, key, Standing::Open);
        let Carrier { connection, used, .. } = self.hosts[at].carriers.remove(key);
        match standing {
            Standing::Leaving(reason) => {
                self.hosts[at].in_use -= 1;
                self.close_live(at, connection, reason, fx);
            }
            Standing::Dead(reason) => {
                let host = &mut self.hosts[at];
                host.loans.leave(connection.loan);
                let host = host.shell.clone();
                fx.rest().close.push(CloseOrder { host, connection, reason, holds_slot: false });
            }
            _ if used => self.settle(at, connection, now, fx),
            _ => self.put_back(at, connection, now, fx),
        }
    }

    /// Changes a carrier's standing, and the host's counts of them.
    pub(super) fn stand(&mut self, at: usize, key: usize, standing: Standing) {
        let host = &mut self.hosts[at];
        let old = std::mem::replace(&mut host.carriers[key].standing, standing);
        host.leaving -= usize::from(matches!(old, Standing::Leaving(_)));
        host.leaving += usize::from(matches!(standing, Standing::Leaving(_)));
        let makes_room = Standing::Leaving(CloseReason::MadeRoom);
        self.totals.making_room -= usize::from(old == makes_room);
        self.totals.making_room += usize::from(standing == makes_room);
    }

    /// The connection of a carrier is found dead: its slot is free at once. It is closed after its
    /// last lease; that close is counted as under way from now on.
    pub(super) fn kill(&mut self, at: usize, key: usize, reason: CloseReason, fx: &mut Effects<P>) {
        if self.hosts[at].carriers[key].is_dead() {
            return;
        }
        self.stand(at, key, Standing::Dead(reason));
        let host = &mut self.hosts[at];
        if host.carriers[key].beat != Beat::Still {
            fx.rest().hurry.push(host.shell.clone());
        }
        host.counters.closes.count(reason);
        host.in_use -= 1;
        self.totals.closes += 1;
        self.totals.open -= 1;
        // Leases that nobody has collected yet are not given any more.
        let is_of_it = |lease: &Tracked<_>| lease.carrier_key() == Some(key);
        for lease in self.hosts[at].waiters.take_back(is_of_it) {
            self.end_grant(at, key, lease, fx);
        }
        let waiters = &mut self.hosts[at].waiters;
        while self.phase == Phase::Closed && waiters.waiting() > 0 {
            fx.wake.extend(waiters.resolve_oldest(Outcome::Closed));
        }
    }

    /// A borrower has found its connection dead.
    pub(super) fn bury_lease(
        &mut self,
        at: usize,
        key: usize,
        lease: Box<Tracked<P::Connection>>,
        reason: CloseReason,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        self.kill(at, key, reason, fx);
        self.end_grant(at, key, lease, fx);
        self.release_if_empty(at, key, now, fx);
    }

    /// No carrier takes new leases.
    pub(super) fn let_carriers_leave(&mut self, at: usize, reason: CloseReason) {
        let carriers = self.hosts[at].carriers.iter();
        let staying = carriers.filter(|(_, carrier)| carrier.stays()).map(|(key, _)| key);
        for key in staying.collect::<Vec<_>>() {
            self.stand(at, key, Standing::Leaving(reason));
        }
    }

    /// What is as good as idle does not go back among the idle. A suspect is asked for those who wait.
    pub(super) fn let_asked_leave(&mut self, at: usize, reason: CloseReason) {
        let carriers = self.hosts[at].carriers.iter();
        let asked = carriers
            .filter(|(_, carrier)| carrier.standing == Standing::Open && carrier.is_only_asked());
        for key in asked.map(|(key, _)| key).collect::<Vec<_>>() {
            self.stand(at, key, Standing::Leaving(reason));
        }
    }

    /// Lets the connection with the fewest leases leave, to make room. Returns its host.
    pub(super) fn let_one_leave(&mut self) -> Option<usize> {
        let carriers = self.hosts.iter().flat_map(|(at, host)| {
            host.carriers.iter().map(move |(key, carrier)| (at, key, carrier))
        });
        // One that is being asked counts as on its way to its own waiters.
        let staying = carriers.filter(|(_, _, carrier)| carrier.standing == Standing::Open);
        let (at, key, _) = staying.min_by_key(|(_, _, carrier)| carrier.leases)?;
        self.stand(at, key, Standing::Leaving(CloseReason::MadeRoom));
        Some(at)
    }

    /// Lets carriers leave while more are open than the cap allows, the newest first.
    pub(super) fn thin_out(&mut self, at: usize) {
        let staying = |host: &super::Host<P>| host.live() - host.leaving - host.dialing;
        while staying(&self.hosts[at]) > self.hosts[at].max {
            let staying = self.hosts[at].carriers.iter().filter(|(_, carrier)| carrier.stays());
            let Some((key, _)) = staying.max_by_key(|(_, c)| c.connection.id) else { return };
            self.stand(at, key, Standing::Leaving(CloseReason::OverCap));
        }
    }
}
