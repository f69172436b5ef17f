//! More callers than connections: each waits for a connection that another returns.

use std::hint::black_box;
use std::sync::Arc;

use tokio::task::yield_now;
use wharf::{Host, Lease, Pool, PooledConnection, SharedHost};

use crate::connector::Numbers;
use crate::count::Path;
use crate::countdown::Countdown;
use crate::hit;
use crate::setting::Setting;
use crate::sharing::Sharing;

const TASKS: usize = 64;
const CONNECTIONS: usize = 4;

/// A host to borrow from.
trait Lends: Clone + Send + Sync + 'static {
    type Loan: Send;

    fn borrow(&self) -> impl Future<Output = Self::Loan> + Send;
}

impl Lends for Host<Numbers> {
    type Loan = PooledConnection<Numbers>;

    async fn borrow(&self) -> Self::Loan {
        self.acquire().await.expect("a connection")
    }
}

impl Lends for SharedHost<Numbers> {
    type Loan = Lease<Numbers>;

    async fn borrow(&self) -> Self::Loan {
        self.acquire().await.expect("a lease")
    }
}

/// Tasks that borrow without end. They stand still while the path is not walked.
pub(crate) struct Crowd {
    uses: Arc<Countdown>,
    /// The connections that others hold.
    _held: Vec<PooledConnection<Numbers>>,
}

/// Sets up 64 tasks on one host with 4 connections.
pub(crate) async fn single() -> Crowd {
    out(Setting::Ages, 0).await
}

/// Sets up the same while others hold `n` connections.
pub(crate) async fn out(setting: Setting, n: usize) -> Crowd {
    let host = hit::host(setting, n + CONNECTIONS).await;
    let held = hit::hold(&host, n).await;
    Crowd::start(&vec![host; TASKS], held).await
}

/// Sets up 64 tasks on one host with 4 connections that carry `leases` leases each.
pub(crate) async fn shared(leases: usize) -> Crowd {
    let host = Sharing::named("oldest").host(CONNECTIONS, leases).await;
    Crowd::start(&vec![host; TASKS], Vec::new()).await
}

/// Sets up two tasks on each of `n` hosts with one connection.
pub(crate) async fn on_hosts(n: usize) -> Crowd {
    let builder = Pool::builder().max_per_host(1).acquire_timeout(None);
    let pool = builder.build(Numbers::new()).expect("valid settings");
    let hosts: Vec<_> = (0..n as u64).cycle().take(2 * n).map(|key| pool.host(&key)).collect();
    Crowd::start(&hosts, Vec::new()).await
}

impl Crowd {
    /// Starts a task for each of these handles, and waits until each of them has had a turn.
    async fn start(hosts: &[impl Lends], held: Vec<PooledConnection<Numbers>>) -> Crowd {
        let uses = Arc::new(Countdown::default());
        for host in hosts {
            tokio::spawn(borrow(host.clone(), uses.clone()));
        }
        uses.run(2 * hosts.len()).await;
        Crowd { uses, _held: held }
    }
}

async fn borrow(host: impl Lends, uses: Arc<Countdown>) {
    loop {
        let loan = host.borrow().await;
        uses.step();
        yield_now().await;
        drop(black_box(loan));
    }
}

impl Path for Crowd {
    const WALKS: usize = 12_800;
    const PAUSED: bool = true;

    async fn walk(&mut self, times: usize) {
        self.uses.run(times).await;
    }
}
