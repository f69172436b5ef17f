//! What the pool's HTTP and gRPC clients cost, compared with the clients that others use.
//!
//! The server runs on threads of its own, and each contestant in a runtime of its own. Processor time and wake-ups are
//! those of the contestant's threads.

mod deadpool;
mod grpc;
mod http;
mod server;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::contestants::Kind;
use crate::cores;
use crate::form::Form;
use crate::machine;
use crate::measure::{Rounds, Sample};
use crate::table::{Better, Bound, Part, Row, quotient};
use server::{LARGE, SMALL};
use threads::Spent;

/// A client that asks one server.
trait Asks: Send + Sync + 'static {
    /// Makes the connections that are not made on demand, in the runtime in which it asks.
    fn prepare(&self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Sends one request and reads its answer.
    fn ask(&self) -> impl Future<Output = ()> + Send;
}

/// What several tasks do at once.
struct Scene {
    name: String,
    tasks: usize,
    wharf: Box<dyn Drives>,
    peers: Vec<Peer>,
    /// Whether client and server have a core each.
    is_pinned: bool,
    aims: Vec<Aim>,
    /// What the reader has to know about the contestants.
    note: &'static str,
}

type Peer = (&'static str, Box<dyn Drives>);

/// A column, and a bound for the quotient of our figure there to the best peer's.
type Aim = (usize, Bound);

const COLUMNS: [&str; 3] = ["cpu us", "per second", "switches per 1,000"];
const PROCESSOR: usize = 0;
const RATE: usize = 1;
const SWITCHES: usize = 2;

const OWN: &str = "wharf";
/// The most hosts that a client has.
const MANY: usize = 1000;
const SHARED: &str =
    "Client and server have two threads each, which share the cores: all bursts count";

/// A client with its runtime.
trait Drives {
    /// Gets ready, on the client's own threads.
    fn prepare(&self);
    /// Asks for this long. What each task was served, how long it took, and what it cost.
    fn burst(&self, tasks: usize, time: Duration) -> Burst;
    /// Asks this often, on this thread.
    fn alone(&self, tasks: usize, requests: u64);
}

struct Burst {
    served: Vec<u64>,
    took: Duration,
    spent: Spent,
    /// Every thread of the process had a core when it needed one.
    is_undisturbed: bool,
}

impl Burst {
    /// The figures of the columns.
    fn figures(&self) -> [f64; COLUMNS.len()] {
        let requests = self.served.iter().sum::<u64>() as f64;
        let processor = self.spent.processor.as_secs_f64() * 1e6 / requests;
        let rate = requests / self.took.as_secs_f64();
        [processor, rate, self.spent.switches as f64 * 1e3 / requests]
    }

    fn fault(&self, name: &str) -> Option<String> {
        let starved = self.served.iter().filter(|served| **served == 0).count();
        (starved > 0).then(|| format!("{name}: {starved} tasks were served nothing"))
    }
}

/// Measures it: a part for each protocol, size of answer and number of tasks.
///
/// # Panics
///
/// When a request fails.
pub fn run(form: Form) -> Vec<Part> {
    // Each is dropped when it has been measured, with its connections.
    scenes(form).into_iter().map(|scene| measure(&scene, form)).collect()
}

/// Runs the HTTP server alone, until the input ends.
///
/// # Panics
///
/// When the output is closed.
pub fn serve() {
    let machine = machine::describe(machine::load());
    println!("{}\n{}", machine.lines().next().unwrap_or_default(), server::http(1)[0]);
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// Lets one contestant of one scene send requests from the calling thread alone, to be watched by
/// `perf` or `valgrind`. The answer is false when there is no such scene.
///
/// # Panics
///
/// When a request fails.
pub fn alone(scene: &str, of_peer: bool, requests: u64) -> bool {
    let scenes = scenes(Form::Long);
    let Some(scene) = scenes.iter().find(|known| known.name == scene) else {
        for known in &scenes {
            eprintln!("there is: {}", known.name);
        }
        return false;
    };
    let contestant = if of_peer { &scene.peers[0].1 } else { &scene.wharf };
    contestant.alone(scene.tasks, requests);
    true
}

fn scenes(form: Form) -> Vec<Scene> {
    cores::allow_many_files();
    let servers = server::http(MANY);
    let address = servers[0];
    let mut scenes = Vec::new();
    let sizes = form.either(&[SMALL][..], &[SMALL, LARGE][..]);
    for answer in sizes {
        scenes.extend([1, 8, 64, 512].map(|tasks| http::one(address, *answer, tasks)));
        scenes.extend([1, 8, 64].map(|tasks| http::two(address, *answer, tasks)));
    }
    scenes.extend([64, MANY].map(|hosts| http::many(&servers[..hosts])));
    scenes.push(http::crowd(address));
    scenes.extend(grpc::scenes(server::grpc()));
    scenes
}

fn measure(scene: &Scene, form: Form) -> Part {
    let (bursts, time) = (form.either(11, 41), Duration::from_millis(100));
    let mut part = Part::new(
        format!("Clients: {}", scene.name),
        "One request and its answer, over the loopback; processor time and voluntary context switches of the client's \
         threads",
        COLUMNS.to_vec(),
    );
    let contestants = scene.contestants();
    // The connections are made, and everything is in the caches.
    for (.., client) in &contestants {
        client.prepare();
        client.burst(scene.tasks, time);
    }
    let mut figures = vec![Vec::new(); contestants.len()];
    let rounds =
        Rounds::alternate_undisturbed(&part.title.clone(), contestants.len(), bursts, |nth| {
            let (name, _, client) = contestants[nth];
            let burst = client.burst(scene.tasks, time);
            part.add_fault(burst.fault(name));
            figures[nth].push(burst.figures());
            let is_undisturbed = burst.is_undisturbed || !scene.is_pinned;
            Sample { figure: burst.figures()[PROCESSOR], is_undisturbed }
        });
    for (nth, (name, kind, _)) in contestants.iter().enumerate() {
        let median =
            |column: usize| rounds.median_of(nth, figures[nth].iter().map(|of| of[column]));
        part.rows.push(Row::new(*name, *kind, (0..COLUMNS.len()).map(median).collect()));
    }
    part.notes.extend((!scene.note.is_empty()).then(|| scene.note.to_owned()));
    if scene.is_pinned {
        let names: Vec<_> = contestants.iter().map(|(name, ..)| *name).collect();
        part.notes.push(rounds.dropped(&names));
        part.add_fault(rounds.fault());
    } else {
        part.notes.push(SHARED.to_owned());
    }
    part.compare(Better::Less);
    aim(&mut part, scene);
    part
}

impl Scene {
    fn contestants(&self) -> Vec<(&'static str, Kind, &dyn Drives)> {
        let peers = self.peers.iter().map(|(name, peer)| (*name, Kind::Peer, &**peer));
        [(OWN, Kind::Wharf, &*self.wharf)].into_iter().chain(peers).collect()
    }
}

fn aim(part: &mut Part, scene: &Scene) {
    let names = ["processor time a request", "requests a second", "wake-ups a request"];
    let peer = if let [(only, _)] = &scene.peers[..] { only } else { "the best peer's" };
    for (column, bound) in &scene.aims {
        let best = best_peer(part, *column, *bound);
        let what = format!("{}: {} / {peer}", scene.name, names[*column]);
        part.aim_at(what, quotient(part.rows[0].figures[*column], best), *bound);
    }
}

/// The figure of the peer that is hardest to match.
fn best_peer(part: &Part, column: usize, bound: Bound) -> f64 {
    let peers = part.rows[1..].iter().map(|row| row.figures[column]);
    match bound {
        Bound::AtMost(_) => peers.fold(f64::INFINITY, f64::min),
        Bound::AtLeast(_) => peers.fold(0.0, f64::max),
    }
}

/// A client, and the threads that it runs on.
struct Driver<A> {
    client: Arc<A>,
    threads: String,
    runtime: Runtime,
}

impl<A: Asks> Driver<A> {
    /// On one thread, which has a core of its own where there are two.
    fn pinned(client: A) -> Box<dyn Drives> {
        Driver::boxed(
            client,
            Builder::new_multi_thread().worker_threads(1).on_thread_start(|| cores::pin(0)),
        )
    }

    /// On two threads, which share the cores with the server.
    fn on_two(client: A) -> Box<dyn Drives> {
        Driver::boxed(client, Builder::new_multi_thread().worker_threads(2))
    }

    fn boxed(client: A, builder: &mut Builder) -> Box<dyn Drives> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let threads = format!("client-{}.", COUNT.fetch_add(1, Relaxed));
        let runtime = builder.thread_name(&threads).enable_all().build().expect("a runtime");
        Box::new(Driver { client: Arc::new(client), threads, runtime })
    }
}

impl<A: Asks> Drives for Driver<A> {
    fn prepare(&self) {
        let client = self.client.clone();
        let preparing = self.runtime.spawn(async move { client.prepare().await });
        self.runtime.block_on(preparing).expect("no panic");
    }

    fn burst(&self, tasks: usize, time: Duration) -> Burst {
        let (before, lost) = (threads::spent(&self.threads), cores::lost_by_all());
        // A task, so that this thread does not take a core whenever one of the others begins or ends.
        let umpire = self.runtime.spawn(ask_for(self.client.clone(), tasks, time));
        let (served, took) = self.runtime.block_on(umpire).expect("no panic");
        let spent = threads::spent(&self.threads) - before;
        let is_undisturbed = cores::is_undisturbed(lost, cores::lost_by_all(), took);
        Burst { served, took, spent, is_undisturbed }
    }

    fn alone(&self, tasks: usize, requests: u64) {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            self.client.prepare().await;
            let mut asking = JoinSet::new();
            for _ in 0..tasks {
                let (client, share) = (self.client.clone(), requests / tasks as u64);
                asking.spawn(async move {
                    for _ in 0..share {
                        client.ask().await;
                    }
                });
            }
            asking.join_all().await;
        });
    }
}

/// For tasks that begin together, and end together.
struct Signs {
    ready: Barrier,
    is_over: AtomicBool,
}

/// Lets tasks ask for this long. What each was served, and how long it took until the last answer.
async fn ask_for<A: Asks>(client: Arc<A>, tasks: usize, time: Duration) -> (Vec<u64>, Duration) {
    let signs = Signs { ready: Barrier::new(tasks + 1), is_over: AtomicBool::new(false) };
    let signs = Arc::new(signs);
    let mut asking = JoinSet::new();
    for _ in 0..tasks {
        let (client, signs) = (client.clone(), signs.clone());
        asking.spawn(async move {
            let mut served = 0;
            signs.ready.wait().await;
            while !signs.is_over.load(Relaxed) {
                client.ask().await;
                served += 1;
            }
            served
        });
    }
    signs.ready.wait().await;
    let began = Instant::now();
    sleep(time).await;
    signs.is_over.store(true, Relaxed);
    (asking.join_all().await, began.elapsed())
}
