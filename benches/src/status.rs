//! How long `status` holds others up in a pool of many hosts.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::unconstrained;
use wharf::Pool;

use crate::contestants::{Kind, Made, Numbered};
use crate::cores;
use crate::drive::one_thread;
use crate::form::Form;
use crate::measure::Rounds;
use crate::table::{Bound, Part, Row};

const HOSTS: u64 = 100_000;
/// How long the other thread does nothing, where it does not call `status`.
const NOTHING: Duration = Duration::from_millis(15);

/// Measures it.
pub fn run(form: Form) -> Vec<Part> {
    let runtime = one_thread();
    let pool = runtime.block_on(unconstrained(fill()));
    let mut part = Part::new(
        "status() with 100,000 hosts: how long it holds others up",
        "A pinned thread acquires and returns the connection of one host by key, without a pause, another host in each \
         burst, and looks at the clock each time; another thread calls status() meanwhile, or waits. The longest acquire \
         of a burst, but for those in which its thread was preempted, is a little more than the longest time that a lock on \
         its way is held; medians of the bursts",
        vec!["longest acquire, ms", "status(), ms"],
    );
    let calls = [("nothing", false), ("status()", true)];
    let mut took = vec![Vec::new(); calls.len()];
    let rounds = Rounds::alternate("status", 2, form.either(80, 300), |nth| {
        let (longest, call) = burst(&runtime, &pool, calls[nth].1);
        took[nth].push(call.as_secs_f64() * 1e3);
        longest.as_secs_f64() * 1e3
    });
    for (nth, (name, is_called)) in calls.into_iter().enumerate() {
        let call = crate::measure::median(std::mem::take(&mut took[nth]));
        let call = if is_called { call } else { f64::NAN };
        let name = format!("meanwhile: {name}");
        part.rows.push(Row::new(name, Kind::Wharf, vec![rounds.median(nth), call]));
    }
    let call = part.rows[1].figures[1];
    part.aim_at("status() at 100,000 hosts, ms", call, Bound::AtMost(10.0));
    let what = "status() at 100,000 hosts: the longest that a lock is held, ms";
    part.aim_at(what, rounds.median(1), Bound::AtMost(0.05));
    vec![part]
}

async fn fill() -> Pool<Numbered> {
    let builder = Pool::builder().idle_timeout(Duration::from_secs(3600));
    let pool = builder.build(Numbered(Made::default())).expect("valid settings");
    for host in 0..HOSTS {
        drop(pool.acquire(&host).await);
    }
    pool
}

/// The longest acquire, and what the other thread took meanwhile.
fn burst(runtime: &Runtime, pool: &Pool<Numbered>, is_called: bool) -> (Duration, Duration) {
    let (is_ready, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let prober = scope.spawn(|| {
            cores::pin(0);
            let probing = probe(pool, fastrand::u64(0..HOSTS), &is_ready, &is_over);
            runtime.handle().block_on(unconstrained(probing))
        });
        let caller = scope.spawn(|| {
            cores::pin(1);
            while !is_ready.load(SeqCst) {
                spin_loop();
            }
            let began = Instant::now();
            if is_called {
                assert_eq!(pool.status().hosts as u64, HOSTS);
            } else {
                thread::sleep(NOTHING);
            }
            let took = began.elapsed();
            is_over.store(true, SeqCst);
            took
        });
        let took = caller.join().expect("no panic");
        (prober.join().expect("no panic"), took)
    })
}

/// The longest acquire until it is over, but for those in which this thread was preempted.
async fn probe(
    pool: &Pool<Numbered>,
    host: u64,
    is_ready: &AtomicBool,
    is_over: &AtomicBool,
) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..1000 {
        drop(pool.acquire(&host).await);
    }
    let mut lost = cores::lost();
    is_ready.store(true, SeqCst);
    while !is_over.load(SeqCst) {
        let began = Instant::now();
        let loan = pool.acquire(&host).await;
        let took = began.elapsed();
        drop(loan);
        if took > longest {
            let before = std::mem::replace(&mut lost, cores::lost());
            longest = if before == lost { took } else { longest };
        }
    }
    longest
}
