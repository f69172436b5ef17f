//! HTTP/2's pings.

use std::time::Duration;

use tonic::transport::Endpoint;

use crate::policy::build_error::BuildError;

/// When a silent server is asked whether it is there.
#[derive(Clone, Debug)]
pub(super) struct Keepalive {
    pub(super) time: Option<Duration>,
    pub(super) timeout: Duration,
    pub(super) without_calls: bool,
}

/// What gRPC raises lower values to.
const LEAST: Duration = Duration::from_secs(10);

/// Later than a clock can tell is no time for a ping.
const MOST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Default for Keepalive {
    fn default() -> Self {
        Keepalive { time: None, timeout: Duration::from_secs(20), without_calls: false }
    }
}

impl Keepalive {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        if let Some(time) = self.time.filter(|time| *time < LEAST) {
            let reason = format!("must be at least {LEAST:?}, or servers take it for abuse");
            return Err(BuildError::new("keepalive", format!("{time:?}"), reason));
        }
        if self.timeout.is_zero() {
            return Err(BuildError::new("keepalive_timeout", "0s", "must be longer than zero"));
        }
        let times = [("keepalive", self.time), ("keepalive_timeout", Some(self.timeout))];
        for (field, time) in times {
            if let Some(time) = time.filter(|time| *time > MOST) {
                let reason = format!("must be at most {MOST:?}");
                return Err(BuildError::new(field, format!("{time:?}"), reason));
            }
        }
        Ok(())
    }

    pub(super) fn apply(&self, endpoint: Endpoint) -> Endpoint {
        let endpoint =
            endpoint.keep_alive_timeout(self.timeout).keep_alive_while_idle(self.without_calls);
        match self.time {
            Some(time) => endpoint.http2_keep_alive_interval(time),
            None => endpoint,
        }
    }
}
