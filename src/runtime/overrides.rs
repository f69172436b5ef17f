//! Settings of single hosts, by key: `settings_for`.

use std::any::{Any, type_name};
use std::fmt::{self, Debug};
use std::sync::Arc;

use super::panics;
use crate::policy::build_error::BuildError;
use crate::policy::config::HostConfig;
use crate::policy::connector::{Connector, ShownKey};

/// The function that returns the settings of a host, if there is one. The builder does not know the
/// type of the keys; the type is checked when the pool is built.
#[derive(Clone, Default)]
pub(crate) struct Overrides(Option<Asked>);

#[derive(Clone)]
struct Asked {
    /// An [`Ask`] of the key's type.
    ask: Arc<dyn Any + Send + Sync>,
    takes: &'static str,
}

type Ask<K> = Box<dyn Fn(&K) -> HostConfig + Send + Sync>;

impl Overrides {
    pub(crate) fn by<K: 'static>(ask: impl Fn(&K) -> HostConfig + Send + Sync + 'static) -> Self {
        let ask: Ask<K> = Box::new(ask);
        Overrides(Some(Asked { ask: Arc::new(ask), takes: type_name::<K>() }))
    }

    /// Checks that the function takes keys of this type.
    pub(crate) fn check<K: 'static>(&self) -> Result<(), BuildError> {
        match &self.0 {
            Some(Asked { ask, takes }) if !ask.is::<Ask<K>>() => {
                let reason = format!("must take the connector's key, `&{}`", type_name::<K>());
                let value = format!("a function of `&{takes}`");
                Err(BuildError::new("settings_for", value, reason))
            }
            _ => Ok(()),
        }
    }

    /// Returns the host's own settings, if the function gives valid ones that differ from the pool's.
    /// The function is user code: no lock is held here.
    pub(super) fn of<C: Connector>(&self, connector: &C, key: &C::Key) -> Option<HostConfig> {
        let ask = self.0.as_ref()?.ask.downcast_ref::<Ask<C::Key>>()?;
        let own = panics::catch("settings_for", || ask(key)).ok()?;
        if let Err(error) = own.check() {
            panics::log(|| {
                tracing::warn!(
                    target: "wharf::host", key = ?ShownKey(connector, key),
                    "settings_for: {error}; the pool's settings apply instead"
                );
            });
            return None;
        }
        Some(own).filter(|own| *own != HostConfig::new())
    }
}

impl Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(asked) => write!(f, "by `&{}`", asked.takes),
            None => f.write_str("the same for all"),
        }
    }
}
