//! A lease of a shared connection, and its end.

use std::hint::black_box;

use wharf::{Lease, SharedHost, SharedPool};

use crate::connector::Numbers;
use crate::count::Path;
use crate::sharing::{self, Sharing};

pub(crate) struct Leases {
    host: SharedHost<Numbers>,
    /// The leases that others hold.
    _held: Vec<Lease<Numbers>>,
}

/// Sets up a host with one connection, which another lease uses or none.
pub(crate) async fn single(is_used: bool) -> Leases {
    let host = sharing::host_of(SharedPool::builder().max_per_host(1), Numbers::new(), 1).await;
    Leases::beside(host, usize::from(is_used)).await
}

/// Sets up a host whose `n` connections carry this many leases each, and are full except for one.
pub(crate) async fn full(sharing: Sharing, n: usize, max_leases: usize) -> Leases {
    let host = sharing.host(n, max_leases).await;
    Leases::beside(host, n * max_leases - max_leases.div_ceil(2)).await
}

/// Sets up a host with `n` connections and as many leases, a quarter of what they can carry.
pub(crate) async fn with_room(sharing: Sharing, n: usize) -> Leases {
    Leases::beside(sharing.host(n, 4).await, n).await
}

impl Leases {
    /// The path while others hold this many leases.
    async fn beside(host: SharedHost<Numbers>, others: usize) -> Leases {
        let held = sharing::hold(&host, others).await;
        Leases { host, _held: held }
    }
}

impl Path for Leases {
    async fn walk(&mut self, times: usize) {
        for _ in 0..times {
            drop(black_box(self.host.acquire().await.expect("a lease")));
        }
    }
}
