//! The observer of a pool's events.

use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::time::Duration;

use crate::policy::acquire_failure::AcquireFailure;
use crate::policy::call_site::CallSite;
use crate::policy::close_reason::CloseReason;

/// Receives each event of a pool, for metrics, logs and tests. Every method does nothing by
/// default.
///
/// `host` is the host's key. No lock is held during a call, and the observer may use the pool.
///
/// # Order
///
/// Events of one connection arrive in order, from [`dial_done`](Observer::dial_done) to
/// [`closed`](Observer::closed). [`leaked`](Observer::leaked) may be late: the connection may have
/// returned meanwhile. Events of different connections, and those of a host, may overtake each
/// other: callers may have the error of a dial before [`dial_failed`](Observer::dial_failed).
/// [`pool_closed`](Observer::pool_closed) is the last event of a pool, apart from those of callers that
/// get an error: they tell of it when they are polled.
///
/// # Panics and blocking
///
/// A panic in it is caught and has no effect. It should be quick, because it runs on a thread of
/// the runtime. If it blocks in a runtime with several threads, it delays only what the event is
/// about; the time-outs of callers continue:
///
/// | event | reported by | what waits meanwhile |
/// | --- | --- | --- |
/// | `acquired`, `returned`, `timed_out`, `acquire_failed`, `slow_acquire`, `host_appeared` | the caller | the caller |
/// | `dial_began`, `dial_done` | the dial's task | the connection: `dial_done` comes before its borrower's `acquired` |
/// | `dial_failed` | the dial's task | nothing: callers have the error |
/// | `ping_answered`, `ping_failed`, `heartbeat_missed` | the ping's task | the connection |
/// | `closed` | the close's task (`detach`: the caller) | the close, and its place under the caps if it holds one |
/// | `pool_closed` | the task of the last close, dial or event, or the caller of `close` | those who wait for the end of the pool |
/// | `leaked`, `deadlocked`, `overloaded`, `host_forgotten` | a separate task, or the caller that returns or closes the connection | nothing else |
///
/// A caller's own event is reported in the caller's task, where blocking is as bad as in any other
/// task: tokio may neglect timers and sockets of the whole runtime until another of its threads has
/// something to do.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use wharf::{DialFailed, Observer, Pool};
///
/// #[derive(Default)]
/// struct Failures(AtomicUsize);
///
/// impl Observer for Failures {
///     fn dial_failed(&self, event: &DialFailed<'_>) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         eprintln!("no connection to {:?}: {}", event.host, event.error);
///     }
/// }
///
/// let builder = Pool::builder().observer(Failures::default());
/// ```
pub trait Observer: Send + Sync + 'static {
    /// The pool has added a host.
    fn host_appeared(&self, host: &dyn Debug) {
        let _ = host;
    }

    /// The pool has removed a host: it has no connections, no waiters, no handle and no cap of its
    /// own, and no dial has failed recently. When the pool is closed, a host with a handle is removed,
    /// too.
    fn host_forgotten(&self, host: &dyn Debug) {
        let _ = host;
    }

    /// A dial has started.
    fn dial_began(&self, host: &dyn Debug) {
        let _ = host;
    }

    /// A dial has succeeded.
    fn dial_done(&self, event: &DialDone<'_>) {
        let _ = event;
    }

    /// A dial has failed.
    fn dial_failed(&self, event: &DialFailed<'_>) {
        let _ = event;
    }

    /// A caller has received its connection.
    fn acquired(&self, event: &Acquired<'_>) {
        let _ = event;
    }

    /// A caller's time-out has passed, or it found nothing idle and did not wait.
    fn timed_out(&self, event: &TimedOut<'_>) {
        let _ = event;
    }

    /// An acquire has ended without a connection. For a time-out,
    /// [`timed_out`](Observer::timed_out) is called first.
    fn acquire_failed(&self, event: &AcquireFailed<'_>) {
        let _ = event;
    }

    /// A caller has received its connection after waiting for
    /// [`slow_acquire`](crate::Builder::slow_acquire) or longer.
    fn slow_acquire(&self, event: &SlowAcquire<'_>) {
        let _ = event;
    }

    /// A connection has been lent for [`leak_after`](crate::Builder::leak_after), or has returned
    /// after that.
    fn leaked(&self, event: &Leaked<'_>) {
        let _ = event;
    }

    /// Every connection of a host is held by a task that waits for another, with
    /// [`deadlock_warnings`](crate::Builder::deadlock_warnings).
    fn deadlocked(&self, event: &Deadlocked<'_>) {
        let _ = event;
    }

    /// Callers of a host give up before they are served, so that the newest are served first
    /// ([`Order`](crate::Order)), or they are served in order again. The beginning is reported at most
    /// once in ten seconds, and each that is reported has an end, unless the host is forgotten.
    fn overloaded(&self, event: &Overloaded<'_>) {
        let _ = event;
    }

    /// A loan has ended and the connection has returned: healthy or dead, to be lent again or
    /// closed. Every connection that was acquired is returned once, unless its borrower detached
    /// it.
    fn returned(&self, event: &Returned<'_>) {
        let _ = event;
    }

    /// A connection has answered a ping or was reset. Heartbeats are not reported.
    fn ping_answered(&self, event: &PingAnswered<'_>) {
        let _ = event;
    }

    /// A connection did not answer a ping, or its reset failed, and it is closed. The close tells
    /// which.
    fn ping_failed(&self, event: &PingFailed<'_>) {
        let _ = event;
    }

    /// A connection has missed a heartbeat.
    fn heartbeat_missed(&self, event: &HeartbeatMissed<'_>) {
        let _ = event;
    }

    /// A connection has left the pool and is being closed.
    fn closed(&self, event: &Closed<'_>) {
        let _ = event;
    }

    /// The pool was closed and has come to its end: every loan is back, every dial and every close has
    /// ended, and no host is listed. It is called once, after all events of connections and hosts, and
    /// before [`close`](crate::Pool::close) resolves. A pool that has nothing open ends at the call of
    /// `close`.
    fn pool_closed(&self) {}
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct $name<'a> {
            /// The host's key.
            pub host: &'a dyn Debug,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

