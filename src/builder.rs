//! The settings of a pool, and the check of them.

use std::fmt;
use std::time::Duration;

use crate::connector::Connector;
use crate::engine::time::Span;
use crate::engine::{Backoff, Limits};
use crate::error::BuildError;
use crate::health_check::HealthCheck;
use crate::heartbeat::Heartbeat;
use crate::observer::{Observer, Observing};
use crate::pool::Pool;
use crate::reuse::Reuse;
use crate::shared::{SharedConnector, SharedPool};
use crate::spread::Spread;

/// Sets up a pool. Made by [`Pool::builder`] and [`SharedPool::builder`].
///
/// Setters take a plain value or an `Option`; `None` means no limit. Nothing is checked before
/// [`build`](Builder::build), and nothing is silently corrected.
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
    kind: Kind,
}

/// Marks the builder of a [`Pool`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Exclusive;

/// Marks the builder of a [`SharedPool`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Shared {
    spread: Spread,
}

/// What the builder collects.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    max_per_host: Option<usize>,
    initial_per_host: usize,
    min_idle_per_host: usize,
    max_idle_per_host: Option<usize>,
    max_idle: Option<usize>,
    max_total: Option<usize>,
    max_waiters_per_host: Option<usize>,
    max_dialing_per_host: Option<usize>,
    max_dialing: Option<usize>,
    reuse: Reuse,
    idle_timeout: Option<Duration>,
    max_lifetime: Option<Duration>,
    lifetime_jitter: f64,
    max_uses: Option<u64>,
    retry: Option<Backoff>,
    health_check: HealthCheck,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) observer: Observing,
    pub(crate) slow_acquire: Option<Duration>,
    leak_after: Option<Duration>,
    pub(crate) ping_timeout: Option<Duration>,
    pub(crate) acquire_timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) close_timeout: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_per_host: Some(10),
            initial_per_host: 0,
            min_idle_per_host: 0,
            max_idle_per_host: None,
            max_idle: None,
            max_total: None,
            max_waiters_per_host: None,
            max_dialing_per_host: None,
            max_dialing: None,
            reuse: Reuse::MostRecent,
            idle_timeout: Some(Duration::from_secs(90)),
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            lifetime_jitter: 0.1,
            max_uses: None,
            retry: None,
            health_check: HealthCheck::Never,
            heartbeat: None,
            observer: Observing::default(),
            slow_acquire: None,
            leak_after: None,
            ping_timeout: Some(Duration::from_secs(5)),
            acquire_timeout: Some(Duration::from_secs(30)),
            connect_timeout: Some(Duration::from_secs(10)),
            close_timeout: Some(Duration::from_secs(5)),
        }
    }
}

impl Settings {
    pub(crate) fn limits(&self) -> Limits {
        let or_none = |cap: Option<usize>| cap.unwrap_or(usize::MAX);
        Limits {
            max_per_host: or_none(self.max_per_host),
            initial_per_host: self.initial_per_host,
            min_idle_per_host: self.min_idle_per_host,
            max_idle_per_host: or_none(self.max_idle_per_host),
            max_idle: or_none(self.max_idle),
            max_total: or_none(self.max_total),
            max_waiters_per_host: or_none(self.max_waiters_per_host),
            max_dialing_per_host: or_none(self.max_dialing_per_host),
            max_dialing: or_none(self.max_dialing),
            reuse: self.reuse,
            idle_timeout: Span::from(self.idle_timeout),
            max_lifetime: Span::from(self.max_lifetime),
            lifetime_jitter: self.lifetime_jitter,
            max_uses: self.max_uses.unwrap_or(u64::MAX),
            ping_after: match self.health_check {
                HealthCheck::Never => Span::FOREVER,
                HealthCheck::Always => Span::from(Duration::ZERO),
                HealthCheck::IdleFor(time) => Span::from(time),
            },
            heartbeat: self.heartbeat.as_ref().map(Heartbeat::beats),
            leak_after: Span::from(self.leak_after),
            backoff: self.retry.unwrap_or_default(),
            retry: self.retry.is_some(),
        }
    }

    fn check(&self) -> Result<(), BuildError> {
        at_least_one("max_per_host", self.max_per_host)?;
        at_least_one("max_total", self.max_total)?;
        at_least_one("max_dialing_per_host", self.max_dialing_per_host)?;
        at_least_one("max_dialing", self.max_dialing)?;
        at_least_one("max_uses", self.max_uses)?;
        longer_than_zero("connect_timeout", self.connect_timeout)?;
        longer_than_zero("ping_timeout", self.ping_timeout)?;
        longer_than_zero("close_timeout", self.close_timeout)?;
        longer_than_zero("idle_timeout", self.idle_timeout)?;
        longer_than_zero("max_lifetime", self.max_lifetime)?;
        longer_than_zero("slow_acquire", self.slow_acquire)?;
        longer_than_zero("leak_after", self.leak_after)?;
        for (cap, most) in [
            ("max_per_host", self.max_per_host),
            ("max_idle_per_host", self.max_idle_per_host),
            ("max_idle", self.max_idle),
            ("max_total", self.max_total),
        ] {
            not_above("initial_per_host", self.initial_per_host, cap, most)?;
            not_above("min_idle_per_host", self.min_idle_per_host, cap, most)?;
        }
        if let Some(backoff) = &self.retry {
            backoff.check()?;
        }
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.check()?;
        }
        if !(0.0..=1.0).contains(&self.lifetime_jitter) {
            let jitter = self.lifetime_jitter;
            return Err(BuildError::new("lifetime_jitter", jitter, "must be from 0 to 1"));
        }
        Ok(())
    }
}

