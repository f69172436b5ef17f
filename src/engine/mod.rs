//! The pool's decisions, as plain data: no await, no clock, no tokio.
//!
//! A [`HostState`] is the whole state of one host. The runtime layer keeps each behind its own
//! lock, calls its methods in a [`Section`] (the current time, the state common to all hosts, and
//! the decided actions), and carries out the actions once the lock is released.
//!
//! # Machines
//!
//! A host is made of machines, each with private fields: its connections with their gauges and the order of lending
//! (`connections`), the dials, pings and closes in flight (`work`), the queue and what the tasks of callers hold
//! (`queue`), its share of the budget (`budget`), samples of its size (`advice`). No machine calls another or the
//! host. They return slots or a decision, and the host acts: `host` has the pool's policy, a file for each subject.
//! What time alone does is one list, in `host/time.rs`.
//!
//! A section costs what it changes, however many connections the host has. What comes first of many
//! is kept in order where that is cheap (the order of lending), and has a lower bound otherwise
//! ([`Soonest`](soonest::Soonest): idle time-outs, lifetimes, heartbeats, leaks).
//!
//! # Fast paths
//!
//! Six functions are fast paths: lend ([`HostState::lend_as`], and its part for shared
//! connections), return and hand over ([`HostState::give_back`], the same), join a queue with
//! waiters ([`HostState::join_crowd`]) and leave it ([`HostState::leave_crowd`]). Each tests whether
//! a section would do more than the operation itself, and changes nothing if so; its caller then
//! takes the slow path. That is a method that changes entries, followed by [`HostState::finish`],
//! which starts what waiters need, notes the next deadline, and reports to the budget.
//!
//! A condition too many costs time. A forgotten one is a bug: something is not done, or is done too
//! late. `host/calm.rs` says why the conditions suffice.
//!
//! # The states of a connection
//!
//! An [`Entry`](connections::entry::Entry) keeps its slot from the start of its dial to the end of
//! its close.
//!
//! ```text
//!   begin_dial         dialed            lend, hand over
//!   ───────────► Dialing ───────► Idle ─────────────────► InUse ────► AwaitsReset
//!                   │            ▲ │ ▲      last lease      │ ▲            │
//!    failed, lost   │      answer│ │ └──────────────────────┘ │ answer     │ reset
//!                   ▼            │ ▼                          ▼ (shared)   │
//!                (gone)        Pinging ◄──────────────────────┘ ◄──────────┘
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
//! 8. A host leaves the directory once it has no connections, waiters, recent failed dial, cap of its own or handle. In a
//!    closed pool, the last two do not keep it.
//! 9. Under a budget, permits held by entries and permits on the way to a host are together the budget's count, at
//!    most the cap, at every moment. A free permit and a host that is short of one never exist together.
//! 10. Actions are carried out when no lock is held. Between a decision and its action nothing is assumed to stay as
//!     it was.
//!
//! `check_invariants` (in `host/check.rs`) checks as much of these as a single state shows. Every
//! engine test calls it after every step. The tests themselves check 1 and 7.
//!
//! # Lock order
//!
//! Directory, host, then budget or schedule; a waiter's seat last. Never two hosts at once. No user
//! code runs under any of them, except `Eq` and `Borrow` of the key under the directory's.

pub(crate) mod actions;
pub(crate) mod advice;
pub(crate) mod budget;
pub(crate) mod common;
pub(crate) mod connections;
pub(crate) mod host;
pub(crate) mod loan;
#[cfg(any(all(test, not(wharf_loom)), fuzzing))]
pub(crate) mod programs;
pub(crate) mod queue;
pub(crate) mod schedule;
pub(crate) mod soonest;
pub(crate) mod sync;
#[cfg(all(test, not(wharf_loom)))]
mod tests;
pub(crate) mod work;

use std::fmt::Debug;

use crate::policy::time::Span;

pub(crate) use actions::{Actions, CloseOrder, DialOrder, Leak, PingOrder, Purpose, Section};
pub(crate) use common::Common;
pub(crate) use connections::entry::Proof;
pub(crate) use connections::leases::Lease;
pub(crate) use host::failing::Outage;
pub(crate) use host::membership::{Listing, Phase};
pub(crate) use host::minimum::{Progress, WarmRequest};
pub(crate) use host::overload::Overload;
pub(crate) use host::peers::Asking;
pub(crate) use host::status;
pub(crate) use host::{Dialed, Ended, Failed, HostState, Joined, Returned, Room, Use, Verdict};
pub(crate) use loan::{Loan, LoanView, Ticket};
pub(crate) use queue::deadlocks::{Deadlock, Nested, SelfWait, Task};
pub(crate) use queue::waiters::{Seat, Until, Waiter};

pub(crate) use crate::policy::call_site::CallSite;

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
    /// Stops the task of a dial.
    type Stop: Clone + Default;

    fn runtime(waker: &Self::Waker) -> Self::Runtime;

    /// The failure of a dial that has used up this time-out.
    fn timed_out(limit: Span) -> Self::Failure;
}
