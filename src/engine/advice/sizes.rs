//! How often how many connections were asked for at once.

/// Numbers up to this have a count each, greater ones share it with those of a sixteenth more.
const EXACT: usize = 256;
const PARTS: usize = 16;

/// Counts of sizes. Its memory grows with the greatest size, logarithmically.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes(Vec<u64>);

impl Sizes {
    pub(super) fn add(&mut self, size: usize, times: u64) {
        let at = place(size);
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] += times;
    }

    pub(super) fn add_all(&mut self, other: &Sizes) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Returns the least size that is at least as great as all but this share of them: one in `part`.
    pub(super) fn all_but_one_in(&self, part: u64) -> usize {
        let all: u64 = self.0.iter().sum();
        let mut rest = all / part;
        for (at, times) in self.0.iter().enumerate().rev() {
            if *times > rest {
                return size(at);
            }
            rest -= times;
        }
        0
    }
}

fn place(size: usize) -> usize {
    if size < EXACT {
        return size;
    }
    let doublings = (size / EXACT).ilog2() as usize;
    let part = (size >> doublings) * PARTS / EXACT - PARTS;
    EXACT + doublings * PARTS + part
}

/// The greatest size that is counted here.
fn size(place: usize) -> usize {
    if place < EXACT {
        return place;
    }
    let (doublings, part) = ((place - EXACT) / PARTS, (place - EXACT) % PARTS);
    (((PARTS + part + 1) * EXACT / PARTS) << doublings) - 1
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_counted_at_most_a_sixteenth_too_high() {
        for n in (0..EXACT).chain([256, 257, 271, 272, 300, 511, 512, 1000, 65_535, 1 << 30]) {
            let shown = size(place(n));
            assert!(n <= shown && shown <= n + n / PARTS, "{n} as {shown}");
        }
    }

    #[test]
    fn the_greatest_are_left_out() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.all_but_one_in(1000), 0);
        sizes.add(3, 998);
        sizes.add(9, 1);
        sizes.add(50, 1);
        assert_eq!(sizes.all_but_one_in(1000), 9);
        let mut other = Sizes::default();
        other.add(70, 2);
        sizes.add_all(&other);
        assert_eq!(sizes.all_but_one_in(1000), 70);
        assert_eq!(sizes.all_but_one_in(100), 3);
    }
}
