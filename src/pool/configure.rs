//! Settings as data: for a pool that is built, for single hosts, and while the pool runs.

use std::time::Duration;

use super::builder::Builder;
use super::host::Host;
use super::pool::Pool;
use super::shared::SharedPool;
use crate::policy::advice::Advice;
use crate::policy::build_error::BuildError;
use crate::policy::config::{Config, HostConfig};
use crate::policy::connector::Connector;
use crate::policy::shared_connector::SharedConnector;
use crate::runtime::overrides::Overrides;

/// # Configuration files
impl<Kind> Builder<Kind> {
    /// Sets every option from a [`Config`], replacing those set before. The observer and
    /// [`settings_for`](Builder::settings_for) are not part of a `Config` and stay.
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

/// # Settings of single hosts
impl<Kind> Builder<Kind> {
    /// Sets a function that returns the settings of each host, for servers of different sizes, or one
    /// pool for many users. What its result leaves out is as in the pool.
    ///
    /// The function is called when the pool first uses a host, again when it uses one that it has
    /// forgotten (no connections, no waiters, no handle, no recent failed dial), and for every host at
    /// [`reconfigure`](Pool::reconfigure). It is never called while a lock is held. If several callers
    /// use a new host at the same time, it may be called for each of them. A cap that was set with
    /// [`Host::set_max`](crate::Host::set_max) takes precedence, and lasts as long as the pool.
    ///
    /// Invalid settings, such as a cap of zero, are rejected with a warning (tracing target
    /// `wharf::host`) that names the setting and the value; the pool's settings apply to that host. The
    /// same happens if the function panics. If a host's cap is below
    /// [`initial_per_host`](Builder::initial_per_host) or
    /// [`min_idle_per_host`](Builder::min_idle_per_host), only as many connections are made in advance
    /// as its cap allows.
    ///
    /// Defaults to none: all hosts have the pool's settings. The function takes the connector's
    /// [`Key`](Connector::Key); [`build`](Builder::build) rejects one of another type.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run() -> Result<(), wharf::BuildError> {
    /// use std::time::Duration;
    /// use wharf::{HostConfig, Pool, connector_fn};
    ///
    /// let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// let pool = Pool::builder()
    ///     .max_per_host(10)
    ///     .settings_for(|host: &String| match host.as_str() {
    ///         "reports" => HostConfig::new().max_per_host(2).acquire_timeout(Duration::from_secs(60)),
    ///         _ => HostConfig::new(),
    ///     })
    ///     .build(connector)?;
    ///
    /// assert_eq!(pool.host("reports").status().max, 2);
    /// assert_eq!(pool.host("orders").status().max, 10);
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    pub fn settings_for<K: 'static>(
        mut self,
        settings: impl Fn(&K) -> HostConfig + Send + Sync + 'static,
    ) -> Self {
        self.settings.overrides = Overrides::by(settings);
        self
    }
}

/// # Advice
impl<Kind> Builder<Kind> {
    /// Watches how many connections are used and wanted, and says which size is right: in the log, when
    /// that changes (tracing target `wharf::advice`, INFO), and to [`Host::advice`](crate::Host::advice)
    /// and [`Pool::advice`]. It goes by what was seen in this time, and by half of it at first.
    ///
    /// Ten times a second, maintenance reads how many connections of a busy host are in use and how many
    /// callers wait; acquires and returns do nothing for it. A host takes a few kilobytes more.
    ///
    /// It changes no setting. See [`sizes`](crate::guide::sizes#advice) for how to use it.
    ///
    /// Defaults to `None`. At least 10 seconds; ten minutes see most of what happens again and again.
    pub fn advice(mut self, window: impl Into<Option<Duration>>) -> Self {
        self.settings.config.advice = window.into();
        self
    }
}

/// # Advice
impl<C: Connector> Pool<C> {
    /// Returns what would help the callers of each host, for those of which something is to be said: see
    /// [`Builder::advice`]. It visits every host, as [`status`](Pool::status) does.
    pub fn advice(&self) -> Vec<(C::Key, Advice)> {
        let now = self.core().clock.precise();
        let hosts = self.core().typed_hosts().into_iter();
        hosts.filter_map(|cell| Some((cell.key.clone(), cell.advice(now)?))).collect()
    }
}

/// # Advice
impl<C: Connector> Host<C> {
    /// Returns what would help the host's callers, if something is to be said: see [`Builder::advice`].
    pub fn advice(&self) -> Option<Advice> {
        self.cell().advice(self.cell().pool.clock.precise())
    }
}

