//! Caps of single hosts, by key: `max_per_host_for`.

use std::any::{Any, type_name};
use std::fmt::{self, Debug};
use std::sync::Arc;

use super::panics;
use crate::policy::build_error::BuildError;
use crate::policy::connector::{Connector, ShownKey};

/// The function that returns the cap of a host, if it was set. The builder does not know the type
/// of the keys; the type is checked when the pool is built.
#[derive(Clone, Default)]
pub(crate) struct Caps(Option<Asked>);

#[derive(Clone)]
struct Asked {
    /// An [`Ask`] of the key's type.
    ask: Arc<dyn Any + Send + Sync>,
    takes: &'static str,
}

type Ask<K> = Box<dyn Fn(&K) -> Option<usize> + Send + Sync>;

impl Caps {
    pub(crate) fn by<K: 'static>(
        ask: impl Fn(&K) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        let ask: Ask<K> = Box::new(ask);
        Caps(Some(Asked { ask: Arc::new(ask), takes: type_name::<K>() }))
    }

    /// Checks that the function takes keys of this type.
    pub(crate) fn check<K: 'static>(&self) -> Result<(), BuildError> {
        match &self.0 {
            Some(Asked { ask, takes }) if !ask.is::<Ask<K>>() => {
                let reason = format!("must take the connector's key, `&{}`", type_name::<K>());
                let value = format!("a function of `&{takes}`");
                Err(BuildError::new("max_per_host_for", value, reason))
            }
            _ => Ok(()),
        }
    }

    /// Returns the host's own cap, if the function gives one. The function is user code: no lock is
    /// held here.
    pub(super) fn of<C: Connector>(&self, connector: &C, key: &C::Key) -> Option<usize> {
        let ask = self.0.as_ref()?.ask.downcast_ref::<Ask<C::Key>>()?;
        let max = panics::catch("max_per_host_for", || ask(key)).ok().flatten();
        if max == Some(0) {
            panics::log(|| {
                tracing::warn!(
                    target: "wharf::host", key = ?ShownKey(connector, key),
                    "max_per_host_for returned 0: it must be at least 1; max_per_host applies instead"
                );
            });
        }
        max.filter(|max| *max > 0)
    }
}

impl Debug for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(asked) => write!(f, "by `&{}`", asked.takes),
            None => f.write_str("the same for all"),
        }
    }
}
