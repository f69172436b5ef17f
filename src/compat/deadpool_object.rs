//! What a manager of deadpool's has made, with what deadpool keeps beside it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use ::deadpool::managed::{Manager, Metrics, RecycleResult};

/// A connection of a [`Deadpool`](super::Deadpool), to which it derefs, and the manager's view of it.
///
/// The manager is told (`detach`) when it leaves, in whatever way it does.
pub struct DeadpoolObject<M: Manager> {
    /// Present until it is taken out.
    object: Option<M::Type>,
    metrics: Metrics,
    manager: Arc<M>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// As the manager makes it, and not used since.
    Fresh,
    /// Just recycled: the pool looks at it once more before it is lent, or goes idle.
    Recycled,
    /// Used since.
    Used,
    /// In the middle of being recycled: nobody knows its state.
    BeingRecycled,
}

const PRESENT: &str = "the object is there until it is taken out";

impl<M: Manager> DeadpoolObject<M> {
    pub(super) fn new(object: M::Type, manager: Arc<M>) -> Self {
        let metrics = Metrics::default();
        DeadpoolObject { object: Some(object), metrics, manager, state: State::Fresh }
    }

    /// Takes the object from its manager.
    #[allow(clippy::missing_panics_doc)] // It cannot: this is the end of it.
    pub fn take(mut this: Self) -> M::Type {
        let mut object = this.object.take().expect(PRESENT);
        this.manager.detach(&mut object);
        object
    }

    /// What deadpool would tell of it.
    pub fn metrics(this: &Self) -> Metrics {
        this.metrics
    }

    pub(super) fn is_fresh(&self) -> bool {
        matches!(self.state, State::Fresh | State::Recycled)
    }

    /// Looks at it after it was recycled, as it is lent, or as it comes back: from the second look on it counts as
    /// used. Says whether it may be lent.
    pub(super) fn pass(&mut self) -> bool {
        self.state = match self.state {
            State::BeingRecycled => return false,
            State::Recycled => State::Fresh,
            State::Fresh | State::Used => State::Used,
        };
        true
    }

    /// Dropped before its end it leaves an object that is not lent any more.
    pub(super) async fn recycle(&mut self) -> RecycleResult<M::Error> {
        self.state = State::BeingRecycled;
        let object = self.object.as_mut().expect(PRESENT);
        self.manager.recycle(object, &self.metrics).await?;
        self.state = State::Recycled;
        self.metrics.recycle_count += 1;
        self.metrics.recycled = Some(Instant::now());
        Ok(())
    }
}

impl<M: Manager> Drop for DeadpoolObject<M> {
    fn drop(&mut self) {
        if let Some(object) = &mut self.object {
            self.manager.detach(object);
        }
    }
}

impl<M: Manager> Deref for DeadpoolObject<M> {
    type Target = M::Type;

    fn deref(&self) -> &M::Type {
        self.object.as_ref().expect(PRESENT)
    }
}

impl<M: Manager> DerefMut for DeadpoolObject<M> {
    fn deref_mut(&mut self) -> &mut M::Type {
        self.object.as_mut().expect(PRESENT)
    }
}

impl<M: Manager<Type: fmt::Debug>> fmt::Debug for DeadpoolObject<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadpoolObject")
            .field("object", &self.object)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}
