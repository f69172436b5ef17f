//! Who holds the connections of one host: since when, and where in the code it was asked for.
//!
//! A connection has its place here from its making to its end, and a lease while it is out, so that
//! a loan only writes to it. The end of a loan writes nothing: the last loan of an idle connection
//! stays noted, and is left out when somebody looks. What leaves the idle list for anything but a loan
//! is taken off the notes; where loans are watched (`leak_after`), what returns is too.

use smallvec::SmallVec;

use super::Place;
use super::time::{Span, Time};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Loan {
    pub(crate) connection: u64,
    pub(crate) since: Time,
    pub(crate) place: Place,
    /// It was reported as held for long.
    pub(crate) reported: bool,
}

/// In the order of use, as [`Host`](super::host::Host).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Loans {
    /// The last loan of each connection. The first is found without a look elsewhere: with many hosts,
    /// most have one.
    last: SmallVec<[Option<Loan>; 1]>,
    /// No loan that was not reported began before this. It may be long over: only upkeep looks.
    unreported_since: Time,
    /// Places of connections that have left.
    free: Vec<u32>,
}

impl Loans {
    pub(crate) fn new() -> Self {
        Loans { last: SmallVec::new(), free: Vec::new(), unreported_since: Time::NEVER }
    }

    /// A place for a new connection.
    pub(crate) fn enter(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            if self.last.len() == self.last.capacity() {
                // By half, not to twice: memory counts for more here than the time to grow.
                self.last.reserve_exact(self.last.len() / 2 + 1);
            }
            self.last.push(None);
            u32::try_from(self.last.len() - 1)
                .expect("fewer than four thousand million connections")
        })
    }

    /// The connection with this place has left the host.
    pub(crate) fn leave(&mut self, at: u32) {
        self.last[at as usize] = None;
        self.free.push(at);
    }

    #[inline]
    pub(crate) fn begin(&mut self, at: u32, loan: Loan) {
        self.unreported_since = self.unreported_since.min(loan.since);
        self.last[at as usize] = Some(loan);
    }

    /// The loan with this place has ended: what was noted of it.
    pub(crate) fn end(&mut self, at: u32) -> Option<Loan> {
        self.last[at as usize].take()
    }

    pub(crate) fn is_reported(&self, at: u32) -> bool {
        self.last[at as usize].is_some_and(|loan| loan.reported)
    }

    /// Where loans are watched: those held for longer than `after` that were not reported before.
    pub(crate) fn report(&mut self, after: Span, now: Time) -> Vec<Loan> {
        let is_due = |since: Time| since.after(after) <= now;
        if !is_due(self.unreported_since) {
            return Vec::new();
        }
        let unreported = self.last.iter_mut().flatten().filter(|loan| !loan.reported);
        let (due, rest): (Vec<_>, Vec<_>) = unreported.partition(|loan| is_due(loan.since));
        self.unreported_since = rest.iter().map(|loan| loan.since).min().unwrap_or(Time::NEVER);
        due.into_iter()
            .map(|loan| {
                loan.reported = true;
                *loan
            })
            .collect()
    }

    pub(crate) fn unreported_since(&self) -> Time {
        self.unreported_since
    }

    /// The connection with this place is idle no longer, and not lent either.
    pub(crate) fn clear(&mut self, at: u32) {
        self.last[at as usize] = None;
    }

    /// How many places are taken.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn places(&self) -> usize {
        self.last.len() - self.free.len()
    }

    /// Room for how many is allocated, used or not.
    #[cfg(all(test, not(wharf_loom)))]
    pub(crate) fn room(&self) -> usize {
        self.last.capacity()
    }

    /// All loans, the longest held first. The places of idle connections are given.
    pub(crate) fn longest_first(&self, idle: impl Iterator<Item = u32>) -> Vec<Loan> {
        let mut last = self.last.clone();
        idle.for_each(|at| last[at as usize] = None);
        let mut loans: Vec<_> = last.into_iter().flatten().collect();
        loans.sort_by_key(|loan| (loan.since, loan.connection));
        loans
    }
}
