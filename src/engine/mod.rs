//! The pool's decisions, as plain data: no await, no clock, no tokio, no lock of its own.
//!
//! An [`Engine`] holds a shard of the pool's hosts. The shell keeps it behind a mutex, calls its
//! methods with the time it is now, and carries out what they decide ([`effects`]) after the lock
//! is released. A pool with a cap across hosts has one engine, so such caps are exact.
//!
//! A hit ([`Engine::lend`]) and a return ([`Engine::give_back`]) have paths of their own that build
//! no list of effects. Everything rarer goes through [`Engine::settle`], which decides what becomes
//! of a connection that has come free, and ends in `after`, which begins the dials that are wanted
//! now (`pump`), notes the next deadline, and forgets a host that has become unused.
//!
//! # Where a connection is
//!
//! ```text
//!            begin_dial          dial_done
//!   (slot) ───────────► dialing ───────────► in use ◄──────────┐
//!                          │                 │  ▲   │          │ lend, hand over
//!              dial_failed │        settle   │  │   │ settle   │
//!                          ▼                 ▼  │   ▼          │
//!                       (no slot)        closing│  idle ───────┘
//!                          ▲                 │  │   │ upkeep, caps, retire
//!                          └─────────────────┴──┼───┘
//!                              close_ended      │
//!                                   (add, from elsewhere)
//! ```
//!
//! What is pinged in the background, a suspect or one whose heartbeat is due, is *checking*: in no
//! idle list, counted as idle in the status. It comes back through `check_answered`, or is buried
//! ([`health`], [`heartbeat`]).
//!
//! # Invariants
//!
//! 1. A waiter resolves exactly once: connection, error or cancelled.
//! 2. Idle list not empty ⇒ no live waiter on that host.
//! 3. open = dialing + idle + checking + in use + closing-with-a-slot ≤ cap, per host and in total;
//!    every +1 has one −1. (A cap that was lowered holds once what was out has come back.)
//! 4. A live connection is in exactly one place: a guard, the idle list, a waiter's hand, a task.
//! 5. Capacity freed while a live waiter exists is never lost: a dial starts or a connection
//!    arrives.
//! 6. A dial starts only for a waiter, for `initial`/`min_idle`, or for `warm`; never for nobody.
//! 7. A cancelled or failed path ends with the same totals as if it had never begun.
//! 8. No host with nothing open, nobody waiting, no backoff and no handle stays in the map.
//!
//! `check_invariants` (in `check.rs`) checks what of these can be seen in a state; every engine test
//! calls it after every step. 1 and 7 are the tests' own.
//!
//! # Lock order
//!
//! There is one lock, the shard's. Nothing of the user's runs under it but `Eq` and `Borrow` of the
//! key; the hash is computed outside.

mod backoff;
mod caps;
#[cfg(any(test, wharf_loom, fuzzing))]
mod check;
mod connection;
mod control;
mod dial;
pub(crate) mod effects;
mod give_back;
mod health;
mod heartbeat;
mod host;
mod leak;
mod lend;
mod loans;
#[cfg(any(all(test, not(wharf_loom)), fuzzing))]
pub(crate) mod programs;
mod recency;
mod schedule;
mod share;
mod share_pings;
pub(crate) mod status;
#[cfg(all(test, not(wharf_loom)))]
mod tests;
pub(crate) mod time;
mod upkeep;
mod wait_queue;
mod waiters;

use std::fmt::Debug;
use std::panic::Location;

use hashbrown::HashTable;
use slab::Slab;

pub use backoff::Backoff;
use caps::Hungry;
pub(crate) use connection::{Health, Tracked};
pub(crate) use control::{Room, Warmth};
pub(crate) use dial::Dialed;
pub(crate) use effects::{CloseOrder, CloseReason, DialOrder, Effects, Leak, PingOrder, Rest};
pub(crate) use give_back::Returned;
pub(crate) use health::{AfterPing, Asked, Purpose};
pub(crate) use heartbeat::Beats;
use host::Host;
pub(crate) use lend::{Lent, Refusal, Wait};
pub(crate) use loans::Loan;
use recency::Recency;
use schedule::Schedule;
pub(crate) use share::Sharing;
use status::Counters;
use time::{Span, Time};
pub(crate) use waiters::{Outcome, Ticket, WaiterId};

