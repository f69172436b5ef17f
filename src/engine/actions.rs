//! One section under a host's lock, and what was decided in it.
//!
//! Everything whose destructor or method is the user's (wakers, failures, connections) leaves the engine through
//! [`Actions`], and is woken, closed or dropped when no lock is held.

use super::leases::Lease;
use super::{Common, Loan, Parts};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::Time;

/// What a method needs beside its host: what travels together.
pub(crate) struct Section<'a, P: Parts> {
    pub(crate) now: Time,
    /// From 0 to 1.
    pub(crate) random: f64,
    pub(crate) common: &'a Common<P>,
    /// The host at hand, for the budget.
    pub(crate) host: &'a P::Host,
    pub(crate) actions: Actions<P>,
}

#[allow(clippy::struct_excessive_bools)] // Each is an action.
pub(crate) struct Actions<P: Parts> {
    /// Hosts that were granted a permit, which counts as theirs by now.
    pub(crate) granted: Vec<P::Host>,
    /// Idle connections of other hosts are to make room.
    pub(crate) make_room: bool,
    /// A host has connections that drain to make room, in vain: it is to look.
    pub(crate) stop_draining: Option<P::Host>,
    pub(crate) close: Vec<CloseOrder<P>>,
    pub(crate) ping: Vec<PingOrder<P>>,
    pub(crate) dial: Vec<DialOrder<P>>,
    pub(crate) wake: Vec<P::Waker>,
    /// Tasks of pings and dials are to look whether they are to go on.
    pub(crate) recheck: bool,
    /// Peers of full connections are to be asked how many leases they take: callers wait.
    pub(crate) ask_peers: bool,
    /// The pool's next deadline has moved forward.
    pub(crate) maintain: bool,
    /// Room can be made at this time, not before.
    pub(crate) room_at: Option<Time>,
    /// Nothing and nobody needs the host.
    pub(crate) forget: bool,
    pub(crate) leaks: Vec<Leak>,
    /// To be dropped.
    pub(crate) unused: Unused<P>,
}

/// What is only to be dropped.
pub(crate) struct Unused<P: Parts> {
    pub(crate) wakers: Vec<P::Waker>,
    pub(crate) failures: Vec<P::Failure>,
    /// Shares of connections whose lease or ping has ended.
    pub(crate) shares: Vec<Box<Loan<P>>>,
}

/// Begin a dial. It has its slot.
pub(crate) struct DialOrder<P: Parts> {
    pub(crate) slot: u32,
    /// That of the oldest waiter, if one waits.
    pub(crate) runtime: Option<P::Runtime>,
}

/// Ping a connection.
pub(crate) struct PingOrder<P: Parts> {
    pub(crate) loan: Box<Loan<P>>,
    pub(crate) purpose: Purpose,
    pub(crate) id: u64,
}

/// Close a connection.
pub(crate) struct CloseOrder<P: Parts> {
    pub(crate) loan: Box<Loan<P>>,
    pub(crate) reason: CloseReason,
    pub(crate) id: u64,
}

/// A loan that is held for long.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Leak {
    StillOut { id: u64, lease: Lease },
    Back { id: u64, lease: Lease },
}

impl<P: Parts> Default for Actions<P> {
    fn default() -> Self {
        Actions {
            granted: Vec::new(),
            make_room: false,
            stop_draining: None,
            close: Vec::new(),
            ping: Vec::new(),
            dial: Vec::new(),
            wake: Vec::new(),
            recheck: false,
            ask_peers: false,
            maintain: false,
            room_at: None,
            forget: false,
            leaks: Vec::new(),
            unused: Unused { wakers: Vec::new(), failures: Vec::new(), shares: Vec::new() },
        }
    }
}

/// Why a connection is pinged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is to be lent, or is suspect.
    Health,
    Heartbeat,
    /// Its last borrower may have left something to undo.
    Reset,
}
