//! A host in the schedule.

use std::cmp::Ordering;
use std::sync::Arc;

use super::cell::HostCell;
use crate::policy::connector::Connector;

/// See the module. Among hosts with the same time, the oldest comes first.
pub(crate) struct Scheduled<C: Connector>(pub(super) Arc<HostCell<C>>);

impl<C: Connector> Ord for Scheduled<C> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

impl<C: Connector> PartialOrd for Scheduled<C> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<C: Connector> Eq for Scheduled<C> {}

impl<C: Connector> PartialEq for Scheduled<C> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}
