//! The builder: a setter for each setting.

use std::marker::PhantomData;
use std::time::Duration;

use super::pool::Pool;
use super::shared::SharedPool;
use crate::policy::backoff::Backoff;
use crate::policy::build_error::BuildError;
use crate::policy::connector::Connector;
use crate::policy::health_check::HealthCheck;
use crate::policy::heartbeat::Heartbeat;
use crate::policy::observer::Observer;
use crate::policy::order::Order;
use crate::policy::reuse::Reuse;
use crate::policy::shared_connector::SharedConnector;
use crate::policy::spread::Spread;
use crate::runtime::observing::Observing;
use crate::runtime::settings::Settings;

/// Configures a pool. Made by [`Pool::builder`] and [`SharedPool::builder`].
///
/// Setters take a plain value or an `Option`; `None` means no limit. [`build`](Builder::build) checks all settings and
/// rejects invalid ones; none is adjusted silently.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::{Pool, connector_fn};
///
/// let connector = connector_fn(|()| async { Ok::<_, std::io::Error>("a connection") });
/// let pool = Pool::builder()
///     .max_per_host(30)
///     .idle_timeout(Duration::from_secs(15))
///     .max_lifetime(None)
///     .build(connector)?;
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder<Kind = Exclusive> {
    pub(super) settings: Settings,
    kind: PhantomData<Kind>,
}

/// Marks the builder of a [`Pool`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Exclusive;

/// Marks the builder of a [`SharedPool`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Shared;

impl<Kind> Builder<Kind> {
    pub(crate) fn new() -> Self {
        Builder { settings: Settings::default(), kind: PhantomData }
    }
}

impl Builder {
    /// Makes the pool. It does no I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// An invalid setting: the error names the field and the value.
    pub fn build<C: Connector>(self, connector: C) -> Result<Pool<C>, BuildError> {
        self.settings.check()?;
        self.settings.check_exclusive()?;
        self.settings.overrides.check::<C::Key>()?;
        Ok(Pool::with_settings(connector, self.settings))
    }
}

/// # Shared connections
impl Builder<Shared> {
    /// Selects the connection for the next lease when several have room.
    ///
    /// Defaults to [`Spread::OldestFirst`].
    pub fn spread(mut self, spread: Spread) -> Self {
        self.settings.config.spread = spread;
        self
    }

    /// Makes the pool. It does no I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// An invalid setting: the error names the field and the value.
    pub fn build<C: SharedConnector>(self, connector: C) -> Result<SharedPool<C>, BuildError> {
        self.settings.check()?;
        self.settings.overrides.check::<C::Key>()?;
        Ok(SharedPool::with_settings(connector, self.settings))
    }
}

