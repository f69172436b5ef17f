//! The way to a server, with a delay in each direction.

use std::net::SocketAddr;
use std::time::Duration;

use crate::proxy::{Fault, Proxy};

/// Without a delay there is nothing in between. With one, what is sent is delayed in each direction by a
/// proxy, at the precision of the runtime's timer (a millisecond); the handshake of TCP itself is not, so
/// that a dial through it costs a round trip less than over a real line.
pub(crate) struct Link {
    server: SocketAddr,
    proxy: Option<Proxy>,
}

impl Link {
    pub(crate) async fn new(server: SocketAddr, delay: Duration) -> Link {
        if delay.is_zero() {
            return Link { server, proxy: None };
        }
        let proxy = Proxy::start(server).await;
        proxy.set(Fault::Latency(delay, delay)).await;
        Link { server, proxy: Some(proxy) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.as_ref().map_or(self.server, Proxy::address)
    }
}
