//! The shell, by hand, for one thread: it does what the engine decides, and counts along.

use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::time::Duration;

use super::super::control::{Room, Warmth};
use super::super::effects::{CloseOrder, DialOrder, Effects, PingOrder};
use super::super::time::{Span, Time};
use super::super::{
    AfterPing, Dialed, Engine, HostId, Lent, Limits, Outcome, Parts, Purpose, Returned, Sharing,
    Ticket, Tracked, Wait, WaiterId,
};
use super::{Op, Pick};
use crate::spread::Spread;

/// Hosts are keyed by numbers, connections are numbers, waiters are tags.
pub(in crate::engine) struct Plain;

impl Parts for Plain {
    type Host = (u32, HostId);
    type Connection = usize;
    type Failure = &'static str;
    type Waker = usize;
    type Runtime = ();

    fn runtime(_: &usize) {}
}

/// Every third waiter waits for so long, as upkeep counts it.
const PATIENCE: Duration = Duration::from_secs(20);

fn deadline(tag: usize, now: Time) -> Time {
    if tag.is_multiple_of(3) { now.after(Span::from(PATIENCE)) } else { Time::NEVER }
}

pub(in crate::engine) type Loan = (HostId, Box<Tracked<usize>>);

/// Who waits until so many are open, and how many dials had failed when it began.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Warmer {
    pub(super) tag: usize,
    pub(super) host: HostId,
    pub(super) n: usize,
    pub(super) seen: u64,
    pub(super) ticket: Ticket,
}

/// What is out, and who waits.
pub(in crate::engine) struct World {
    pub(in crate::engine) engine: Engine<Plain>,
    /// Leases that each connection takes now; one where connections are not shared.
    pub(in crate::engine) room: usize,
    pub(in crate::engine) shared: bool,
    pub(in crate::engine) now: Time,
    pub(in crate::engine) fx: Effects<Plain>,
    pub(in crate::engine) made: usize,
    pub(in crate::engine) gone: usize,
    pub(in crate::engine) next_tag: usize,
    /// Waiters that have not collected or given up: tag, host, id.
    pub(in crate::engine) waits: Vec<(usize, HostId, WaiterId)>,
    /// Tags in order of arrival, by host, of those who have nothing yet.
    pub(in crate::engine) queues: HashMap<HostId, VecDeque<usize>>,
    /// Tags that were woken and have not polled since.
    pub(in crate::engine) woken: Vec<usize>,
    pub(in crate::engine) loans: Vec<Loan>,
    pub(in crate::engine) dials: Vec<DialOrder<Plain>>,
    pub(in crate::engine) closes: Vec<CloseOrder<Plain>>,
    /// Loans whose borrower waits for a ping, and the doubts when that began.
    pub(in crate::engine) asked: Vec<(Loan, u32)>,
    pub(in crate::engine) looked_at: Vec<Loan>,
    /// What lay in the hand of waiters who have gone.
    pub(in crate::engine) in_hand: Vec<Loan>,
    pub(in crate::engine) held: Vec<HostId>,
    pub(in crate::engine) pings: Vec<PingOrder<Plain>>,
    /// What a host may have open: its cap, or what it had when that was lowered, until it is gone.
    pub(in crate::engine) ceilings: HashMap<HostId, usize>,
    pub(in crate::engine) ended: bool,
    /// Those who wait for `warm`.
    pub(in crate::engine) warmers: Vec<Warmer>,
    /// What those were told who waited for it.
    pub(in crate::engine) told: Vec<Warmth<&'static str>>,
    /// Upkeep sleeps until then, or until it is told.
    pub(in crate::engine) nap: Option<Time>,
    /// When it looked last.
    pub(in crate::engine) looked: Time,
}

