//! A resolver that knows what a test tells it, and peers that are silent or refuse.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time;
use wharf::tcp::{Resolve, TcpBuilder, TcpHostConnector, TcpTransport};
use wharf::{Builder, Exclusive, Pool, async_trait};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Names and their addresses, which a test may change.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl Names {
    pub(crate) fn of(name: &str, addresses: &[SocketAddr]) -> Self {
        let names = Names::default();
        names.set(name, addresses);
        names
    }

    pub(crate) fn set(&self, name: &str, addresses: &[SocketAddr]) {
        self.0.lock().unwrap().insert(name.to_owned(), addresses.to_vec());
    }

    /// A connector that asks it.
    pub(crate) fn options(&self) -> TcpBuilder<TcpHostConnector> {
        TcpHostConnector::builder().resolver(self.clone())
    }

    /// A transport that asks it.
    pub(crate) fn transport(&self) -> TcpTransport {
        TcpTransport::builder().resolver(self.clone()).build().unwrap()
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        assert_eq!(port, 80, "the port of the key is asked for");
        let found = self.0.lock().unwrap().get(name).cloned();
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the test has no such name"))
    }
}

pub(crate) type TcpPool = Pool<TcpHostConnector>;

pub(crate) fn pool(
    options: TcpBuilder<TcpHostConnector>,
    set: impl FnOnce(Builder<Exclusive>) -> Builder<Exclusive>,
) -> TcpPool {
    set(Pool::builder()).build(options.build().unwrap()).unwrap()
}

/// A server whose connections are made by the system: nobody accepts them.
pub(crate) async fn server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port that refuses, and that nobody else is given meanwhile.
pub(crate) fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// An address that swallows packets: a server whose queue is full.
pub(crate) struct BlackHole {
    listener: std::net::TcpListener,
    _queued: Vec<socket2::Socket>,
}

impl BlackHole {
    pub(crate) fn open() -> Self {
        let tcp =
            || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let socket = tcp();
        socket.bind(&SocketAddr::from((IpAddr::from([127, 0, 0, 1]), 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap();
        let mut queued = Vec::new();
        // The system queues one more than it was told, and makes those that it has room for at once.
        for _ in 0..4 {
            let waits = tcp();
            waits.set_nonblocking(true).unwrap();
            let _ = waits.connect(&address);
            queued.push(waits);
        }
        BlackHole { listener: socket.into(), _queued: queued }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

pub(crate) async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    time::timeout(60 * SECOND, future).await.expect("this should not hang")
}

/// What an error says, with its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
