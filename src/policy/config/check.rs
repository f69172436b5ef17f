//! Checks the settings.

use std::fmt;
use std::time::Duration;

use super::Config;
use crate::policy::build_error::BuildError;
use crate::policy::spread::Spread;

/// A shorter one has too few samples.
const SHORTEST_WINDOW: Duration = Duration::from_secs(10);

impl Config {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        at_least_one("max_per_host", self.max_per_host)?;
        at_least_one("max_total", self.max_total)?;
        at_least_one("max_dialing_per_host", self.max_dialing_per_host)?;
        at_least_one("max_dialing", self.max_dialing)?;
        at_least_one("max_uses", self.max_uses)?;
        longer_than_zero("connect_timeout", self.connect_timeout)?;
        longer_than_zero("ping_timeout", self.ping_timeout)?;
        longer_than_zero("close_timeout", self.close_timeout)?;
        longer_than_zero("idle_timeout", self.idle_timeout)?;
        longer_than_zero("max_lifetime", self.max_lifetime)?;
        above_zero_to_warn("slow_acquire", self.slow_acquire)?;
        above_zero_to_warn("leak_after", self.leak_after)?;
        if let Some(window) = self.advice.filter(|window| *window < SHORTEST_WINDOW) {
            let value = format!("{window:?}");
            return Err(BuildError::new("advice", value, "must be at least 10s"));
        }
        for (cap, most) in [
            ("max_per_host", self.max_per_host),
            ("max_idle_per_host", self.max_idle_per_host),
            ("max_idle", self.max_idle),
            ("max_total", self.max_total),
        ] {
            not_above("initial_per_host", self.initial_per_host, cap, most)?;
            not_above("min_idle_per_host", self.min_idle_per_host, cap, most)?;
        }
        if let Some(backoff) = &self.retry {
            backoff.check()?;
        }
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.check()?;
        }
        if !(0.0..=1.0).contains(&self.lifetime_jitter) {
            let jitter = self.lifetime_jitter;
            return Err(BuildError::new("lifetime_jitter", jitter, "must be from 0 to 1"));
        }
        Ok(())
    }

    /// Rejects settings that have no meaning for a pool of exclusive connections.
    pub(crate) fn check_exclusive(&self) -> Result<(), BuildError> {
        match self.spread {
            Spread::OldestFirst => Ok(()),
            Spread::LeastLoaded => {
                Err(BuildError::new("spread", "least_loaded", "is for a `SharedPool` only"))
            }
        }
    }
}

pub(super) fn at_least_one<T: PartialEq + From<u8> + fmt::Display>(
    field: &'static str,
    value: Option<T>,
) -> Result<(), BuildError> {
    match value {
        Some(value) if value == T::from(0) => {
            Err(BuildError::new(field, value, "must be at least 1; `None` means no limit"))
        }
        _ => Ok(()),
    }
}

pub(super) fn longer_than_zero(
    field: &'static str,
    value: Option<Duration>,
) -> Result<(), BuildError> {
    not_zero(field, value, "must be longer than zero; `None` means no limit")
}

fn above_zero_to_warn(field: &'static str, value: Option<Duration>) -> Result<(), BuildError> {
    not_zero(field, value, "must be longer than zero; `None` means not to warn")
}

fn not_zero(
    field: &'static str,
    value: Option<Duration>,
    reason: &'static str,
) -> Result<(), BuildError> {
    match value {
        Some(Duration::ZERO) => Err(BuildError::new(field, "0s", reason)),
        _ => Ok(()),
    }
}

pub(super) fn not_above(
    field: &'static str,
    value: usize,
    cap: &'static str,
    most: Option<usize>,
) -> Result<(), BuildError> {
    match most {
        Some(most) if value > most => {
            Err(BuildError::new(field, value, format!("must not be above {cap}, which is {most}")))
        }
        _ => Ok(()),
    }
}
