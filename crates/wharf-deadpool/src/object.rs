//! An object of a deadpool manager, with the metrics that deadpool keeps for it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use deadpool::managed::{Manager, Metrics, RecycleResult};

/// A connection of a [`Deadpool`](crate::Deadpool). It derefs to the manager's type.
///
/// The manager's `detach` is called when it leaves the pool, for any reason.
pub struct DeadpoolObject<M: Manager> {
    /// Present until it is taken out.
    object: Option<M::Type>,
    metrics: Metrics,
    manager: Arc<M>,
    /// Recycling is in progress or was aborted: the state of the object is unknown.
    being_recycled: bool,
}

const PRESENT: &str = "the object is there until it is taken out";

impl<M: Manager> DeadpoolObject<M> {
    pub(super) fn new(object: M::Type, manager: Arc<M>) -> Self {
        let metrics = Metrics::default();
        DeadpoolObject { object: Some(object), metrics, manager, being_recycled: false }
    }

    /// Detaches the object from its manager and returns it.
    #[allow(clippy::missing_panics_doc)] // It cannot: this is the end of it.
    pub fn take(mut this: Self) -> M::Type {
        let mut object = this.object.take().expect(PRESENT);
        this.manager.detach(&mut object);
        object
    }

    /// Returns the metrics that deadpool would report.
    pub fn metrics(this: &Self) -> Metrics {
        this.metrics
    }

    /// Returns whether the object may be lent.
    pub(super) fn is_whole(&self) -> bool {
        !self.being_recycled
    }

    /// If the future is dropped before its end, the object is not lent any more.
    pub(super) async fn recycle(&mut self) -> RecycleResult<M::Error> {
        self.being_recycled = true;
        let object = self.object.as_mut().expect(PRESENT);
        self.manager.recycle(object, &self.metrics).await?;
        self.being_recycled = false;
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
