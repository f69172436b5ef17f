//! The engine's parts of every pool, and the engine's types with them.
//!
//! The engine is compiled once, for [`Erased`], and not again for each connector: it knows hosts, connections and
//! errors without their types. What a host is to it, [`AnyHost`](super::any_host::AnyHost) says.

use std::any::Any;

use super::handle::Runtime;
use crate::engine::Parts;

/// The parts of every pool.
pub(crate) struct Erased;

/// A host, without the types of its connector.
pub(crate) type Cell = <Erased as Parts>::Host;

/// A connection as the engine keeps it: in fact a [`Held`](super::held::Held).
pub(crate) type Value = Box<dyn Any + Send>;

/// Makes a borrower's share of a shared connection. It runs under a host's lock and must not call user code.
pub(crate) type Split = fn(&Value) -> Value;

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
