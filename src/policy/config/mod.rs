//! The settings of a pool as plain data: the one list of them, and of their defaults.

mod check;
mod host_config;
mod reconfigured;
#[cfg(feature = "serde")]
pub(crate) mod written;

use std::time::Duration;

pub use self::host_config::HostConfig;

use crate::policy::backoff::Backoff;
use crate::policy::health_check::HealthCheck;
use crate::policy::heartbeat::Heartbeat;
use crate::policy::limits::{Limits, PINGS_AT_ONCE};
use crate::policy::order::Order;
use crate::policy::reuse::Reuse;
use crate::policy::spread::Spread;
use crate::policy::time::Span;

/// Every setting of a [`Builder`](crate::Builder) that is plain data, with the builder's own defaults.
///
/// [`Builder::config`](crate::Builder::config) takes it, and [`build`](crate::Builder::build)
/// checks it like all settings.
///
/// `None` means no limit, or that the feature is off.
///
/// # In a file
///
/// With the feature `serde` it can be read from and written to any self-describing format that has
/// maps for enum variants (TOML, JSON):
///
/// - A missing setting has its default. An unknown name is rejected; an unreadable value is
///   rejected with the setting's name.
/// - Durations are written with units: `"90s"`, `"30m"`, `"1h 30m"`, `"250ms"`, in `ns`, `us`,
///   `ms`, `s`, `m`, `h` and `days`. A bare number is rejected because its unit is unknown.
/// - `None` is the string `"none"`; in a format with a null, that is accepted as well.
/// - Enum variants are in lower case: `reuse = "least_recent"`, `spread = "least_loaded"`,
///   `health_check = "always"`, `health_check = { idle_for = "30s" }`.
/// - Counts are numbers, not strings of digits: environment variables are not supported directly.
/// - Give it a table of its own. It can also be read under serde's `flatten`, but unknown names are
///   then not rejected.
/// - `heartbeat` (`every`, `timeout`, `max_missed`) and `retry` (`initial`, `max`, `factor`,
///   `jitter`) are tables with defaults of their own; an empty table means those defaults.
/// # Examples
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```text")]
/// use wharf::{Config, Pool, connector_fn};
///
/// let config: Config = toml::from_str(
///     r#"
///     max_per_host = 30
///     max_lifetime = "none"
///     acquire_timeout = "5s"
///     health_check = { idle_for = "30s" }
///
///     [heartbeat]
///     every = "20s"
///     "#,
/// )?;
/// assert_eq!(config.max_per_host, Some(30));
/// assert_eq!(config.max_lifetime, None);
/// assert_eq!(config.idle_timeout, Config::default().idle_timeout);
///
/// let connector = connector_fn(|()| async { Ok::<_, std::io::Error>("a connection") });
/// let pool = Pool::builder().config(config).build(connector)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Maximum number of connections of one host ([more](crate::Builder::max_per_host)).
    pub max_per_host: Option<usize>,
    /// Connections dialed as soon as a host is first used
    /// ([more](crate::Builder::initial_per_host)).
    pub initial_per_host: usize,
    /// Idle connections kept ready for each host ([more](crate::Builder::min_idle_per_host)).
    pub min_idle_per_host: usize,
    /// Maximum number of idle connections of one host ([more](crate::Builder::max_idle_per_host)).
    pub max_idle_per_host: Option<usize>,
    /// Maximum number of idle connections of all hosts together ([more](crate::Builder::max_idle)).
    pub max_idle: Option<usize>,
    /// Maximum number of connections of all hosts together ([more](crate::Builder::max_total)).
    pub max_total: Option<usize>,
    /// Maximum number of callers that wait for one host
    /// ([more](crate::Builder::max_waiters_per_host)).
    pub max_waiters_per_host: Option<usize>,
    /// Maximum number of concurrent dials to one host
    /// ([more](crate::Builder::max_dialing_per_host)).
    pub max_dialing_per_host: Option<usize>,
    /// Maximum number of concurrent dials to all hosts ([more](crate::Builder::max_dialing)).
    pub max_dialing: Option<usize>,
    /// Which waiter gets the next connection ([more](crate::Builder::order)).
    pub order: Order,
    /// Which idle connection is lent first ([more](crate::Builder::reuse)).
    pub reuse: Reuse,
    /// Which connection gets the next lease. Only for a [`SharedPool`](crate::SharedPool): a `Pool`
    /// rejects any other value than the default ([more](crate::Builder::spread)).
    pub spread: Spread,
    /// Time limit of an acquire ([more](crate::Builder::acquire_timeout)).
    pub acquire_timeout: Option<Duration>,
    /// Time limit of one dial ([more](crate::Builder::connect_timeout)).
    pub connect_timeout: Option<Duration>,
    /// Time limit of one ping or reset ([more](crate::Builder::ping_timeout)).
    pub ping_timeout: Option<Duration>,
    /// Time limit of one close ([more](crate::Builder::close_timeout)).
    pub close_timeout: Option<Duration>,
    /// How long a connection may stay idle ([more](crate::Builder::idle_timeout)).
    pub idle_timeout: Option<Duration>,
    /// How old a connection may become ([more](crate::Builder::max_lifetime)).
    pub max_lifetime: Option<Duration>,
    /// The share (0 to 1) by which lifetimes are shortened at random ([more](crate::Builder::lifetime_jitter)).
    pub lifetime_jitter: f64,
    /// How often a connection may be lent ([more](crate::Builder::max_uses)).
    pub max_uses: Option<u64>,
    /// When an idle connection is pinged before it is lent ([more](crate::Builder::health_check)).
    pub health_check: HealthCheck,
    /// Pings to idle connections on a timer ([more](crate::Builder::heartbeat)).
    pub heartbeat: Option<Heartbeat>,
    /// Retries after a failed dial ([more](crate::Builder::retry)).
    pub retry: Option<Backoff>,
    /// The wait from which an acquire logs a warning ([more](crate::Builder::slow_acquire)).
    pub slow_acquire: Option<Duration>,
    /// The time from which a loan logs a warning ([more](crate::Builder::leak_after)).
    pub leak_after: Option<Duration>,
    /// Whether tasks are noted that hold a connection and wait for another
    /// ([more](crate::Builder::deadlock_warnings)).
    pub deadlock_warnings: bool,
    /// The time over which the pool watches which size is right ([more](crate::Builder::advice)).
    pub advice: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_per_host: Some(10),
            initial_per_host: 0,
            min_idle_per_host: 0,
            max_idle_per_host: None,
            max_idle: None,
            max_total: None,
            max_waiters_per_host: None,
            max_dialing_per_host: None,
            max_dialing: None,
            order: Order::Adaptive,
            reuse: Reuse::MostRecent,
            spread: Spread::OldestFirst,
            acquire_timeout: Some(Duration::from_secs(30)),
            connect_timeout: Some(Duration::from_secs(10)),
            ping_timeout: Some(Duration::from_secs(5)),
            close_timeout: Some(Duration::from_secs(5)),
            idle_timeout: Some(Duration::from_secs(90)),
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            lifetime_jitter: 0.1,
            max_uses: None,
            health_check: HealthCheck::AsNeeded,
            heartbeat: None,
            retry: None,
            slow_acquire: None,
            leak_after: None,
            // The models take the short paths.
            deadlock_warnings: cfg!(all(debug_assertions, not(wharf_loom))),
            advice: None,
        }
    }
}

impl Config {
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
            order: self.order,
            reuse: self.reuse,
            spread: self.spread,
            acquire_timeout: Span::from(self.acquire_timeout),
            idle_timeout: Span::from(self.idle_timeout),
            max_lifetime: Span::from(self.max_lifetime),
            lifetime_jitter: self.lifetime_jitter,
            max_uses: self.max_uses.unwrap_or(u64::MAX),
            connect_timeout: Span::from(self.connect_timeout),
            ping_after: match self.health_check {
                // The pool asks its connector.
                HealthCheck::AsNeeded | HealthCheck::Never => Span::FOREVER,
                HealthCheck::Always => Span::from(Duration::ZERO),
                HealthCheck::IdleFor(time) => Span::from(time),
            },
            ping_counts: Limits::ping_counts(self.ping_timeout),
            pings_at_once: PINGS_AT_ONCE,
            heartbeat: self.heartbeat.as_ref().map(Heartbeat::beats),
            close_timeout: Span::from(self.close_timeout),
            leak_after: Span::from(self.leak_after),
            deadlock_after: if self.deadlock_warnings {
                Limits::deadlock_after(self.acquire_timeout)
            } else {
                Span::FOREVER
            },
            advice: Span::from(self.advice),
            backoff: self.retry.unwrap_or_default(),
            retry: self.retry.is_some(),
        }
    }
}
