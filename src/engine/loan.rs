//! A connection on its way to its borrower.

use super::Parts;
use crate::policy::time::Time;

/// Identifies a lease of a host: the slot of its connection, and its number among that connection's leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    pub(crate) slot: u32,
    pub(crate) lease: u32,
}

/// What an observer is told about a loan. The borrower keeps it, so that no event needs the lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoanView {
    pub(crate) id: u64,
    pub(crate) since: Time,
    pub(crate) is_first: bool,
}

/// A connection on loan, or a share of one.
pub(crate) struct Loan<P: Parts> {
    pub(crate) ticket: Ticket,
    pub(crate) view: LoanView,
    pub(crate) connection: P::Connection,
}
