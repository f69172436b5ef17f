//! Metrics as a scraper sees them: over HTTP, from the Prometheus exporter.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wharf::metrics::Metrics;
use wharf::{
    Builder, Connector, HealthCheck, Heartbeat, Pool, PooledConnection, SharedConnector,
    SharedPool, async_trait,
};

/// Dials every host but `dead`; pings fail when they are told to.
#[derive(Clone, Default)]
struct Scripted {
    pings_fail: Arc<AtomicBool>,
}

#[async_trait]
impl Connector for Scripted {
    type Key = String;
    type Connection = Arc<()>;
    type Error = io::Error;

    async fn connect(&self, host: &String) -> io::Result<Arc<()>> {
        if host == "dead" {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Arc::default())
    }

    fn notices_close(&self) -> bool {
        true
    }

    async fn ping(&self, _: &mut Arc<()>) -> io::Result<()> {
        if self.pings_fail.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl SharedConnector for Scripted {
    fn max_leases(&self, _: &Arc<()>) -> usize {
        10
    }
}

/// The exporter of one test, to which all metrics of this thread go.
struct Exporter {
    address: SocketAddr,
    _guard: LocalRecorderGuard<'static>,
}

impl Exporter {
    fn new() -> Self {
        // Another program may take the port between the two.
        for _ in 0..100 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let builder = PrometheusBuilder::new().with_recommended_naming(true);
            if let Ok((recorder, serve)) = builder.with_http_listener(address).build() {
                tokio::spawn(serve);
                let guard = metrics::set_default_local_recorder(Box::leak(Box::new(recorder)));
                return Exporter { address, _guard: guard };
            }
        }
        panic!("no port is free");
    }

    async fn text(&self) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        answer.split_once("\r\n\r\n").expect("headers and a body").1.to_owned()
    }

    /// Every series with its value as it is written; what is cut off of the names is the same for all of them.
    async fn series(&self, pool_label: &str) -> BTreeMap<String, String> {
        let text = self.text().await;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').expect("a series and its value");
                assert!(series.contains(pool_label), "{series}");
                let series = series.replace(pool_label, "").replace("{}", "").replace("{,", "{");
                (series, value.to_owned())
            })
            .collect()
    }
}

const ORDERS: &str = "db_client_connection_pool_name=\"orders-db\"";

fn pool(
    metrics: &Metrics,
    set: impl FnOnce(Builder) -> Builder,
) -> (Pool<Scripted>, Arc<AtomicBool>) {
    let connector = Scripted::default();
    let pings_fail = connector.pings_fail.clone();
    (set(Pool::builder().observer(metrics.clone())).build(connector).unwrap(), pings_fail)
}

