//! The settings whose cost must not depend on the number of connections.

use std::time::Duration;

use wharf::{Builder, Heartbeat, Reuse};

/// Longer than any count takes: nothing becomes due while instructions are counted.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// A setting of the pool, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    None,
    MaxIdle,
    MaxIdlePerHost,
    MinIdlePerHost,
    MaxTotal,
    LeakAfter,
    Heartbeat,
    LeastRecent,
    /// `idle_timeout` and `max_lifetime`.
    Ages,
    /// All the others together.
    Every,
    /// `deadlock_warnings`, which is for debugging and not among `Every`.
    Noted,
}

/// Those that [`Setting::Every`] consists of, with their names.
const EVERY: [(&str, Setting); 8] = [
    ("max_idle", Setting::MaxIdle),
    ("max_idle_per_host", Setting::MaxIdlePerHost),
    ("min_idle_per_host", Setting::MinIdlePerHost),
    ("max_total", Setting::MaxTotal),
    ("leak_after", Setting::LeakAfter),
    ("heartbeat", Setting::Heartbeat),
    ("least_recent", Setting::LeastRecent),
    ("ages", Setting::Ages),
];

impl Setting {
    /// Returns the setting with this name.
    pub(crate) fn named(name: &str) -> Setting {
        match name {
            "none" => Setting::None,
            "every" => Setting::Every,
            "noted" => Setting::Noted,
            _ => {
                let named = EVERY.into_iter().find(|(other, _)| *other == name);
                named.unwrap_or_else(|| panic!("no such setting: {name}")).1
            }
        }
    }

    /// Returns a builder with this setting, for one host with at most `n` connections. All caps are `n`, so that each is
    /// reached when all connections are open or idle.
    pub(crate) fn apply<Kind>(self, builder: Builder<Kind>, n: usize) -> Builder<Kind> {
        self.add(builder.max_per_host(n).idle_timeout(None).max_lifetime(None), n)
    }

    fn add<Kind>(self, builder: Builder<Kind>, n: usize) -> Builder<Kind> {
        match self {
            Setting::None => builder,
            Setting::MaxIdle => builder.max_idle(n),
            Setting::MaxIdlePerHost => builder.max_idle_per_host(n),
            Setting::MinIdlePerHost => builder.min_idle_per_host(n),
            Setting::MaxTotal => builder.max_total(n),
            Setting::LeakAfter => builder.leak_after(LONG),
            Setting::Heartbeat => builder.heartbeat(Heartbeat::every(LONG)),
            Setting::LeastRecent => builder.reuse(Reuse::LeastRecent),
            Setting::Ages => builder.idle_timeout(LONG).max_lifetime(LONG),
            Setting::Every => EVERY.into_iter().fold(builder, |all, (_, one)| one.add(all, n)),
            Setting::Noted => builder.deadlock_warnings(true),
        }
    }
}
