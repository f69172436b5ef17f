//! What a waiter costs that joins a long queue, and leaves it before its turn.

use std::collections::VecDeque;
use std::time::Instant;

use crate::contestants::{self, Kind};
use crate::form::Form;
use crate::measure::{Rounds, median};
use crate::table::{Better, Part, Row};
use crate::wait_queue::WaitQueue;

const SHORT: &[u32] = &[10_000, 100_000];
const LONG: &[u32] = &[10_000, 100_000, 1_000_000];
/// `VecDeque` searches for who leaves: more would take minutes.
const MOST_TO_SEARCH: u32 = 20_000;

/// Measures it: the pools, and then the queue alone.
pub fn run(form: Form) -> Vec<Part> {
    let sizes = form.either(SHORT, LONG);
    let pools = sizes.iter().map(|&n| of_pools(n, form));
    let queues = sizes.iter().map(|&n| of_queues(n, form));
    pools.chain(queues).collect()
}

fn of_pools(waiters: u32, form: Form) -> Part {
    let title = format!("waiters: {waiters} wait for one connection, all leave in random order");
    let includes =
        "cancelling one, its future's box and its timer with it; then an acquire must do";
    let mut part = Part::new(&title, includes, vec!["cancel ns", "join ns"]);
    let entrants = contestants::for_waiting();
    let mut joins = vec![Vec::new(); entrants.len()];
    let rounds = Rounds::alternate(&title, entrants.len(), form.either(3, 5), |nth| {
        let queued = entrants[nth].queue(waiters);
        part.add_fault(queued.fault);
        joins[nth].push(queued.join.as_secs_f64() * 1e9 / f64::from(waiters));
        queued.cancel.as_secs_f64() * 1e9 / f64::from(waiters)
    });
    for (nth, entrant) in entrants.iter().enumerate() {
        let join = median(std::mem::take(&mut joins[nth]));
        let figures = vec![rounds.median(nth), join];
        part.rows.push(Row::new(entrant.name(), entrant.kind(), figures));
    }
    part.compare(&rounds, Better::Less);
    part
}

fn of_queues(entries: u32, form: Form) -> Part {
    let title = format!("the queue alone: {entries} join, all leave in random order");
    let includes =
        "a mark that the entry is dead, and taking it out; VecDeque: a search, up to 20,000";
    let mut part = Part::new(&title, includes, vec!["cancel ns"]);
    let mut order: Vec<u32> = (0..entries).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut order);
    let contestants = if entries <= MOST_TO_SEARCH { 2 } else { 1 };
    let rounds = Rounds::alternate(&title, contestants, form.either(5, 9), |nth| {
        let began = Instant::now();
        if nth == 0 {
            cancel_two_slices(&order);
        } else {
            cancel_deque(&order);
        }
        began.elapsed().as_secs_f64() * 1e9 / f64::from(entries)
    });
    let names = [("wharf: two slices, swept", Kind::Wharf), ("VecDeque", Kind::Peer)];
    for (nth, (name, kind)) in names.into_iter().take(contestants).enumerate() {
        part.rows.push(Row::new(name, kind, vec![rounds.median(nth)]));
    }
    part.compare(&rounds, Better::Less);
    part
}

fn cancel_two_slices(order: &[u32]) {
    let mut live = vec![true; order.len()];
    let mut queue = WaitQueue::new();
    order.iter().zip(0u32..).for_each(|(_, entry)| queue.push(entry));
    for &entry in order {
        live[entry as usize] = false;
        queue.cancel(|entry| live[*entry as usize]);
    }
    assert_eq!(queue.pop(|entry| live[*entry as usize]), None);
}

fn cancel_deque(order: &[u32]) {
    let mut queue: VecDeque<u32> = order.iter().zip(0u32..).map(|(_, entry)| entry).collect();
    for entry in order {
        let at = queue.iter().position(|other| other == entry);
        queue.remove(at.expect("it is in the queue"));
    }
    assert!(queue.is_empty());
}
