//! A counted handle on a pool.

use std::sync::Arc;

use super::cell::PoolCore;
use crate::policy::connector::Connector;

/// The pool lives as long as one exists.
pub(crate) struct PoolHandle<C: Connector>(Arc<PoolCore<C>>);

impl<C: Connector> PoolHandle<C> {
    pub(crate) fn new(core: Arc<PoolCore<C>>) -> Self {
        core.add_handle();
        PoolHandle(core)
    }

    #[inline]
    pub(crate) fn core(&self) -> &Arc<PoolCore<C>> {
        &self.0
    }
}

impl<C: Connector> Clone for PoolHandle<C> {
    fn clone(&self) -> Self {
        PoolHandle::new(self.0.clone())
    }
}

impl<C: Connector> Drop for PoolHandle<C> {
    fn drop(&mut self) {
        if self.0.drop_handle() {
            self.0.any().orphan();
        }
    }
}