use crate::reuse::Reuse;

/// A place in the caller's code.
pub(crate) type Place = &'static Location<'static>;

/// What the engine keeps for its shell without looking inside.
pub(crate) trait Parts: Sized + 'static {
    /// A host as the shell knows it; holds the key.
    type Host: Clone + Debug;
    type Connection;
    /// Why a dial failed.
    type Failure: Clone + Debug;
    /// Wakes a waiter, and knows its runtime. Never cloned, woken or dropped by the engine.
    type Waker;
    /// Where a waiter's dial is to run.
    type Runtime;

    fn runtime(waker: &Self::Waker) -> Self::Runtime;
}

/// The numbers of a pool. `usize::MAX` and `FOREVER` stand for "no limit".
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_per_host: usize,
    pub(crate) initial_per_host: usize,
    pub(crate) min_idle_per_host: usize,
    pub(crate) max_idle_per_host: usize,
    pub(crate) max_idle: usize,
    pub(crate) max_total: usize,
    pub(crate) max_waiters_per_host: usize,
    pub(crate) max_dialing_per_host: usize,
    pub(crate) max_dialing: usize,
    pub(crate) reuse: Reuse,
    pub(crate) idle_timeout: Span,
    pub(crate) max_lifetime: Span,
    pub(crate) lifetime_jitter: f64,
    pub(crate) max_uses: u64,
    pub(crate) backoff: Backoff,
    /// A connection that has been idle for so long is pinged before it is lent.
    pub(crate) ping_after: Span,
    pub(crate) heartbeat: Option<Beats>,
    /// A loan held for longer is reported.
    pub(crate) leak_after: Span,
    /// Whether waiters wait for the next dial after a failed one.
    pub(crate) retry: bool,
}

impl Limits {
    /// Whether a cap spans hosts. Such a pool has one engine, and takes the longer way everywhere.
    pub(crate) fn span_hosts(&self) -> bool {
        [self.max_idle, self.max_total, self.max_dialing].iter().any(|&cap| cap != usize::MAX)
    }
}

/// Names a host of an engine. The generation tells it from a later one in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostId {
    pub(crate) index: usize,
    pub(crate) generation: u64,
}

/// Whether the pool still wants connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The last handle is gone: waiters are served to the end, nothing is kept.
    Orphaned,
    Closed,
}

/// Tickets count up from here, and down for those who are put at the front.
const FIRST_TICKET: u64 = 1 << 63;

/// Counts over all hosts of the engine. Hits and returns do not touch them.
#[derive(Debug, Default)]
struct Totals {
    open: usize,
    dialing: usize,
    closing: usize,
    /// Closes under way, with a slot or without.
    closes: usize,
    /// Heartbeats that have missed their time and go on.
    late: usize,
    /// Shared connections that leave to make room for another host.
    making_room: usize,
}

/// A host as the map of an engine has it: all that a look-up needs.
struct Indexed<H> {
    hash: u64,
    shell: H,
    at: usize,
}

/// See the module.
pub(crate) struct Engine<P: Parts> {
    limits: Limits,
    spans_hosts: bool,
    /// For shared connections.
    sharing: Option<Sharing<P>>,
    /// Returns may take the short way: no cap spans hosts, and no connection is shared.
    plain: bool,
    index: HashTable<Indexed<P::Host>>,
    hosts: Slab<Host<P>>,
    totals: Totals,
    /// The cap of a host was lowered at some time: only then more may be open than its cap.
    lowered: bool,
    recency: Recency,
    hungry: Hungry,
    schedule: Schedule,
    phase: Phase,
    rng: fastrand::Rng,
    /// The next connection's id. Engines of one pool count in steps, each from its own start.
    next_id: u64,
    id_step: u64,
    next_ticket: u64,
    /// The last ticket given to one who was put at the front: these count down.
    front_ticket: u64,
    next_turn: u64,
    next_generation: u64,
    /// What was counted for hosts that are forgotten.
    past: Counters,
}