impl World {
    pub(in crate::engine) fn new(limits: Limits, sharing: Option<(Spread, usize)>) -> Self {
        let copy = |connection: &usize| *connection;
        let shared = sharing.map(|(spread, _)| Sharing { copy, spread });
        World {
            engine: Engine::new(limits, shared, 0, 1, 7),
            room: sharing.map_or(1, |(_, room)| room),
            shared: sharing.is_some(),
            now: Time::START,
            fx: Effects::new(),
            made: 0,
            gone: 0,
            next_tag: 0,
            waits: Vec::new(),
            queues: HashMap::new(),
            woken: Vec::new(),
            loans: Vec::new(),
            dials: Vec::new(),
            closes: Vec::new(),
            asked: Vec::new(),
            looked_at: Vec::new(),
            in_hand: Vec::new(),
            held: Vec::new(),
            pings: Vec::new(),
            ceilings: HashMap::new(),
            ended: false,
            warmers: Vec::new(),
            told: Vec::new(),
            nap: None,
            looked: Time::START,
        }
    }

    pub(in crate::engine) fn host(&self, key: u32) -> Option<HostId> {
        self.engine.find(u64::from(key), |host| host.0 == key).map(|host| host.1)
    }

    pub(in crate::engine) fn enter(&mut self, key: u32) -> HostId {
        if let Some(host) = self.host(key) {
            return host;
        }
        let carries = if self.shared { usize::MAX } else { 1 };
        self.engine.enter((u64::from(key), carries), |id| (key, id), &mut self.fx).1
    }

    #[allow(clippy::too_many_lines)] // One arm an operation.
    pub(in crate::engine) fn run(&mut self, op: &Op) {
        match *op {
            Op::Acquire(key, dead) => self.acquire(key, dead),
            Op::Try(key) => self.try_acquire(key),
            Op::Poll(at) => self.with_waiter(at, World::poll),
            Op::Cancel(at) => self.with_waiter(at, |world, (tag, host, id)| {
                let in_hand = world.engine.cancel(host.index, id, world.now, &mut world.fx);
                world.in_hand.extend(in_hand.map(|connection| (host, connection)));
                world.leave_queue(host, tag);
            }),
            Op::HandBack(at, is_open) => {
                if !self.in_hand.is_empty() {
                    let handed = self.in_hand.swap_remove(at.index(self.in_hand.len()));
                    self.hand_back(handed, is_open);
                }
            }
            Op::Expire(at) => self.with_waiter(at, World::expire),
            Op::Return(at) => self.with_loan(at, World::give_back),
            Op::Discard(at) => self.with_loan(at, |world, (host, loan)| {
                let (now, fx) = (world.now, &mut world.fx);
                world.engine.discard(host.index, loan, now, fx);
            }),
            Op::Detach(_) if self.shared => {}
            Op::Detach(at) => self.with_loan(at, |world, (host, loan)| {
                world.engine.detach(host.index, loan.loan, world.now, &mut world.fx);
                world.gone += 1;
            }),
            Op::DialDone(at) => self.with_dial(at, World::dial_done),
            Op::DialFailed(at) => self.with_dial(at, |world, dial| {
                let (at, now) = (dial.host.1.index, world.now);
                let retryable = world.made.is_multiple_of(2);
                world.engine.dial_failed(at, "refused", retryable, now, &mut world.fx);
            }),
            Op::DialLost(at) => self.with_dial(at, |world, dial| {
                world.engine.dial_lost(dial.host.1.index, world.now, &mut world.fx);
                assert!(world.fx.dial.is_empty(), "nothing is spawned from a lost dial");
            }),
            Op::CloseEnded(at) => {
                if !self.closes.is_empty() {
                    let close = self.closes.swap_remove(at.index(self.closes.len()));
                    self.end_close(&close);
                }
            }
            Op::Add(key) => self.add(key),
            Op::Warm(key, n) => self.warm(key, n),
            Op::LookWarm(at) => self.with_warmer(at, World::look_warm),
            Op::LeaveWarm(at) => self.with_warmer(at, World::leave_warm),
            Op::SetMax(key, n) => {
                if let Some(host) = self.host(key) {
                    let open = self.engine.hosts[host.index].open();
                    self.ceilings.insert(host, open.max(n));
                    self.engine.set_max(host.index, n, self.now, &mut self.fx);
                }
            }
            Op::Retire(key) => {
                if let Some(host) = self.host(key) {
                    self.engine.retire(host.index, self.now, &mut self.fx);
                }
            }
            Op::CloseIdle => self.engine.close_idle(self.now, &mut self.fx),
            Op::Look(key) => self.look(key),
            Op::EndLook(at, keep) => {
                if !self.looked_at.is_empty() {
                    let looked_at = self.looked_at.swap_remove(at.index(self.looked_at.len()));
                    self.end_look(looked_at, keep);
                }
            }
            Op::Hold(key) => {
                let host = self.enter(key);
                self.engine.hold(host.index);
                self.held.push(host);
            }
            Op::LetGo(at) => {
                if !self.held.is_empty() {
                    let host = self.held.swap_remove(at.index(self.held.len()));
                    self.engine.let_go(host.index, self.now, &mut self.fx);
                }
            }
            Op::Asked(at, answered) => {
                if !self.asked.is_empty() {
                    let asked = self.asked.swap_remove(at.index(self.asked.len()));
                    self.asked(asked, answered);
                }
            }
            Op::Checked(at, answered) => {
                if !self.pings.is_empty() {
                    let ping = self.pings.swap_remove(at.index(self.pings.len()));
                    self.checked(ping, answered);
                }
            }
            Op::CutOff(at, late) => {
                if !self.asked.is_empty() {
                    let ((host, loan), _) = self.asked.swap_remove(at.index(self.asked.len()));
                    self.engine.ping_cut_off(host.index, loan, late, self.now, &mut self.fx);
                }
            }
            Op::Carry(n) => {
                if self.shared {
                    self.room = n;
                }
            }
            Op::BeatMissed(at) => self.with_beat(at, World::beat_missed),
            Op::BeatFailed(at, is_open) => self.with_beat(at, |world, beat| {
                let (at, now) = (beat.host.1.index, world.now);
                world.engine.beat_failed(
                    at,
                    beat.connection,
                    beat.asked,
                    is_open,
                    now,
                    &mut world.fx,
                );
            }),
            Op::Pass(millis) => {
                self.pass(millis);
                self.look_after();
            }
            Op::Late(millis) => self.pass(millis),
            Op::UpkeepLost => self.engine.upkeep_lost(&mut self.fx),
            Op::Orphan => {
                self.engine.orphan(self.now, &mut self.fx);
                self.ended = true;
            }
            Op::Close => {
                self.engine.close(self.now, &mut self.fx);
                self.queues.clear();
                self.ended = true;
            }
        }
        self.carry_out();
        self.check();
    }

