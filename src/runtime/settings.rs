//! The settings that a pool is built with: plain data, its observer, and the function for the settings
//! of single hosts.

use std::ops::Deref;

use super::observing::Observing;
use super::overrides::Overrides;
use crate::policy::config::Config;

#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) observer: Observing,
    pub(crate) overrides: Overrides,
}

impl Deref for Settings {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}
