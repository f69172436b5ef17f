//! The settings of a pool: plain data, its observer, and the function for the caps of single hosts.

use std::ops::Deref;

use super::caps::Caps;
use super::observing::Observing;
use crate::policy::config::Config;

#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) observer: Observing,
    pub(crate) caps: Caps,
}

impl Deref for Settings {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}