/// # Limits on connections
impl<Kind> Builder<Kind> {
    /// Sets the hard cap on connections of one host. Dialing, idle, lent and closing connections
    /// count. Connections found dead or discarded do not: their close runs in the background. A
    /// close counts for 100 milliseconds only if the host was retired or its dials fail, unless twice
    /// the cap is open by then.
    ///
    /// A shared connection that drains (too old, used up, retired, or making room for another host)
    /// frees its place for a new connection at once, so that long leases do not keep new callers
    /// waiting. At most as many connections as this cap drain this way at a time. They still count
    /// under [`max_total`](Builder::max_total).
    ///
    /// Defaults to 10: few servers answer faster with more.
    /// [`settings_for`](Builder::settings_for) sets another cap for single hosts, and
    /// [`Host::set_max`](crate::Host::set_max) changes one while the pool runs.
    pub fn max_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_per_host = n.into();
        self
    }

    /// Sets how many connections are dialed as soon as a caller first waits for one of a host, or
    /// warms it.
    ///
    /// Defaults to 0: connections are dialed only for callers that wait.
    pub fn initial_per_host(mut self, n: usize) -> Self {
        self.settings.config.initial_per_host = n;
        self
    }

    /// Sets how many idle connections are kept ready for each host, from its first use on, by
    /// dialing new ones. A connection that has been idle for
    /// [`idle_timeout`](Builder::idle_timeout) is replaced by a new one, unless it has answered a
    /// [`heartbeat`](Builder::heartbeat) within that time.
    ///
    /// In a [`SharedPool`] the connections count that have room for a lease, in use or not, and that
    /// do not drain. With [`Spread::LeastLoaded`], a minimum of 3 keeps three connections open and
    /// uses them evenly; more are dialed as these become full.
    ///
    /// After an outage the minimum is restored without any traffic, provided that a connection of
    /// the host is open or a [`Host`](crate::Host) handle exists. Otherwise the host is not dialed
    /// until a caller asks for it.
    ///
    /// An idle connection that its peer has closed counts until the pool checks it: when it is
    /// about to be lent, at a ping, or at a heartbeat. Set a [`heartbeat`](Builder::heartbeat)
    /// together with a minimum idle, so that dead connections are found and replaced before a
    /// caller needs them.
    ///
    /// Defaults to 0.
    pub fn min_idle_per_host(mut self, n: usize) -> Self {
        self.settings.config.min_idle_per_host = n;
        self
    }

    /// Caps the idle connections of one host; a connection that returns above the cap is closed.
    ///
    /// Defaults to `None`: as many as `max_per_host`.
    pub fn max_idle_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_idle_per_host = n.into();
        self
    }

    /// Caps the idle connections of all hosts together; above it, the least recently used one of
    /// all hosts is closed.
    ///
    /// Defaults to `None`. With this cap, every loan and every return takes a lock that all hosts
    /// share, because it changes the number of idle connections.
    pub fn max_idle(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_idle = n.into();
        self
    }

    /// Sets the hard cap on connections of all hosts together.
    ///
    /// An idle connection of another host makes room once it has been idle for as long as a dial
    /// usually takes. A busy host gives up a connection that returns: at once to a host that has at
    /// least two fewer, and after a *tenure* to a host that has none. See
    /// [`many_hosts`](crate::guide::many_hosts#who-gets-a-connection-under-max_total).
    ///
    /// Defaults to `None`. The count is behind a lock that all hosts share; dials and closes take it, ordinary loans and
    /// returns do not.
    pub fn max_total(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_total = n.into();
        self
    }

    /// Caps the callers that may wait for one host, not counting those that a dial or a ping in
    /// flight will serve or that the cap leaves room to dial for. Further callers get
    /// [`QueueFull`](crate::AcquireError::QueueFull) at once. With zero, no caller waits for a
    /// connection in use, but callers still wait for a dial of their own.
    ///
    /// Defaults to `None`.
    pub fn max_waiters_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_waiters_per_host = n.into();
        self
    }

    /// Caps the dials to one host that may be in flight at once.
    ///
    /// Defaults to `None`.
    pub fn max_dialing_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_dialing_per_host = n.into();
        self
    }

    /// Caps the dials that may be in flight at once, to all hosts together.
    ///
    /// Defaults to `None`. The count is behind a lock that all hosts share; dials take it, ordinary loans and returns do
    /// not.
    pub fn max_dialing(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_dialing = n.into();
        self
    }

    /// Selects the waiter that gets the next connection.
    ///
    /// Defaults to [`Order::Adaptive`]: first in, first out, but newest first while waits are being
    /// lost, so that under overload some are served in time.
    pub fn order(mut self, order: Order) -> Self {
        self.settings.config.order = order;
        self
    }

    /// Selects the idle connection that is lent first.
    ///
    /// Defaults to [`Reuse::MostRecent`].
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.settings.config.reuse = reuse;
        self
    }
}