event! {
    /// A dial has succeeded.
    DialDone {
        /// The id of the new connection.
        id: u64,
        /// How long it took.
        took: Duration,
        /// The address that the connection leads to, if the connector knows it.
        peer_addr: Option<SocketAddr>,
    }
}

event! {
    /// A dial has failed.
    DialFailed {
        /// How long it took.
        took: Duration,
        /// The connector's error, or that the dial took too long, panicked, or was cut off.
        error: fmt::Arguments<'a>,
    }
}

event! {
    /// A caller has its connection.
    Acquired {
        /// The connection's id.
        id: u64,
        /// The time from the first poll to the connection; zero if it was lent without a wait.
        waited: Duration,
        /// Whether the connection had been lent before.
        reused: bool,
    }
}

event! {
    /// A caller's time-out has passed.
    TimedOut {
        /// How long the caller waited.
        waited: Duration,
    }
}

event! {
    /// An acquire has ended without a connection.
    AcquireFailed {
        /// How it ended.
        kind: AcquireFailure,
        /// How long the caller waited.
        waited: Duration,
    }
}

event! {
    /// An acquire was slow. The parts of its wait follow each other, so they add up.
    SlowAcquire {
        /// The connection's id.
        id: u64,
        /// The time from the first poll to the connection.
        waited: Duration,
        /// The part of it before the dial or the ping of this connection.
        queueing: Duration,
        /// The part of it during which this connection was dialed.
        dialing: Duration,
        /// The part of it during which this connection was pinged or reset.
        pinging: Duration,
        /// The caller's call site.
        place: CallSite,
    }
}

event! {
    /// A connection is, or was, lent for long.
    Leaked {
        /// The connection's id.
        id: u64,
        /// How long it has been lent.
        held: Duration,
        /// The call site of the acquire.
        place: CallSite,
        /// Whether it has returned by now.
        is_back: bool,
    }
}

event! {
    /// Tasks that hold connections of a host wait for each other.
    Deadlocked {
        /// How many loans they hold, which is all loans of the host.
        loans: usize,
        /// The line that acquired the loan that is held longest.
        acquired_at: CallSite,
        /// The line at which that loan's task waits for another connection.
        waits_at: CallSite,
    }
}

event! {
    /// Callers give up before they are served, or do not any more.
    Overloaded {
        /// How long those had waited that gave up, at the beginning.
        lost_after: Duration,
        /// How many callers wait.
        waiting: usize,
        /// Whether callers are served in order again.
        is_over: bool,
    }
}

event! {
    /// A ping or a reset was answered.
    PingAnswered {
        /// The connection's id.
        id: u64,
        /// How long it took.
        took: Duration,
    }
}

event! {
    /// A loan has ended.
    Returned {
        /// The connection's id.
        id: u64,
        /// How long it was lent.
        held: Duration,
    }
}

event! {
    /// A ping or a reset has failed.
    PingFailed {
        /// The connection's id.
        id: u64,
    }
}

event! {
    /// A heartbeat was missed.
    HeartbeatMissed {
        /// The connection's id.
        id: u64,
        /// How many heartbeats it has missed in a row.
        missed: u32,
    }
}

event! {
    /// A connection has left the pool.
    Closed {
        /// The connection's id.
        id: u64,
        /// Why.
        reason: CloseReason,
    }
}
