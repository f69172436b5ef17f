//! What every user of an async pool relies on, checked at compile time.

use std::error::Error;
use std::fmt::Debug;
use std::io;

use wharf::{
    Acquire, AcquireError, AcquireLease, AddError, BuildError, Builder, Close, CloseReport, Config,
    Connector, Host, Lease, Pool, PooledConnection, Shared, SharedConnector, SharedHost,
    SharedPool, Warm, WarmError, async_trait,
};

/// Its connections are `Send` and not `Sync`, as many are.
struct Any;

#[async_trait]
impl Connector for Any {
    type Key = String;
    type Connection = std::cell::Cell<u8>;
    type Error = io::Error;

    async fn connect(&self, _: &String) -> io::Result<std::cell::Cell<u8>> {
        Ok(std::cell::Cell::new(0))
    }
}

/// Its connections can be shared.
struct Many;

#[async_trait]
impl Connector for Many {
    type Key = String;
    type Connection = u8;
    type Error = io::Error;

    async fn connect(&self, _: &String) -> io::Result<u8> {
        Ok(0)
    }
}

impl SharedConnector for Many {
    fn max_leases(&self, _: &u8) -> usize {
        1
    }
}

fn shared<T: Send + Sync + Clone + Debug + 'static>() {}
fn future<T: Future + Send + Unpin + Debug + 'static>() {}
fn value<T: Send + 'static>() {}
fn error<T: Error + Send + Sync + 'static>() {}
fn is_send<T: Send + 'static>(_: &T) {}

#[test]
fn futures_and_guards_are_send_and_the_pool_is_send_sync_and_clone() {
    shared::<Pool<Any>>();
    shared::<Host<Any>>();
    shared::<Builder>();
    shared::<CloseReport>();
    shared::<Config>();
    future::<Acquire<Any>>();
    future::<Warm<Any>>();
    future::<Close>();
    value::<PooledConnection<Any>>();
    shared::<SharedPool<Many>>();
    shared::<SharedHost<Many>>();
    shared::<Builder<Shared>>();
    future::<AcquireLease<Many>>();
    value::<Lease<Many>>();
    error::<AcquireError<io::Error>>();
    error::<WarmError<io::Error>>();
    error::<AddError<u8>>();
    error::<BuildError>();
    let pool = Pool::new(Any);
    is_send(&pool.close_within(std::time::Duration::ZERO));
}

#[test]
fn the_builder_needs_no_type_annotations() -> Result<(), BuildError> {
    let pool = Pool::builder().max_per_host(5).max_total(None).build(Any)?;
    assert_eq!(pool.status().hosts, 0);
    let pool = SharedPool::builder().max_per_host(5).max_total(None).build(Many)?;
    assert_eq!(pool.status().hosts, 0);
    is_send(&pool.warm("a", 1));
    Ok(())
}
