//! A runtime layer for one thread: it carries out the engine's decisions, in any order.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::schedule::{Look, Schedule};
use super::super::{
    Actions, Borrower, CallSite, CloseOrder, Common, DialOrder, HostState, Listing, Parts, Phase,
    PingOrder, Section, SelfWait, Task, Ticket, WarmRequest,
};
use super::Setup;
use super::known::{Connection, Host};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// Those that ask, where it is noted which of them does.
const TASKS: u64 = 5;

/// Hosts and connections are numbers, waiters are tags.
pub(in crate::engine) struct Plain;

impl Parts for Plain {
    type Host = usize;
    type Connection = usize;
    type Failure = &'static str;
    type Waker = usize;
    type Runtime = ();
    type Stop = Rc<std::cell::Cell<bool>>;

    fn runtime(_: &usize) {}

    fn timed_out(_: Span) -> &'static str {
        "timed out"
    }
}

pub(in crate::engine) type Loan = super::super::Loan<Plain>;
pub(in crate::engine) type Waiter = Arc<super::super::Waiter<Plain>>;

/// How actions are carried out, and on which paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Mode {
    /// In any order, between other operations.
    Shuffled,
    /// At once. Neither maintenance nor the clock is late.
    Ordered { short: bool },
}

/// An action that is still to be carried out for another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Follow {
    Granted(usize),
    StopDraining(usize),
    GiveWay(usize),
    MakeRoom,
    /// A scan in progress visits its host.
    Visit(usize),
    RoomAt(Time),
    Recheck,
    /// Peers of full connections are asked.
    AskPeers(usize),
    Forget(usize),
    Close(usize),
    Orphan(usize),
}

/// One host: its state, and what is known of it from outside.
pub(in crate::engine) struct Cell {
    pub(in crate::engine) key: u8,
    pub(in crate::engine) state: HostState<Plain>,
    pub(in crate::engine) common: Arc<Common<Plain>>,
    /// That of its limits.
    pub(super) version: u32,
    pub(super) known: Host,
}

/// A waiting caller.
pub(in crate::engine) struct Wait {
    pub(super) tag: usize,
    pub(in crate::engine) at: usize,
    pub(in crate::engine) waiter: Waiter,
}

/// A task that pings.
pub(in crate::engine) struct Pinging {
    pub(in crate::engine) at: usize,
    pub(in crate::engine) order: PingOrder<Plain>,
    /// It has to check whether to stop.
    pub(super) told: bool,
    pub(super) late: bool,
    /// The host's suspect generation at its start.
    pub(super) generation: u32,
}

/// A task that dials.
pub(in crate::engine) struct Dialing {
    pub(in crate::engine) at: usize,
    pub(in crate::engine) order: DialOrder<Plain>,
    /// When the host was first retired during the dial.
    pub(super) retired: Option<Time>,
}

impl Dialing {
    /// It is told to stop.
    pub(super) fn is_told(&self) -> bool {
        self.order.stop.get()
    }
}

/// A caller that waits for `warm`.
pub(in crate::engine) struct Warmer {
    pub(super) tag: usize,
    pub(super) at: usize,
    pub(super) request: WarmRequest,
}

/// Everything that is lent or in progress, and all waiters.
pub(in crate::engine) struct World {
    pub(in crate::engine) common: Arc<Common<Plain>>,
    pub(in crate::engine) cells: Vec<Cell>,
    pub(in crate::engine) directory: HashMap<u8, usize>,
    pub(in crate::engine) schedule: Schedule<usize>,
    pub(in crate::engine) now: Time,
    /// The clock of the last section: on a fast path, it may be late.
    pub(super) clock: Time,
    pub(super) mode: Mode,
    pub(super) setup: Setup,
    /// Otherwise some steps are not checked: there are many, with many connections.
    pub(super) checks_all: bool,
    /// Leases that each shared connection takes now.
    pub(super) room: usize,
    pub(super) phase: Phase,
    /// Sections so far.
    pub(super) step: usize,
    pub(super) next_tag: usize,
    pub(super) bag: Vec<Follow>,
    pub(in crate::engine) dials: Vec<Dialing>,
    pub(in crate::engine) pings: Vec<Pinging>,
    pub(in crate::engine) closes: Vec<(usize, CloseOrder<Plain>)>,
    pub(in crate::engine) waits: Vec<Wait>,
    pub(in crate::engine) loans: Vec<(usize, Loan)>,
    /// Connections from the seats of waiters that have gone.
    pub(super) in_hand: Vec<(usize, Loan)>,
    pub(super) inspected: Vec<(usize, Loan)>,
    pub(super) held: Vec<usize>,
    pub(in crate::engine) warmers: Vec<Warmer>,
    /// What callers of `warm` were told.
    pub(in crate::engine) told: Vec<super::super::Progress<&'static str>>,
    /// Tags that were woken and have not polled since.
    pub(in crate::engine) woken: Vec<usize>,
    pub(super) connections: Vec<Connection>,
    /// Loans reported as held for long, and not as returned.
    pub(in crate::engine) leaks: usize,
    /// The task of each loan, by its host, slot and lease.
    pub(super) holders: HashMap<(usize, Ticket), Option<Task>>,
    /// How many deadlocks were told.
    pub(in crate::engine) deadlocks: usize,
    /// How often the limits have changed.
    pub(super) version: u32,
    /// The permits and dials that the budget has counted after the last step.
    pub(super) permits: (usize, usize),
    /// What can be seen from outside.
    pub(super) trace: Vec<String>,
    /// The last action that was carried out.
    pub(super) last: Option<Follow>,
}

