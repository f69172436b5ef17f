//! A host without the types of its connector: what the engine and the pool's tasks know of it.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::any_pool::AnyPool;
use super::failure::{DialError, DialFailure};
use super::host_base::HostBase;
use super::panics;
use super::parts::{Cell, Erased, TaskWaker, Value, WaitsIn};
use super::pool_base::PoolBase;
use super::rules::Rules;
use crate::engine::status::Counted;
use crate::engine::sync::Notify;
use crate::engine::{Parts, Proof, Purpose};
use crate::policy::time::Span;

pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A host, without the types of its connector. Its `Debug` is the key as logs, errors and observers show it.
///
/// Implemented once, by [`HostCell`](super::cell::HostCell). Everything else about a host needs no types and is a
/// method of `dyn AnyHost`, compiled in this crate: what callers ask in `slow_path.rs`, what tasks ask in
/// `sections.rs`.
///
/// The methods that ask the connector run user code: no lock is held.
pub(crate) trait AnyHost: Any + Debug + Send + Sync {
    /// Returns the host's lock and what belongs to it.
    fn base(&self) -> &HostBase;

    fn pool(&self) -> &PoolBase;

    /// Returns this host so that its type can be found again. (Rust 1.85 cannot cast it.)
    fn untyped(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;

    fn pool_ref(&self) -> Arc<dyn AnyPool>;

    /// Enters the directory. Returns the host that is listed there with this key: this one, another, or a new one if
    /// this one was forgotten; and none if the pool is closed.
    fn enter(self: Arc<Self>) -> Option<Cell>;

    /// Returns what is to govern the host now. It calls user code.
    fn own_rules(&self) -> Arc<Rules>;

    /// Leaves the directory, unless `forget`, which is called under the directory's lock, finds that the host is
    /// needed. It returns the host's counts.
    fn leave(self: Arc<Self>, forget: &mut dyn FnMut() -> Option<Counted>);

    /// Dials. The connector is called at the first poll: the caller catches its panics there.
    fn connect(&self) -> Later<'_, Result<Value, DialError>>;

    /// Pings or resets a connection, and returns whether it answered. The connector is called at the first poll.
    fn ping<'a>(&'a self, purpose: Purpose, value: &'a mut Value) -> Later<'a, bool>;

    /// Closes a connection. The connector is called at the first poll.
    fn close(&self, value: Value) -> Later<'_, ()>;

    /// Returns how many leases the connection takes now: none if it is not open, or if that panics.
    fn leases_if_open(&self, value: &mut Value) -> usize;

    /// Returns how many leases the connection takes, open or not: none if that panics.
    fn leases(&self, value: &Value) -> usize;

    /// Returns what proves that the peer of a new connection lives.
    fn proof(&self, value: &mut Value) -> Proof;

    /// Returns when the peer was last heard, if that is known. The caller catches a panic.
    fn last_heard(&self, value: &Value) -> Option<Instant>;

    /// Returns the address of the connection's peer. The caller catches a panic.
    fn peer_addr(&self, value: &Value) -> Option<SocketAddr>;
}

impl dyn AnyHost {
    /// Returns the key in its `Debug` form, for errors. That is user code and may panic.
    #[cold]
    pub(crate) fn name(&self) -> Box<str> {
        let name = panics::catch("the Debug of a key", || format!("{self:?}"));
        name.map_or_else(|_| "a key whose Debug panics".into(), String::into_boxed_str)
    }
}

impl Parts for Erased {
    type Host = Arc<dyn AnyHost>;
    type Connection = Value;
    type Failure = DialFailure;
    type Waker = TaskWaker;
    type Runtime = WaitsIn;
    type Stop = Arc<Notify>;

    fn runtime(waker: &TaskWaker) -> WaitsIn {
        waker.waits_in.clone()
    }

    fn timed_out(limit: Span) -> DialFailure {
        DialFailure::TimedOut(limit.into())
    }
}
