//! A pool that plays a scene: wharf, deadpool and bb8, whose connections cost nothing.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bb8::ManageConnection;
use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, RecycleResult};
use wharf::{Connector, Order, PooledConnection, async_trait};

/// What a pool waits if nobody sets it: that is bb8's and this crate's default. Deadpool's is without end.
const DEFAULT: Duration = Duration::from_secs(30);

pub(crate) trait Player: Clone + Send + Sync + 'static {
    type Loan: Send + 'static;

    /// Its callers wait this long.
    fn new(connections: u32, waits: Duration) -> Self;

    /// Nothing if the pool gives up.
    fn acquire(&self) -> impl Future<Output = Option<Self::Loan>> + Send;
}

/// Makes connections for each of the pools.
#[derive(Clone)]
pub(crate) struct Dialer;

#[async_trait]
impl Connector for Dialer {
    type Key = ();
    type Connection = ();
    type Error = Infallible;

    async fn connect(&self, (): &()) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Manager for Dialer {
    type Type = ();
    type Error = Infallible;

    async fn create(&self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn recycle(&self, (): &mut (), _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

impl ManageConnection for Dialer {
    type Connection = ();
    type Error = Infallible;

    async fn connect(&self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn is_valid(&self, (): &mut ()) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

/// Its defaults, or in strict order.
#[derive(Clone)]
pub(crate) struct Wharf<const STRICT: bool>(wharf::Pool<Dialer>);

impl<const STRICT: bool> Player for Wharf<STRICT> {
    type Loan = PooledConnection<Dialer>;

    fn new(connections: u32, _: Duration) -> Self {
        let order = if STRICT { Order::Fifo } else { Order::Adaptive };
        let builder = wharf::Pool::builder().max_per_host(connections as usize).order(order);
        Wharf(builder.build(Dialer).expect("valid settings"))
    }

    async fn acquire(&self) -> Option<Self::Loan> {
        self.0.acquire(&()).await.ok()
    }
}

/// With the others' default, or with half of what its callers wait.
#[derive(Clone)]
pub(crate) struct Deadpool<const HALF: bool>(deadpool::managed::Pool<Dialer>);

impl<const HALF: bool> Player for Deadpool<HALF> {
    type Loan = Object<Dialer>;

    fn new(connections: u32, waits: Duration) -> Self {
        let limit = if HALF { waits / 2 } else { DEFAULT };
        let builder = deadpool::managed::Pool::builder(Dialer).max_size(connections as usize);
        let builder = builder.wait_timeout(Some(limit)).runtime(Runtime::Tokio1);
        Deadpool(builder.build().expect("valid settings"))
    }

    async fn acquire(&self) -> Option<Self::Loan> {
        self.0.get().await.ok()
    }
}

#[derive(Clone)]
pub(crate) struct Bb8(bb8::Pool<Dialer>);

impl Player for Bb8 {
    type Loan = bb8::PooledConnection<'static, Dialer>;

    fn new(connections: u32, _: Duration) -> Self {
        let builder = bb8::Pool::builder().max_size(connections).connection_timeout(DEFAULT);
        Bb8(builder.build_unchecked(Dialer))
    }

    async fn acquire(&self) -> Option<Self::Loan> {
        self.0.get_owned().await.ok()
    }
}
