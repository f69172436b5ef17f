//! What a hit costs: one task that acquires an idle connection and returns it.

use std::time::Duration;

use crate::contestants::{
    self, DEADPOOL_UNTIMED, FLOOR, HOST, KEY, Kind, METERED, NOTED, Setup, TOTAL_1, TOTAL_1000,
    WATCHED,
};
use crate::drive::{Lane, one_thread};
use crate::form::Form;
use crate::measure::{Rounds, ns_each};
use crate::table::{Better, Bound, Part, Row};

/// As many as a pool may have for a host unless told otherwise.
const CONNECTIONS: usize = 10;
const BURST: Duration = Duration::from_millis(1);

/// Between two reports.
const HITS: u32 = 20_000;

/// Measures it.
pub fn run(form: Form) -> Vec<Part> {
    let entrants = contestants::for_hits();
    let lanes = entrants.iter().map(|entrant| entrant.lane(one_thread(), CONNECTIONS));
    let mut lanes: Vec<_> = lanes.collect();
    let loans: Vec<u32> = lanes.iter_mut().map(|lane| loans_in_burst(lane.as_mut())).collect();
    let rounds = Rounds::alternate("hit", lanes.len(), form.either(200, 1000), |nth| {
        ns_each(lanes[nth].time(loans[nth]), loans[nth])
    });
    let mut part = Part::new(
        "A hit: one task acquires an idle connection and returns it",
        "The acquire's future, its poll, all checks, the return; no real connection, no contention",
        vec!["ns"],
    );
    for (nth, entrant) in entrants.iter().enumerate() {
        part.rows.push(Row::new(entrant.name(), entrant.kind(), vec![rounds.minimum(nth)]));
    }
    part.compare(Better::Less);
    aim(&mut part);
    for lane in &mut lanes {
        part.add_fault(lane.fault());
    }
    vec![part, reports(form)]
}

/// What metrics defer from the hits to the next report.
fn reports(form: Form) -> Part {
    let runtime = one_thread();
    let after =
        |hits| runtime.block_on(contestants::report_after(hits, Setup::new(CONNECTIONS, true)));
    let rounds = Rounds::alternate("report", 2, form.either(20, 100), |nth| match nth {
        0 => ns_each(after(0), 1),
        _ => ns_each(after(HITS), HITS),
    });
    let mut part = Part::new(
        "A report of the metrics, to the exporter for Prometheus",
        "All gauges of a pool with one host; and for each hit since the last report its wait and its use, both zero",
        vec!["ns"],
    );
    for (nth, name) in ["after no hit", "for each hit"].into_iter().enumerate() {
        part.rows.push(Row::new(name, Kind::Wharf, vec![rounds.minimum(nth)]));
    }
    part
}

fn aim(part: &mut Part) {
    part.aim("a hit through a host / the floor", (HOST, FLOOR), Bound::AtMost(2.1));
    let best = (DEADPOOL_UNTIMED, HOST);
    part.aim("a hit of deadpool without time-out / a hit", best, Bound::AtLeast(5.0));
    part.aim("a hit through a key / the floor", (KEY, FLOOR), Bound::AtMost(3.1));
    part.aim("a hit with deadlock warnings / a hit", (NOTED, HOST), Bound::AtMost(1.3));
    part.aim("a watched hit / a hit", (WATCHED, HOST), Bound::AtMost(1.5));
    part.aim("a watched hit with metrics / a hit", (METERED, HOST), Bound::AtMost(1.5));
    part.aim("a hit under max_total, 1 idle / without", (TOTAL_1, HOST), Bound::AtMost(2.0));
    let many = (TOTAL_1000, HOST);
    part.aim("a hit under max_total, 1,000 idle / without", many, Bound::AtMost(2.0));
}

fn loans_in_burst(lane: &mut dyn Lane) -> u32 {
    let some = 2000;
    lane.time(some);
    let one = lane.time(some) / some;
    let loans = BURST.as_nanos() / one.as_nanos().max(1);
    u32::try_from(loans).unwrap_or(u32::MAX).clamp(100, 1_000_000)
}
