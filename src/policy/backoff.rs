//! How long a host is not dialed after a failure: exponential, with jitter, per host.

use std::time::Duration;

use super::build_error::BuildError;
use super::time::Span;

/// Sets how long the pool waits after a failed dial before it dials the same host again:
/// exponential, with jitter, counted for each host, and reset by a success.
///
/// Every pool backs off with the default. [`Builder::retry`](crate::Builder::retry) sets another
/// backoff, and makes callers wait for the next dial instead of failing with the first.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wharf::Backoff;
///
/// let backoff = Backoff::default().initial(Duration::from_millis(50)).max(Duration::from_secs(2));
/// ```
/// # While callers wait
///
/// A host that refuses dials while nothing of it is open is dialed every four times
/// [`initial`](Self::initial) at most (0.4 seconds by default), one dial at a time, no matter how
/// long it has been failing. Callers that wait through an outage are therefore served as soon as
/// callers that arrive after it. [`max`](Self::max) limits all other pauses: those of a host that
/// nobody waits for, of a server that is full (it refuses while other connections are open and come
/// back), and after dials that hang, where pauses grow from the time after which a dial is slow. The
/// guide's page [`storms`](crate::guide::storms) says why hanging is answered otherwise than
/// refusing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    pub(crate) initial: Duration,
    pub(crate) max: Duration,
    pub(crate) factor: f64,
    pub(crate) jitter: f64,
}

/// The longest wait while callers wait, as a multiple of the shortest.
const MOST_WHILE_WANTED: u32 = 4;

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(5),
            factor: 2.0,
            jitter: 0.5,
        }
    }
}

impl Backoff {
    /// Sets the wait after the first failed dial. Defaults to 100 milliseconds.
    pub fn initial(mut self, wait: Duration) -> Self {
        self.initial = wait;
        self
    }

    /// Sets the longest wait; [while callers wait](Self#while-callers-wait) for a host that is down,
    /// the limit is four times [`initial`](Self::initial). Defaults to 5 seconds: a server that hung
    /// is used again that long after its end at the latest, and a fleet of a thousand pools that dial
    /// a server with 50 dials a second lets it recover.
    pub fn max(mut self, wait: Duration) -> Self {
        self.max = wait;
        self
    }

    /// Sets the factor between one wait and the next, at least 1. Defaults to 2.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the share of a wait (0 to 1) by which it is shortened at random, so that many clients
    /// do not dial in step. Defaults to 0.5. A pause after a dial that hangs is shortened by at most
    /// an eighth: shorter ones gain nothing, and cost such a server more dials.
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

    /// Returns the wait after a number of failures in a row (at least one) while callers wait for
    /// the host.
    pub(crate) fn wait_while_wanted(&self, failures: u32, random: f64) -> Span {
        let max = self.max.min(self.initial.saturating_mul(MOST_WHILE_WANTED));
        Backoff { max, ..*self }.wait(failures, random)
    }

    /// Returns the wait after a number of failures in a row (at least one). `random` is from 0 to
    /// 1.
    pub(crate) fn wait(&self, failures: u32, random: f64) -> Span {
        let steps = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = self.initial.as_secs_f64() * self.factor.powi(steps);
        // A wait that exceeds a `Duration` is longer than the longest wait.
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
        assert_eq!(waits[8], Span::from(Duration::from_secs(5)));
        assert!(waits.is_sorted());
        assert_eq!(backoff.wait(u32::MAX, 0.0), Span::from(Duration::from_secs(5)));
    }

    #[test]
    fn while_callers_wait_no_wait_is_longer_than_four_of_the_shortest() {
        let backoff = Backoff::default();
        let wait = |backoff: Backoff, n| backoff.wait_while_wanted(n, 0.0);
        let span = |ms| Span::from(Duration::from_millis(ms));
        assert_eq!([1, 2, 3, 4, 9].map(|n| wait(backoff, n)), [100, 200, 400, 400, 400].map(span));
        assert_eq!(wait(backoff.max(Duration::from_millis(300)), 9), span(300));
        assert_eq!(backoff.wait_while_wanted(9, 1.0), span(200));
    }

    #[test]
    fn jitter_only_shortens() {
        let backoff = Backoff::default();
        assert_eq!(backoff.wait(1, 1.0), Span::from(Duration::from_millis(50)));
    }
}