impl World {
    pub(in crate::engine) fn new(setup: &Setup, mode: Mode) -> Self {
        let share: fn(&usize) -> usize = |connection| *connection;
        World {
            common: Arc::new(Common::new(setup.limits.clone(), setup.leases.map(|_| share))),
            cells: Vec::new(),
            directory: HashMap::new(),
            schedule: Schedule::new(),
            now: Time::START.after(Span::from_nanos(1_000_000_000)),
            clock: Time::START,
            mode,
            room: setup.leases.unwrap_or(1),
            setup: setup.clone(),
            checks_all: true,
            phase: Phase::Open,
            step: 0,
            next_tag: 0,
            bag: Vec::new(),
            dials: Vec::new(),
            pings: Vec::new(),
            closes: Vec::new(),
            waits: Vec::new(),
            loans: Vec::new(),
            in_hand: Vec::new(),
            inspected: Vec::new(),
            held: Vec::new(),
            warmers: Vec::new(),
            told: Vec::new(),
            woken: Vec::new(),
            connections: Vec::new(),
            leaks: 0,
            holders: HashMap::new(),
            deadlocks: 0,
            version: 0,
            permits: (0, 0),
            trace: Vec::new(),
            last: None,
        }
    }

    pub(super) fn uses_short_paths(&self) -> bool {
        self.mode != Mode::Ordered { short: false }
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.mode != Mode::Shuffled
    }

    /// Returns the coarse time, which may be late.
    pub(super) fn coarse(&self) -> Time {
        let lag = if self.is_ordered() { 0 } else { self.setup.lag };
        let tick = u64::try_from(Duration::from_millis(lag).as_nanos()).expect("milliseconds") + 1;
        Time::from_nanos(self.now.nanos() / tick * tick)
    }

    pub(in crate::engine) fn key(&self, byte: u8) -> u8 {
        byte % self.setup.hosts
    }

    /// Returns the host with this key, if it is in the directory.
    pub(in crate::engine) fn find(&self, byte: u8) -> Option<usize> {
        self.directory.get(&self.key(byte)).copied()
    }

    /// Returns the host with this key, or a new one that is not in the directory yet.
    pub(super) fn host(&mut self, byte: u8) -> usize {
        self.find(byte).unwrap_or_else(|| self.new_cell(self.key(byte)))
    }

    fn new_cell(&mut self, key: u8) -> usize {
        let id = self.cells.len() as u64;
        let common = self.common_of(key);
        let state = HostState::new(id, self.setup.carries, &common);
        self.cells.push(Cell { key, state, common, version: self.version, known: Host::default() });
        self.cells.len() - 1
    }

    /// One of the hosts has a cap of its own, which may be below the number of connections made in
    /// advance.
    pub(super) fn common_of(&self, key: u8) -> Arc<Common<Plain>> {
        if key != 4 {
            return self.common.clone();
        }
        let limits = Limits { max_per_host: 1, ..self.common.limits.clone() };
        Arc::new(self.common.with(limits))
    }

    /// Enters this host, and returns the host with its key that is in the directory.
    pub(super) fn enter(&mut self, at: usize) -> usize {
        let key = self.cells[at].key;
        if let Some(listed) = self.directory.get(&key) {
            return *listed;
        }
        let is_new = self.cells[at].state.listing() == Listing::New;
        let at = if is_new { at } else { self.new_cell(key) };
        self.cells[at].state.enter(self.phase);
        self.directory.insert(key, at);
        self.follow(at);
        at
    }

    /// Returns the host with this key, held by a handle.
    pub(super) fn hold(&mut self, byte: u8) -> usize {
        let host = self.host(byte);
        let at = self.enter(host);
        assert!(self.cells[at].state.hold(), "it is listed");
        at
    }

