//! Types that the engine stores for this layer without using them, and the boundary between typed and erased.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::cell::HostBase;
use super::failure::{AnyError, DialFailure};
use super::handle::Runtime;
use super::news::News;
use super::pool_core::PoolBase;
use crate::engine::{Parts, Purpose};

/// The parts of every pool.
pub(crate) struct Erased;

/// A connection as the engine keeps it: in fact a [`Held`](super::held::Held).
pub(crate) type Value = Box<dyn Any + Send>;

pub(crate) type Cell = Arc<dyn AnyHost>;

impl Parts for Erased {
    type Host = Cell;
    type Connection = Value;
    type Failure = DialFailure;
    type Waker = TaskWaker;
    type Runtime = WaitsIn;

    fn runtime(waker: &TaskWaker) -> WaitsIn {
        waker.waits_in.clone()
    }
}

pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A host, without the types of its connector.
pub(crate) trait AnyHost: Debug + Send + Sync {
    fn base(&self) -> &HostBase;
    fn pool(&self) -> &PoolBase;
    fn pool_ref(&self) -> Arc<dyn AnyPool>;
    fn leave_directory(self: Arc<Self>, news: &mut News);
    fn ask_full_peers(self: Arc<Self>);
    fn connect(&self) -> Later<'_, Result<Value, Arc<dyn AnyError>>>;
    fn ping<'a>(&'a self, purpose: Purpose, value: &'a mut Value) -> Later<'a, bool>;
    fn close(&self, value: Value) -> Later<'_, ()>;
    fn leases_if_open(&self, value: &mut Value) -> usize;
    fn leases(&self, value: &Value) -> usize;
    fn peer_addr(&self, value: &Value) -> Option<SocketAddr>;
    fn is_retryable(&self, error: &dyn AnyError) -> bool;
}

/// A pool, without the types of its connector.
pub(crate) trait AnyPool: Send + Sync {
    fn base(&self) -> &PoolBase;
    fn hosts(&self) -> Vec<Cell>;
}

/// Wakes a waiting task, and knows the runtime in which it waits.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    pub(crate) waker: std::task::Waker,
    pub(crate) waits_in: WaitsIn,
}

/// The runtime of a waiting task.
#[derive(Clone, Debug)]
pub(crate) enum WaitsIn {
    /// The one where maintenance runs. A reference to it for each wait would make all threads
    /// update one counter.
    Maintained,
    Other(Runtime),
}

/// A connection on loan, as the engine lends it.
pub(crate) type Lent = crate::engine::Loan<Erased>;
pub(crate) type HostState = crate::engine::HostState<Erased>;
pub(crate) type Section<'a> = crate::engine::Section<'a, Erased>;
pub(crate) type Actions = crate::engine::Actions<Erased>;
pub(crate) type Waiter = crate::engine::Waiter<Erased>;
pub(crate) type Seat = crate::engine::Seat<Erased>;
