//! The builder: a setter for each setting.

use std::marker::PhantomData;
use std::time::Duration;

use super::pool::Pool;
use super::shared::{SharedConnector, SharedPool};
use crate::policy::backoff::Backoff;
use crate::policy::build_error::BuildError;
use crate::policy::config::Config;
use crate::policy::connector::Connector;
use crate::policy::health_check::HealthCheck;
use crate::policy::heartbeat::Heartbeat;
use crate::policy::observer::Observer;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;
use crate::runtime::caps::Caps;
use crate::runtime::observing::Observing;
use crate::runtime::settings::Settings;

/// Sets up a pool. Made by [`Pool::builder`] and [`SharedPool::builder`].
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
    settings: Settings,
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
    /// Makes the pool. Does no I/O, and needs no runtime.
    ///
    /// # Errors
    ///
    /// A setting that is not valid: the error names the field and the value.
    pub fn build<C: Connector>(self, connector: C) -> Result<Pool<C>, BuildError> {
        self.settings.check()?;
        self.settings.check_exclusive()?;
        self.settings.caps.check::<C::Key>()?;
        Ok(Pool::with_settings(connector, self.settings))
    }
}

/// # Shared connections
impl Builder<Shared> {
    /// Where the next lease goes when several connections have room.
    ///
    /// Defaults to [`Spread::OldestFirst`].
    pub fn spread(mut self, spread: Spread) -> Self {
        self.settings.config.spread = spread;
        self
    }

    /// Makes the pool. Does no I/O, and needs no runtime.
    ///
    /// # Errors
    ///
    /// A setting that is not valid: the error names the field and the value.
    pub fn build<C: SharedConnector>(self, connector: C) -> Result<SharedPool<C>, BuildError> {
        self.settings.check()?;
        self.settings.caps.check::<C::Key>()?;
        Ok(SharedPool::with_settings(connector, self.settings))
    }
}

/// # All at once
impl<Kind> Builder<Kind> {
    /// Takes every setting from a [`Config`], in place of those set before. The observer and
    /// [`max_per_host_for`](Builder::max_per_host_for), which are no plain data, stay.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use wharf::{Config, Pool};
    ///
    /// let mut config = Config::default();
    /// config.max_per_host = Some(30);
    ///
    /// let builder = Pool::builder().config(config).acquire_timeout(Duration::from_secs(5));
    /// ```
    pub fn config(mut self, config: Config) -> Self {
        self.settings.config = config;
        self
    }
}