    pub(in crate::engine) fn acquire(&mut self, key: u32, mut dead: bool) {
        let id = self.host(key).unwrap_or(HostId { index: 99, generation: 99 });
        for tries in 0.. {
            assert!(tries < 50, "lending never ends");
            match self.engine.lend(id, self.now, Location::caller()) {
                Lent::Connection { connection, must_ping, look } => {
                    self.fx.upkeep |= look;
                    if std::mem::take(&mut dead) {
                        self.engine.bury_unlent(id.index, connection, self.now, &mut self.fx);
                        continue;
                    }
                    let Some(loan) = self.fitting(id, connection) else { continue };
                    if must_ping {
                        let doubts = self.engine.doubts(id.index);
                        return self.asked.push((loan, doubts));
                    }
                    return self.loans.push(loan);
                }
                Lent::Stale => self.engine.sweep(id.index, self.now, &mut self.fx),
                Lent::Nothing | Lent::Closed => break,
            }
        }
        let host = self.enter(key);
        let (tag, now) = (self.next_tag, self.now);
        self.next_tag += 1;
        match self.engine.wait(
            host.index,
            (now, deadline(tag, now)),
            Location::caller(),
            tag,
            &mut self.fx,
        ) {
            Wait::Queued(id) => {
                self.waits.push((tag, host, id));
                self.queues.entry(host).or_default().push_back(tag);
            }
            Wait::SomethingIdle => panic!("nothing was idle"),
            Wait::Refused(_) => assert_eq!(self.fx.unused.pop(), Some(tag)),
        }
    }