/// # Settings while the pool runs
impl<C: Connector> Pool<C> {
    /// Returns the pool's settings of now.
    pub fn config(&self) -> Config {
        self.core().rules().config.clone()
    }

    /// Changes settings while the pool runs, and returns the old ones. `change` gets the current
    /// settings; the result is checked as [`build`](Builder::build) checks it, and then every host takes
    /// it, one after the other. If another caller has changed the settings meanwhile, `change` is called
    /// again with those.
    ///
    /// What each change means for what exists:
    ///
    /// | setting | effect |
    /// | --- | --- |
    /// | `max_per_host`, `max_total` | above a lower cap, idle connections are closed at once, and others as they return; dials above `max_per_host` are cut off. A higher cap starts the dials that waiters need. A cap of [`Host::set_max`](crate::Host::set_max) stays |
    /// | `max_idle_per_host`, `max_idle` | idle connections above a lower cap are closed at once |
    /// | `min_idle_per_host` | connections are dialed at once for a higher one |
    /// | `initial_per_host` | counts for hosts that are used for the first time |
    /// | `max_dialing_per_host`, `max_dialing`, `retry` | count for the next dials |
    /// | `max_waiters_per_host` | counts for the next callers |
    /// | `order`, `reuse`, `spread` | count at once |
    /// | `acquire_timeout`, `slow_acquire` | count for the next callers; those that wait keep the limit that they came with |
    /// | `connect_timeout`, `ping_timeout`, `close_timeout` | count for what begins from now on |
    /// | `idle_timeout`, `max_lifetime`, `lifetime_jitter`, `max_uses` | hold for all connections at once; lifetimes begin when the connection was made |
    /// | `advice` | samples that were taken count on |
    /// | `health_check`, `heartbeat`, `leak_after` | hold for all connections and loans at once |
    ///
    /// The connector, the observer and the function of [`settings_for`](Builder::settings_for) stay, and
    /// the function is called again for every host.
    ///
    /// # Errors
    ///
    /// An invalid setting, or one that cannot change while the pool runs: the error names the field and
    /// the value, and nothing changes. These cannot change: `deadlock_warnings`; and a cap across hosts
    /// (`max_total`, `max_idle`, `max_dialing`) cannot be set if the pool was built without any of them,
    /// because it does not count connections together then.
    ///
    /// # Panics
    ///
    /// If `change` panics; nothing changes then.
    ///
    /// # Examples
    ///
    /// A file is read again when the process gets SIGHUP: `examples/reconfigure.rs`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// let pool = Pool::builder().max_per_host(2).build(connector)?;
    /// let (one, two) = (pool.acquire("db-1").await?, pool.acquire("db-1").await?);
    ///
    /// let old = pool.reconfigure(|config| config.max_per_host = Some(1))?;
    /// assert_eq!(old.max_per_host, Some(2));
    /// drop(one); // is closed: two are one too many
    /// drop(two); // is kept
    /// assert_eq!(pool.status().idle, 1);
    ///
    /// let error = pool.reconfigure(|config| config.max_total = Some(50)).unwrap_err();
    /// assert_eq!(error.field, "max_total");
    /// # Ok(()) }
    /// ```
    pub fn reconfigure(&self, mut change: impl FnMut(&mut Config)) -> Result<Config, BuildError> {
        self.core().reconfigure(&mut change)
    }
}

/// # Advice
impl<C: SharedConnector> SharedPool<C> {
    /// Returns what would help the callers of each host, as [`Pool::advice`] does. Sizes are connections.
    pub fn advice(&self) -> Vec<(C::Key, Advice)> {
        self.shares().advice()
    }
}

/// # Settings while the pool runs
impl<C: SharedConnector> SharedPool<C> {
    /// Returns the pool's settings of now.
    pub fn config(&self) -> Config {
        self.shares().config()
    }

    /// Changes settings while the pool runs, as [`Pool::reconfigure`] does, which describes what
    /// each change means for what exists. Shared connections in use above a lower cap take no new leases, and are closed
    /// after their last one.
    ///
    /// # Errors
    ///
    /// An invalid setting, or one that cannot change while the pool runs.
    ///
    /// # Panics
    ///
    /// If `change` panics; nothing changes then.
    pub fn reconfigure(&self, change: impl FnMut(&mut Config)) -> Result<Config, BuildError> {
        self.shares().reconfigure(change)
    }
}
