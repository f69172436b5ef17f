//! Calls the observer and contains its panics.

use std::fmt::{self, Debug};
use std::sync::Arc;

use super::panics;
use crate::policy::observer::Observer;

/// The observer of a pool, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Observing(Option<Arc<dyn Observer>>);

impl Observing {
    pub(crate) fn by(observer: impl Observer) -> Self {
        Observing(Some(Arc::new(observer)))
    }

    #[inline]
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Calls the observer, if there is one.
    #[inline]
    pub(crate) fn tell(&self, event: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.0 {
            let _ = panics::catch("an observer", || event(&**observer));
        }
    }
}

impl Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "an observer" } else { "nobody" })
    }
}