#[tokio::test]
async fn every_metric_after_a_program_of_acquires_time_outs_and_failures() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db");
    let (pool, pings_fail) = pool(&metrics, |b| {
        b.max_per_host(2)
            .max_idle_per_host(2)
            .min_idle_per_host(0)
            .health_check(HealthCheck::Always)
    });
    let kept = pool.acquire("db").await.unwrap(); // one dial
    let discarded = pool.acquire("db").await.unwrap(); // another
    let patience = Duration::from_millis(20);
    for _ in 0..3 {
        pool.acquire_within("db", patience).await.unwrap_err();
    }
    PooledConnection::discard(discarded);
    drop(pool.acquire("db").await.unwrap()); // a third
    drop(pool.acquire("db").await.unwrap()); // it again
    pings_fail.store(true, Ordering::SeqCst);
    drop(pool.acquire("db").await.unwrap()); // its ping fails: a fourth
    pings_fail.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        pool.acquire("dead").await.unwrap_err();
    }
    let detached = pool.acquire("other").await.unwrap(); // a fifth
    PooledConnection::detach(detached);
    let second = pool.acquire("db").await.unwrap();
    let mut waiter = pool.acquire("db");
    assert!(Pin::new(&mut waiter).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    metrics.report(&pool);

    let mut series = exporter.series(ORDERS).await;
    let times = ["create", "use", "wait"].map(|time| {
        let sum = format!("db_client_connection_{time}_time_seconds_sum");
        series.remove(&sum).expect("a sum").parse::<f64>().unwrap()
    });
    // What was waited for 0.06 s is not among the waits: those had no connection for an end.
    assert!(times.iter().all(|time| (0.0..60.0).contains(time)), "{times:?}");
    series.retain(|name, _| !name.contains("quantile"));
    let expected = [
        ("db_client_connection_count{db_client_connection_state=\"idle\"}", "0"),
        ("db_client_connection_count{db_client_connection_state=\"used\"}", "2"),
        // Two hosts: `dead` is remembered for its backoff, `other` is forgotten.
        ("db_client_connection_max", "4"),
        ("db_client_connection_idle_max", "4"),
        ("db_client_connection_idle_min", "0"),
        ("db_client_connection_pending_requests", "1"),
        ("db_client_connection_timeouts_total", "3"),
        ("db_client_connection_create_time_seconds_count", "5"),
        ("db_client_connection_wait_time_seconds_count", "7"),
        ("db_client_connection_use_time_seconds_count", "4"),
        ("wharf_dial_failures_total", "2"),
        ("wharf_acquire_failures_total{wharf_acquire_failure=\"cancelled\"}", "0"),
        ("wharf_acquire_failures_total{wharf_acquire_failure=\"closed\"}", "0"),
        ("wharf_acquire_failures_total{wharf_acquire_failure=\"dial\"}", "2"),
        ("wharf_acquire_failures_total{wharf_acquire_failure=\"no_runtime\"}", "0"),
        ("wharf_acquire_failures_total{wharf_acquire_failure=\"queue_full\"}", "0"),
        ("wharf_acquire_failures_total{wharf_acquire_failure=\"timed_out\"}", "3"),
        ("wharf_acquire_slow_total", "0"),
        ("wharf_leaks_total", "0"),
        ("wharf_deadlocks_total", "0"),
        ("wharf_overloads_total", "0"),
        ("wharf_overloaded", "0"),
        ("wharf_heartbeat_misses_total", "0"),
        ("wharf_pings_total", "3"),
        ("wharf_ping_failures_total", "1"),
        ("wharf_closes_total{wharf_close_reason=\"detached\"}", "1"),
        ("wharf_closes_total{wharf_close_reason=\"discarded\"}", "1"),
        ("wharf_closes_total{wharf_close_reason=\"ping_failed\"}", "1"),
        ("wharf_dialing", "0"),
        ("wharf_pinging", "0"),
        ("wharf_draining", "0"),
        ("wharf_closing", "0"),
        ("wharf_leases", "2"),
        ("wharf_hosts", "2"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, n)| (name.to_owned(), n.to_owned())).into();
    assert_eq!(series, expected);
    drop((kept, second, waiter));
}

#[tokio::test]
async fn each_hit_is_a_wait_and_a_use_whether_it_is_recorded_at_once_or_by_the_report() {
    for per_host in [false, true] {
        let exporter = Exporter::new();
        let metrics = Metrics::new("orders-db").per_host(per_host);
        let (pool, _) = pool(&metrics, |b| b);
        let label = if per_host { "{wharf_host=\"db\"}" } else { "" };
        for hits in [1, 101, 101, 201] {
            while pool.status().at_once + pool.status().dials < hits {
                drop(pool.acquire("db").await.unwrap());
            }
            metrics.report(&pool);
            let series = exporter.series(ORDERS).await;
            for time in ["wait", "use"] {
                let count = format!("db_client_connection_{time}_time_seconds_count{label}");
                assert_eq!(series[&count], hits.to_string(), "{time}");
            }
        }
    }
}

#[tokio::test]
async fn hits_are_recorded_under_the_prefix_of_the_clone_that_was_told_of_them() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db");
    let (pool, _) = pool(&metrics, |b| b);
    for _ in 0..10 {
        drop(pool.acquire("db").await.unwrap());
    }
    metrics.clone().prefix("http.client").report(&pool);
    assert!(!exporter.text().await.contains("http_client_connection_wait_time"));
    metrics.report(&pool);
    let text = exporter.text().await;
    for time in ["wait", "use"] {
        let count = format!("db_client_connection_{time}_time_seconds_count{{{ORDERS}}} 10");
        assert!(text.contains(&count), "{text}");
    }
}

#[tokio::test]
async fn waits_and_loans_are_timed_in_seconds() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db");
    let (pool, _) = pool(&metrics, |b| b.max_per_host(1));
    let loan = pool.acquire("db").await.unwrap();
    let waiter = tokio::spawn(pool.acquire("db"));
    while pool.status().waiting == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(loan);
    drop(waiter.await.unwrap().unwrap());
    metrics.report(&pool);
    let series = exporter.series(ORDERS).await;
    for time in ["use", "wait"] {
        let sum = &series[&format!("db_client_connection_{time}_time_seconds_sum")];
        // The clock of a loan's end is a coarse one.
        let sum: f64 = sum.parse().unwrap();
        assert!((0.2..30.0).contains(&sum), "{time}: {sum}");
    }
}

