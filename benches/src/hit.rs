//! What a hit costs: one task that acquires an idle connection and returns it.

use std::time::Duration;

use crate::contestants;
use crate::drive::{Entrant, Lane};
use crate::form::Form;
use crate::measure::Rounds;
use crate::table::{Better, Part, Row};

/// Measures it.
pub fn run(form: Form) -> Part {
    let entrants = contestants::for_hits();
    let mut lanes: Vec<_> = entrants.iter().map(|entrant| entrant.lane()).collect();
    let block = form.either(Duration::from_millis(10), Duration::from_millis(40));
    let loans: Vec<u32> = lanes.iter_mut().map(|lane| loans_in(lane.as_mut(), block)).collect();
    let rounds = form.either(21, 41);
    let rounds = Rounds::alternate("hit", lanes.len(), rounds, |nth| {
        lanes[nth].time(loans[nth]).as_secs_f64() * 1e9 / f64::from(loans[nth])
    });
    let mut part = part(&entrants, &rounds);
    part.compare(&rounds, Better::Less);
    for lane in &mut lanes {
        part.add_fault(lane.fault());
    }
    part
}

fn part(entrants: &[Box<dyn Entrant>], rounds: &Rounds) -> Part {
    let mut part = Part::new(
        "a hit: one task acquires an idle connection and returns it",
        "the acquire's future, its polls, all checks, the return; no real connection, no contention",
        vec!["ns"],
    );
    for (nth, entrant) in entrants.iter().enumerate() {
        part.rows.push(Row::new(entrant.name(), entrant.kind(), vec![rounds.median(nth)]));
    }
    part
}

/// About as many loans as take so long.
fn loans_in(lane: &mut dyn Lane, block: Duration) -> u32 {
    let some = 5000;
    let one = lane.time(some) / some;
    let loans = block.as_nanos() / one.as_nanos().max(1);
    u32::try_from(loans).unwrap_or(u32::MAX).clamp(1000, 4_000_000)
}
