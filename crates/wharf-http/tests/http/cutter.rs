//! A proxy that cuts each connection after some byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Ends with its value.
pub(crate) struct Cutter {
    pub(crate) address: SocketAddr,
    cuts: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl Cutter {
    /// Each connection may carry this many bytes each way, at most, before it is cut.
    pub(crate) async fn start(server: SocketAddr, seed: u64, most: u64) -> Cutter {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = cuts.clone();
        let accepting = tokio::spawn(async move {
            let mut random = Rng::with_seed(seed);
            while let Ok((stream, _)) = listener.accept().await {
                let cut = Cut::any(&mut random, most);
                tokio::spawn(cut.carry(stream, server, counted.clone()));
            }
        });
        Cutter { address, cuts, accepting: accepting.abort_handle() }
    }

    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Where a connection is cut, and how.
struct Cut {
    up: u64,
    down: u64,
    is_reset: bool,
}

impl Cut {
    /// As often early as late: the number of digits is what is random.
    fn any(random: &mut Rng, most: u64) -> Cut {
        let mut bytes = || {
            let limit = most >> random.u32(0..12);
            random.u64(1..=limit.max(2))
        };
        Cut { up: bytes(), down: bytes(), is_reset: random.bool() }
    }

    async fn carry(self, mut client: TcpStream, server: SocketAddr, cuts: Arc<AtomicUsize>) {
        let Ok(mut upstream) = TcpStream::connect(server).await else { return };
        for stream in [&client, &upstream] {
            stream.set_nodelay(true).unwrap();
        }
        {
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = upstream.split();
            let is_cut = tokio::select! {
                is_cut = copy(&mut from_client, &mut to_server, self.up) => is_cut,
                is_cut = copy(&mut from_server, &mut to_client, self.down) => is_cut,
            };
            cuts.fetch_add(usize::from(is_cut), Ordering::SeqCst);
        }
        if self.is_reset {
            for stream in [client, upstream] {
                let socket = socket2::Socket::from(stream.into_std().unwrap());
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
        }
    }
}

/// Carries this many bytes, and says whether the last of them was carried.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut left: u64,
) -> bool {
    let mut buffer = vec![0; 16 * 1024];
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap());
        let Ok(n @ 1..) = from.read(&mut buffer[..most]).await else { return false };
        if to.write_all(&buffer[..n]).await.is_err() {
            return false;
        }
        left -= n as u64;
    }
    true
}
