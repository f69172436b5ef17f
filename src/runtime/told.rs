//! Which warnings were given already.

use std::collections::HashSet;

use crate::engine::CallSite;
use crate::engine::sync::Mutex;

/// The call sites for which a warning was given.
pub(super) struct Told(Mutex<HashSet<CallSite>>);

impl Told {
    pub(super) fn new() -> Self {
        Told(Mutex::new(HashSet::new()))
    }

    /// Notes a call site. Returns whether it was not there.
    pub(super) fn is_new(&self, call_site: CallSite) -> bool {
        self.0.lock().insert(call_site)
    }
}
