//! Types that the engine stores for this layer without using them.

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

/// A connection on loan, with a reference to its host.
pub(crate) type Loan<C> = Box<crate::engine::Loan<PartsOf<C>>>;
pub(crate) type HostState<C> = crate::engine::HostState<PartsOf<C>>;
pub(crate) type Section<'a, C> = crate::engine::Section<'a, PartsOf<C>>;
pub(crate) type Actions<C> = crate::engine::Actions<PartsOf<C>>;
pub(crate) type Waiter<C> = crate::engine::Waiter<PartsOf<C>>;
pub(crate) type Seat<C> = crate::engine::Seat<PartsOf<C>>;
