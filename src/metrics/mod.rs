//! Metrics of a pool under OpenTelemetry's names, through the `metrics` facade (feature `metrics`).
//!
//! [`Metrics`] is an [`Observer`]: the events drive counters and histograms.
//! [`report`](Metrics::report) sets the gauges from a snapshot of the pool, and
//! [`report_every`](Metrics::report_every) does so on a timer. Everything goes to the recorder that
//! the program has installed, such as `metrics-exporter-prometheus`. What is recorded before its
//! installation is lost. A series of `wharf.closes` begins with its first count, those of the other
//! counters with the first report.
//!
//! An acquire that finds an idle connection waits for zero seconds, and a use may measure as zero if
//! it is shorter than a tick of the pool's clock (a few milliseconds). These zeros are counted, and
//! reach the histograms with the next report, because recording each by itself would cost several
//! times as much as lending the connection. Without reports they are missing in the histograms.
//!
//! # Examples
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use wharf::metrics::Metrics;
//! use wharf::{Pool, connector_fn};
//!
//! let connector = connector_fn(|()| async { Ok::<_, std::io::Error>("a connection") });
//! let metrics = Metrics::new("orders-db");
//! let pool = Pool::builder().max_per_host(30).observer(metrics.clone()).build(connector)?;
//! tokio::spawn(metrics.report_every(Duration::from_secs(10), &pool));
//! # Ok(()) }
//! ```
//!
//! # The metrics
//!
//! Every series has the label `db.client.connection.pool.name`. `db.client` stands for the
//! [`prefix`](Metrics::prefix) throughout. Times are in seconds.
//!
//! | name | kind | what |
//! | --- | --- | --- |
//! | `db.client.connection.count` | gauge | connections, by `db.client.connection.state`: `idle` or `used` |
//! | `db.client.connection.max` | gauge | the sum of the caps of all known hosts; at most `max_total` |
//! | `db.client.connection.idle.max` | gauge | how many of them may be idle; at most `max_idle` |
//! | `db.client.connection.idle.min` | gauge | how many of them are kept idle |
//! | `db.client.connection.pending_requests` | gauge | callers that wait for a connection |
//! | `db.client.connection.timeouts` | counter | acquires that timed out |
//! | `db.client.connection.create_time` | histogram | a dial that succeeded |
//! | `db.client.connection.wait_time` | histogram | from the first poll of an acquire to its connection |
//! | `db.client.connection.use_time` | histogram | a loan that has ended (not by `detach`) |
//! | `wharf.acquire.failures` | counter | acquires that gave no connection, by `wharf.acquire.failure` ([`AcquireFailure::label`](crate::AcquireFailure::label)) |
//! | `wharf.acquire.slow` | counter | acquires that took [`slow_acquire`](crate::Builder::slow_acquire) or longer |
//! | `wharf.leaks` | counter | loans that were held for [`leak_after`](crate::Builder::leak_after) |
//! | `wharf.deadlocks` | counter | deadlocks, with [`deadlock_warnings`](crate::Builder::deadlock_warnings) |
//! | `wharf.overloads` | counter | how often callers began to give up before they were served ([`Order`](crate::Order)); at most every ten seconds for each host |
//! | `wharf.dial.failures` | counter | dials that failed |
//! | `wharf.closes` | counter | connections that have left, by `wharf.close.reason` ([`CloseReason::label`](crate::CloseReason::label)) |
//! | `wharf.pings` | counter | pings and resets that have ended |
//! | `wharf.ping.failures` | counter | pings and resets that failed |
//! | `wharf.heartbeat.misses` | counter | heartbeats that were missed |
//! | `wharf.dialing` | gauge | dials in progress |
//! | `wharf.pinging` | gauge | pings and resets in flight or about to begin, heartbeats included |
//! | `wharf.draining` | gauge | connections that take no new loans and close after their last one |
//! | `wharf.closing` | gauge | connections being closed that still hold a place under the caps |
//! | `wharf.leases` | gauge | loans, of which several may be on one shared connection |
//! | `wharf.overloaded` | gauge | hosts where they do now |
//! | `wharf.advice` | gauge | hosts of which something is to be said, by `wharf.advice.kind`: `too_large`, `too_small`, `not_the_cap`, `always_full` or `callers_leave` ([`Advice`](crate::Advice)); with [`advice`](crate::Builder::advice) |
//! | `wharf.hosts` | gauge | hosts that the pool knows |
//!
//! A limit that is not set has no gauge. Before the first host is known, the caps are those of one
//! host.
//!
//! With the prefix `http.client` the first gauge is `http.client.open_connections`, by
//! `http.connection.state` (`idle` or `active`), which is OpenTelemetry's name for it.
//!
//! # Buckets
//!
//! Set [`BUCKETS`] for the histograms. Without buckets the Prometheus exporter produces summaries,
//! whose quantiles cannot be aggregated over several processes.
//!
#![cfg_attr(not(doctest), doc = include_str!("buckets.md"))]
//!
//! The repository's `dashboards` directory contains a Grafana dashboard and Prometheus alert rules
//! for these names: see [`guide::observability`](crate::guide::observability).

