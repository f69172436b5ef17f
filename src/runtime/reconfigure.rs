//! Changes settings while the pool runs.

use std::sync::Arc;

use super::any_host::AnyHost;
use super::any_pool::AnyPool;
use super::cell::PoolCore;
use super::panics;
use crate::policy::build_error::BuildError;
use crate::policy::config::Config;
use crate::policy::connector::Connector;

impl<C: Connector> PoolCore<C> {
    /// Changes the settings, and returns the old ones. `change` is called again if somebody else has
    /// changed them meanwhile.
    pub(crate) fn reconfigure(
        self: &Arc<Self>,
        change: &mut dyn FnMut(&mut Config),
    ) -> Result<Config, BuildError> {
        loop {
            let old = self.rules();
            let mut config = old.config.clone();
            change(&mut config);
            config.check()?;
            if !self.is_shared() {
                config.check_exclusive()?;
            }
            config.check_change(&old.config, self.ledger().is_some())?;
            let limits = self.limits(&config);
            if self.set_rules(&Arc::new(old.next(config, limits))) {
                self.any().follow_all();
                return Ok(old.config.clone());
            }
        }
    }
}

impl dyn AnyPool {
    /// Every host takes the settings of now. One that enters the directory later has them, or takes
    /// them then.
    fn follow_all(self: &Arc<Self>) {
        self.base().see_runtime();
        self.each_host(&mut |host| {
            host.follow_pool();
            panics::let_go(host);
        });
        self.ensure_maintenance();
    }
}

impl dyn AnyHost {
    /// Takes the settings of now.
    pub(super) fn follow_pool(self: &Arc<Self>) {
        let rules = self.own_rules();
        self.follow(rules);
    }
}