    fn try_acquire(&mut self, key: u32) {
        let id = self.host(key).unwrap_or(HostId { index: 99, generation: 99 });
        let mut lent = self.engine.lend_unpinged(id, self.now, Location::caller());
        if matches!(lent, Lent::Stale) {
            self.engine.sweep(id.index, self.now, &mut self.fx);
            lent = self.engine.lend_unpinged(id, self.now, Location::caller());
            assert!(!matches!(lent, Lent::Stale), "it was swept");
        }
        if let Lent::Connection { connection, must_ping, look } = lent {
            assert!(!must_ping, "it needs no ping");
            self.fx.upkeep |= look;
            let loan = self.fitting(id, connection);
            self.loans.extend(loan);
        }
    }

    fn warm(&mut self, key: u32, n: usize) {
        let host = self.enter(key);
        self.engine.hold(host.index);
        let seen = self.engine.failed_dials(host.index);
        self.engine.warm(host.index, n, self.now, &mut self.fx);
        let ticket = self.engine.ticket();
        self.look_warm(Warmer { tag: 0, host, n, seen, ticket });
    }

    pub(in crate::engine) fn look_warm(&mut self, mut warmer: Warmer) {
        (warmer.tag, self.next_tag) = (self.next_tag, self.next_tag + 1);
        let Warmer { tag, host, n, seen, ticket } = warmer;
        let seen = (self.now, seen);
        match self.engine.warmth(host.index, n, seen, (ticket, tag), &mut self.fx) {
            Warmth::Dialing => self.warmers.push(warmer),
            told => {
                self.told.push(told);
                self.engine.let_go(host.index, self.now, &mut self.fx);
            }
        }
    }

    fn leave_warm(&mut self, warmer: Warmer) {
        self.engine.leave_warmth(warmer.host.index, warmer.ticket, &mut self.fx);
        self.engine.let_go(warmer.host.index, self.now, &mut self.fx);
    }

    fn with_warmer(&mut self, at: Pick, f: impl FnOnce(&mut Self, Warmer)) {
        if !self.warmers.is_empty() {
            let warmer = self.warmers.swap_remove(at.index(self.warmers.len()));
            self.woken.retain(|&other| other != warmer.tag);
            f(self, warmer);
        }
    }

    /// A lease, unless its connection takes fewer by now.
    fn fitting(&mut self, host: HostId, mut lease: Box<Tracked<usize>>) -> Option<Loan> {
        assert!(lease.expires > self.now, "it is too old to be lent");
        assert!(self.shared || lease.deadline > self.now, "it was idle for too long");
        let told = std::mem::replace(&mut lease.max_leases, self.room);
        let (at, now, fx) = (host.index, self.now, &mut self.fx);
        if told == self.room || self.engine.max_leases_told(at, &lease, now, fx) {
            return Some((host, lease));
        }
        self.engine.unlend(at, lease, now, fx);
        None
    }

    pub(super) fn asked(&mut self, ((host, mut connection), doubts): (Loan, u32), answered: bool) {
        let (at, now, tag, place) = (host.index, self.now, self.next_tag, Location::caller());
        let (engine, fx) = (&mut self.engine, &mut self.fx);
        let after = if answered {
            match engine.ping_answered(at, &mut connection, doubts, now) {
                None => return self.loans.push((host, connection)),
                Some(why) => engine.replace_pinged(at, (connection, why), now, place, tag, fx),
            }
        } else {
            engine.ping_failed(at, connection, now, place, tag, fx)
        };
        self.next_tag += 1;
        match after {
            AfterPing::Connection(connection) => self.loans.push((host, connection)),
            AfterPing::Queued(id) => {
                self.waits.push((tag, host, id));
                self.queues.entry(host).or_default().push_front(tag);
            }
            AfterPing::Closed => {}
        }
        self.fx.unused.clear();
    }

