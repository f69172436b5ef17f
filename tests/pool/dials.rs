//! Connectors for keys, connections and errors of any type.

use std::error::Error;
use std::fmt::Debug;
use std::future::{Ready, ready};
use std::hash::Hash;

use wharf::{ConnectorFn, connector_fn};

pub(crate) type Dials<K, T, E> = ConnectorFn<K, T, E, Dial<K, T, E>>;
type Dial<K, T, E> = Box<dyn Fn(K) -> Ready<Result<T, E>> + Send + Sync>;

/// A connector whose dials do this. The closure is boxed because the compiler generates a whole pool for each type of
/// connector, which takes it a second.
pub(crate) fn dials<K, T, E>(
    dial: impl Fn(&K) -> Result<T, E> + Send + Sync + 'static,
) -> Dials<K, T, E>
where
    K: Clone + Eq + Hash + Debug + Send + Sync + 'static,
    T: Send + 'static,
    E: Error + Send + Sync + 'static,
{
    connector_fn(Box::new(move |key| ready(dial(&key))))
}