mod names;
mod report;
mod zeros;

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Key, Label, SharedString};

use self::names::{METADATA, Names};
use self::report::Reported;
use self::zeros::Zeros;
use crate::policy::observer::{
    AcquireFailed, Acquired, Closed, Deadlocked, DialDone, DialFailed, HeartbeatMissed, Leaked,
    Observer, Overloaded, PingAnswered, PingFailed, Returned, SlowAcquire, TimedOut,
};

pub use self::report::Reportable;

/// Buckets for the histograms, in seconds: those that OpenTelemetry recommends for the operations
/// of database clients, and two more for connections that are held for long.
pub const BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 300.0];

/// How many waits and uses of zero are recorded at a time: a recorder may visit each by itself, and
/// the thread has other tasks.
const STEP: usize = 4096;

/// Metrics of one pool: see the [module](self). Clones are cheap and share their state: give one to
/// the pool, and report with another.
#[derive(Clone, Debug)]
pub struct Metrics {
    pool: SharedString,
    per_host: bool,
    names: Arc<Names>,
    reported: Arc<Reported>,
    zeros: Arc<Zeros>,
}

/// # Construction
impl Metrics {
    /// Makes the metrics of the pool with this name, which should be unique in the program.
    pub fn new(pool: impl Into<Arc<str>>) -> Self {
        let pool = SharedString::from_shared(pool.into());
        let names = Arc::new(Names::new("db.client", &pool));
        let (reported, zeros) = (Arc::default(), Arc::new(Zeros::new()));
        Metrics { pool, per_host: false, names, reported, zeros }
    }

    /// Sets the prefix of OpenTelemetry's names.
    ///
    /// Defaults to `db.client`, the only kind of pool for which OpenTelemetry defines names.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.names = Arc::new(Names::new(prefix, &self.pool));
        // A clone with the old names hands over what was counted under them.
        self.zeros = Arc::new(Zeros::new());
        self
    }

    /// Sets whether every series except `wharf.hosts` has the label `wharf.host`: the host's key in
    /// its `Debug` form, without the quotes of a string. Each host then has gauges of its own, with
    /// its own caps.
    ///
    /// Defaults to `false`, because a series for each host is too many where hosts come and go. If
    /// it is on, each event allocates its labels, and each time is recorded at once, even if it is
    /// zero; otherwise nothing is allocated.
    pub fn per_host(mut self, per_host: bool) -> Self {
        self.per_host = per_host;
        self
    }
}

/// # Gauges
impl Metrics {
    /// Sets the gauges from one snapshot of the pool, which shows all hosts at the same moment. Also
    /// records the waits and uses of zero that were counted since the last report, and describes
    /// all metrics. A host that was reported before and is forgotten now is set to zero.
    ///
    /// The times of zero are those that this value and its clones were told of; others with the same
    /// name have their own. Recording them takes time and memory in proportion to the hits since the
    /// last report, because the exporter for Prometheus stores each.
    ///
    /// # Panics
    ///
    /// If a key's `Debug` panics and [`per_host`](Metrics::per_host) is on.
    pub fn report(&self, pool: &impl Reportable) {
        self.show(&report::Picture::of(&*pool.erased().0, self.per_host));
    }

