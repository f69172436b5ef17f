//! A TCP proxy in the process that does to connections what networks and servers do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens from now on, to connections that run and to new ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// None: everything is forwarded.
    Healthy,
    /// Nobody listens. Connections that run go on.
    Refuse,
    /// New connections are accepted and reset.
    Reset,
    /// Everything is accepted, and nothing goes through in either direction.
    BlackHole,
    /// What the client sends arrives; no answer comes back, not even the end.
    HalfOpen,
    /// Everything arrives late, by a time between the two.
    Latency(Duration, Duration),
    /// Everything arrives, a byte at a time.
    Drip(Duration),
    /// Answers are replaced by other bytes.
    Garbage,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    /// Counts the times that all running connections were cut.
    cuts: watch::Sender<u32>,
    /// Counts the times that all running connections were frozen.
    freezes: watch::Sender<u32>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, faults) = watch::channel(Fault::Healthy);
        let (cuts, cut) = watch::channel(0);
        let (freezes, freeze) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, upstream, faults, [cut, freeze]));
        Proxy { address, fault, cuts, freezes, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens. Refusing and listening again take effect before this returns.
    pub(crate) async fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
        let refuses = fault == Fault::Refuse;
        for _ in 0..1000 {
            if TcpStream::connect(self.address).await.is_err() == refuses {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the proxy did not become {fault:?}");
    }

    /// Nothing goes through the connections that run, from now on and for ever; new ones are served.
    pub(crate) async fn freeze(&self) {
        self.freezes.send_modify(|freezes| *freezes += 1);
        tokio::task::yield_now().await;
    }

    /// Cuts every connection that runs, in both directions.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn listen(
    listener: TcpListener,
    upstream: SocketAddr,
    mut faults: watch::Receiver<Fault>,
    [cut, freeze]: [watch::Receiver<u32>; 2],
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let refuses = *faults.borrow_and_update() == Fault::Refuse;
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = Some(again(address).unwrap());
        }
        let Some(open) = &listener else {
            if faults.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            changed = faults.changed() => if changed.is_err() { return },
            accepted = open.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let (faults, mut cut, mut freeze) = (faults.clone(), cut.clone(), freeze.clone());
                cut.mark_unchanged();
                freeze.mark_unchanged();
                connections.spawn(async move {
                    // Kept open when it is frozen: nothing is read and nothing is written.
                    let mut served = std::pin::pin!(serve(client, upstream, faults));
                    tokio::select! {
                        _ = cut.changed() => {}
                        _ = freeze.changed() => std::future::pending().await,
                        () = &mut served => {}
                    }
                });
            }
        }
    }
}

/// Listens on an address that was in use a moment ago.
fn again(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn serve(client: TcpStream, upstream: SocketAddr, faults: watch::Receiver<Fault>) {
    if *faults.borrow() == Fault::Reset {
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, faults.clone(), false);
    let back = pump(from_server, to_client, faults, true);
    tokio::join!(there, back);
}

/// Forwards one direction until its end.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut faults: watch::Receiver<Fault>,
    is_answer: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(n) = from.read(&mut buffer).await else { return };
        passes(&mut faults, is_answer).await;
        if n == 0 || forward(&mut to, &mut buffer[..n], &faults, is_answer).await.is_err() {
            return;
        }
    }
}

/// Waits while nothing goes through.
async fn passes(faults: &mut watch::Receiver<Fault>, is_answer: bool) {
    let blocked =
        |fault: &Fault| *fault == Fault::BlackHole || (is_answer && *fault == Fault::HalfOpen);
    let _ = faults.wait_for(|fault| !blocked(fault)).await;
}

async fn forward(
    to: &mut OwnedWriteHalf,
    bytes: &mut [u8],
    faults: &watch::Receiver<Fault>,
    is_answer: bool,
) -> io::Result<()> {
    let fault = *faults.borrow();
    match fault {
        Fault::Latency(least, most) => {
            let share = fastrand::f64();
            tokio::time::sleep(least + most.saturating_sub(least).mul_f64(share)).await;
        }
        Fault::Drip(pause) => {
            for byte in bytes.iter() {
                to.write_all(&[*byte]).await?;
                tokio::time::sleep(pause).await;
            }
            return Ok(());
        }
        Fault::Garbage if is_answer => bytes.iter_mut().for_each(|byte| *byte ^= 0x5a),
        _ => {}
    }
    to.write_all(bytes).await
}

/// A server that sends back what it gets. It ends with what comes back from here.
pub(crate) async fn echo_server() -> (SocketAddr, Arc<JoinSet<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    (address, Arc::new(tasks))
}
