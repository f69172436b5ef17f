//! HTTP/2 pings.

use std::time::Duration;

use crate::connectors::http::http2::KeepAlive;
use crate::policy::build_error::BuildError;

/// When a silent server is pinged.
#[derive(Clone, Debug)]
pub(super) struct Keepalive {
    pub(super) time: Option<Duration>,
    pub(super) timeout: Duration,
    pub(super) without_calls: bool,
}

/// The longest interval: a later ping is beyond the range of the clock.
const MOST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Keepalive {
    /// Servers with default settings treat more than one ping in five minutes as abuse.
    fn default() -> Self {
        let [time, timeout] = [330, 10].map(Duration::from_secs);
        Keepalive { time: Some(time), timeout, without_calls: false }
    }
}

impl Keepalive {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        let times = [("keepalive", self.time), ("keepalive_timeout", Some(self.timeout))];
        for (field, time) in times {
            if time.is_some_and(|time| time.is_zero()) {
                return Err(BuildError::new(field, "0s", "must be longer than zero"));
            }
            if let Some(time) = time.filter(|time| *time > MOST) {
                let reason = format!("must be at most {MOST:?}");
                return Err(BuildError::new(field, format!("{time:?}"), reason));
            }
        }
        Ok(())
    }

    pub(super) fn pings(&self) -> Option<KeepAlive> {
        self.time.map(|interval| KeepAlive { interval, timeout: self.timeout })
    }
}
