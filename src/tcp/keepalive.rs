//! TCP's own keepalive probes.

use std::io;
use std::time::Duration;

use socket2::SockRef;

use crate::policy::build_error::BuildError;

/// When and how often the system probes a silent peer.
#[derive(Clone, Debug)]
pub(super) struct Keepalive {
    pub(super) idle: Duration,
    pub(super) interval: Duration,
    pub(super) retries: u32,
}

/// The largest value that Linux accepts. It is enforced on every system, so that a setting means
/// the same everywhere.
const MAX_SECS: u64 = 32_767;
const MAX_RETRIES: u32 = 127;

impl Keepalive {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        whole_seconds("keepalive idle", self.idle)?;
        whole_seconds("keepalive interval", self.interval)?;
        if !(1..=MAX_RETRIES).contains(&self.retries) {
            let reason = format!("must be from 1 to {MAX_RETRIES}");
            return Err(BuildError::new("keepalive retries", self.retries, reason));
        }
        Ok(())
    }

    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_vendor = "apple",
        windows,
    ))]
    pub(super) fn set(&self, socket: &SockRef<'_>) -> io::Result<()> {
        let probes = socket2::TcpKeepalive::new()
            .with_time(self.idle)
            .with_interval(self.interval)
            .with_retries(self.retries);
        socket.set_tcp_keepalive(&probes)
    }

    #[cfg(not(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_vendor = "apple",
        windows,
    )))]
    pub(super) fn set(&self, _: &SockRef<'_>) -> io::Result<()> {
        let message = "this system has no setting for the interval and the retries of a socket";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }
}

/// The system would truncate a fraction of a second silently.
fn whole_seconds(field: &'static str, value: Duration) -> Result<(), BuildError> {
    if value.subsec_nanos() == 0 && (1..=MAX_SECS).contains(&value.as_secs()) {
        return Ok(());
    }
    let reason = format!("must be a whole number of seconds, from 1 to {MAX_SECS}");
    Err(BuildError::new(field, format!("{value:?}"), reason))
}
