//! Random programs on a whole pool, through its public surface, against a model that only counts and
//! keeps order; the same on a pool of shared connections; and the numbered aims that such programs
//! measure.
//!
//! A program is a list of acts ([`act`]): callers ask, look, give up and give back, dials and pings
//! and closes come to this or that, time passes, caps change, the pool ends. After each act what must
//! hold is checked ([`checks`], [`shared_checks`]); in the end everybody must have been served and every
//! slot be usable.
//! Time is paused, and there is one thread.
//!
//! What fails prints the program, shrunk, and what happened, a line for each act. It prints its seed
//! before, and takes one from `WHARF_SEED`; `PROPTEST_CASES` says how many programs are run. With
//! `WHARF_FULL` set the aims are measured in full (three minutes):
//!
//! ```sh
//! WHARF_FULL=1 cargo test --release --features test-util --test programs -- --nocapture
//! ```

#[path = "../pool/support.rs"]
#[allow(dead_code)] // The tests in `tests/pool` use the rest.
mod support;
#[path = "../pool/tally.rs"]
#[allow(dead_code)]
mod tally;

mod act;
mod asks;
mod ceilings;
mod checks;
mod ending;
mod play;
mod settings;
mod world;

mod cancellations;
mod closings;
mod order;
mod random;

mod shared;
mod shared_checks;
mod shared_ending;
mod shared_settings;
mod shared_world;
mod wires;

/// What does not hold, in words.
pub(crate) type Verdict<T = ()> = Result<T, String>;

/// Ends the program with these words unless it holds.
macro_rules! holds {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}
pub(crate) use holds;

/// The full number, where that is asked for, and a hundredth where it is not.
pub(crate) fn times(full: usize) -> usize {
    if std::env::var_os("WHARF_FULL").is_some() { full } else { full / 100 }
}

/// The seed of this run: any, or the one that was asked for.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("WHARF_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|_| fastrand::u64(..));
    println!("WHARF_SEED={seed}");
    seed
}

/// Runs what a test does on one thread whose time is paused.
pub(crate) fn on_paused_time<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}
