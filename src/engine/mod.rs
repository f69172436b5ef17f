//! The pool's decisions, as plain data: no await, no clock, no tokio.
//!
//! A [`HostState`] is the whole state of one host. The runtime layer keeps each behind its own
//! lock, calls its methods in a [`Section`] (the current time, the state common to all hosts, and
//! the decided actions), and carries out the actions once the lock is released.
//!
//! Three operations have a fast path: lend ([`HostState::lend`]), return ([`HostState::give_back`])
//! and join a queue with waiters ([`HostState::join_crowd`]). Each tests its conditions and changes
//! nothing if one fails; its caller then takes the slow path. That is a method that changes
//! entries, followed by [`HostState::finish`], which starts what waiters need, notes the next
//! deadline, and reports to the budget. A case that a fast path does not cover therefore costs
//! time and not correctness.
//!
//! # The states of a connection
//!
//! An [`Entry`](entry::Entry) keeps its slot from the start of its dial to the end of its close.
//!
//! ```text
//!   begin_dial         dialed            lend, hand over
//!   ───────────► Dialing ───────► Idle ─────────────────► InUse
//!                   │            ▲ │ ▲      last lease      │ ▲
//!    failed, lost   │      answer│ │ └──────────────────────┘ │ answer (shared)
//!                   ▼            │ ▼                          ▼
//!                (gone)        Pinging ◄──────────────────────┘ ping (shared)
//!                   ▲            │
//!             closed│            ▼ dead, old, used up, retired, above a cap, to make room: from any state
//!                Closing ◄──── Draining       after the last lease and the last ping
//! ```
//!
//! # Invariants
//!
//! 1. A waiter resolves exactly once: connection, error or cancelled.
//! 2. While a host has a waiter, no entry of it is fit to be lent with room that may be given.
//! 3. Every entry has exactly one state, and the gauges are what a count of the entries by state gives. Entries that
//!    hold a place are at most the host's cap, unless the cap was lowered.
//! 4. A connection's value is in exactly one place: its entry, a loan, a task. The entry knows which.
//! 5. Capacity freed while a waiter has nothing on its way is never lost: a dial starts or a connection arrives.
//! 6. A dial starts only for a waiter, for `initial` or minimum idle, or for `warm`.
//! 7. A cancelled or failed path ends with the same gauges as if it had never begun.
//! 8. A host leaves the directory once it has no connections, waiters, recent failed dial, cap of its own or handle.
//! 9. Under a budget, permits held by entries and permits on the way to a host are together the budget's count, at
//!    most the cap, at every moment. A free permit and a host that is short of one never exist together.
//! 10. Actions are carried out when no lock is held. Between a decision and its action nothing is assumed to stay as
//!     it was.
//!
//! `check_invariants` (in `check.rs`) checks as much of these as a single state shows. Every engine
//! test calls it after every step. The tests themselves check 1 and 7.
//!
//! # Lock order
//!
//! Directory, host, then budget or schedule; a waiter's seat last. Never two hosts at once. No user
//! code runs under any of them, except `Eq` and `Borrow` of the key under the directory's.

pub(crate) mod actions;
pub(crate) mod budget;
#[cfg(any(test, wharf_loom, fuzzing))]
mod check;
mod close;
pub(crate) mod common;
mod control;
pub(crate) mod deadlock;
mod demand;
mod dial;
mod entry;
mod failing;
mod finish;
mod gauges;
mod give_back;
mod heartbeat;
pub(crate) mod host;
mod leases;
mod ledger;
mod lend;
mod loan;
mod longest;
mod maintain;
mod next_look;
mod peers;
mod ping;
#[cfg(any(all(test, not(wharf_loom)), fuzzing))]
pub(crate) mod programs;
mod reset;
pub(crate) mod schedule;
mod slots;
pub(crate) mod status;
pub(crate) mod sync;
#[cfg(all(test, not(wharf_loom)))]
mod tests;
mod wait;
mod wait_queue;
pub(crate) mod waiters;
mod warm;

use std::fmt::Debug;
use std::panic::Location;

pub(crate) use actions::{Actions, CloseOrder, DialOrder, Leak, PingOrder, Purpose, Section};
pub(crate) use common::Common;
pub(crate) use control::Room;
pub(crate) use deadlock::{Deadlock, Nested, SelfWait, Task};
pub(crate) use dial::{Dialed, Failed};
pub(crate) use failing::Outage;
pub(crate) use give_back::{Ended, Returned, Use};
pub(crate) use host::{HostState, Listing, Phase};
pub(crate) use leases::Lease;
pub(crate) use loan::{Loan, LoanView, Ticket};
pub(crate) use ping::Verdict;
pub(crate) use wait::Joined;
pub(crate) use waiters::{Seat, Until, Waiter};
pub(crate) use warm::{Warmth, Wish};

/// A call site in the user's code.
pub(crate) type CallSite = &'static Location<'static>;

/// Who asks for a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Borrower {
    pub(crate) call_site: CallSite,
    /// Known where deadlocks are looked for.
    pub(crate) task: Option<Task>,
}

/// What the engine keeps for the runtime layer without looking inside.
pub(crate) trait Parts: Sized + 'static {
    /// A host with its lock.
    type Host: Clone;
    type Connection;
    /// Why a dial failed.
    type Failure: Clone + Debug;
    /// Wakes a waiter, and knows its runtime. The engine never clones, wakes or drops it.
    type Waker;
    /// The runtime for a waiter's dial.
    type Runtime;

    fn runtime(waker: &Self::Waker) -> Self::Runtime;
}