#[tokio::test]
async fn every_metric_is_described_with_its_kind_and_its_unit() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db");
    let heartbeat = Heartbeat::every(Duration::from_millis(10));
    let (pool, pings_fail) = pool(&metrics, |b| b.heartbeat(heartbeat.max_missed(1)));
    drop(pool.acquire("db").await.unwrap());
    pings_fail.store(true, Ordering::SeqCst);
    while pool.status().idle > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    metrics.report(&pool);
    let text = exporter.text().await;
    let described = [
        ("db_client_connection_count", "gauge", "Connections, by state."),
        ("db_client_connection_max", "gauge", "How many connections may be open."),
        ("db_client_connection_idle_max", "gauge", "How many connections may be idle."),
        ("db_client_connection_idle_min", "gauge", "How many connections are kept idle."),
        ("db_client_connection_create_time_seconds", "summary", "How long successful dials took."),
        (
            "db_client_connection_wait_time_seconds",
            "summary",
            "How long callers waited for their connection.",
        ),
        ("db_client_connection_use_time_seconds", "summary", "How long connections were lent."),
        ("wharf_closes_total", "counter", "Connections that have left, by reason."),
        ("wharf_heartbeat_misses_total", "counter", "Heartbeats that were missed."),
        ("wharf_hosts", "gauge", "Hosts that the pool knows."),
    ];
    for (name, kind, about) in described {
        assert!(text.contains(&format!("# HELP {name} {about}\n# TYPE {name} {kind}\n")), "{text}");
    }
    let count = |what: &str| text.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("# HELP"), count("# TYPE"), "{text}");
    assert!(text.contains("wharf_heartbeat_misses_total{"), "{text}");
    assert!(text.contains("wharf_close_reason=\"heartbeat_missed\"} 1\n"), "{text}");
}

#[tokio::test]
async fn a_prefix_stands_in_names_and_labels() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("backends").prefix("http.client");
    let (pool, _) = pool(&metrics, |b| b);
    let _loan = pool.acquire("db").await.unwrap();
    metrics.report(&pool);
    let series = exporter.series("http_client_connection_pool_name=\"backends\"").await;
    assert_eq!(series["http_client_open_connections{http_connection_state=\"active\"}"], "1");
    assert_eq!(series["http_client_connection_create_time_seconds_count"], "1");
    assert!(series.keys().all(|name| name.starts_with("http_") || name.starts_with("wharf_")));
}

#[tokio::test]
async fn caps_are_those_of_the_hosts_known_under_those_of_the_pool() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db");
    let (pool, _) = pool(&metrics, |b| {
        b.max_per_host(10).max_total(25).max_idle(12).max_idle_per_host(4).min_idle_per_host(1)
    });
    let caps = async || {
        metrics.report(&pool);
        let series = exporter.series(ORDERS).await;
        ["max", "idle_max", "idle_min"]
            .map(|cap| series[&format!("db_client_connection_{cap}")].clone())
    };
    assert_eq!(caps().await, ["10", "4", "1"]);
    let hosts = ["a", "b"].map(|host| pool.host(host));
    assert_eq!(caps().await, ["20", "8", "2"]);
    hosts[0].set_max(3).unwrap();
    assert_eq!(caps().await, ["13", "7", "2"]);
    let _more = ["c", "d", "e"].map(|host| pool.host(host));
    assert_eq!(caps().await, ["25", "12", "5"]);
}

#[tokio::test]
async fn a_cap_that_is_not_set_has_no_gauge() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db");
    let (pool, _) = pool(&metrics, |b| b.max_per_host(None).max_idle(7));
    metrics.report(&pool);
    let series = exporter.series(ORDERS).await;
    assert_eq!(series["db_client_connection_idle_max"], "7");
    assert!(!series.contains_key("db_client_connection_max"));
}

#[tokio::test]
async fn a_label_for_the_host_when_asked_for_and_zero_for_one_that_is_forgotten() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db").per_host(true);
    let (pool, _) = pool(&metrics, |b| b.max_per_host(3));
    let loans = [pool.acquire("db:1").await.unwrap(), pool.acquire("db:2").await.unwrap()];
    pool.acquire("dead").await.unwrap_err();
    metrics.report(&pool);
    let series = exporter.series(ORDERS).await;
    let count = |series: &BTreeMap<String, String>, host: &str| {
        let labels = format!("db_client_connection_state=\"used\",wharf_host=\"{host}\"");
        series[&format!("db_client_connection_count{{{labels}}}")].clone()
    };
    assert_eq!([count(&series, "db:1"), count(&series, "db:2")], ["1", "1"]);
    assert_eq!(series["db_client_connection_max{wharf_host=\"db:1\"}"], "3");
    assert_eq!(series["wharf_dial_failures_total{wharf_host=\"dead\"}"], "1");
    assert_eq!(series["wharf_hosts"], "3");
    assert!(!series.contains_key("wharf_leases"));

    for loan in loans {
        PooledConnection::discard(loan);
    }
    let _again = pool.acquire("db:2").await.unwrap();
    metrics.report(&pool);
    let series = exporter.series(ORDERS).await;
    assert_eq!([count(&series, "db:1"), count(&series, "db:2")], ["0", "1"]);
    assert_eq!(series["db_client_connection_max{wharf_host=\"db:1\"}"], "0");
    assert_eq!(series["wharf_hosts"], "2");
}

