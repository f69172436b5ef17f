//! The settings of a program's pool of shared connections.

use proptest::prelude::*;
use wharf::{Builder, Shared, Spread};

use crate::settings::{Settings, settings};

#[derive(Clone, Debug)]
pub(crate) struct SharedSettings {
    /// Leases that a connection carries, as a rule.
    pub(crate) room: usize,
    pub(crate) spread: Spread,
    pub(crate) common: Settings,
}

impl SharedSettings {
    pub(crate) fn apply(&self, builder: Builder<Shared>) -> Builder<Shared> {
        self.common.apply(builder).spread(self.spread)
    }
}

/// Any settings, with caps across hosts or with none.
pub(crate) fn shared_settings(together: bool) -> impl Strategy<Value = SharedSettings> {
    let spread = prop_oneof![Just(Spread::OldestFirst), Just(Spread::LeastLoaded)];
    (1..5_usize, spread, settings(together)).prop_map(|(room, spread, common)| SharedSettings {
        room,
        spread,
        common,
    })
}
