//! Worlds for tests of a single rule.

use std::time::Duration;

use super::super::programs::world::{Mode, World};
use super::super::programs::{Op, Pick, Setup};
use super::super::{HostState, Progress, Proof};
use crate::policy::backoff::Backoff;
use crate::policy::limits::Limits;
use crate::policy::order::Order;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;
use crate::policy::time::Span;

use super::super::programs::world::Plain;

pub(super) fn secs(seconds: u64) -> Span {
    Span::from(Duration::from_secs(seconds))
}

pub(super) fn unlimited() -> Limits {
    Limits {
        max_per_host: usize::MAX,
        initial_per_host: 0,
        min_idle_per_host: 0,
        max_idle_per_host: usize::MAX,
        max_idle: usize::MAX,
        max_total: usize::MAX,
        max_waiters_per_host: usize::MAX,
        max_dialing_per_host: usize::MAX,
        max_dialing: usize::MAX,
        order: Order::Adaptive,
        reuse: Reuse::MostRecent,
        spread: Spread::OldestFirst,
        acquire_timeout: Span::FOREVER,
        idle_timeout: Span::FOREVER,
        max_lifetime: Span::FOREVER,
        lifetime_jitter: 0.0,
        max_uses: u64::MAX,
        connect_timeout: Span::FOREVER,
        backoff: Backoff::default(),
        ping_after: Span::FOREVER,
        ping_counts: Span::from(Duration::from_millis(250)),
        pings_at_once: 8,
        heartbeat: None,
        close_timeout: Span::FOREVER,
        leak_after: Span::FOREVER,
        deadlock_after: Span::FOREVER,
        advice: Span::FOREVER,
        retry: false,
    }
}

fn of_kind(leases: Option<usize>, mode: Mode, set: impl FnOnce(&mut Limits)) -> World {
    let mut limits = unlimited();
    set(&mut limits);
    let setup = Setup {
        limits,
        leases,
        carries: leases.unwrap_or(1),
        hosts: 250,
        proof: Proof::Ping,
        lag: 0,
        crowd: None,
    };
    World::new(&setup, mode)
}

/// Exclusive connections with these limits.
pub(super) fn world(set: impl FnOnce(&mut Limits)) -> World {
    of_kind(None, Mode::Ordered { short: true }, set)
}

/// The same, but actions for other hosts wait until they are carried out.
pub(super) fn shuffled(set: impl FnOnce(&mut Limits)) -> World {
    of_kind(None, Mode::Shuffled, set)
}

/// Connections that take this many leases, with these limits.
pub(in crate::engine) fn shared(leases: usize, set: impl FnOnce(&mut Limits)) -> World {
    of_kind(Some(leases), Mode::Ordered { short: true }, set)
}

/// The same for connections that take this many leases.
pub(super) fn shuffled_shared(leases: usize, set: impl FnOnce(&mut Limits)) -> World {
    of_kind(Some(leases), Mode::Shuffled, set)
}

/// This many idle connections of host 0.
pub(super) fn with_idle(n: usize, set: impl FnOnce(&mut Limits)) -> World {
    let mut world = world(set);
    (0..n).for_each(|_| world.borrow(0));
    (0..n).for_each(|_| world.return_last());
    world
}

/// Exclusive connections with these limits, to a server that is known to be quick.
pub(super) fn of_quick_server(set: impl FnOnce(&mut Limits)) -> World {
    that_is_quick(world(set))
}

/// Host 0 is held, has nothing open, and its server is known to be quick: it dials for all who wait.
pub(super) fn that_is_quick(mut world: World) -> World {
    world.run(&Op::Hold(0));
    world.borrow(0);
    world.run(&Op::Discard(Pick::FIRST));
    world.run(&Op::CloseEnded(Pick::FIRST));
    assert!(world.dials.is_empty() && world.loans.is_empty());
    world
}

impl World {
    pub(in crate::engine) fn acquire_of(&mut self, key: u8) {
        self.run(&Op::Acquire(key, false));
    }

    /// Takes a loan of the host and puts it last in `loans`; dials if there is no other way.
    pub(in crate::engine) fn borrow(&mut self, key: u8) {
        let loans = self.loans.len();
        self.acquire_of(key);
        while !self.dials.is_empty() {
            self.run(&Op::DialDone(Pick::FIRST));
        }
        if let Some(wait) = (self.loans.len() == loans).then(|| self.waits.pop()).flatten() {
            self.poll(wait);
        }
        assert_eq!(self.loans.len(), loans + 1, "it was lent");
    }

    /// Returns the last loan.
    pub(in crate::engine) fn return_last(&mut self) {
        let last = self.loans.pop().expect("something is lent");
        self.loans.insert(0, last);
        self.run(&Op::Return(Pick::FIRST, true));
    }

    pub(super) fn host_of(&mut self, key: u8) -> &mut HostState<Plain> {
        let at = self.find(key).expect("it is known");
        &mut self.cells[at].state
    }

    /// Returns what a caller is told that asks for this many connections of host 0, at once or
    /// after these dials have ended; each tells whether it succeeds.
    pub(super) fn told_of(&mut self, n: usize, dials: &[bool]) -> Progress<&'static str> {
        self.run(&Op::Warm(0, n));
        for &succeeds in dials {
            let end = if succeeds {
                Op::DialDone(Pick::FIRST)
            } else {
                Op::DialFailed(Pick::FIRST, true)
            };
            self.run(&end);
        }
        self.run(&Op::LookWarm(Pick::FIRST));
        assert!(self.warmers.is_empty(), "nothing is being dialed");
        self.told.pop().expect("it has been told")
    }
}
