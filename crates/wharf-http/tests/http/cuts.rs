//! Exchanges that are cut at any byte; ten thousand of them, and a hundred thousand, are in the
//! benchmark `http_faults`.

use std::time::Duration;

use tokio::time;
use wharf_http::Protocol;

use crate::storm::Storm;

/// Prints its seed, and takes one from `WHARF_SEED`.
fn storm(protocol: Protocol) -> Storm {
    let seed = std::env::var("WHARF_SEED").map(|seed| seed.parse().unwrap());
    let storm =
        Storm { seed: seed.unwrap_or_else(|_| fastrand::u64(..)), exchanges: 600, protocol };
    println!("{storm:?}");
    storm
}

async fn run(storm: Storm) {
    let report = time::timeout(Duration::from_secs(120), storm.run()).await.expect("it ends");
    println!("{report}");
    report.check(storm);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_http_1_a_request_that_is_cut_anywhere_never_reaches_the_next_one() {
    run(storm(Protocol::Http1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_http_2_a_request_that_is_cut_anywhere_never_reaches_the_next_one() {
    run(storm(Protocol::Http2)).await;
}
