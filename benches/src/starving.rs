//! What a wait costs when many hosts starve for the few connections that `max_total` allows.

use std::time::Instant;

use tokio::task::JoinSet;
use wharf::Pool;

use crate::contestants::{Kind, Made, Numbered};
use crate::cores;
use crate::drive::one_thread;
use crate::form::Form;
use crate::measure::{Rounds, ns_each};
use crate::table::{Bound, Part, Row};

const MAX_TOTAL: usize = 16;
/// Hosts that wait at the same time.
const HOSTS: [u32; 2] = [100, 10_000];

/// Measures it.
///
/// # Panics
///
/// When an acquire fails.
pub fn run(form: Form) -> Vec<Part> {
    let mut part = Part::new(
        "Starving hosts: a caller on each of many hosts, max_total 16",
        "Each caller is a task that waits until a connection of another host is closed for it and its own is dialed, and \
         returns it at once. One thread; for each caller, its task, the close and the dial included",
        vec!["processor, us", "time, us"],
    );
    let runtime = one_thread();
    let pools = HOSTS.map(|_| {
        let builder = Pool::builder().max_total(MAX_TOTAL).acquire_timeout(None);
        builder.build(Numbered(Made::default())).expect("valid settings")
    });
    let mut times = [f64::INFINITY; HOSTS.len()];
    let rounds = Rounds::alternate("starving hosts", HOSTS.len(), form.either(40, 100), |nth| {
        let (began, before) = (Instant::now(), cores::own_time());
        runtime.block_on(all_at_once(&pools[nth], HOSTS[nth]));
        let took = cores::own_time().saturating_sub(before);
        times[nth] = times[nth].min(ns_each(began.elapsed(), HOSTS[nth]) / 1e3);
        ns_each(took, HOSTS[nth]) / 1e3
    });
    for (nth, hosts) in HOSTS.into_iter().enumerate() {
        let name = format!("{hosts} hosts wait");
        part.rows.push(Row::new(name, Kind::Wharf, vec![rounds.minimum(nth), times[nth]]));
        let dials = pools[nth].status().dials;
        let few =
            (dials < 20 * u64::from(hosts)).then(|| format!("only {dials} dials: nobody starved"));
        part.add_fault(few);
    }
    let what = "a wait with 10,000 waiting hosts / with 100, under max_total";
    part.aim(what, ("10000 hosts wait", "100 hosts wait"), Bound::AtMost(2.0));
    vec![part]
}

async fn all_at_once(pool: &Pool<Numbered>, hosts: u32) {
    let mut tasks = JoinSet::new();
    for host in 0..u64::from(hosts) {
        let pool = pool.clone();
        tasks.spawn(async move { drop(pool.acquire(&host).await.expect("a connection")) });
    }
    tasks.join_all().await;
}
