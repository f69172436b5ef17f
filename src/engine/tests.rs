//! Random programs on the engine, against a model that only counts and keeps order; and what is
//! about one thing alone.

mod control;
mod demand;
mod health;
mod lending;
mod sharing;
mod support;

use std::panic::Location;

use proptest::prelude::*;

use super::programs::world::{Plain, World};
use super::programs::{HEADER, Op, Program, WORD};
use super::time::{Span, Time};
use super::*;

/// A program of up to 150 operations.
fn program(shared: bool) -> impl Strategy<Value = Program> {
    let header = any::<[u8; HEADER]>();
    let words = prop::collection::vec(any::<[u8; WORD]>(), 1..150);
    (header, words).prop_map(move |(mut header, words)| {
        header[0] = u8::from(shared);
        Program::read(&[&header[..], words.as_flattened()].concat())
    })
}

proptest! {
    #[test]
    fn any_program_keeps_the_invariants_and_in_the_end_everybody_is_served(
        program in program(false),
    ) {
        program.run();
    }

    #[test]
    fn any_program_with_shared_connections_does_too(program in program(true)) {
        program.run();
    }
}

/// Found by a fuzzer, as ways through the engine that no smaller program goes: see `.ci/fuzz`.
#[test]
fn what_a_fuzzer_has_found_keeps_the_invariants_too() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/engine");
    let files = std::fs::read_dir(corpus).expect("the corpus is there");
    let programs: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert!(programs.len() > 100, "{corpus} has {}", programs.len());
    for path in programs {
        let bytes = std::fs::read(&path).expect("a file that can be read");
        let run = std::panic::catch_unwind(|| Program::read(&bytes).run());
        assert!(run.is_ok(), "{}", path.display());
    }
}

#[test]
fn a_hundred_thousand_cancelled_waiters_behind_a_live_one_take_no_room() {
    let mut waiters = waiters::Waiters::<Plain>::new();
    let mut wait = |n: u64| {
        let (start, never) = (Time::START, Time::NEVER);
        waiters.enqueue(waiters::Ticket(n), start, never, Location::caller(), 0)
    };
    let ids: Vec<_> = (0..=100_000).map(&mut wait).collect();
    for id in &ids[1..] {
        waiters.cancel(*id);
    }
    assert_eq!(waiters.waiting(), 1);
    assert!(waiters.room() < 200, "{}", waiters.room());
}

/// The room that there was after each one more.
fn grew_by_half(mut rooms: Vec<usize>) {
    for (taken, &room) in (1..).zip(&rooms) {
        assert!((taken..=taken + taken / 2 + 1).contains(&room), "not to twice: {taken}, {room}");
    }
    rooms.dedup();
    assert!(rooms.len() < 20, "not one by one: {rooms:?}");
}

#[test]
fn a_crowd_of_waiters_that_comes_and_goes_keeps_its_room() {
    let mut waiters = waiters::Waiters::<Plain>::new();
    let mut tickets = 0..;
    let mut crowd = |waiters: &mut waiters::Waiters<Plain>, n| -> Vec<_> {
        let wait = |n| {
            let (start, never) = (Time::START, Time::NEVER);
            waiters.enqueue(waiters::Ticket(n), start, never, Location::caller(), 0)
        };
        tickets.by_ref().take(n).map(wait).collect()
    };
    let _stay = crowd(&mut waiters, 60);
    let mut rooms = Vec::new();
    for _ in 0..10 {
        let gone = crowd(&mut waiters, 200);
        rooms.push(waiters.slots());
        for id in gone {
            waiters.cancel(id);
        }
        rooms.push(waiters.slots());
    }
    rooms.dedup();
    assert_eq!(rooms.len(), 1, "{rooms:?}");
}

#[test]
fn a_hundred_thousand_hosts_visited_and_forgotten_take_no_room() {
    let mut world = World::new(Limits { max_uses: 1, ..unlimited() }, None);
    for key in 0..100_000 {
        world.acquire(key, false);
        world.carry_out();
        let dial = world.dials.pop().expect("it dials");
        world.dial_done(&dial);
        world.carry_out();
        assert!(use_up_and_close(&mut world), "it waits");
        world.queues.clear();
        world.woken.clear();
    }
    assert_eq!(world.engine.hosts.len(), 0);
    assert!(world.engine.hosts.capacity() <= 64 && world.engine.index.capacity() <= 64);
    assert!(world.engine.schedule.next().is_none());
}