    pub(in crate::engine) fn checked(&mut self, ping: PingOrder<Plain>, answered: bool) {
        let PingOrder { host, mut connection, asked } = ping;
        let (at, now, fx) = (host.1.index, self.now, &mut self.fx);
        if answered {
            connection.max_leases = self.room;
            let is_open = now != Time::START;
            self.engine.check_answered(at, connection, asked, is_open, now, fx);
        } else {
            self.engine.check_failed(at, connection, asked.purpose, now, fx);
        }
    }

    fn with_beat(&mut self, at: Pick, f: impl FnOnce(&mut Self, PingOrder<Plain>)) {
        let is_beat = |ping: &PingOrder<Plain>| ping.asked.purpose == Purpose::Heartbeat;
        let beats = self.pings.iter().filter(|ping| is_beat(ping)).count();
        if beats > 0 {
            let nth = at.index(beats);
            let mut places = self.pings.iter().enumerate().filter(|(_, ping)| is_beat(ping));
            let at = places.nth(nth).expect("there are so many").0;
            let beat = self.pings.swap_remove(at);
            f(self, beat);
        }
    }

    pub(in crate::engine) fn beat_missed(&mut self, mut beat: PingOrder<Plain>) {
        let Tracked { carrier, health, .. } = &mut *beat.connection;
        let at = beat.host.1.index;
        if self.engine.beat_missed(at, *carrier, health, self.now, &mut self.fx) {
            self.pings.push(beat);
        } else {
            self.checked(beat, false);
        }
    }

    fn with_waiter(&mut self, at: Pick, f: impl FnOnce(&mut Self, (usize, HostId, WaiterId))) {
        if !self.waits.is_empty() {
            let wait = self.waits.remove(at.index(self.waits.len()));
            f(self, wait);
        }
    }

    fn with_loan(&mut self, at: Pick, f: impl FnOnce(&mut Self, Loan)) {
        if !self.loans.is_empty() {
            let loan = self.loans.swap_remove(at.index(self.loans.len()));
            f(self, loan);
        }
    }

    fn with_dial(&mut self, at: Pick, f: impl FnOnce(&mut Self, &DialOrder<Plain>)) {
        if !self.dials.is_empty() {
            let dial = self.dials.swap_remove(at.index(self.dials.len()));
            f(self, &dial);
        }
    }

    pub(in crate::engine) fn poll(&mut self, (tag, host, id): (usize, HostId, WaiterId)) {
        let since = self.engine.hosts[host.index].waiters.since(id);
        let causes = self.engine.causes(host, Some(id)).expect("it waits there");
        assert!(causes.loans.is_sorted_by_key(|loan| loan.since), "the longest held first");
        if deadline(tag, since) <= self.now {
            return self.expire((tag, host, id));
        }
        self.woken.retain(|&other| other != tag);
        if let Some(connection) = self.engine.collect_connection(host.index, id, self.now) {
            return self.loans.push((host, connection));
        }
        let outcome = self.engine.collect(host.index, id, self.now, tag, &mut self.fx);
        if outcome.is_none() {
            assert!(self.queues[&host].contains(&tag));
            return self.waits.push((tag, host, id));
        }
        assert!(!self.queues.get(&host).is_some_and(|queue| queue.contains(&tag)));
        self.take(host, outcome);
    }

    fn expire(&mut self, (tag, host, id): (usize, HostId, WaiterId)) {
        let outcome = self.engine.expire(host.index, id, self.now, &mut self.fx);
        self.leave_queue(host, tag);
        self.take(host, outcome);
    }

    fn take(&mut self, host: HostId, outcome: Option<Outcome<Plain>>) {
        if let Some(Outcome::Connection(connection)) = outcome {
            self.loans.push((host, connection));
        }
    }

    fn leave_queue(&mut self, host: HostId, tag: usize) {
        self.woken.retain(|&other| other != tag);
        if let Some(queue) = self.queues.get_mut(&host) {
            queue.retain(|&other| other != tag);
        }
    }

