//! A world for one thing alone.

use super::super::programs::Op;
use super::super::programs::world::{Loan, Plain, World};
use super::super::*;
use super::unlimited;
use crate::spread::Spread;

pub(super) fn secs(seconds: u64) -> Span {
    Span::from(std::time::Duration::from_secs(seconds))
}

/// Connections that are lent to one, with these limits.
pub(super) fn world(set: impl FnOnce(&mut Limits)) -> World {
    let mut limits = unlimited();
    set(&mut limits);
    World::new(limits, None)
}

/// Connections that take so many leases, with these limits.
pub(super) fn shared(leases: usize, set: impl FnOnce(&mut Limits)) -> World {
    let mut limits = unlimited();
    set(&mut limits);
    World::new(limits, Some((Spread::OldestFirst, leases)))
}

impl World {
    /// What the engine lends to who asks now.
    pub(super) fn lend(&mut self, key: u32) -> Lent<usize> {
        let id = self.host(key).expect("it is known");
        self.engine.lend(id, self.now, Location::caller())
    }

    /// Makes a loan of the host, the last of `loans`: by a dial if there is no other way.
    pub(super) fn borrow(&mut self, key: u32) -> &mut Loan {
        self.run(&Op::Acquire(key, false));
        while let Some(dial) = self.dials.pop() {
            self.dial_done(&dial);
            self.carry_out();
        }
        if let Some(wait) = self.waits.pop() {
            self.poll(wait);
        }
        self.carry_out();
        self.loans.last_mut().expect("it was lent")
    }

    /// Gives the last loan back.
    pub(super) fn return_one(&mut self) {
        let loan = self.loans.pop().expect("something is lent");
        self.give_back(loan);
        self.carry_out();
        self.check();
    }

    pub(super) fn host_of(&mut self, key: u32) -> &mut host::Host<Plain> {
        let at = self.host(key).expect("it is known").index;
        &mut self.engine.hosts[at]
    }
}
