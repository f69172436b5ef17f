//! Times of zero, which are counted: recording each by itself would cost many times what the hit
//! does.
//!
//! A hit does not wait, and a short use begins and ends within one tick of the pool's clock. The
//! counts are exact, and so are the histograms: what a report hands over is what each event would
//! have recorded.

use std::array;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Each of this many threads has a place of its own.
const PLACES: usize = 16;

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: usize = NEXT_THREAD.fetch_add(1, Relaxed) % PLACES;
}

/// How many times of zero were not handed over yet.
pub(super) struct Zeros([Place; PLACES]);

/// In cache lines of its own, so that threads do not wait for each other's.
#[derive(Default)]
#[repr(align(128))]
struct Place {
    waits: AtomicUsize,
    uses: AtomicUsize,
}

impl Zeros {
    pub(super) fn new() -> Self {
        Zeros(array::from_fn(|_| Place::default()))
    }

    #[inline]
    pub(super) fn count_wait(&self) {
        self.place().waits.fetch_add(1, Relaxed);
    }

    #[inline]
    pub(super) fn count_use(&self) {
        self.place().uses.fetch_add(1, Relaxed);
    }

    #[inline]
    fn place(&self) -> &Place {
        // A thread that ends counts, too.
        &self.0[PLACE.try_with(|place| *place).unwrap_or(0)]
    }

    /// Takes up to this many of the waits and of the uses that were counted and not taken yet.
    pub(super) fn take(&self, most: usize) -> (usize, usize) {
        (self.take_of(|place| &place.waits, most), self.take_of(|place| &place.uses, most))
    }

    fn take_of(&self, of: fn(&Place) -> &AtomicUsize, most: usize) -> usize {
        self.0.iter().map(of).fold(0, |taken, count| {
            let less = |n: usize| Some(n.saturating_sub(most - taken));
            let before = count.fetch_update(Relaxed, Relaxed, less).expect("it is never refused");
            taken + before.min(most - taken)
        })
    }
}

impl fmt::Debug for Zeros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zeros").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn counts_of_many_threads_are_taken_once() {
        let zeros = Zeros::new();
        thread::scope(|scope| {
            for _ in 0..2 * PLACES {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        zeros.count_wait();
                    }
                    zeros.count_use();
                });
            }
        });
        let all = (2000 * PLACES, 2 * PLACES);
        let (waits, uses) = zeros.take(1500);
        assert_eq!((waits, uses), (1500, all.1));
        assert_eq!(zeros.take(usize::MAX), (all.0 - waits, 0));
        assert_eq!(zeros.take(usize::MAX), (0, 0));
    }
}
