//! What the engine keeps for this layer without looking inside.

use std::marker::PhantomData;
use std::sync::Arc;

use super::cell::HostCell;
use super::failure::DialFailure;
use super::handle::Runtime;
use crate::engine::Parts;
use crate::policy::connector::Connector;

/// The parts of a pool with this connector.
pub(crate) struct PartsOf<C>(PhantomData<C>);

impl<C: Connector> Parts for PartsOf<C> {
    type Host = Arc<HostCell<C>>;
    type Connection = C::Connection;
    type Failure = DialFailure<C::Error>;
    type Waker = TaskWaker;
    type Runtime = WaitsIn;

    fn runtime(waker: &TaskWaker) -> WaitsIn {
        waker.waits_in.clone()
    }
}

/// Wakes a task that waits, and knows the runtime that it waits in.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    pub(crate) waker: std::task::Waker,
    pub(crate) waits_in: WaitsIn,
}

/// The runtime of a task that waits.
#[derive(Clone, Debug)]
pub(crate) enum WaitsIn {
    /// The one where maintenance runs. A reference to it for each wait would be counted by all threads at one place.
    Maintained,
    Other(Runtime),
}

/// A connection on loan, with its way home.
pub(crate) type Loan<C> = Box<crate::engine::Loan<PartsOf<C>>>;
pub(crate) type HostState<C> = crate::engine::HostState<PartsOf<C>>;
pub(crate) type Section<'a, C> = crate::engine::Section<'a, PartsOf<C>>;
pub(crate) type Actions<C> = crate::engine::Actions<PartsOf<C>>;
pub(crate) type Waiter<C> = crate::engine::Waiter<PartsOf<C>>;
pub(crate) type Seat<C> = crate::engine::Seat<PartsOf<C>>;
