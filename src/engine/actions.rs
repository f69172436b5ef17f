//! One section under a host's lock, and the actions decided in it.
//!
//! Everything whose destructor or methods are user code (wakers, failures, connections) leaves the
//! engine through [`Actions`], and is woken, closed or dropped when no lock is held.

use super::Parts;
use super::common::Common;
use super::connections::leases::Lease;
use super::host::overload::Overload;
use super::queue::deadlocks::SelfWait;
use crate::policy::advice::Advice;
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::spread;
use crate::policy::time::{Span, Time};

/// The arguments that all methods of a host take.
pub(crate) struct Section<'a, P: Parts> {
    pub(crate) now: Time,
    /// From 0 to 1.
    pub(crate) random: f64,
    pub(crate) common: &'a Common<P>,
    /// The current host, for the budget.
    pub(crate) host: &'a P::Host,
    pub(crate) actions: &'a mut Actions<P>,
}

impl<P: Parts> Section<'_, P> {
    /// Returns when a life ends that begins now.
    pub(crate) fn end_of_life(&self) -> Time {
        self.now.after(self.life())
    }

    fn life(&self) -> Span {
        let limits = &self.common.limits;
        limits.max_lifetime.shortened(limits.lifetime_jitter * self.random)
    }

    /// Returns how long the life of the connection with this id lasts, of many that get one in this
    /// section: they do not end together.
    pub(crate) fn life_of(&self, id: u64) -> Span {
        #[allow(clippy::cast_precision_loss)] // It has 32 bits.
        let share = spread(id) as f64 / (1u64 << 32) as f64;
        let limits = &self.common.limits;
        limits.max_lifetime.shortened(limits.lifetime_jitter * (self.random + share).fract())
    }
}

/// Something that may be absent.
trait Maybe: Default {
    fn is_absent(&self) -> bool;
}

impl Maybe for bool {
    #[inline]
    fn is_absent(&self) -> bool {
        !self
    }
}

impl<T> Maybe for Option<T> {
    #[inline]
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Maybe for Vec<T> {
    #[inline]
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// Declares actions that are absent at first: each field is named once.
macro_rules! actions {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        pub(crate) struct $name<P: Parts> {
            $($(#[$field_doc])* pub(crate) $field: $type,)*
        }

        impl<P: Parts> Default for $name<P> {
            #[inline]
            fn default() -> Self {
                $name { $($field: <$type>::default(),)* }
            }
        }

        impl<P: Parts> Maybe for $name<P> {
            #[inline]
            fn is_absent(&self) -> bool {
                $(self.$field.is_absent())&&*
            }
        }
    };
}

actions! {
    #[allow(clippy::struct_excessive_bools)] // Each is an action.
    Actions {
        /// Hosts that were granted a permit, which already counts as theirs.
        granted: Vec<P::Host>,
        /// Idle connections of other hosts have to make room.
        make_room: bool,
        /// A host has connections that drain to make room although no host needs it: that host should
        /// check.
        stop_draining: Option<P::Host>,
        /// A host has a slow dial whose place another one wants: it should check.
        give_way: Option<P::Host>,
        close: Vec<CloseOrder<P>>,
        ping: Vec<PingOrder<P>>,
        dial: Vec<DialOrder<P>>,
        /// Dials that are not needed any more.
        stop: Vec<P::Stop>,
        wake: Vec<P::Waker>,
        /// The tasks of pings have to check whether to continue.
        recheck: bool,
        /// Callers wait: the peers of full connections should be asked how many leases they take.
        ask_peers: bool,
        /// The pool's next deadline has become earlier.
        maintain: bool,
        /// Room can be made at this time, not earlier.
        room_at: Option<Time>,
        /// The host is not needed any more.
        forget: bool,
        leaks: Vec<Leak>,
        self_wait: Option<Box<SelfWait>>,
        overload: Option<Overload>,
        advice: Option<Advice>,
        /// To be dropped.
        unused: Unused<P>,
    }
}

actions! {
    /// Values that only have to be dropped.
    Unused {
        wakers: Vec<P::Waker>,
        failures: Vec<P::Failure>,
        /// Shares of connections whose lease or ping has ended.
        shares: Vec<P::Connection>,
    }
}

impl<P: Parts> Actions<P> {
    /// Returns whether there is nothing to carry out.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.is_absent()
    }
}

/// Start a dial, which has its slot already.
pub(crate) struct DialOrder<P: Parts> {
    pub(crate) slot: u32,
    /// The runtime of the oldest waiter, if there is one.
    pub(crate) runtime: Option<P::Runtime>,
    pub(crate) stop: P::Stop,
}

/// Ping a connection.
pub(crate) struct PingOrder<P: Parts> {
    pub(crate) slot: u32,
    pub(crate) id: u64,
    pub(crate) connection: P::Connection,
    pub(crate) purpose: Purpose,
    /// It is needless if the peer was heard since then.
    pub(crate) unless_heard: Option<Time>,
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

/// Why a connection is pinged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It should be lent, or is suspect.
    Health,
    Heartbeat,
    /// Its last borrower may have left state to undo.
    Reset,
}
