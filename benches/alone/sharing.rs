//! How hosts share `max_total`: callers that borrow without a pause, on tokio's paused time.

use std::convert::Infallible;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wharf::{Host, Pool, connector_fn};

const MAX_TOTAL: usize = 10;
const DIAL: Duration = Duration::from_millis(50);
const USE: Duration = Duration::from_millis(5);
const RUN: Duration = Duration::from_secs(30);

/// How many hosts have how many callers each.
pub(crate) type Load = &'static [(usize, usize)];

pub(crate) const LOADS: [(&str, Load); 8] = [
    ("10 hosts of 1 caller", &[(10, 1)]),
    ("11 hosts of 1", &[(11, 1)]),
    ("20 hosts of 1", &[(20, 1)]),
    ("100 hosts of 1", &[(100, 1)]),
    ("1000 hosts of 1", &[(1000, 1)]),
    ("6 hosts of 3", &[(6, 3)]),
    ("12 hosts of 3", &[(12, 3)]),
    ("1 host of 10, 5 hosts of 1", &[(1, 10), (5, 1)]),
];

/// What the callers of one host saw.
#[derive(Clone, Copy, Default)]
struct Served {
    uses: u64,
    longest_wait: Duration,
}

pub(crate) const HEAD: &str = "\
| load | uses | dials | longest wait | most / least served |
| --- | --- | --- | --- | --- |";

/// One row of the table.
pub(crate) async fn row(name: &str, load: Load) -> String {
    let connector = connector_fn(|host: usize| async move {
        sleep(DIAL).await;
        Ok::<_, Infallible>(host)
    });
    let pool = Pool::builder().max_total(MAX_TOTAL).build(connector).expect("valid settings");
    let end = Instant::now() + RUN;
    let mut callers = JoinSet::new();
    let callers_of = load.iter().flat_map(|(hosts, callers)| vec![*callers; *hosts]);
    for (host, n) in callers_of.enumerate() {
        for _ in 0..n {
            callers.spawn(borrow(pool.host(&host), end));
        }
    }
    let hosts: usize = load.iter().map(|(hosts, _)| hosts).sum();
    let mut served = vec![Served::default(); hosts];
    while let Some(one) = callers.join_next().await {
        let (host, one) = one.expect("no panic");
        served[host].uses += one.uses;
        served[host].longest_wait = served[host].longest_wait.max(one.longest_wait);
    }
    let uses: u64 = served.iter().map(|host| host.uses).sum();
    let longest = served.iter().map(|host| host.longest_wait).max().unwrap_or_default();
    let most = served.iter().map(|host| host.uses).max().unwrap_or_default();
    let least = served.iter().map(|host| host.uses).min().unwrap_or_default();
    format!(
        "| {name} | {uses} | {} | {:.2} s | {:.2} |",
        pool.status().dials,
        longest.as_secs_f64(),
        most as f64 / least as f64
    )
}

/// One caller: acquires, uses and returns, until the end.
async fn borrow(host: Host<impl wharf::Connector<Key = usize>>, end: Instant) -> (usize, Served) {
    let mut served = Served::default();
    while Instant::now() < end {
        let began = Instant::now();
        let connection = host.acquire().await.expect("a connection");
        served.longest_wait = served.longest_wait.max(began.elapsed());
        sleep(USE).await;
        drop(connection);
        served.uses += 1;
    }
    (*host.key(), served)
}
