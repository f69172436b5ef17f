//! The pool's decisions, as plain data: no await, no clock, no tokio.
//!
//! A [`HostState`] is all there is to know of one host. The runtime layer keeps each behind a lock of its own, calls
//! its methods in a [`Section`] (the time it is, what all hosts have in common, and the actions that are decided), and
//! carries the actions out once the lock is released.
//!
//! Three paths are short: lend ([`HostState::lend`]), give back ([`HostState::give_back`]) and join a crowd
//! ([`HostState::join_crowd`]). Each tests its conditions and otherwise changes nothing, and its caller takes the long
//! way: a method that changes entries, and then [`HostState::finish`], which begins what those who wait are owed, notes
//! the next deadline, and tells the budget. So a forgotten condition costs time and not correctness.
//!
//! # Where a connection is
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
//! 8. No host with nothing open, nobody waiting, no backoff, no cap of its own and no handle stays in the directory.
//! 9. Under a budget, permits held by entries and permits on the way to a host are together the budget's count, at
//!    most the cap, at every moment. A free permit and a host that is short of one never exist together.
//! 10. Actions are carried out when no lock is held. Between a decision and its action nothing is assumed to stay as
//!     it was.
//!
//! `check_invariants` (in `check.rs`) checks what of these one state shows. Every engine test calls it after every
//! step. 1 and 7 are the tests' own.
//!
//! # Lock order
//!
//! Directory, host, then budget or schedule; a waiter's seat last. Never two hosts at once. Nothing of the user's runs
//! under any of them but `Eq` and `Borrow` of the key, under the directory's.

pub(crate) mod actions;
pub(crate) mod budget;
#[cfg(any(test, wharf_loom, fuzzing))]
mod check;
mod close;
pub(crate) mod common;
mod control;
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
pub(crate) use dial::{Dialed, Failed};
pub(crate) use failing::Outage;
pub(crate) use give_back::{Returned, Use};
pub(crate) use host::{HostState, Listing, Phase};
pub(crate) use leases::Lease;
pub(crate) use ping::Verdict;
pub(crate) use wait::Joined;
pub(crate) use waiters::{Seat, Until, Waiter};
pub(crate) use warm::{Warmth, Wish};

/// A place in the caller's code.
pub(crate) type CallSite = &'static Location<'static>;

/// What the engine keeps for the runtime layer without looking inside.
pub(crate) trait Parts: Sized + 'static {
    /// A host with its lock.
    type Host: Clone;
    type Connection;
    /// Why a dial failed.
    type Failure: Clone + Debug;
    /// Wakes a waiter, and knows its runtime. Never cloned, woken or dropped by the engine.
    type Waker;
    /// Where a waiter's dial is to run.
    type Runtime;

    fn runtime(waker: &Self::Waker) -> Self::Runtime;
}

/// A connection with its way home. In one box from its dial to its close, so that a guard is one word: three words,
/// written singly and moved by wider loads, cost half of a hit.
pub(crate) struct Loan<P: Parts> {
    /// While it is lent.
    pub(crate) home: Option<P::Host>,
    pub(crate) slot: u32,
    /// The number of its lease.
    pub(crate) lease: u32,
    pub(crate) connection: P::Connection,
}
