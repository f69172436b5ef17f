//! How long a host that failed is left alone: exponential, with jitter, per host.

use std::time::Duration;

use super::time::Span;

/// The wait after the first failed dial.
const FIRST: Duration = Duration::from_millis(100);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(10);
/// A wait is shortened by up to this share, so that many clients do not dial in step.
const JITTER: f64 = 0.5;

/// The wait after so many failures in a row (at least one). `random` is from 0 to 1.
pub(crate) fn wait(failures: u32, random: f64) -> Span {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    Span::from(wait).shortened(JITTER * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<_> = (1..=9).map(|n| wait(n, 0.0)).collect();
        assert_eq!(waits[0], Span::from(FIRST));
        assert_eq!(waits[1], Span::from(FIRST * 2));
        assert_eq!(waits[8], Span::from(LONGEST));
        assert!(waits.is_sorted());
        assert_eq!(wait(u32::MAX, 0.0), Span::from(LONGEST));
    }

    #[test]
    fn jitter_only_shortens() {
        assert_eq!(wait(1, 1.0), Span::from(FIRST / 2));
    }
}