fn at_least_one<T: PartialEq + From<u8> + fmt::Display>(
    field: &'static str,
    value: Option<T>,
) -> Result<(), BuildError> {
    match value {
        Some(value) if value == T::from(0) => {
            Err(BuildError::new(field, value, "must be at least 1; `None` means no limit"))
        }
        _ => Ok(()),
    }
}

fn longer_than_zero(field: &'static str, value: Option<Duration>) -> Result<(), BuildError> {
    match value {
        Some(Duration::ZERO) => {
            Err(BuildError::new(field, "0s", "must be longer than zero; `None` means no limit"))
        }
        _ => Ok(()),
    }
}

fn not_above(
    field: &'static str,
    value: usize,
    cap: &'static str,
    most: Option<usize>,
) -> Result<(), BuildError> {
    match most {
        Some(most) if value > most => {
            Err(BuildError::new(field, value, format!("must not be above {cap}, which is {most}")))
        }
        _ => Ok(()),
    }
}

impl<Kind: Default> Builder<Kind> {
    pub(crate) fn new() -> Self {
        Builder { settings: Settings::default(), kind: Kind::default() }
    }
}

impl Builder {
    /// Makes the pool. Does no I/O, and needs no runtime.
    ///
    /// # Errors
    ///
    /// A setting that cannot be meant: the error names the field and the value.
    pub fn build<C: Connector>(self, connector: C) -> Result<Pool<C>, BuildError> {
        self.settings.check()?;
        Ok(Pool::with_settings(connector, self.settings))
    }
}

/// # Shared connections
impl Builder<Shared> {
    /// Where the next lease goes when several connections have room.
    ///
    /// Defaults to [`Spread::OldestFirst`].
    pub fn spread(mut self, spread: Spread) -> Self {
        self.kind.spread = spread;
        self
    }

    /// Makes the pool. Does no I/O, and needs no runtime.
    ///
    /// # Errors
    ///
    /// A setting that cannot be meant: the error names the field and the value.
    pub fn build<C: SharedConnector>(self, connector: C) -> Result<SharedPool<C>, BuildError> {
        self.settings.check()?;
        Ok(SharedPool::with_settings(connector, self.settings, self.kind.spread))
    }
}

/// # How many connections
impl<Kind> Builder<Kind> {
    /// The hard cap on connections of one host: dialing, idle, in use and being closed.
    ///
    /// Defaults to 10, which is more than most servers answer faster for.
    pub fn max_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.max_per_host = n.into();
        self
    }

    /// Connections that are dialed as soon as somebody first waits for one of a host, or warms it.
    ///
    /// Defaults to 0: a connection is made when somebody waits for one.
    pub fn initial_per_host(mut self, n: usize) -> Self {
        self.settings.initial_per_host = n;
        self
    }

    /// Idle connections that are kept ready for each host, from its first use on, by dialing new ones.
    /// The idle time-out does not go below it. A host whose dials fail while nothing of it is open is
    /// left alone until somebody asks for it again.
    ///
    /// Defaults to 0.
    pub fn min_idle_per_host(mut self, n: usize) -> Self {
        self.settings.min_idle_per_host = n;
        self
    }

    /// Idle connections that one host may have; one that returns above it is closed.
    ///
    /// Defaults to `None`: as many as `max_per_host`.
    pub fn max_idle_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.max_idle_per_host = n.into();
        self
    }

    /// Idle connections that all hosts together may have; above it the least recently used one of
    /// all is closed.
    ///
    /// Defaults to `None`. A cap across hosts puts all of them behind one lock.
    pub fn max_idle(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.max_idle = n.into();
        self
    }

    /// The hard cap on connections of all hosts together. An idle connection of another host is
    /// closed to make room before anybody waits.
    ///
    /// Defaults to `None`. A cap across hosts puts all of them behind one lock.
    pub fn max_total(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.max_total = n.into();
        self
    }

    /// Callers that may wait for one host; another gets
    /// [`QueueFull`](crate::AcquireError::QueueFull) at once. Zero means that nobody waits, not even
    /// for a dial.
    ///
    /// Defaults to `None`.
    pub fn max_waiters_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.max_waiters_per_host = n.into();
        self
    }

    /// Dials to one host that may be in flight at once.
    ///
    /// Defaults to `None`.
    pub fn max_dialing_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.max_dialing_per_host = n.into();
        self
    }

    /// Dials that may be in flight at once, to all hosts together.
    ///
    /// Defaults to `None`. A cap across hosts puts all of them behind one lock.
    pub fn max_dialing(mut self, n: impl Into<Option<usize>>) -> Self {
        self.settings.max_dialing = n.into();
        self
    }

    /// Which idle connection is lent first.
    ///
    /// Defaults to [`Reuse::MostRecent`].
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.settings.reuse = reuse;
        self
    }
}