/// # Time limits
impl<Kind> Builder<Kind> {
    /// Limits an acquire, from its first poll on: queue, dials and pings together.
    ///
    /// Set half of what your callers wait: a caller that has left needs no connection, and one that is
    /// told sooner can still do something else. See [`overload`](crate::guide::overload).
    ///
    /// Defaults to 30 seconds. Zero means that an acquire returns an idle connection or an error
    /// without waiting. `None` sets no limit, which hides a pool that is too small.
    pub fn acquire_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.acquire_timeout = limit.into();
        self
    }

    /// Limits one dial: then those who have waited for all of it get its error, and all others that
    /// nothing else will probably serve.
    ///
    /// Defaults to 10 seconds. It does not depend on the caller's time-out: a dial continues for
    /// the next caller when its own has given up.
    ///
    /// While the host's dials are slow, one may itself go on for twice, then for four times as long,
    /// unless its place is wanted, as TCP does with its own time-out: a server with more work in its
    /// queue than the time-out would otherwise work for callers only that have gone. See
    /// [`storms`](crate::guide::storms).
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.connect_timeout = limit.into();
        self
    }

    /// Limits one [`Connector::close`]; after that the connection is dropped.
    ///
    /// Defaults to 5 seconds. A connection that is being closed keeps its place under the caps for
    /// at most this long. If the runtime of the close is not driven, the connection cannot be
    /// dropped at that time: its place becomes free as soon as the host is used from another
    /// runtime, and the connection stays open until its own runtime continues.
    ///
    /// To limit the time that the whole pool takes to close, use [`Pool::close_within`].
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.close_timeout = limit.into();
        self
    }

    /// Sets how long a connection may stay idle before it is closed. Connections of
    /// [`min_idle_per_host`](Builder::min_idle_per_host) are then replaced, or stay if they answer
    /// heartbeats.
    ///
    /// Defaults to 90 seconds, as in Go. Keep it below the server's own limit, so that this side
    /// closes first.
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.idle_timeout = limit.into();
        self
    }

    /// Sets how old a connection may become. An older one is closed while it is idle or when it
    /// returns; a loan is never cut short. A shared one takes no new leases and is closed after its
    /// last one.
    ///
    /// For shared connections age is a preference, not a ban: where callers wait, and connections that
    /// drain leave no room for a new one, the youngest of those that are too old takes leases again
    /// once it has answered a ping. It then gets another lifetime.
    ///
    /// Defaults to 30 minutes, so that new addresses and new backends are found.
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.max_lifetime = limit.into();
        self
    }

    /// Sets the share of `max_lifetime` (0 to 1) by which each lifetime is shortened at random, so
    /// that connections made together do not all end together.
    ///
    /// Defaults to 0.1.
    pub fn lifetime_jitter(mut self, share: f64) -> Self {
        self.settings.config.lifetime_jitter = share;
        self
    }

    /// Sets how often a connection may be lent before it is closed.
    ///
    /// Defaults to `None`.
    pub fn max_uses(mut self, n: impl Into<Option<u64>>) -> Self {
        self.settings.config.max_uses = n.into();
        self
    }
}

/// # Failures
impl<Kind> Builder<Kind> {
    /// Sets when a connection is pinged before it is lent.
    ///
    /// Defaults to [`HealthCheck::AsNeeded`]: where the connector's `is_open`
    /// [notices](crate::Connector::notices_close) that a peer has closed, it detects most dead
    /// connections without a round trip, and after the first one that it missed, older connections
    /// of the host are pinged in any case. Where it does not, and there is a ping, each loan is
    /// preceded by one.
    pub fn health_check(mut self, check: HealthCheck) -> Self {
        self.settings.config.health_check = check;
        self
    }

