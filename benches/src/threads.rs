//! What two threads do to each other that acquire and return without a pause.

use std::time::Duration;

use crate::contestants::{self, DEADPOOL, DEADPOOL_UNTIMED, FLOOR, HOST, KEY};
use crate::cores;
use crate::drive::{Entrant, Race, pinned_threads};
use crate::form::Form;
use crate::measure::Rounds;
use crate::table::{Better, Bound, Part, Row, quotient};

const THREADS: usize = 2;
const CONNECTIONS: usize = 64;
const BURST: Duration = Duration::from_millis(2);

/// Measures it, on one host and on hosts of their own.
pub fn run(form: Form) -> Vec<Part> {
    vec![on_one_host(form), on_their_own(form)]
}

fn on_one_host(form: Form) -> Part {
    let entrants = contestants::for_threads();
    let race = Race { threads: THREADS, apart: false, time: BURST };
    let races: Vec<_> = (0..entrants.len()).map(|nth| (nth, race)).collect();
    let mut part = Part::new(
        "Two threads on one host",
        "Two pinned threads acquire and return without a pause; 64 connections; millions a second, together",
        vec!["million/s"],
    );
    let rounds = measure(&entrants, &races, form, &mut part);
    for (nth, entrant) in entrants.iter().enumerate() {
        part.rows.push(Row::new(entrant.name(), entrant.kind(), vec![rounds.median(nth)]));
    }
    part.compare(Better::More);
    let two = "two threads on one host";
    part.aim(format!("{two} / deadpool"), (HOST, DEADPOOL), Bound::AtLeast(3.0));
    let untimed = format!("{two} / deadpool without time-out");
    part.aim(untimed, (HOST, DEADPOOL_UNTIMED), Bound::AtLeast(3.0));
    part.aim(format!("{two} / one bare mutex"), (HOST, FLOOR), Bound::AtLeast(0.33));
    part.aim(format!("{two}, by key / one bare mutex"), (KEY, FLOOR), Bound::AtLeast(0.3));
    part
}

fn on_their_own(form: Form) -> Part {
    let entrants = contestants::for_own_hosts();
    let races = (0..entrants.len()).flat_map(|nth| {
        [1, THREADS].map(|threads| (nth, Race { threads, apart: true, time: BURST }))
    });
    let mut part = Part::new(
        "Two threads on hosts of their own",
        "As above, each thread on another host of one pool (the floor: a mutex each), compared with one thread alone",
        vec!["one, million/s", "two, million/s", "two / one"],
    );
    let rounds = measure(&entrants, &races.collect::<Vec<_>>(), form, &mut part);
    for (nth, entrant) in entrants.iter().enumerate() {
        let (one, two) = (rounds.median(2 * nth), rounds.median(2 * nth + 1));
        let ratio = quotient(two, one);
        part.rows.push(Row::new(entrant.name(), entrant.kind(), vec![one, two, ratio]));
        if entrant.name() != FLOOR {
            let what =
                format!("two threads on hosts of their own / one thread ({})", entrant.name());
            part.aim_at(what, ratio, Bound::AtLeast(1.8));
        }
    }
    part
}

/// Millions of loans a second of each race, which names its entrant.
fn measure(
    entrants: &[Box<dyn Entrant>],
    races: &[(usize, Race)],
    form: Form,
    part: &mut Part,
) -> Rounds {
    // One thread more, for the tasks that some pools have of their own.
    let lanes = entrants.iter().map(|entrant| entrant.lane(pinned_threads(1), CONNECTIONS));
    let mut lanes: Vec<_> = lanes.collect();
    for lane in &mut lanes {
        lane.fill(CONNECTIONS);
    }
    let bursts = form.either(100, 400);
    let second_before = cores::two_to_one();
    let rounds = Rounds::alternate_undisturbed(&part.title, races.len(), bursts, |nth| {
        let (entrant, race) = races[nth];
        lanes[entrant].race(race)
    });
    let names: Vec<_> = races.iter().map(|(nth, _)| entrants[*nth].name()).collect();
    part.notes.push(cores::says_of_second_core([second_before, cores::two_to_one()]));
    part.notes.push(rounds.dropped(&names));
    part.add_fault(rounds.fault());
    for lane in &mut lanes {
        part.add_fault(lane.fault());
    }
    rounds
}
