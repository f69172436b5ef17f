//! Settings of a single host, which differ from those of the pool.

use std::time::Duration;

use super::Config;
use super::check::{at_least_one, longer_than_zero, not_above};
use crate::policy::build_error::BuildError;

/// A setting that may differ from the pool's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Set<T> {
    #[default]
    AsInThePool,
    To(T),
}

impl<T> Set<T> {
    fn or(self, of_pool: T) -> T {
        match self {
            Set::AsInThePool => of_pool,
            Set::To(own) => own,
        }
    }
}

/// Settings of one host, where they differ from the pool's: what the function of
/// [`Builder::settings_for`](crate::Builder::settings_for) returns for a key.
///
/// What is not set here is as in the pool. Each setting means what the setter of the same name means
/// in the [`Builder`](crate::Builder), and `None` means no limit there as well.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wharf::HostConfig;
///
/// let reports = HostConfig::new().max_per_host(2).acquire_timeout(Duration::from_secs(60));
/// assert_ne!(reports, HostConfig::new());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "it is for the function of `Builder::settings_for`"]
pub struct HostConfig {
    max_per_host: Set<Option<usize>>,
    min_idle_per_host: Set<usize>,
    max_waiters_per_host: Set<Option<usize>>,
    acquire_timeout: Set<Option<Duration>>,
    idle_timeout: Set<Option<Duration>>,
    max_lifetime: Set<Option<Duration>>,
}

impl HostConfig {
    /// The settings of the pool.
    pub fn new() -> Self {
        HostConfig::default()
    }

    /// Sets the host's cap: see [`Builder::max_per_host`](crate::Builder::max_per_host).
    pub fn max_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.max_per_host = Set::To(n.into());
        self
    }

    /// Sets how many idle connections are kept ready: see
    /// [`Builder::min_idle_per_host`](crate::Builder::min_idle_per_host).
    pub fn min_idle_per_host(mut self, n: usize) -> Self {
        self.min_idle_per_host = Set::To(n);
        self
    }

    /// Caps the callers that may wait: see
    /// [`Builder::max_waiters_per_host`](crate::Builder::max_waiters_per_host).
    pub fn max_waiters_per_host(mut self, n: impl Into<Option<usize>>) -> Self {
        self.max_waiters_per_host = Set::To(n.into());
        self
    }

    /// Limits an acquire: see [`Builder::acquire_timeout`](crate::Builder::acquire_timeout).
    pub fn acquire_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.acquire_timeout = Set::To(limit.into());
        self
    }

    /// Sets how long a connection may stay idle: see
    /// [`Builder::idle_timeout`](crate::Builder::idle_timeout).
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = Set::To(limit.into());
        self
    }

    /// Sets how old a connection may become: see
    /// [`Builder::max_lifetime`](crate::Builder::max_lifetime).
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = Set::To(limit.into());
        self
    }
}

impl HostConfig {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let max = self.max_per_host.or(None);
        at_least_one("max_per_host", max)?;
        longer_than_zero("idle_timeout", self.idle_timeout.or(None))?;
        longer_than_zero("max_lifetime", self.max_lifetime.or(None))?;
        not_above("min_idle_per_host", self.min_idle_per_host.or(0), "max_per_host", max)
    }

    /// Returns the settings of the pool with these in their place.
    pub(crate) fn over(&self, pool: &Config) -> Config {
        let HostConfig {
            max_per_host,
            min_idle_per_host,
            max_waiters_per_host,
            acquire_timeout,
            idle_timeout,
            max_lifetime,
        } = *self;
        Config {
            max_per_host: max_per_host.or(pool.max_per_host),
            min_idle_per_host: min_idle_per_host.or(pool.min_idle_per_host),
            max_waiters_per_host: max_waiters_per_host.or(pool.max_waiters_per_host),
            acquire_timeout: acquire_timeout.or(pool.acquire_timeout),
            idle_timeout: idle_timeout.or(pool.idle_timeout),
            max_lifetime: max_lifetime.or(pool.max_lifetime),
            ..pool.clone()
        }
    }
}
