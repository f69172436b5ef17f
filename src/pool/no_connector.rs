//! What stands for the connector of a pool that is being configured.

use std::convert::Infallible;

use async_trait::async_trait;

use crate::policy::connector::Connector;
use crate::policy::shared_connector::SharedConnector;

/// Stands for the connector in `Pool::builder()`, where it is not known yet. It has no values.
#[derive(Debug)]
pub enum NoConnector {}

#[async_trait]
impl Connector for NoConnector {
    type Key = ();
    type Connection = Infallible;
    type Error = Infallible;

    async fn connect(&self, (): &()) -> Result<Infallible, Infallible> {
        match *self {}
    }
}

impl SharedConnector for NoConnector {
    fn max_leases(&self, _: &Infallible) -> usize {
        match *self {}
    }
}