impl<P: Parts> Engine<P> {
    /// The engine number `nth` of `engines`.
    pub(crate) fn new(
        limits: Limits,
        sharing: Option<Sharing<P>>,
        nth: u64,
        engines: u64,
        seed: u64,
    ) -> Self {
        Engine {
            spans_hosts: limits.span_hosts(),
            plain: !limits.span_hosts() && sharing.is_none(),
            sharing,
            limits,
            index: HashTable::new(),
            hosts: Slab::new(),
            totals: Totals::default(),
            lowered: false,
            recency: Recency::default(),
            hungry: Hungry::default(),
            schedule: Schedule::default(),
            phase: Phase::Open,
            rng: fastrand::Rng::with_seed(seed),
            next_id: nth + 1,
            id_step: engines,
            next_ticket: FIRST_TICKET,
            front_ticket: FIRST_TICKET,
            next_turn: 0,
            next_generation: 0,
            past: Counters::default(),
        }
    }

    /// Looks a host up by the hash of its key.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(&P::Host) -> bool) -> Option<&P::Host> {
        let found = self.index.find(hash, |host| host.hash == hash && is_it(&host.shell));
        found.map(|host| &host.shell)
    }

    /// Makes a host that was looked up and not found: its connections are taken to carry so many.
    pub(crate) fn enter(
        &mut self,
        (hash, carries): (u64, usize),
        make: impl FnOnce(HostId) -> P::Host,
        fx: &mut Effects<P>,
    ) -> P::Host {
        let generation = self.next_generation;
        self.next_generation += 1;
        if self.hosts.len() == self.hosts.capacity() {
            // By half, not to twice: a host is large, and many are kept.
            self.hosts.reserve_exact(self.hosts.len() / 2 + 1);
        }
        let entry = self.hosts.vacant_entry();
        let id = HostId { index: entry.key(), generation };
        let shell = make(id);
        entry.insert(Host::new(shell.clone(), hash, generation, carries, &self.limits));
        let indexed = Indexed { hash, shell: shell.clone(), at: id.index };
        self.index.insert_unique(hash, indexed, |host| host.hash);
        fx.rest().appeared.push(shell.clone());
        shell
    }

    /// Whether the host is still in the map.
    pub(crate) fn knows(&self, id: HostId) -> bool {
        self.hosts.get(id.index).is_some_and(|host| host.generation == id.generation)
    }

    /// All hosts, as the shell knows them.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &P::Host> {
        self.hosts.iter().map(|(_, host)| &host.shell)
    }

    /// Removes the host if nothing and nobody needs it; it is remembered while it backs off.
    fn forget_if_unused(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        let host = &self.hosts[at];
        let remembered = self.phase == Phase::Open
            && host.failing.as_ref().is_some_and(|failing| now < failing.until);
        if !host.is_unused() || remembered {
            return;
        }
        let host = self.hosts.remove(at);
        if let Ok(entry) = self.index.find_entry(host.hash, |other| other.at == at) {
            entry.remove();
        }
        self.schedule.change(at, host.scheduled, None);
        self.past.add(&host.counted());
        fx.rest().forgotten.push(host);
        self.give_memory_back();
    }

    /// A million hosts visited leave no room behind that is taken for them.
    fn give_memory_back(&mut self) {
        if self.hosts.capacity() > 64 && self.hosts.len() * 8 < self.hosts.capacity() {
            self.hosts.shrink_to_fit();
            self.index.shrink_to_fit(|host| host.hash);
        }
    }

    /// What every change of a host ends with: begin the dials that are wanted, note when to look
    /// again, forget it when it has become unused, and see whether a closed pool is empty now.
    fn after(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        self.pump(at, now, fx);
        self.hurry(at, fx);
        self.reschedule(at, now, fx);
        self.forget_if_unused(at, now, fx);
        fx.drained |= self.is_drained();
    }

    /// Nothing is open and no close is under way, and the pool is closed.
    pub(crate) fn is_drained(&self) -> bool {
        self.phase == Phase::Closed && self.totals.open == 0 && self.totals.closes == 0
    }
}
