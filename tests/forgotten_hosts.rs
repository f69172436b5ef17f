//! Hosts that were visited once leave nothing behind. (Behaviour 14.)
//!
//! With `WHARF_FULL` set there are a million of them, otherwise a hundredth:
//!
//! ```sh
//! WHARF_FULL=1 cargo test --release --test forgotten_hosts -- --nocapture
//! ```

use std::alloc::System;
use std::convert::Infallible;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wharf::{Connector, Pool, connector_fn};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Hosts that are there at once, before they expire.
const AT_ONCE: usize = 1000;

/// Bytes taken and not given back since the region began.
fn kept(region: &Region<'_, System>) -> isize {
    let change = region.change();
    isize::try_from(change.bytes_allocated).unwrap()
        - isize::try_from(change.bytes_deallocated).unwrap()
}

/// Visits a thousand hosts, and waits until all have expired.
async fn visit<C: Connector<Key = String>>(pool: &Pool<C>, from: usize) {
    for host in from..from + AT_ONCE {
        drop(pool.acquire(&format!("host-{host}.example.org")).await.unwrap());
    }
    assert_eq!(pool.status().hosts, AT_ONCE, "all are known");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((pool.status().hosts, pool.hosts().len()), (0, 0), "none is");
}

// The only test of its program: another's allocations would count.
#[tokio::test(start_paused = true)]
async fn hosts_that_were_visited_and_have_expired_leave_no_memory_behind() {
    let hosts = if std::env::var_os("WHARF_FULL").is_some() { 1_000_000 } else { 10_000 };
    let connector = connector_fn(|key: String| async { Ok::<_, Infallible>(key) });
    let builder = Pool::builder().idle_timeout(Duration::from_secs(1));
    let pool = builder.build(connector).unwrap();
    let (region, mut from) = (Region::new(GLOBAL), 0);
    let mut some = async |hosts: usize| {
        let mut kept_after = Vec::new();
        for _ in 0..hosts / AT_ONCE {
            visit(&pool, from).await;
            from += AT_ONCE;
            kept_after.push(kept(&region));
        }
        kept_after
    };
    // What grew to hold a thousand hosts may be larger or smaller from one thousand to the next.
    let began = some(5 * AT_ONCE).await;
    let ended = some(hosts).await.split_off(hosts / AT_ONCE / 2);
    println!("{hosts} hosts visited, {} known", pool.status().hosts);
    println!("bytes kept: {began:?} after the first thousands");
    println!("bytes kept: {:?} to {:?} in the second half", ended.iter().min(), ended.iter().max());
    // Less than half a byte for each host that was visited in between.
    let most = began.iter().max().unwrap() + isize::try_from(hosts).unwrap() / 4;
    assert!(*ended.iter().min().unwrap() <= most, "{ended:?} bytes are kept");
    assert_eq!(pool.status().dials, (hosts + 5 * AT_ONCE) as u64);
}
