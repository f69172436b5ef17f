//! The settings of a pool: plain data, and its observer.

use std::ops::Deref;

use super::observing::Observing;
use crate::policy::config::Config;

#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) observer: Observing,
}

impl Deref for Settings {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}
