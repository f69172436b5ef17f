//! What a waiter costs that joins a long queue, and leaves it before its turn.

use crate::contestants::{self, HOST};
use crate::form::Form;
use crate::measure::Rounds;
use crate::table::{Better, Bound, Part, Row};

/// Waiters, bursts, and the aims for leaving, where there are any.
const SIZES: [(u32, usize, f64); 3] =
    [(10_000, 30, 150.0), (100_000, 12, 400.0), (1_000_000, 2, f64::INFINITY)];

/// Measures it: a part for each length of the queue.
pub fn run(form: Form) -> Vec<Part> {
    let part = |(waiters, bursts, aim)| of(waiters, bursts * form.either(1, 3), aim);
    SIZES.into_iter().map(part).collect()
}

fn of(waiters: u32, bursts: usize, aim: f64) -> Part {
    let mut part = Part::new(
        format!("A queue: {waiters} wait for one connection, all leave in random order"),
        "Joining: the acquire's first poll, with the timer of its time-out where it has one; leaving: its drop, with the \
         box it is in; afterwards an acquire must succeed",
        vec!["leave ns", "join ns"],
    );
    let entrants = contestants::for_waiting();
    let mut joins = vec![f64::INFINITY; entrants.len()];
    let rounds = Rounds::alternate(&part.title.clone(), entrants.len(), bursts, |nth| {
        let queued = entrants[nth].queue(waiters, || 0);
        part.add_fault(queued.fault);
        let shortest = &mut joins[nth];
        *shortest = shortest.min(queued.join);
        queued.leave
    });
    for (nth, entrant) in entrants.iter().enumerate() {
        let figures = vec![rounds.minimum(nth), joins[nth]];
        part.rows.push(Row::new(entrant.name(), entrant.kind(), figures));
    }
    part.compare(Better::Less);
    if aim.is_finite() {
        let own = part.rows.iter().find(|row| row.name == HOST).map(|row| row.figures.clone());
        let [leave, join] = own.unwrap_or_default()[..] else { return part };
        part.aim_at(format!("joining {waiters} waiters, ns each"), join, Bound::AtMost(70.0));
        part.aim_at(format!("leaving {waiters} waiters, ns each"), leave, Bound::AtMost(aim));
    }
    part
}
