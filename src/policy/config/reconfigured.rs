//! Which settings of a pool can change while it runs.

use super::Config;
use crate::policy::build_error::BuildError;

impl Config {
    /// Returns whether a cap spans hosts.
    fn spans_hosts(&self) -> bool {
        self.max_total.or(self.max_idle).is_some() || self.max_dialing.is_some()
    }

    /// Rejects a change that a running pool cannot make. `counts` tells whether it was made with a cap
    /// across hosts.
    pub(crate) fn check_change(&self, old: &Config, counts: bool) -> Result<(), BuildError> {
        if self.deadlock_warnings != old.deadlock_warnings {
            let reason = "cannot change while the pool runs: loans that are out were not noted";
            return Err(BuildError::new("deadlock_warnings", self.deadlock_warnings, reason));
        }
        if !self.spans_hosts() || counts {
            return Ok(());
        }
        let caps = [
            ("max_total", self.max_total),
            ("max_idle", self.max_idle),
            ("max_dialing", self.max_dialing),
        ];
        let set = caps.into_iter().find_map(|(field, cap)| cap.map(|cap| (field, cap)));
        set.map_or(Ok(()), |(field, cap)| {
            let reason = "cannot be set while the pool runs, because it was built without a cap across \
                          hosts (max_total, max_idle, max_dialing) and does not count them together";
            Err(BuildError::new(field, cap, reason))
        })
    }
}
