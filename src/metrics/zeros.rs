//! Times of zero, which are counted: recording each by itself would cost many times what the hit
//! does.
//!
//! A hit does not wait, and a short use begins and ends within one tick of the pool's clock. The
//! counts are exact, and so are the histograms: what a report hands over is what each event would
//! have recorded.

use std::array;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Each of this many threads has a place of its own.
const PLACES: usize = 16;

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: usize = NEXT_THREAD.fetch_add(1, Relaxed) % PLACES;
}

/// How many times of zero were not handed over yet.
#[derive(Debug)]
pub(super) struct Zeros([Place; PLACES]);

/// In cache lines of its own, so that threads do not wait for each other's.
#[derive(Debug, Default)]
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

    /// Returns the waits and the uses that were counted since the last call.
    pub(super) fn take(&self) -> (usize, usize) {
        let sum = |of: fn(&Place) -> &AtomicUsize| {
            self.0.iter().map(|place| of(place).swap(0, Relaxed)).sum()
        };
        (sum(|place| &place.waits), sum(|place| &place.uses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_many_threads_count_is_taken_once() {
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
        assert_eq!(zeros.take(), (2000 * PLACES, 2 * PLACES));
        assert_eq!(zeros.take(), (0, 0));
    }
}
