//! How many of those who asked were answered.

use std::fmt;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Share {
    pub(crate) asked: u32,
    pub(crate) answered: u32,
}

impl Share {
    /// Counts each of them once.
    pub(crate) fn of(answered: impl IntoIterator<Item = bool>) -> Share {
        answered.into_iter().fold(Share::default(), |share, is_answered| Share {
            asked: share.asked + 1,
            answered: share.answered + u32::from(is_answered),
        })
    }

    /// Rounded, but 100 % are all of them.
    pub(crate) fn percent(self) -> u32 {
        if self.answered == self.asked {
            return 100;
        }
        let rounded = (self.answered * 100 + self.asked / 2) / self.asked;
        rounded.min(99)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent())
    }
}
