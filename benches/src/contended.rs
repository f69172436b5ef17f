//! What happens when several threads use one host at once.

use std::time::Duration;

use crate::contestants::{self, Floor, Kind, Striped};
use crate::drive::{Contention, Drive, Entrant};
use crate::form::Form;
use crate::measure::{Rounds, median};
use crate::table::{Better, Part, Row};

/// Threads, and connections.
const SHORT: &[(usize, usize)] = &[(2, 64)];
const LONG: &[(usize, usize)] = &[
    (1, 1),
    (1, 8),
    (1, 64),
    (2, 1),
    (2, 8),
    (2, 64),
    (4, 1),
    (4, 8),
    (4, 64),
    (8, 1),
    (8, 8),
    (8, 64),
];

/// Measures it.
pub fn run(form: Form) -> Vec<Part> {
    let rounds = form.either(5, 9);
    let time = Duration::from_millis(form.either(150, 300));
    let loads = form.either(SHORT, LONG).iter();
    let loads = loads.map(|&(threads, connections)| Contention { threads, connections, time });
    loads.map(|load| one(load, rounds)).collect()
}

fn one(load: Contention, rounds: usize) -> Part {
    let Contention { threads, connections, .. } = load;
    let title = format!("contention: {threads} threads, {connections} connections");
    let mut part = Part::new(
        &title,
        "nothing but acquires and returns, for a fixed time; most / least: loans of the threads",
        vec!["million/s", "most / least"],
    );
    let mut entrants = contestants::for_contention();
    // The floor cannot wait.
    if threads <= connections {
        entrants.splice(0..0, floors());
    }
    let mut spreads = vec![Vec::new(); entrants.len()];
    let rounds = Rounds::alternate(&title, entrants.len(), rounds, |nth| {
        let contended = entrants[nth].contend(load);
        part.add_fault(contended.fault);
        let (most, least) = (contended.served.iter().max(), contended.served.iter().min());
        spreads[nth].push(most.map_or(0.0, |n| *n as f64) / least.map_or(0.0, |n| *n as f64));
        contended.served.iter().sum::<u64>() as f64 / contended.took.as_secs_f64() / 1e6
    });
    for (nth, entrant) in entrants.iter().enumerate() {
        let spread = median(std::mem::take(&mut spreads[nth]));
        let figures = vec![rounds.median(nth), spread];
        part.rows.push(Row::new(entrant.name(), entrant.kind(), figures));
    }
    part.compare(&rounds, Better::More);
    part
}

fn floors() -> [Box<dyn Entrant>; 2] {
    [
        Box::new(Drive::<Floor>::new("floor: a bare mutex and vector", Kind::Floor)),
        Box::new(Drive::<Striped>::new("floor: one for each thread", Kind::Floor)),
    ]
}
