//! Which pools a page can show. Nobody else can add one, so that it may have methods of this crate's own.

use std::sync::Arc;

use crate::policy::connector::Connector;
use crate::policy::shared_connector::SharedConnector;
use crate::pool::pool::Pool;
use crate::pool::shared::SharedPool;
use crate::runtime::any_pool::AnyPool;

/// A pool without the types of its connector.
pub struct Shown(pub(super) Arc<dyn AnyPool>);

pub trait Sealed {
    fn shown(&self) -> Shown;
}

impl<C: Connector> Sealed for Pool<C> {
    fn shown(&self) -> Shown {
        Shown(self.core().any())
    }
}

impl<C: SharedConnector> Sealed for SharedPool<C> {
    fn shown(&self) -> Shown {
        self.shares().shown()
    }
}
