//! What governs a host: its settings, and what the engine reads of them.

use super::parts::{Erased, Split};
use crate::engine::Common;
use crate::policy::config::Config;
use crate::policy::limits::Limits;

/// See the module. Hosts with the same settings have the same one.
pub(crate) struct Rules {
    pub(crate) config: Config,
    pub(crate) common: Common<Erased>,
    /// Increases when the pool's settings change.
    pub(super) version: u64,
}

impl Rules {
    pub(super) fn new(config: Config, limits: Limits, share: Option<Split>) -> Self {
        Rules { config, common: Common::new(limits, share), version: 0 }
    }

    /// Returns the same for a host with settings of its own.
    pub(super) fn of_host(&self, config: Config, limits: Limits) -> Self {
        Rules { config, common: self.common.with(limits), version: self.version }
    }

    /// Returns those that hold from now on.
    pub(super) fn next(&self, config: Config, limits: Limits) -> Self {
        Rules { config, common: self.common.with(limits), version: self.version + 1 }
    }
}
