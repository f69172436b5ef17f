//! Who holds the connections of one host: since when, and where in the code it was asked for.

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
pub(crate) struct Loans(Slab<Loan>);

impl Loans {
    pub(crate) fn new() -> Self {
        Loans(Slab::new())
    }

    pub(crate) fn begin(&mut self, loan: Loan) -> u32 {
        u32::try_from(self.0.insert(loan)).expect("fewer than four thousand million loans")
    }

    pub(crate) fn end(&mut self, loan: u32) {
        self.0.remove(loan as usize);
    }

    #[cfg(any(test, wharf_loom))]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All loans, the longest held first.
    pub(crate) fn longest_first(&self) -> Vec<Loan> {
        let mut loans: Vec<_> = self.0.iter().map(|(_, loan)| *loan).collect();
        loans.sort_by_key(|loan| (loan.since, loan.connection));
        loans
    }
}
