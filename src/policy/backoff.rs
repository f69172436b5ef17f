//! How long a host that failed is left alone: exponential, with jitter, per host.

use std::time::Duration;

use super::build_error::BuildError;
use super::time::Span;

/// How long the pool waits after a failed dial before it dials the same host again: exponential,
/// with jitter, counted per host, reset by a success.
///
/// Every pool backs off by the default; [`Builder::retry`](crate::Builder::retry) sets another, and
/// makes callers wait for the next dial instead of failing with the first.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wharf::Backoff;
///
/// let backoff = Backoff::default().initial(Duration::from_millis(50)).max(Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    pub(crate) initial: Duration,
    pub(crate) max: Duration,
    pub(crate) factor: f64,
    pub(crate) jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(10),
            factor: 2.0,
            jitter: 0.5,
        }
    }
}

impl Backoff {
    /// The wait after the first failed dial. Defaults to 100 milliseconds.
    pub fn initial(mut self, wait: Duration) -> Self {
        self.initial = wait;
        self
    }

    /// The longest wait. Defaults to 10 seconds, after which a host that has come back is found soon
    /// enough.
    pub fn max(mut self, wait: Duration) -> Self {
        self.max = wait;
        self
    }

    /// By how much each wait is longer than the one before, at least 1. Defaults to 2.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The share of a wait (0 to 1) by which it is shortened at random, so that many clients do not
    /// dial in step. Defaults to 0.5.
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let Backoff { initial, max, factor, jitter } = *self;
        let bad = |field, value: String, reason| Err(BuildError::new(field, value, reason));
        if initial.is_zero() {
            return bad("retry.initial", format!("{initial:?}"), "must be longer than zero");
        }
        if max < initial {
            return bad("retry.max", format!("{max:?}"), "must not be shorter than retry.initial");
        }
        if !(1.0..=1000.0).contains(&factor) {
            return bad("retry.factor", factor.to_string(), "must be from 1 to 1000");
        }
        if !(0.0..=1.0).contains(&jitter) {
            return bad("retry.jitter", jitter.to_string(), "must be from 0 to 1");
        }
        Ok(())
    }

    /// The wait after so many failures in a row (at least one). `random` is from 0 to 1.
    pub(crate) fn wait(&self, failures: u32, random: f64) -> Span {
        let steps = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = self.initial.as_secs_f64() * self.factor.powi(steps);
        // What no `Duration` holds is longer than the longest wait.
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(self.max).min(self.max);
        Span::from(wait).shortened(self.jitter * random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (1..=9).map(|n| backoff.wait(n, 0.0)).collect();
        assert_eq!(waits[0], Span::from(Duration::from_millis(100)));
        assert_eq!(waits[1], Span::from(Duration::from_millis(200)));
        assert_eq!(waits[8], Span::from(Duration::from_secs(10)));
        assert!(waits.is_sorted());
        assert_eq!(backoff.wait(u32::MAX, 0.0), Span::from(Duration::from_secs(10)));
    }

    #[test]
    fn jitter_only_shortens() {
        let backoff = Backoff::default();
        assert_eq!(backoff.wait(1, 1.0), Span::from(Duration::from_millis(50)));
    }
}
