//! A host in the schedule.

use std::cmp::Ordering;

use super::parts::Cell;

/// See the module. Among hosts with the same time, the oldest comes first.
pub(crate) struct Scheduled(pub(super) Cell);

impl Scheduled {
    fn id(&self) -> u64 {
        self.0.base().id
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id().cmp(&other.id())
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Scheduled {}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}
