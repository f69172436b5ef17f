//! What the pool adds to a round trip: a connection that is kept and used without a pool, beside one that is taken from
//! a pool for each round trip.
//!
//! The server is on the client's core, as in the module `postgres`: a round trip then takes what both sides do, and not
//! how long a core takes to wake up.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::contestants::Kind;
use crate::cores;
use crate::dialing::{Postgres, Protocol, Tcp, WebSocket};
use crate::drive::one_thread;
use crate::form::Form;
use crate::measure::{Rounds, ns_each};
use crate::table::{Bound, Part, Row, quotient};

const ROUND_TRIPS: u32 = 200;
const COLUMNS: [&str; 8] = [
    "no pool, us",
    "loan kept, us",
    "pool, us",
    "adds, %",
    "no pool, cpu us",
    "loan kept, cpu us",
    "pool, cpu us",
    "adds, % of cpu",
];
/// The most that it should add.
const PERCENT: f64 = 2.0;

/// A protocol whose connections can be kept.
pub(crate) trait Keeps: Protocol {
    type Connection;
    type Loan;

    /// Makes a connection that no pool knows.
    fn dial(&self) -> impl Future<Output = Self::Connection>;
    fn ask(connection: &mut Self::Connection) -> impl Future<Output = ()>;

    /// Takes a connection of the pool.
    fn borrow(&self) -> impl Future<Output = Self::Loan>;
    fn ask_on_loan(loan: &mut Self::Loan) -> impl Future<Output = ()>;
}

/// Measures it: a row for each protocol.
///
/// # Panics
///
/// When a request fails.
pub fn run(form: Form) -> Vec<Part> {
    // The servers' threads and processes inherit it.
    cores::pin(0);
    let mut part = Part::new(
        "What the pool adds to a round trip",
        "One task and one connection, over the loopback. No pool: a small request and its answer on a connection that is \
         kept; loan kept: the same on a loan that does not return; pool: acquire, the same, return. Client and server share a \
         core, so a time is what both did; cpu: of the client's thread. A WebSocket of the pool has a task that reads, and one \
         without a pool has none",
        COLUMNS.to_vec(),
    );
    measure::<Tcp>(form, &mut part);
    measure::<WebSocket>(form, &mut part);
    measure::<Postgres>(form, &mut part);
    vec![part]
}

fn measure<P: Keeps>(form: Form, part: &mut Part) {
    let Some(address) = serve::<P>() else {
        part.notes.push(format!("{} was left out: its server is not installed", P::NAME));
        return;
    };
    let runtime = one_thread();
    let (kept, pooled) = (P::at(address), P::at(address));
    let mut connection = runtime.block_on(kept.dial());
    let mut loan = runtime.block_on(kept.borrow());
    let mut processor = [f64::INFINITY; 3];
    let what = format!("beside: {}", P::NAME);
    let rounds = Rounds::alternate(&what, 3, form.either(200, 1000), |nth| {
        let (took, of_client) = match nth {
            0 => burst(&runtime, async || P::ask(&mut connection).await),
            1 => burst(&runtime, async || P::ask_on_loan(&mut loan).await),
            _ => burst(&runtime, async || pooled.ask_through_pool().await),
        };
        processor[nth] = processor[nth].min(us_each(of_client));
        us_each(took)
    });
    let time = [0, 1, 2].map(|nth| rounds.minimum(nth));
    let adds = [time, processor].map(|[without, _, with]| (quotient(with, without) - 1.0) * 100.0);
    let figures = [time, processor].into_iter().zip(adds);
    let figures = figures.flat_map(|(times, adds)| times.into_iter().chain([adds]));
    part.rows.push(Row::new(P::NAME, Kind::Wharf, figures.collect()));
    for (adds, of) in adds.into_iter().zip(["time", "processor time"]) {
        let what = format!("{}: what the pool adds to a round trip, % of its {of}", P::NAME);
        part.aim_at(what, adds, Bound::AtMost(PERCENT));
    }
    let dials = pooled.dials();
    part.add_fault((dials != 1).then(|| format!("{}: {dials} dials for one task", P::NAME)));
}

/// What this many round trips take, and what they take of this thread's processor time.
fn burst(runtime: &Runtime, mut ask: impl AsyncFnMut()) -> (Duration, Duration) {
    let (began, before) = (Instant::now(), cores::own_time());
    runtime.block_on(async {
        for _ in 0..ROUND_TRIPS {
            ask().await;
        }
    });
    (began.elapsed(), cores::own_time().saturating_sub(before))
}

fn us_each(time: Duration) -> f64 {
    ns_each(time, ROUND_TRIPS) / 1e3
}

/// Serves on a thread of its own for as long as the program runs. `None` where there is no server to start.
fn serve<P: Protocol>() -> Option<SocketAddr> {
    let (tell, told) = mpsc::channel();
    let run = move || {
        one_thread().block_on(async move {
            let Some((address, _running)) = P::serve().await else { return };
            tell.send(address).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    };
    thread::Builder::new().name("server".to_owned()).spawn(run).expect("a thread");
    told.recv().ok()
}
