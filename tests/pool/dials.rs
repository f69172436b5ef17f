//! Connectors for keys, connections and errors of any type.

use std::error::Error;
use std::fmt::Debug;
use std::future::ready;
use std::hash::Hash;

use wharf::{ConnectorFn, connector_fn};

/// A connector whose dials do this.
pub(crate) fn dials<K, T, E>(
    dial: impl Fn(&K) -> Result<T, E> + Send + Sync + 'static,
) -> ConnectorFn<K, T, E>
where
    K: Clone + Eq + Hash + Debug + Send + Sync + 'static,
    T: Send + 'static,
    E: Error + Send + Sync + 'static,
{
    connector_fn(move |key| ready(dial(&key)))
}
