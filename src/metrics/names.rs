//! The names and descriptions of the metrics. Keys are made once, so that events make none.

use metrics::{Key, Label, Level, Metadata, SharedString, Unit, with_recorder};

use crate::policy::acquire_failure::AcquireFailure;
use crate::policy::advice::Advice;
use crate::policy::close_reason::CloseReason;

pub(super) static METADATA: Metadata<'static> =
    Metadata::new("wharf", Level::INFO, Some(module_path!()));

/// The label of a host.
pub(super) const HOST: &str = "wharf.host";

/// The keys of one pool.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) used: Key,
    pub(super) idle: Key,
    pub(super) max: Key,
    pub(super) idle_max: Key,
    pub(super) idle_min: Key,
    pub(super) pending_requests: Key,
    pub(super) timeouts: Key,
    pub(super) create_time: Key,
    pub(super) wait_time: Key,
    pub(super) use_time: Key,
    pub(super) dial_failures: Key,
    pub(super) ping_failures: Key,
    pub(super) heartbeat_misses: Key,
    pub(super) pings: Key,
    pub(super) slow_acquires: Key,
    pub(super) leaks: Key,
    pub(super) deadlocks: Key,
    pub(super) overloads: Key,
    pub(super) overloaded: Key,
    pub(super) dialing: Key,
    pub(super) pinging: Key,
    pub(super) draining: Key,
    pub(super) closing: Key,
    pub(super) leases: Key,
    pub(super) hosts: Key,
    acquire_failures: [Key; AcquireFailure::ALL.len()],
    closes: [Key; CloseReason::ALL.len()],
    pub(super) advice: [Key; Advice::KINDS.len()],
}

impl Names {
    pub(super) fn new(prefix: &str, pool: &SharedString) -> Self {
        let pool = Label::new(format!("{prefix}.connection.pool.name"), pool.clone());
        let own = |name: &'static str| Key::from_parts(name, vec![pool.clone()]);
        let otel =
            |name: &str| Key::from_parts(format!("{prefix}.connection.{name}"), vec![pool.clone()]);
        // The only gauge that OpenTelemetry names differently for HTTP.
        let (count, state, used) = if prefix == "http.client" {
            (own("http.client.open_connections"), "http.connection.state".to_owned(), "active")
        } else {
            (otel("count"), format!("{prefix}.connection.state"), "used")
        };
        let count = |value| count.with_extra_labels(vec![Label::new(state.clone(), value)]);
        let acquire_failures = |kind: AcquireFailure| {
            let kind = Label::from_static_parts("wharf.acquire.failure", kind.label());
            own("wharf.acquire.failures").with_extra_labels(vec![kind])
        };
        let closes = |reason: CloseReason| {
            let reason = Label::from_static_parts("wharf.close.reason", reason.label());
            own("wharf.closes").with_extra_labels(vec![reason])
        };
        let advice = |kind: &'static str| {
            let kind = Label::from_static_parts("wharf.advice.kind", kind);
            own("wharf.advice").with_extra_labels(vec![kind])
        };
        Names {
            used: count(used),
            idle: count("idle"),
            max: otel("max"),
            idle_max: otel("idle.max"),
            idle_min: otel("idle.min"),
            pending_requests: otel("pending_requests"),
            timeouts: otel("timeouts"),
            create_time: otel("create_time"),
            wait_time: otel("wait_time"),
            use_time: otel("use_time"),
            dial_failures: own("wharf.dial.failures"),
            ping_failures: own("wharf.ping.failures"),
            heartbeat_misses: own("wharf.heartbeat.misses"),
            pings: own("wharf.pings"),
            slow_acquires: own("wharf.acquire.slow"),
            leaks: own("wharf.leaks"),
            deadlocks: own("wharf.deadlocks"),
            overloads: own("wharf.overloads"),
            overloaded: own("wharf.overloaded"),
            dialing: own("wharf.dialing"),
            pinging: own("wharf.pinging"),
            draining: own("wharf.draining"),
            closing: own("wharf.closing"),
            leases: own("wharf.leases"),
            hosts: own("wharf.hosts"),
            acquire_failures: AcquireFailure::EACH.map(acquire_failures),
            closes: CloseReason::EACH.map(closes),
            advice: Advice::KINDS.map(advice),
        }
    }

    pub(super) fn closes_for(&self, reason: CloseReason) -> &Key {
        &self.closes[reason as usize]
    }

    pub(super) fn failures_by(&self, kind: AcquireFailure) -> &Key {
        &self.acquire_failures[kind as usize]
    }

    /// The counters that a report initializes: Prometheus does not see an increase in the first
    /// value of a new series.
    pub(super) fn counters(&self) -> impl Iterator<Item = &Key> {
        let single = [
            &self.timeouts,
            &self.dial_failures,
            &self.pings,
            &self.ping_failures,
            &self.heartbeat_misses,
            &self.slow_acquires,
            &self.leaks,
            &self.deadlocks,
            &self.overloads,
        ];
        single.into_iter().chain(&self.acquire_failures)
    }

    pub(super) fn describe(&self) {
        let gauges = [
            (&self.used, "Connections, by state."),
            (&self.max, "How many connections may be open."),
            (&self.idle_max, "How many connections may be idle."),
            (&self.idle_min, "How many connections are kept idle."),
            (&self.pending_requests, "Callers that wait for a connection."),
            (&self.dialing, "Dials in progress."),
            (&self.pinging, "Pings and resets in flight or about to begin, heartbeats included."),
            (&self.draining, "Connections that take no new loans and close after their last one."),
            (&self.closing, "Connections being closed that hold a place under the caps."),
            (&self.leases, "Loans; several may be on one shared connection."),
            (&self.overloaded, "Hosts whose callers give up before they are served."),
            (&self.advice[0], "Hosts of which something is to be said, by kind."),
            (&self.hosts, "Hosts that the pool knows."),
        ];
        let counters = [
            (&self.timeouts, "Acquires that timed out."),
            (&self.dial_failures, "Dials that failed."),
            (&self.pings, "Pings and resets that have ended, answered or not."),
            (&self.ping_failures, "Pings and resets that failed."),
            (&self.slow_acquires, "Acquires that took as long as slow_acquire."),
            (&self.leaks, "Loans that were held for leak_after."),
            (&self.deadlocks, "Deadlocks, with deadlock_warnings."),
            (&self.overloads, "How often callers began to give up before they were served."),
            (&self.acquire_failures[0], "Acquires that gave no connection, by kind."),
            (&self.heartbeat_misses, "Heartbeats that were missed."),
            (&self.closes[0], "Connections that have left, by reason."),
        ];
        let histograms = [
            (&self.create_time, "How long successful dials took."),
            (&self.wait_time, "How long callers waited for their connection."),
            (&self.use_time, "How long connections were lent."),
        ];
        with_recorder(|recorder| {
            for (key, about) in gauges {
                recorder.describe_gauge(key.name_shared(), Some(Unit::Count), about.into());
            }
            for (key, about) in counters {
                recorder.describe_counter(key.name_shared(), Some(Unit::Count), about.into());
            }
            for (key, about) in histograms {
                recorder.describe_histogram(key.name_shared(), Some(Unit::Seconds), about.into());
            }
        });
    }
}
