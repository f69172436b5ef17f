//! What the engine decided, for the shell to carry out once the lock is released.
//!
//! Everything whose destructor or method is the user's (wakers, failures, keys, connections) leaves
//! the engine through here and is woken, closed or dropped outside.

use super::Parts;
use super::connection::Tracked;
use super::health::Asked;
use super::host::Host;
use super::loans::Loan;
pub(crate) use crate::close_reason::CloseReason;

pub(crate) struct Effects<P: Parts> {
    pub(crate) wake: Vec<P::Waker>,
    /// Wakers that are not needed any more: to be dropped, not woken.
    pub(crate) unused: Vec<P::Waker>,
    pub(crate) dial: Vec<DialOrder<P>>,
    /// The next deadline has moved forward: upkeep must look again.
    pub(crate) upkeep: bool,
    /// The pool is closed and nothing of this engine is left open.
    pub(crate) drained: bool,
    rest: Option<Box<Rest<P>>>,
}

/// What is rarer than a wait, kept apart so that a wait does not carry it about.
pub(crate) struct Rest<P: Parts> {
    pub(crate) close: Vec<CloseOrder<P>>,
    pub(crate) ping: Vec<PingOrder<P>>,
    /// Pings of these hosts that are on their way may have to be given up.
    pub(crate) hurry: Vec<P::Host>,
    pub(crate) failures: Vec<P::Failure>,
    /// Records of leases that have ended.
    pub(crate) copies: Vec<Box<Tracked<P::Connection>>>,
    /// Hosts that are new.
    pub(crate) appeared: Vec<P::Host>,
    pub(crate) forgotten: Vec<Host<P>>,
    /// Loans that are held for longer than `leak_after`, or have come back after that.
    pub(crate) leaks: Vec<(P::Host, Leak)>,
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
    pub(crate) asked: Asked,
}

/// Close a connection.
pub(crate) struct CloseOrder<P: Parts> {
    pub(crate) host: P::Host,
    pub(crate) connection: Box<Tracked<P::Connection>>,
    pub(crate) reason: CloseReason,
    /// A live connection keeps its slot until it is closed; a dead one has given it back.
    pub(crate) holds_slot: bool,
}

/// A loan that is held for long.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Leak {
    StillOut(Loan),
    Back(Loan),
}

impl<P: Parts> Effects<P> {
    pub(crate) fn new() -> Self {
        let (wake, unused, dial) = (Vec::new(), Vec::new(), Vec::new());
        Effects { wake, unused, dial, upkeep: false, drained: false, rest: None }
    }

    /// Nothing is to be done.
    pub(crate) fn is_empty(&self) -> bool {
        let tasks = self.dial.is_empty() && !self.upkeep && !self.drained;
        self.wake.is_empty() && self.unused.is_empty() && tasks && self.rest.is_none()
    }

    pub(crate) fn rest(&mut self) -> &mut Rest<P> {
        self.rest.get_or_insert_with(|| Box::new(Rest::new()))
    }

    pub(crate) fn take_rest(&mut self) -> Option<Box<Rest<P>>> {
        self.rest.take()
    }
}

impl<P: Parts> Rest<P> {
    fn new() -> Self {
        Rest {
            close: Vec::new(),
            ping: Vec::new(),
            hurry: Vec::new(),
            failures: Vec::new(),
            copies: Vec::new(),
            appeared: Vec::new(),
            forgotten: Vec::new(),
            leaks: Vec::new(),
        }
    }
}
