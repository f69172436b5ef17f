//! Connections that were dialed on a runtime which ends before the request does.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wharf_http::{Origin, Protocol};

use crate::frames::Peer;
use crate::support::*;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_post_that_a_leaving_peer_has_is_not_sent_again_when_the_runtime_of_its_connection_ends() {
    let (calling, dialing) = (runtime(), runtime());
    let server = calling.block_on(Server::raw(|log, stream| async move {
        let Some(mut peer) = Peer::greet(stream, None).await else { return };
        while let Some(stream) = peer.request().await {
            log.requests.fetch_add(1, SeqCst);
            // It has this one, and wants no more.
            peer.go_away(stream).await;
        }
    }));
    let client = client(1, |builder| builder.protocol(Protocol::Http2));
    let origin: Origin = server.url("/").parse().unwrap();
    let dialed = dialing.block_on(client.pool().acquire(&origin)).unwrap();
    let request = post(&server.url("/"), "once");
    let asking = client.clone();
    let asked = calling.spawn(async move { asking.request(request).await.map(drop) });
    calling.block_on(until(|| server.requests() == 1));
    // Time enough for the client to hear that its peer leaves.
    calling.block_on(async { tokio::time::sleep(Duration::from_millis(200)).await });
    dialing.shutdown_timeout(Duration::from_secs(10));
    drop(dialed);
    let limit = Duration::from_secs(5);
    let _ = calling.block_on(async { tokio::time::timeout(limit, asked).await });
    assert_eq!(server.requests(), 1, "the peer has it twice");
}
