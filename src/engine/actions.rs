//! One section under a host's lock, and the actions decided in it.
//!
//! Everything whose destructor or methods are user code (wakers, failures, connections) leaves the
//! engine through [`Actions`], and is woken, closed or dropped when no lock is held.

use super::leases::Lease;
use super::{Common, Parts, SelfWait};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::Time;

/// The arguments that all methods of a host take.
pub(crate) struct Section<'a, P: Parts> {
    pub(crate) now: Time,
    /// From 0 to 1.
    pub(crate) random: f64,
    pub(crate) common: &'a Common<P>,
    /// The current host, for the budget.
    pub(crate) host: &'a P::Host,
    pub(crate) actions: Actions<P>,
}

#[allow(clippy::struct_excessive_bools)] // Each is an action.
pub(crate) struct Actions<P: Parts> {
    /// Hosts that were granted a permit, which already counts as theirs.
    pub(crate) granted: Vec<P::Host>,
    /// Idle connections of other hosts have to make room.
    pub(crate) make_room: bool,
    /// A host has connections that drain to make room although no host needs it: that host should
    /// check.
    pub(crate) stop_draining: Option<P::Host>,
    pub(crate) close: Vec<CloseOrder<P>>,
    pub(crate) ping: Vec<PingOrder<P>>,
    pub(crate) dial: Vec<DialOrder<P>>,
    pub(crate) wake: Vec<P::Waker>,
    /// The tasks of pings and dials have to check whether to continue.
    pub(crate) recheck: bool,
    /// Callers wait: the peers of full connections should be asked how many leases they take.
    pub(crate) ask_peers: bool,
    /// The pool's next deadline has become earlier.
    pub(crate) maintain: bool,
    /// Room can be made at this time, not earlier.
    pub(crate) room_at: Option<Time>,
    /// The host is not needed any more.
    pub(crate) forget: bool,
    pub(crate) leaks: Vec<Leak>,
    pub(crate) self_wait: Option<Box<SelfWait>>,
    /// To be dropped.
    pub(crate) unused: Unused<P>,
}

/// Values that only have to be dropped.
pub(crate) struct Unused<P: Parts> {
    pub(crate) wakers: Vec<P::Waker>,
    pub(crate) failures: Vec<P::Failure>,
    /// Shares of connections whose lease or ping has ended.
    pub(crate) shares: Vec<P::Connection>,
}

/// Start a dial, which has its slot already.
pub(crate) struct DialOrder<P: Parts> {
    pub(crate) slot: u32,
    /// The runtime of the oldest waiter, if there is one.
    pub(crate) runtime: Option<P::Runtime>,
}

/// Ping a connection.
pub(crate) struct PingOrder<P: Parts> {
    pub(crate) slot: u32,
    pub(crate) id: u64,
    pub(crate) connection: P::Connection,
    pub(crate) purpose: Purpose,
}

/// Close a connection.
pub(crate) struct CloseOrder<P: Parts> {
    pub(crate) slot: u32,
    pub(crate) id: u64,
    pub(crate) connection: P::Connection,
    pub(crate) reason: CloseReason,
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
            self_wait: None,
            unused: Unused { wakers: Vec::new(), failures: Vec::new(), shares: Vec::new() },
        }
    }
}

impl<P: Parts> Actions<P> {
    /// Returns whether there is nothing to carry out.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // Without `..`, so that the compiler names a field that is forgotten here.
        let Actions {
            granted,
            make_room,
            stop_draining,
            close,
            ping,
            dial,
            wake,
            recheck,
            ask_peers,
            maintain,
            room_at,
            forget,
            leaks,
            self_wait,
            unused,
        } = self;
        let Unused { wakers, failures, shares } = unused;
        !(*make_room || *recheck || *ask_peers || *maintain || *forget)
            && stop_draining.is_none()
            && room_at.is_none()
            && self_wait.is_none()
            && (granted.is_empty() && leaks.is_empty() && wake.is_empty())
            && (close.is_empty() && ping.is_empty() && dial.is_empty())
            && (wakers.is_empty() && failures.is_empty() && shares.is_empty())
    }
}

/// Why a connection is pinged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It should be lent, or is suspect.
    Health,
    Heartbeat,
    /// Its last borrower may have left state to undo.
    Reset,
}