    pub(in crate::engine) fn section<'a>(
        common: &'a Common<Plain>,
        host: &'a usize,
        (now, random): (Time, f64),
        actions: &'a mut Actions<Plain>,
    ) -> Section<'a, Plain> {
        Section { now, random, common, host, actions }
    }

    /// Changes a host's state on the slow path.
    pub(in crate::engine) fn change<R>(
        &mut self,
        at: usize,
        f: impl FnOnce(&mut HostState<Plain>, &mut Section<'_, Plain>) -> R,
    ) -> R {
        self.change_then(at, f, |_, _| ())
    }

    /// The same. `then` records the consequences before the served waiters are checked.
    pub(super) fn change_then<R>(
        &mut self,
        at: usize,
        f: impl FnOnce(&mut HostState<Plain>, &mut Section<'_, Plain>) -> R,
        then: impl FnOnce(&mut World, &R),
    ) -> R {
        self.step += 1;
        self.clock = self.now;
        let is_checked = self.is_checked();
        let (mut actions, moment) = (Actions::default(), (self.now, self.random()));
        let Cell { state, common, .. } = &mut self.cells[at];
        let mut section = Self::section(common, &at, moment, &mut actions);
        let look = state.look();
        let result = f(state, &mut section);
        state.finish(&mut section);
        if is_checked {
            state.check_finished(&section);
        }
        let is_deadlock = matches!(actions.self_wait.as_deref(), Some(SelfWait::Deadlock(_)));
        self.reschedule(at, look);
        self.take(at, actions);
        then(self, &result);
        self.see_served(at);
        if is_deadlock {
            self.see_deadlock(at);
        }
        result
    }

    fn reschedule(&mut self, at: usize, old: Look) {
        let state = &self.cells[at].state;
        let new = state.look();
        if new != old {
            self.schedule.change(at, old, (new.at != Time::NEVER).then_some(new));
        }
    }

    /// Checks after a fast path that it has left nothing to do.
    pub(super) fn check_short(&mut self, at: usize) {
        self.step += 1;
        self.clock = self.coarse();
        if self.is_checked() {
            let Cell { state, common, .. } = &self.cells[at];
            let (mut actions, moment) = (Actions::default(), (self.now, self.random()));
            let section = Self::section(common, &at, moment, &mut actions);
            state.check_state(self.now, common);
            state.check_watched(&section);
        }
        self.see_served(at);
    }

    /// Starts tasks, and puts the other actions into the bag.
    fn take(&mut self, at: usize, mut actions: Actions<Plain>) {
        if actions.is_empty() {
            return;
        }
        self.bag.extend(actions.granted.drain(..).map(Follow::Granted));
        self.bag.extend(actions.stop_draining.map(Follow::StopDraining));
        if let Some(other) = actions.give_way {
            self.put_once(true, Follow::GiveWay(other));
        }
        self.bag.extend(actions.room_at.map(Follow::RoomAt));
        self.put_once(actions.make_room, Follow::MakeRoom);
        self.put_once(actions.recheck, Follow::Recheck);
        self.put_once(actions.ask_peers, Follow::AskPeers(at));
        self.put_once(actions.forget, Follow::Forget(at));
        let generation = self.cells[at].known.generation;
        actions.ping.iter().for_each(|order| self.see_taken_back(at, order));
        self.closes.extend(actions.close.drain(..).map(|order| (at, order)));
        self.pings.extend(actions.ping.drain(..).map(|order| Pinging {
            at,
            order,
            told: false,
            late: false,
            generation,
        }));
        self.dials.extend(actions.dial.drain(..).map(|order| Dialing { at, order, retired: None }));
        actions.stop.iter().for_each(|dial| dial.set(true));
        self.woken.append(&mut actions.wake);
        self.count_leaks(&actions.leaks);
    }

    pub(super) fn put_once(&mut self, is_decided: bool, follow: Follow) {
        if is_decided && !self.bag.contains(&follow) {
            self.bag.push(follow);
        }
    }

    /// The call site of all callers.
    pub(super) fn place() -> CallSite {
        CallSite::caller()
    }

    /// One of few tasks, of which each asks again and again.
    pub(super) fn task(&self, tag: usize) -> Option<Task> {
        let is_noted = self.common.limits.deadlock_after != Span::FOREVER;
        is_noted.then(|| Task::new(tag as u64 % TASKS))
    }

    pub(super) fn borrower(&self, tag: usize) -> Borrower {
        Borrower { call_site: Self::place(), task: self.task(tag) }
    }

    pub(super) fn new_tag(&mut self) -> usize {
        self.next_tag += 1;
        self.next_tag
    }
}