/// # How long
impl<Kind> Builder<Kind> {
    /// The longest that an acquire may take from its first poll on: queueing and dialing together.
    ///
    /// Defaults to 30 seconds. Zero means: an idle connection or nothing, without waiting. `None`
    /// waits for ever, which hides a pool that is too small.
    pub fn acquire_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.acquire_timeout = limit.into();
        self
    }

    /// The longest that one dial may take.
    ///
    /// Defaults to 10 seconds. It does not depend on the caller's patience: a dial goes on for the
    /// next one when its caller has given up.
    pub fn connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.connect_timeout = limit.into();
        self
    }

    /// The longest that one [`Connector::close`] may take; then the connection is dropped.
    ///
    /// Defaults to 5 seconds. A connection that is being closed keeps its place under the caps for
    /// so long.
    pub fn close_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.close_timeout = limit.into();
        self
    }

    /// How long a connection may be idle before it is closed.
    ///
    /// Defaults to 90 seconds, as in Go. Keep it below the server's own limit, so that this side is
    /// the one that closes.
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.idle_timeout = limit.into();
        self
    }

    /// How old a connection may become. It is checked when the connection is lent, when it returns
    /// and while it is idle; a loan is never cut short.
    ///
    /// Defaults to 30 minutes, so that new addresses and new backends are found.
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.max_lifetime = limit.into();
        self
    }

    /// The share of `max_lifetime` (0 to 1) by which each lifetime is shortened at random, so that
    /// connections made together do not all end together.
    ///
    /// Defaults to 0.1.
    pub fn lifetime_jitter(mut self, share: f64) -> Self {
        self.settings.lifetime_jitter = share;
        self
    }

    /// How often a connection may be lent before it is closed.
    ///
    /// Defaults to `None`.
    pub fn max_uses(mut self, n: impl Into<Option<u64>>) -> Self {
        self.settings.max_uses = n.into();
        self
    }
}

/// # When a host is sick
impl<Kind> Builder<Kind> {
    /// When an idle connection is pinged before it is lent.
    ///
    /// Defaults to [`HealthCheck::Never`]: `is_open` sees most deaths without a round trip, and
    /// suspicion covers the rest.
    pub fn health_check(mut self, check: HealthCheck) -> Self {
        self.settings.health_check = check;
        self
    }

    /// The longest that one ping may take; then the connection is closed.
    ///
    /// Defaults to 5 seconds.
    pub fn ping_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.ping_timeout = limit.into();
        self
    }

    /// Pings idle connections on a timer, closes those that do not answer, and keeps those alive that
    /// a peer or a firewall would drop for their silence.
    ///
    /// Defaults to `None`: what is idle is left alone. `Heartbeat::default()` is every 30 seconds, with
    /// 10 for the answer and 3 misses.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<Heartbeat>>) -> Self {
        self.settings.heartbeat = heartbeat.into();
        self
    }

    /// Dials again after a failed dial, for whoever waits, until
    /// [`acquire_timeout`](Builder::acquire_timeout): the time-out then carries the last dial's
    /// error. An error for which [`Connector::is_retryable`] says no still ends the wait at once.
    ///
    /// Defaults to `None`: when a dial fails and nothing else can serve them, all who wait get its
    /// error, since a host that is down is best told at once. Where something else can (a connection
    /// in use that will come back), they go on waiting in any case, and the host dials again after a
    /// [`Backoff`] by default.
    pub fn retry(mut self, backoff: impl Into<Option<Backoff>>) -> Self {
        self.settings.retry = backoff.into();
        self
    }
}

/// # Seeing what happens
impl<Kind> Builder<Kind> {
    /// Who is told of each event: one observer, which may pass events on to others.
    ///
    /// Defaults to nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Observing::by(observer);
        self
    }

    /// An acquire that takes at least so long writes a warning with the time it has spent queueing,
    /// dialing and pinging (tracing target `wharf::acquire`).
    ///
    /// Defaults to `None`: no warning.
    pub fn slow_acquire(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.slow_acquire = limit.into();
        self
    }

    /// A loan that is held for so long writes a warning, once, with the place in the code where it was
    /// acquired, and another one when it does come back (tracing target `wharf::loan`).
    ///
    /// Defaults to `None`: no warning. [`Host::loans`](crate::Host::loans) tells who holds what in any
    /// case.
    pub fn leak_after(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.leak_after = limit.into();
        self
    }
}