    pub(in crate::engine) fn give_back(&mut self, (host, mut connection): Loan) {
        connection.max_leases = self.room;
        match self.engine.give_back(host.index, connection, self.now) {
            Returned::Idle { first } => self.fx.upkeep |= first,
            Returned::HandedOver(waker) => self.fx.wake.extend(waker),
            Returned::Unsettled(connection) => {
                self.engine.settle(host.index, connection, self.now, &mut self.fx);
            }
        }
    }

    pub(in crate::engine) fn dial_done(&mut self, dial: &DialOrder<Plain>) {
        let (at, connection) = (dial.host.1.index, self.made);
        self.made += 1;
        let (max_leases, took) = (self.room, Duration::from_millis(1));
        let dialed = Dialed { connection, epoch: dial.epoch, max_leases, took };
        self.engine.dial_done(at, dialed, self.now, &mut self.fx);
    }

    pub(in crate::engine) fn end_close(&mut self, close: &CloseOrder<Plain>) {
        self.gone += 1;
        if close.holds_slot {
            self.engine.close_ended(close.host.1.index, self.now, &mut self.fx);
        } else {
            self.engine.close_beside_ended(&mut self.fx);
        }
    }

    fn add(&mut self, key: u32) {
        let host = self.enter(key);
        let room = self.engine.add(host.index, self.made, self.room, self.now, &mut self.fx);
        if room == Room::Taken {
            self.made += 1;
        }
    }

    fn look(&mut self, key: u32) {
        let Some(host) = self.host(key) else { return };
        let Some(turn) = self.engine.idle_turns(host.index).pop() else { return };
        let place = Location::caller();
        let taken = self
            .engine
            .inspect(host.index, turn, self.now, place, &mut self.fx)
            .expect("it is idle");
        self.looked_at.push((host, taken));
    }

    pub(super) fn end_look(&mut self, (host, connection): Loan, keep: bool) {
        let (at, now, fx) = (host.index, self.now, &mut self.fx);
        if keep {
            self.engine.put_back(at, connection, now, fx);
        } else {
            self.engine.reject(at, connection, now, fx);
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now.after(Span::from(Duration::from_millis(millis)));
    }

    /// Upkeep looks, and sleeps again.
    pub(in crate::engine) fn look_after(&mut self) {
        loop {
            self.nap = self.engine.upkeep(self.now, &mut self.fx);
            if self.nap.is_none_or(|next| next > self.now) {
                break;
            }
        }
        self.looked = self.now;
        // It does not have to be told of what it has just seen.
        self.fx.upkeep = false;
    }

    pub(in crate::engine) fn hand_back(&mut self, (host, mut connection): Loan, is_open: bool) {
        connection.max_leases = self.room;
        self.engine.hand_back(host.index, connection, is_open, self.now, &mut self.fx);
    }

    pub(in crate::engine) fn carry_out(&mut self) {
        let mut fx = std::mem::replace(&mut self.fx, Effects::new());
        if fx.upkeep {
            self.nap = self.engine.schedule.next();
        }
        self.woken.append(&mut fx.wake);
        self.dials.append(&mut fx.dial);
        let rest = fx.rest();
        self.closes.append(&mut rest.close);
        self.pings.append(&mut rest.ping);
        self.drop_served();
        self.hurry(std::mem::take(&mut rest.hurry));
        self.drop_served();
    }

    /// Gives up the pings that are in the way.
    fn hurry(&mut self, hosts: Vec<(u32, HostId)>) {
        for host in hosts {
            let in_the_way = |ping: &PingOrder<Plain>, engine: &Engine<Plain>| {
                ping.host == host
                    && engine.gives_up(
                        host.1.index,
                        ping.connection.carrier,
                        ping.connection.health.late,
                    )
            };
            while let Some(at) = self.pings.iter().position(|p| in_the_way(p, &self.engine)) {
                let ping = self.pings.swap_remove(at);
                self.checked(ping, false);
                self.carry_out();
            }
        }
    }
}