/// # How many connections
impl<Kind> Builder<Kind> {
    /// The hard cap on connections of one host. Dialing, idle, lent and closing connections count. Connections found dead,
    /// or discarded, do not: their close runs in the background.
    ///
    /// A shared connection that drains (too old, used up, retired, or making room for another host) gives its place to
    /// the next one at once, so that long leases do not keep new callers waiting. At most as many as this cap do so at a
    /// time. They still count under [`max_total`](Builder::max_total).
    ///
    /// Defaults to 10: few servers answer faster with more. [`max_per_host_for`](Builder::max_per_host_for) gives single
    /// hosts another cap, and [`Host::set_max`](crate::Host::set_max) changes one while the pool runs.
    pub fn max_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_per_host = n.into();
        self
    }

    /// A cap for each key, in place of [`max_per_host`](Builder::max_per_host), which holds where the function says
    /// `None`: for servers of different sizes in one pool.
    ///
    /// The function is asked when the pool first uses a host, and again when it uses one that it has forgotten (nothing
    /// open, nobody waiting, no handle). It is never asked while a lock is held. Where callers come to a new host at the same
    /// time, it may be asked for each of them.
    /// A cap that [`Host::set_max`](crate::Host::set_max) has given comes before it, and lasts as long as the pool.
    ///
    /// Zero is no cap: it is rejected with a warning (tracing target `wharf::host`), and `max_per_host` holds for that
    /// host. So it does when the function panics. A host whose cap is below
    /// [`initial_per_host`](Builder::initial_per_host) or [`min_idle_per_host`](Builder::min_idle_per_host) has as many
    /// connections made in advance as its cap allows.
    ///
    /// Defaults to none. The function takes the connector's [`Key`](Connector::Key);
    /// [`build`](Builder::build) rejects one of another type.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run() -> Result<(), wharf::BuildError> {
    /// use wharf::{Pool, connector_fn};
    ///
    /// let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// let pool = Pool::builder()
    ///     .max_per_host(10)
    ///     .max_per_host_for(|host: &String| host.starts_with("small-").then_some(2))
    ///     .build(connector)?;
    ///
    /// assert_eq!(pool.host("small-1").status().max, 2);
    /// assert_eq!(pool.host("db-1").status().max, 10);
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    pub fn max_per_host_for<K: 'static>(
        mut self,
        cap: impl Fn(&K) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        self.settings.caps = Caps::by(cap);
        self
    }

    /// Connections that are dialed as soon as a caller first waits for one of a host, or warms it.
    ///
    /// Defaults to 0: a connection is made when a caller waits for one.
    pub fn initial_per_host(mut self, n: usize) -> Self {
        self.settings.config.initial_per_host = n;
        self
    }

    /// Idle connections that are kept ready for each host, from its first use on, by dialing new ones. One that has
    /// been idle for [`idle_timeout`](Builder::idle_timeout) is replaced by a new one, unless it has answered a
    /// [`heartbeat`](Builder::heartbeat) within that time.
    ///
    /// After an outage the host is filled up again without any traffic while something of it is open or a
    /// [`Host`](crate::Host) handle is kept. Otherwise it is not dialed again until a caller asks for it.
    ///
    /// An idle connection that its peer has closed counts until the pool looks at it: when it is about to be lent, at a
    /// ping, or at a heartbeat. Set a [`heartbeat`](Builder::heartbeat) with a minimum idle, so that what is kept ready
    /// is found dead and replaced before a caller needs it.
    ///
    /// Defaults to 0.
    pub fn min_idle_per_host(mut self, n: usize) -> Self {
        self.settings.config.min_idle_per_host = n;
        self
    }

    /// Idle connections that one host may have; one that returns above it is closed.
    ///
    /// Defaults to `None`: as many as `max_per_host`.
    pub fn max_idle_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_idle_per_host = n.into();
        self
    }

    /// Idle connections that all hosts together may have; above it the least recently used one of all is closed.
    ///
    /// Defaults to `None`. With this cap every loan and every return takes a lock that all hosts share, as it changes the
    /// number of idle connections.
    pub fn max_idle(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_idle = n.into();
        self
    }

    /// The hard cap on connections of all hosts together.
    ///
    /// An idle connection of another host makes room once it has been idle for as long as a dial usually takes. A busy
    /// host gives up a connection that returns: at once for a host that has at least two fewer, and after a *tenure* for
    /// a host that has none. See [`many_hosts`](crate::guide::many_hosts#who-gets-a-connection-under-max_total).
    ///
    /// Defaults to `None`. The count is behind a lock that all hosts share; dials and closes take it, ordinary loans and
    /// returns do not.
    pub fn max_total(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_total = n.into();
        self
    }

    /// Callers that may wait for one host, beyond those that a dial or a ping in flight will serve or that the cap leaves
    /// room to dial for. Another gets [`QueueFull`](crate::AcquireError::QueueFull) at once. With zero nobody queues for
    /// a connection in use; a caller still waits for a dial of its own.
    ///
    /// Defaults to `None`.
    pub fn max_waiters_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_waiters_per_host = n.into();
        self
    }

    /// Dials to one host that may be in flight at once.
    ///
    /// Defaults to `None`.
    pub fn max_dialing_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_dialing_per_host = n.into();
        self
    }

    /// Dials that may be in flight at once, to all hosts together.
    ///
    /// Defaults to `None`. The count is behind a lock that all hosts share; dials take it, ordinary loans and returns do
    /// not.
    pub fn max_dialing(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.config.max_dialing = n.into();
        self
    }

    /// Which idle connection is lent first.
    ///
    /// Defaults to [`Reuse::MostRecent`].
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.settings.config.reuse = reuse;
        self
    }
}

