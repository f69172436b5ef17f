//! Random numbers for jitter, by Steele, Lea and Flood's `SplitMix64`. They are no secrets.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local!(static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(())));

/// Returns a number from 0 up to, but not including, 1.
#[inline]
pub(crate) fn fraction() -> f64 {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    // As many bits as a fraction has.
    (mixed(state) >> 11) as f64 / (1_u64 << 53) as f64
}

#[inline]
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The numbers of this thread are those that follow from the seed from here on.
#[cfg(any(test, feature = "test-util"))]
pub(crate) fn seed(seed: u64) {
    STATE.set(seed);
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    fn numbers() -> Vec<f64> {
        (0..10_000).map(|_| fraction()).collect()
    }

    /// The author's own numbers for the seed 1234567.
    #[test]
    fn they_are_those_of_the_published_generator() {
        let mut state = 1_234_567_u64;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed(state)
        };
        assert_eq!([next(), next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_another_one_others() {
        let of = |n| {
            seed(n);
            numbers()
        };
        assert_eq!(of(7), of(7));
        assert!(of(7).iter().zip(of(8)).all(|(a, b)| (a - b).abs() > 0.0));
    }

    #[test]
    fn they_are_spread_evenly() {
        seed(7);
        let numbers = numbers();
        for tenth in (0..10).map(|n| f64::from(n) / 10.0) {
            let found = numbers.iter().filter(|number| (tenth..tenth + 0.1).contains(*number));
            assert!((900..1100).contains(&found.count()), "from {tenth}");
        }
    }

    #[test]
    fn each_thread_has_others() {
        let other = std::thread::spawn(numbers).join();
        assert_ne!(other.unwrap(), numbers());
    }
}