#[tokio::test]
async fn a_shared_pool_counts_its_leases_apart_from_its_connections() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db");
    let pool = SharedPool::builder().observer(metrics.clone()).build(Scripted::default()).unwrap();
    let leases = [pool.acquire("db").await.unwrap(), pool.acquire("db").await.unwrap()];
    metrics.report(&pool);
    let series = exporter.series(ORDERS).await;
    assert_eq!(series["db_client_connection_count{db_client_connection_state=\"used\"}"], "1");
    assert_eq!(series["wharf_leases"], "2");
    assert_eq!(series["db_client_connection_wait_time_seconds_count"], "2");
    drop(leases);
}

/// Longer than anything takes that is waited for here.
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn reports_go_on_until_a_closed_pool_is_empty() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db");
    let (pool, _) = pool(&metrics, |b| b);
    let loan = pool.acquire("db").await.unwrap();
    let mut reports = tokio::spawn(metrics.report_every(Duration::from_millis(5), &pool));
    drop(pool.close());
    let early = timeout(Duration::from_millis(50), &mut reports).await;
    assert!(early.is_err(), "a loan is out");
    let used = "db_client_connection_count{db_client_connection_state=\"used\"}";
    assert_eq!(exporter.series(ORDERS).await[used], "1");
    drop(loan);
    timeout(LONG, reports).await.expect("it ends").unwrap();
    assert_eq!(exporter.series(ORDERS).await[used], "0");
}

#[tokio::test]
async fn reports_do_not_keep_a_pool_going_and_end_at_zero() {
    let exporter = Exporter::new();
    let metrics = Metrics::new("orders-db").per_host(true);
    let (pool, _) = pool(&metrics, |b| b);
    drop(pool.acquire("db").await.unwrap());
    let reports = tokio::spawn(metrics.report_every(Duration::from_millis(5), &pool));
    let idle = "db_client_connection_count{db_client_connection_state=\"idle\",wharf_host=\"db\"}";
    while exporter.series(ORDERS).await.get(idle).map(String::as_str) != Some("1") {
        tokio::task::yield_now().await;
    }
    drop(pool);
    timeout(LONG, reports).await.expect("it ends with the pool").unwrap();
    let series = exporter.series(ORDERS).await;
    assert_eq!((series[idle].as_str(), series["wharf_hosts"].as_str()), ("0", "0"));
    assert_eq!(
        series["wharf_closes_total{wharf_close_reason=\"pool_closed\",wharf_host=\"db\"}"],
        "1"
    );
}

#[tokio::test]
async fn the_last_report_has_the_hits_until_the_end_of_the_pool() {
    for closes in [true, false] {
        let exporter = Exporter::new();
        let metrics = Metrics::new("orders-db");
        let (pool, _) = pool(&metrics, |b| b);
        drop(pool.acquire("db").await.unwrap());
        let reports = tokio::spawn(metrics.report_every(Duration::from_millis(5), &pool));
        while !exporter.text().await.contains("wharf_hosts") {
            tokio::task::yield_now().await;
        }
        // No report runs between these and the end.
        (0..9_999).for_each(|_| drop(pool.try_acquire("db").unwrap()));
        if closes {
            drop(pool.close());
        }
        drop(pool);
        timeout(LONG, reports).await.expect("it ends with the pool").unwrap();
        let series = exporter.series(ORDERS).await;
        for time in ["wait", "use"] {
            let count = format!("db_client_connection_{time}_time_seconds_count");
            assert_eq!(series[&count], "10000", "{time}");
        }
    }
}

#[tokio::test]
#[should_panic(expected = "interval is 0s: it must be longer than zero")]
async fn an_interval_of_zero_is_refused() {
    let metrics = Metrics::new("orders-db");
    let (pool, _) = pool(&metrics, |b| b);
    drop(metrics.report_every(Duration::ZERO, &pool));
}

/// Nothing listens: the events go nowhere, and nothing breaks.
#[tokio::test]
async fn without_a_recorder_nothing_happens() {
    let metrics = Metrics::new("orders-db");
    let (pool, _) = pool(&metrics, |b| b);
    drop(pool.acquire("db").await.unwrap());
    metrics.report(&pool);
    assert_eq!(pool.status().idle, 1);
}
