//! Who holds the connections of one host: since when, and where in the code it was asked for.
//!
//! A connection has its place here from its making to its end, so that a loan only writes to it.

use slab::Slab;

use super::Place;
use super::time::Time;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Loan {
    pub(crate) connection: u64,
    pub(crate) since: Time,
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) struct Loans(Slab<Option<Loan>>);

impl Loans {
    pub(crate) fn new() -> Self {
        Loans(Slab::new())
    }

    /// A place for a new connection.
    pub(crate) fn enter(&mut self) -> u32 {
        u32::try_from(self.0.insert(None)).expect("fewer than four thousand million connections")
    }

    /// The connection with this place has left the host.
    pub(crate) fn leave(&mut self, at: u32) {
        self.0.remove(at as usize);
    }

    #[inline]
    pub(crate) fn begin(&mut self, at: u32, loan: Loan) {
        self.0[at as usize] = Some(loan);
    }

    #[inline]
    pub(crate) fn end(&mut self, at: u32) {
        self.0[at as usize] = None;
    }

    /// How many are lent, and how many places are taken.
    #[cfg(any(test, wharf_loom))]
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.0.iter().filter(|(_, loan)| loan.is_some()).count(), self.0.len())
    }

    /// All loans, the longest held first.
    pub(crate) fn longest_first(&self) -> Vec<Loan> {
        let mut loans: Vec<_> = self.0.iter().filter_map(|(_, loan)| *loan).collect();
        loans.sort_by_key(|loan| (loan.since, loan.connection));
        loans
    }
}
