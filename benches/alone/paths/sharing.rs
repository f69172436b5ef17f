//! How the leases of shared connections are spread, and with which settings.

use wharf::{Builder, Lease, Shared, SharedHost, SharedPool, Spread};

use crate::connector::Numbers;
use crate::setting::Setting;

#[derive(Clone, Copy)]
pub(crate) struct Sharing {
    spread: Spread,
    setting: Setting,
}

impl Sharing {
    /// Returns the one with this name.
    pub(crate) fn named(name: &str) -> Sharing {
        match name {
            "oldest" => Sharing { spread: Spread::OldestFirst, setting: Setting::None },
            "least" => Sharing { spread: Spread::LeastLoaded, setting: Setting::None },
            "every" => Sharing { spread: Spread::LeastLoaded, setting: Setting::Every },
            other => panic!("no such spread: {other}"),
        }
    }

    /// Makes a host with `n` connections, which carry this many leases each.
    pub(crate) async fn host(self, n: usize, max_leases: usize) -> SharedHost<Numbers> {
        let builder = self.setting.apply(SharedPool::builder(), n).spread(self.spread);
        host_of(builder, Numbers::with_leases(max_leases), n).await
    }
}

/// Makes a host with `n` connections in a pool of its own.
pub(crate) async fn host_of(
    builder: Builder<Shared>,
    connector: Numbers,
    n: usize,
) -> SharedHost<Numbers> {
    let pool = builder.build(connector).expect("valid settings");
    // As for an exclusive host.
    while pool.add(&7, 7).is_ok() {}
    let host = pool.host(&7);
    host.warm(n).await.expect("the connections");
    host
}

/// Takes `n` leases.
pub(crate) async fn hold(host: &SharedHost<Numbers>, n: usize) -> Vec<Lease<Numbers>> {
    let mut held = Vec::with_capacity(n);
    for _ in 0..n {
        held.push(host.acquire().await.expect("a lease"));
    }
    held
}