/// # How long
impl<Kind> Builder<Kind> {
    /// The longest that an acquire may take from its first poll on: queue, dials and pings together.
    ///
    /// Defaults to 30 seconds. Zero means: an idle connection or an error, without waiting. `None` sets no limit, which
    /// hides a pool that is too small.
    pub fn acquire_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.acquire_timeout = limit.into();
        self
    }

    /// The longest that one dial may take.
    ///
    /// Defaults to 10 seconds. It does not depend on the caller's time-out: a dial goes on for the next caller when its
    /// own has given up.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.connect_timeout = limit.into();
        self
    }

    /// The longest that one [`Connector::close`] may take; then the connection is dropped.
    ///
    /// Defaults to 5 seconds. A connection that is being closed keeps its place under the caps for so long. Where the
    /// runtime of the close stands still, it cannot drop the connection then: the place is free all the same, as soon as
    /// anything of the host is done in another runtime, and the connection stays open until its own runtime goes on.
    ///
    /// How long the whole pool may take to close is the argument of [`Pool::close_within`].
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.close_timeout = limit.into();
        self
    }

    /// How long a connection may be idle before it is closed. Those of
    /// [`min_idle_per_host`](Builder::min_idle_per_host) are dialed anew then, or stay if they answer heartbeats.
    ///
    /// Defaults to 90 seconds, as in Go. Keep it below the server's own limit, so that this side is
    /// the one that closes.
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.idle_timeout = limit.into();
        self
    }

    /// How old a connection may become. A connection that is past it is closed while it is idle, or when it returns; a loan
    /// is never cut short. A shared one takes no new leases and is closed after its last one.
    ///
    /// Defaults to 30 minutes, so that new addresses and new backends are found.
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.max_lifetime = limit.into();
        self
    }

    /// The share of `max_lifetime` (0 to 1) by which each lifetime is shortened at random, so that
    /// connections made together do not all end together.
    ///
    /// Defaults to 0.1.
    pub fn lifetime_jitter(mut self, share: f64) -> Self {
        self.settings.config.lifetime_jitter = share;
        self
    }

    /// How often a connection may be lent before it is closed.
    ///
    /// Defaults to `None`.
    pub fn max_uses(mut self, n: impl Into<Option<u64>>) -> Self {
        self.settings.config.max_uses = n.into();
        self
    }
}

/// # When a host is sick
impl<Kind> Builder<Kind> {
    /// When a connection is pinged before it is lent.
    ///
    /// Defaults to [`HealthCheck::Never`]: `is_open` sees most dead connections without a round trip, and after the first
    /// one that it did not see, older connections of the host are pinged in any case.
    pub fn health_check(mut self, check: HealthCheck) -> Self {
        self.settings.config.health_check = check;
        self
    }

    /// The longest that one ping or [reset](crate::Connector::reset) may take; then the connection is closed. If callers wait that nothing else will serve, a
    /// dial begins in addition after 250 ms, or after half of this time if that is shorter.
    ///
    /// Defaults to 5 seconds.
    pub fn ping_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.ping_timeout = limit.into();
        self
    }

    /// Pings connections that have given no proof of life for an interval: idle ones, and shared ones that are in use, too.
    /// Closes those that do not answer, and keeps those alive that a peer or a firewall would drop for their silence.
    ///
    /// Defaults to `None`: no heartbeats. `Heartbeat::default()` is every 30 seconds, with
    /// 10 for the answer and 3 misses.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<Heartbeat>>) -> Self {
        self.settings.config.heartbeat = heartbeat.into();
        self
    }

    /// Dials again after a failed dial, for the callers that wait, until [`acquire_timeout`](Builder::acquire_timeout): the
    /// time-out then carries the last dial's error. An error for which [`Connector::is_retryable`] says no is told
    /// as without `retry`.
    ///
    /// Defaults to `None`: when a dial fails and nothing else will probably serve them, all callers that wait get its error
    /// at once. Where something else will (another dial in flight, a connection in use that will come back), they go on
    /// waiting until a second dial in a row fails with no connection returned in between. The host dials again after a
    /// [`Backoff`] by default.
    ///
    /// With or without `retry`, dials that were in flight together and fail count as one failure. While callers wait,
    /// the next dial begins at most four times [`Backoff::initial`] after a failure (0.4 s by default), and no later than
    /// when half of the time is over that the oldest waiter had left when the backoff began. A caller that comes during a
    /// backoff and that nothing else will serve causes a dial at once. Dials of one host that follow failures are at
    /// least the shortest backoff apart.
    pub fn retry(mut self, backoff: impl Into<Option<Backoff>>) -> Self {
        self.settings.config.retry = backoff.into();
        self
    }
}

/// # Seeing what happens
impl<Kind> Builder<Kind> {
    /// The observer that is told of each event. There is one; it may pass events on to others.
    ///
    /// Defaults to none.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Observing::by(observer);
        self
    }

    /// An acquire that takes at least so long writes a warning with the time it has spent queueing,
    /// dialing and pinging (tracing target `wharf::acquire`).
    ///
    /// Defaults to `None`: no warning.
    pub fn slow_acquire(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.slow_acquire = limit.into();
        self
    }

    /// A loan that is held for so long writes a warning, once, with the place in the code where it was
    /// acquired, and another one when it does come back (tracing target `wharf::loan`).
    ///
    /// Defaults to `None`: no warning. [`Host::loans`](crate::Host::loans) tells who holds what in any
    /// case.
    pub fn leak_after(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.config.leak_after = limit.into();
        self
    }
}