    /// Limits one ping or [reset](crate::Connector::reset); after that the connection is closed. If
    /// callers wait that nothing else will serve, a dial starts in parallel after 250 ms, or after
    /// half of this limit if that is shorter.
    ///
    /// Defaults to 5 seconds.
    pub fn ping_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.ping_timeout = limit.into();
        self
    }

    /// Pings connections that have given no proof of life for an interval: idle ones, and also
    /// shared ones in use. It closes those that do not answer, and keeps those alive that a peer or
    /// a firewall would drop for being silent.
    ///
    /// Defaults to `None`: no heartbeats. `Heartbeat::default()` is every 30 seconds, with
    /// 10 for the answer and 3 misses.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<Heartbeat>>) -> Self {
        self.settings.config.heartbeat = heartbeat.into();
        self
    }

    /// Dials again after a failed dial, for the callers that wait, until their
    /// [`acquire_timeout`](Builder::acquire_timeout); the time-out then carries the last dial's
    /// error. An error for which [`Connector::is_retryable`] returns false is reported as without
    /// `retry`.
    ///
    /// Defaults to `None`: when a dial fails and nothing else will probably serve the callers that
    /// wait, all of them get its error at once. If something else will (another dial in flight that
    /// is not slow, or a connection in use that will return), they continue to wait. Connections in
    /// use count for as long as they come back: until none has returned for 3 seconds, or for twice
    /// the longest use since the trouble began. So a server that is full, which refuses one more
    /// connection, fails nobody that a return would serve. The host dials again after a default [`Backoff`].
    ///
    /// With or without `retry`, dials that were in flight together and fail count as one failure.
    /// While callers wait for a host that is down, the next dial begins within four times
    /// [`Backoff::initial`] after a failure (0.4 s by default), and at the latest when half of the
    /// oldest waiter's remaining time has passed. Dials of one host that follow failures are at least
    /// the shortest backoff apart.
    pub fn retry(mut self, backoff: impl Into<Option<Backoff>>) -> Self {
        self.settings.config.retry = backoff.into();
        self
    }
}

/// # Observability
impl<Kind> Builder<Kind> {
    /// Sets the observer, which receives each event. There is only one; it may pass events on to
    /// others.
    ///
    /// Defaults to none.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Observing::by(observer);
        self
    }

    /// Logs a warning for an acquire that takes at least this long, with the time that it spent
    /// queueing, dialing and pinging (tracing target `wharf::acquire`).
    ///
    /// Defaults to `None`: no warning.
    pub fn slow_acquire(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.slow_acquire = limit.into();
        self
    }

    /// Logs a warning, once, for a loan that is held for this long, with its call site, and another
    /// one when the connection returns (tracing target `wharf::loan`).
    ///
    /// Defaults to `None`: no warning. [`Host::loans`](crate::Host::loans) always lists the loans
    /// and their call sites.
    pub fn leak_after(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.leak_after = limit.into();
        self
    }

    /// Warns of tasks that hold a connection of a host and wait for another one of the same host.
    ///
    /// When as many such tasks wait as the host may have connections, each waits for the others until its time-out.
    ///
    /// - The first time that a caller has to wait while its task holds a connection of the host, a warning
    ///   (`tracing` target `wharf::deadlock`) names both lines of code. This is long before there is a deadlock. There
    ///   is one warning for each line.
    /// - When every connection of the host has been held for a second by a task that waits for another one, and none was
    ///   lent meanwhile, a second warning reports the deadlock, and [`Observer::deadlocked`] and the
    ///   [metrics](crate::guide::observability) count it. It comes sooner, after half of
    ///   [`acquire_timeout`](Builder::acquire_timeout), if that is less than a second.
    /// - A time-out says how many connections were held by waiting tasks
    ///   ([`TimeoutDetails::held_by_waiting`](crate::TimeoutDetails::held_by_waiting)).
    ///
    /// The pool looks at each host on its own. It does not see tasks that wait for each other across hosts, or under
    /// [`max_total`](Builder::max_total), nor a task that waits for a second connection through another task.
    ///
    /// # False alarms
    ///
    /// A loan counts as held by the task that acquired it or, outside a task (as in `block_on`), by the thread. The
    /// warning is therefore wrong if a guard was moved to another task, or if one task runs several futures (`join!`,
    /// `buffer_unordered`) that each return their connection without the others. Such connections mostly return within
    /// a second, so the second warning is rarely wrong.
    ///
    /// # Cost
    ///
    /// Lending an idle connection takes about a tenth more instructions, since the task is noted, and waits take a slower
    /// path. A caller that begins to wait or times out looks at all loans of its host. When this is off, nothing is noted.
    ///
    /// Defaults to on in debug builds and off in release builds: such tasks are mistakes in the code, which show while
    /// it is written and tested.
    pub fn deadlock_warnings(mut self, on: bool) -> Self {
        self.settings.config.deadlock_warnings = on;
        self
    }
}
