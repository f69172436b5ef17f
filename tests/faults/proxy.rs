//! A TCP proxy in the process that does to connections what networks and servers do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use slab::Slab;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
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

/// What is to become of one connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Runs,
    /// Nothing goes through it any more; it stays open until its client goes.
    Frozen,
    /// It ends at once, in both directions.
    Cut,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    /// Whether anybody listens now.
    listens: watch::Receiver<bool>,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    /// The connections that run, frozen ones included.
    fates: Mutex<Slab<watch::Sender<Fate>>>,
}

impl Proxy {
    pub(crate) async fn start(upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, faults) = watch::channel(Fault::Healthy);
        let (listening, listens) = watch::channel(true);
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, upstream, faults, listening, counts.clone()));
        Proxy { address, fault, listens, counts, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens. Refusing and listening again take effect before this returns. Says
    /// whether it is anything new.
    pub(crate) async fn set(&self, fault: Fault) -> bool {
        let before = self.fault.send_replace(fault);
        let listens = fault != Fault::Refuse;
        self.listens.clone().wait_for(|now| *now == listens).await.unwrap();
        before != fault
    }

    /// Nothing goes through the connections that run, from now on; new ones are served.
    /// Says how many run.
    pub(crate) fn freeze(&self) -> usize {
        self.counts.all_become(Fate::Frozen)
    }

    /// Cuts every connection that runs, in both directions. Says how many they are.
    pub(crate) fn cut(&self) -> usize {
        self.counts.all_become(Fate::Cut)
    }

    /// One of the connections that run meets this fate. Says whether any runs.
    pub(crate) fn one_becomes(&self, fate: Fate, chance: usize) -> bool {
        let fates = self.counts.fates.lock();
        let nth = chance.checked_rem(fates.len());
        let one = nth.and_then(|nth| fates.iter().nth(nth));
        one.map(|(_, of)| of.send_replace(fate)).is_some()
    }

    /// The connections that were accepted in all.
    pub(crate) fn accepted(&self) -> usize {
        self.counts.accepted.load(SeqCst)
    }

    /// The connections that run, frozen ones included.
    pub(crate) fn open(&self) -> usize {
        self.counts.fates.lock().len()
    }
}

impl Counts {
    fn all_become(&self, fate: Fate) -> usize {
        let fates = self.fates.lock();
        for (_, of) in fates.iter() {
            of.send_replace(fate);
        }
        fates.len()
    }
}

async fn listen(
    listener: TcpListener,
    upstream: SocketAddr,
    mut faults: watch::Receiver<Fault>,
    listening: watch::Sender<bool>,
    counts: Arc<Counts>,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let refuses = *faults.borrow_and_update() == Fault::Refuse;
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = Some(again(address).await);
        }
        listening.send_replace(!refuses);
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
                counts.accepted.fetch_add(1, SeqCst);
                let (fate, fates) = watch::channel(Fate::Runs);
                let entry = counts.fates.lock().insert(fate);
                let (faults, counts) = (faults.clone(), counts.clone());
                connections.spawn(async move {
                    run(client, upstream, faults, fates).await;
                    counts.fates.lock().remove(entry);
                });
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Listens on an address that was in use a moment ago, and may be for a moment more: the system
/// could have given the port to a connection meanwhile.
async fn again(address: SocketAddr) -> TcpListener {
    let listen = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1024)
    };
    loop {
        match listen() {
            Ok(listener) => return listener,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn run(
    mut client: TcpStream,
    upstream: SocketAddr,
    faults: watch::Receiver<Fault>,
    mut fate: watch::Receiver<Fate>,
) {
    tokio::select! {
        // A connection that is frozen now has said its last word, even if the next is on its way.
        biased;
        _ = fate.wait_for(|fate| *fate != Fate::Runs) => {}
        () = serve(&mut client, upstream, faults) => return,
    }
    let mut nowhere = tokio::io::sink();
    tokio::select! {
        biased;
        _ = fate.wait_for(|fate| *fate == Fate::Cut) => {}
        _ = tokio::io::copy(&mut client, &mut nowhere) => {}
    }
}

async fn serve(client: &mut TcpStream, upstream: SocketAddr, faults: watch::Receiver<Fault>) {
    if *faults.borrow() == Fault::Reset {
        socket2::SockRef::from(&*client).set_linger(Some(Duration::ZERO)).unwrap();
        return;
    }
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    for stream in [&*client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = pump(from_client, to_server, faults.clone(), false);
    let back = pump(from_server, to_client, faults, true);
    tokio::join!(there, back);
}

/// Forwards one direction until its end, which it passes on.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut faults: watch::Receiver<Fault>,
    is_answer: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n) = from.read(&mut buffer).await {
        passes(&mut faults, is_answer).await;
        if n == 0 || forward(&mut to, &mut buffer[..n], &faults, is_answer).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// Waits while nothing goes through.
async fn passes(faults: &mut watch::Receiver<Fault>, is_answer: bool) {
    let blocked =
        |fault: &Fault| *fault == Fault::BlackHole || (is_answer && *fault == Fault::HalfOpen);
    let _ = faults.wait_for(|fault| !blocked(fault)).await;
}

async fn forward(
    to: &mut WriteHalf<'_>,
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
            stream.set_nodelay(true).unwrap();
            connections.spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    (address, Arc::new(tasks))
}