/// The last of those who wait uses a connection for the only time that it may be used. Says whether
/// anybody waited.
fn use_up_and_close(world: &mut World) -> bool {
    let Some(wait) = world.waits.pop() else { return false };
    world.poll(wait);
    let loan = world.loans.pop().expect("it was served");
    world.give_back(loan);
    world.carry_out();
    let close = world.closes.pop().expect("it was used up");
    world.end_close(&close);
    world.carry_out();
    true
}

fn unlimited() -> Limits {
    Limits {
        max_per_host: usize::MAX,
        initial_per_host: 0,
        min_idle_per_host: 0,
        max_idle_per_host: usize::MAX,
        max_idle: usize::MAX,
        max_total: usize::MAX,
        max_waiters_per_host: usize::MAX,
        max_dialing_per_host: usize::MAX,
        max_dialing: usize::MAX,
        reuse: Reuse::MostRecent,
        idle_timeout: Span::FOREVER,
        max_lifetime: Span::FOREVER,
        lifetime_jitter: 0.0,
        max_uses: u64::MAX,
        ping_after: Span::FOREVER,
        heartbeat: None,
        leak_after: Span::FOREVER,
        backoff: Backoff::default(),
        retry: false,
    }
}

#[test]
fn one_who_waits_for_a_ping_gets_what_answers_after_the_last_handle_is_gone() {
    let limits = Limits { max_per_host: 1, ..unlimited() };
    let mut world = World::new(limits, None);
    world.run(&Op::Acquire(0, false));
    world.carry_out();
    let dial = world.dials.pop().expect("a dial");
    world.dial_done(&dial);
    world.carry_out();
    let wait = world.waits.pop().expect("a waiter");
    world.poll(wait);
    world.carry_out();
    let (host, loan) = world.loans.pop().expect("a loan");
    world.engine.settle(host.index, loan, world.now, &mut world.fx);
    world.carry_out();
    // It is being asked in the background, and somebody waits for it.
    world.engine.check(host.index, 0, Purpose::Heartbeat, &mut world.fx);
    world.carry_out();
    world.run(&Op::Acquire(0, false));
    world.carry_out();
    assert_eq!((world.pings.len(), world.waits.len()), (1, 1));
    world.engine.orphan(world.now, &mut world.fx);
    world.carry_out();
    let effects::PingOrder { host, connection, asked } = world.pings.pop().unwrap();
    world.engine.check_answered(host.1.index, connection, asked, true, world.now, &mut world.fx);
    world.carry_out();
    assert!(world.closes.is_empty() && world.woken.len() == 1);
}

#[test]
fn three_hundred_hosts_at_once_take_room_for_so_many_and_give_it_back() {
    let mut world = World::new(Limits { max_uses: 1, ..unlimited() }, None);
    let mut rooms = Vec::new();
    for key in 0..300 {
        world.acquire(key, false);
        world.carry_out();
        rooms.push(world.engine.hosts.capacity());
    }
    grew_by_half(rooms);
    for _ in 0..300 {
        let dial = world.dials.pop().expect("each has begun one");
        world.dial_done(&dial);
        world.carry_out();
    }
    let mut rooms = Vec::new();
    while use_up_and_close(&mut world) {
        let (hosts, room) = (world.engine.hosts.len(), world.engine.hosts.capacity());
        assert!(room <= 64 || room <= hosts * 8, "{hosts} hosts have room for {room}");
        rooms.push(room);
    }
    rooms.dedup();
    assert!(rooms.len() < 5, "it is not given back piece by piece: {rooms:?}");
    assert!(world.engine.index.capacity() <= 64);
}

#[test]
fn the_notes_of_a_hundred_and_thirty_loans_grow_by_half_and_seldom() {
    let mut loans = loans::Loans::new();
    let rooms = std::iter::repeat_with(|| {
        loans.enter();
        loans.room()
    })
    .take(130)
    .collect();
    grew_by_half(rooms);
}