    /// Reports at once and then at this interval, until the pool is closed and empty, or its last
    /// handle and loan are dropped. It does not keep the pool alive, and leaves the gauges of a
    /// pool that has ended at zero.
    ///
    /// The interval should not be longer than the one of the scrapes: a scrape between two reports
    /// shows the waits since the last one without the hits, and quantiles are then too high.
    ///
    /// # Panics
    ///
    /// If the interval is zero (at the call); if [`report`](Metrics::report) panics; or if it is
    /// awaited outside a tokio runtime with timers.
    pub fn report_every<P: Reportable>(
        &self,
        interval: Duration,
        pool: &P,
    ) -> impl Future<Output = ()> + Send + 'static + use<P> {
        assert!(!interval.is_zero(), "interval is 0s: it must be longer than zero");
        let (metrics, pool) = (self.clone(), Arc::downgrade(&pool.erased().0));
        async move {
            loop {
                // Before the snapshot, which would be old by the time it is shown.
                while metrics.hand_over_zeros(STEP) >= STEP {
                    tokio::task::yield_now().await;
                }
                let Some(pool) = pool.upgrade() else { break };
                let picture = report::Picture::of(&*pool, metrics.per_host);
                drop(pool);
                metrics.show(&picture);
                if picture.is_over {
                    return;
                }
                tokio::time::sleep(interval).await;
            }
            metrics.show(&report::Picture::default());
        }
    }

    /// Describes the units and the meaning of all metrics to the recorder, as every report does.
    pub fn describe(&self) {
        self.names.describe();
    }
}

/// # Events
impl Metrics {
    fn count(&self, key: &Key, host: &dyn Debug) {
        self.of(key, host, |key| {
            ::metrics::with_recorder(|r| r.register_counter(key, &METADATA).increment(1));
        });
    }

    fn time(&self, key: &Key, host: &dyn Debug, time: Duration) {
        self.of(key, host, |key| {
            ::metrics::with_recorder(|r| r.register_histogram(key, &METADATA).record(time));
        });
    }

    /// Records up to this many of the waits and of the uses of zero that were counted. Returns how
    /// many it has recorded.
    fn hand_over_zeros(&self, most: usize) -> usize {
        let (waits, uses) = self.zeros.take(most);
        for (key, count) in [(&self.names.wait_time, waits), (&self.names.use_time, uses)] {
            if count > 0 {
                ::metrics::with_recorder(|r| {
                    r.register_histogram(key, &METADATA).record_many(0.0, count);
                });
            }
        }
        waits + uses
    }

    /// The key itself, or the one of the host.
    fn of(&self, key: &Key, host: &dyn Debug, record: impl FnOnce(&Key)) {
        if self.per_host {
            record(&with_host(key, host_label(host)));
        } else {
            record(key);
        }
    }
}

fn with_host(key: &Key, host: impl Into<SharedString>) -> Key {
    key.with_extra_labels(vec![Label::new(names::HOST, host)])
}

/// Formats a key with its `Debug`, without the quotes of a string.
fn host_label(host: &dyn Debug) -> String {
    let label = format!("{host:?}");
    let bare = label.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    bare.map(str::to_owned).unwrap_or(label)
}

impl Observer for Metrics {
    fn dial_done(&self, event: &DialDone<'_>) {
        self.time(&self.names.create_time, event.host, event.took);
    }

    fn dial_failed(&self, event: &DialFailed<'_>) {
        self.count(&self.names.dial_failures, event.host);
    }

    fn acquired(&self, event: &Acquired<'_>) {
        if event.waited.is_zero() && !self.per_host {
            return self.zeros.count_wait();
        }
        self.time(&self.names.wait_time, event.host, event.waited);
    }

    fn acquire_failed(&self, event: &AcquireFailed<'_>) {
        self.count(self.names.failures_by(event.kind), event.host);
    }

    fn slow_acquire(&self, event: &SlowAcquire<'_>) {
        self.count(&self.names.slow_acquires, event.host);
    }

    fn leaked(&self, event: &Leaked<'_>) {
        if !event.is_back {
            self.count(&self.names.leaks, event.host);
        }
    }

    fn deadlocked(&self, event: &Deadlocked<'_>) {
        self.count(&self.names.deadlocks, event.host);
    }

    fn overloaded(&self, event: &Overloaded<'_>) {
        if !event.is_over {
            self.count(&self.names.overloads, event.host);
        }
    }

    fn ping_answered(&self, event: &PingAnswered<'_>) {
        self.count(&self.names.pings, event.host);
    }

    fn timed_out(&self, event: &TimedOut<'_>) {
        self.count(&self.names.timeouts, event.host);
    }

    fn returned(&self, event: &Returned<'_>) {
        if event.held.is_zero() && !self.per_host {
            return self.zeros.count_use();
        }
        self.time(&self.names.use_time, event.host, event.held);
    }

    fn ping_failed(&self, event: &PingFailed<'_>) {
        self.count(&self.names.pings, event.host);
        self.count(&self.names.ping_failures, event.host);
    }

    fn heartbeat_missed(&self, event: &HeartbeatMissed<'_>) {
        self.count(&self.names.heartbeat_misses, event.host);
    }

    fn closed(&self, event: &Closed<'_>) {
        self.count(self.names.closes_for(event.reason), event.host);
    }
}
