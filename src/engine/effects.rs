//! What the engine decided, for the shell to carry out once the lock is released.
//!
//! Everything whose destructor or method is the user's (wakers, failures, keys, connections) leaves
//! the engine through here and is woken, closed or dropped outside.

use super::Parts;
use super::connection::Tracked;
use super::health::Purpose;
use super::host::Host;

pub(crate) struct Effects<P: Parts> {
    pub(crate) wake: Vec<P::Waker>,
    /// Wakers that are not needed any more: to be dropped, not woken.
    pub(crate) unused: Vec<P::Waker>,
    pub(crate) dial: Vec<DialOrder<P>>,
    pub(crate) close: Vec<CloseOrder<P>>,
    pub(crate) ping: Vec<PingOrder<P>>,
    /// Pings of these hosts that are on their way may have to be given up.
    pub(crate) hurry: Vec<P::Host>,
    pub(crate) failures: Vec<P::Failure>,
    /// Records of leases that have ended.
    pub(crate) copies: Vec<Box<Tracked<P::Connection>>>,
    pub(crate) forgotten: Vec<Host<P>>,
    /// The next deadline has moved forward: upkeep must look again.
    pub(crate) upkeep: bool,
    /// The pool is closed and nothing of this engine is left open.
    pub(crate) drained: bool,
}

/// Begin a dial. Its slot is taken already.
pub(crate) struct DialOrder<P: Parts> {
    pub(crate) host: P::Host,
    pub(crate) epoch: u32,
    /// That of the waiter who caused it, if one did.
    pub(crate) runtime: Option<P::Runtime>,
}

/// Ping a connection that is in nobody's hand.
pub(crate) struct PingOrder<P: Parts> {
    pub(crate) host: P::Host,
    pub(crate) connection: Box<Tracked<P::Connection>>,
    pub(crate) purpose: Purpose,
    /// The host's doubts when the ping was ordered: an answer proves no more.
    pub(crate) doubts: u32,
}

/// Close a connection.
pub(crate) struct CloseOrder<P: Parts> {
    pub(crate) host: P::Host,
    pub(crate) connection: Box<Tracked<P::Connection>>,
    pub(crate) reason: CloseReason,
    /// A live connection keeps its slot until it is closed; a dead one has given it back.
    pub(crate) holds_slot: bool,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    Idle,
    Age,
    Uses,
    NotOpen,
    PingFailed,
    HeartbeatMissed,
    Discarded,
    OverIdleLimit,
    OverCap,
    MadeRoom,
    Retired,
    Rejected,
    Asked,
    PoolClosed,
}

impl<P: Parts> Effects<P> {
    pub(crate) const fn new() -> Self {
        Effects {
            wake: Vec::new(),
            unused: Vec::new(),
            dial: Vec::new(),
            close: Vec::new(),
            ping: Vec::new(),
            hurry: Vec::new(),
            failures: Vec::new(),
            copies: Vec::new(),
            forgotten: Vec::new(),
            upkeep: false,
            drained: false,
        }
    }
}
