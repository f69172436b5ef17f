//! Pools without the types of their connectors, for what shows any pool: metrics and the page.

use std::sync::Arc;

use super::pool::Pool;
use super::shared::SharedPool;
use crate::policy::connector::Connector;
use crate::policy::shared_connector::SharedConnector;
use crate::runtime::any_pool::AnyPool;

/// A pool without the types of its connector.
pub struct Erased(pub(crate) Arc<dyn AnyPool>);

/// A [`Pool`] or a [`SharedPool`]: no other type can implement it.
pub trait Erase {
    fn erased(&self) -> Erased;
}

impl<C: Connector> Erase for Pool<C> {
    fn erased(&self) -> Erased {
        Erased(self.core().any())
    }
}

impl<C: SharedConnector> Erase for SharedPool<C> {
    fn erased(&self) -> Erased {
        self.shares().erased()
    }
}
