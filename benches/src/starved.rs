//! What happens when there are many more tasks than connections.

use std::thread::available_parallelism;
use std::time::Duration;

use crate::contestants::{self, Kind};
use crate::drive::{Entrant, Starvation};
use crate::form::Form;
use crate::measure::{Latencies, Rounds, median};
use crate::table::{Better, Part, Row};

/// Tasks, and connections.
const LOADS: [(usize, usize); 2] = [(1024, 16), (1000, 50)];

/// How long acquires took.
#[derive(Clone, Debug)]
pub struct Curve {
    pub(crate) name: &'static str,
    pub(crate) is_wharf: bool,
    pub(crate) latencies: Latencies,
}

/// Measures it. Gives the latencies of the first load as well.
pub fn run(form: Form) -> (Vec<Part>, Vec<Curve>) {
    let mut parts = Vec::new();
    let mut curves = Vec::new();
    for (tasks, connections) in LOADS {
        let (part, of_load) = one(tasks, connections, form);
        parts.push(part);
        if curves.is_empty() {
            curves = of_load;
        }
    }
    (parts, curves)
}

fn one(tasks: usize, connections: usize, form: Form) -> (Part, Vec<Curve>) {
    let workers = available_parallelism().map_or(2, usize::from);
    let time = Duration::from_millis(form.either(200, 2000));
    let load = Starvation { tasks, connections, workers, time, timed: false };
    let title = format!("starvation: {tasks} tasks, {connections} connections, {workers} threads");
    let mut part = Part::new(
        &title,
        "acquire, give way once, return, for a fixed time; the waits are measured in runs of their own",
        vec!["million/s", "p50 us", "p99 us", "p99.9 us", "max us", "most / least"],
    );
    let entrants = contestants::for_waiting();
    let mut spreads = vec![Vec::new(); entrants.len()];
    let rounds = Rounds::alternate(&title, entrants.len(), form.either(3, 7), |nth| {
        let starved = entrants[nth].starve(load);
        spreads[nth].push(starved.spread());
        let rate = starved.rate();
        part.add_fault(starved.hunger(entrants[nth].name()));
        part.add_fault(starved.fault);
        rate / 1e6
    });
    let mut curves = Vec::new();
    for (nth, entrant) in entrants.iter().enumerate() {
        let curve = wait(entrant.as_ref(), load, form, &mut part);
        let mut figures = vec![rounds.median(nth)];
        figures
            .extend([500_000, 990_000, 999_000, 1_000_000].map(|n| curve.latencies.percentile(n)));
        figures.push(median(std::mem::take(&mut spreads[nth])));
        part.rows.push(Row::new(entrant.name(), entrant.kind(), figures));
        // A plot of all of them would be one of none.
        if entrant.kind() != Kind::AsItComes {
            curves.push(curve);
        }
    }
    part.compare(&rounds, Better::More);
    (part, curves)
}

/// Measures each wait, which costs everybody two looks at the clock.
fn wait(entrant: &dyn Entrant, load: Starvation, form: Form, part: &mut Part) -> Curve {
    let time = Duration::from_millis(form.either(700, 5000));
    let starved = entrant.starve(Starvation { timed: true, time, ..load });
    part.add_fault(starved.fault);
    let is_wharf = entrant.kind() == Kind::Wharf;
    Curve { name: entrant.name(), is_wharf, latencies: starved.latencies }
}
