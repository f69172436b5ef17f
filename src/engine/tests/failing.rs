//! What a failed dial proves, and what it does not.

use std::time::Duration;

use super::super::programs::world::World;
use super::super::programs::{Op, Pick};
use super::support::{of_quick_server, secs, shuffled, that_is_quick, with_idle, world};
use crate::policy::backoff::Backoff;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

const FAILS: Op = Op::DialFailed(Pick::FIRST, false);
const FAILS_FOR_NOW: Op = Op::DialFailed(Pick::FIRST, true);

fn told(world: &mut World) -> u64 {
    world.host_of(0).counted().rare.failed
}

/// One caller waits while this many connections are lent.
fn one_waits(lent: usize, set: impl FnOnce(&mut Limits)) -> World {
    let mut world = world(set);
    (0..lent).for_each(|_| world.borrow(0));
    world.acquire_of(0);
    world
}

#[test]
fn a_waiter_gets_the_dial_error_unless_the_dial_is_retried() {
    for (retry, op, tells) in
        [(false, FAILS, 1), (false, FAILS_FOR_NOW, 1), (true, FAILS, 1), (true, FAILS_FOR_NOW, 0)]
    {
        let mut world = one_waits(0, |l| l.retry = retry);
        world.run(&op);
        assert_eq!(told(&mut world), tells, "{op:?} with retry: {retry}");
    }
}

/// The server refuses every dial at once for this long.
fn refuses_for(world: &mut World, millis: u64) {
    for _ in 0..millis / 10 {
        world.run(&Op::Pass(10));
        while !world.dials.is_empty() {
            world.run(&FAILS);
        }
    }
}

#[test]
fn a_caller_is_not_told_while_loans_come_back_until_they_have_not_for_three_seconds() {
    let mut world = one_waits(1, |_| {});
    world.run(&FAILS);
    refuses_for(&mut world, 2_990);
    assert_eq!(told(&mut world), 0, "the server is full");
    refuses_for(&mut world, 500);
    assert_eq!(told(&mut world), 1, "it is down, and the loan is long");
}

#[test]
fn a_return_shows_that_loans_come_back_to_a_full_server() {
    let mut world = one_waits(2, |_| {});
    world.run(&FAILS);
    refuses_for(&mut world, 2_000);
    world.return_last();
    world.run(&Op::Poll(Pick::FIRST));
    world.acquire_of(0);
    refuses_for(&mut world, 3_990);
    assert_eq!(told(&mut world), 0);
    refuses_for(&mut world, 500);
    assert_eq!(told(&mut world), 1, "twice as long as the longest use");
}

#[test]
fn the_failure_of_a_dial_from_before_a_retire_is_nobodys() {
    let mut world = one_waits(0, |_| {});
    world.run(&Op::Retire(0));
    world.run(&FAILS);
    assert_eq!((told(&mut world), world.dials.len()), (0, 0));
    world.run(&Op::Pass(100));
    assert_eq!(world.dials.len(), 1, "the next one begins after the shortest backoff");
}

#[test]
fn a_caller_after_a_retire_gets_a_dial_of_its_own() {
    let mut world = one_waits(0, |_| {});
    world.run(&Op::Retire(0));
    assert_eq!(world.dials.len(), 1, "it may serve the one who came before");
    world.acquire_of(0);
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn a_dial_that_hangs_after_a_failure_keeps_others_until_it_is_slow() {
    let mut world = one_waits(0, |l| l.retry = true);
    world.run(&FAILS_FOR_NOW);
    world.run(&Op::Pass(100));
    (0..3).for_each(|_| world.acquire_of(0));
    assert_eq!(world.dials.len(), 1);
    world.run(&Op::Pass(2_500));
    assert_eq!(world.dials.len(), 2, "one at a time");
}

#[test]
fn the_failure_of_a_dial_that_was_cut_off_is_nobodys() {
    let mut world = that_is_quick(shuffled(|_| {}));
    (0..2).for_each(|_| world.acquire_of(0));
    world.run(&Op::SetMax(0, 1));
    world.run(&Op::DialFailed(Pick(1), false));
    assert_eq!(told(&mut world), 0);
    world.run(&Op::SetMax(0, 2));
    assert_eq!(world.dials.len(), 2, "nothing backs off");
}

#[test]
fn nobody_is_woken_because_a_dial_was_cut_off() {
    let mut world = of_quick_server(|_| {});
    (0..2).for_each(|_| world.acquire_of(0));
    world.run(&Op::SetMax(0, 1));
    assert_eq!((world.dials.len(), world.woken.len()), (1, 0));
}

#[test]
fn dials_that_were_in_flight_together_are_one_failure() {
    let mut world = of_quick_server(|l| l.retry = true);
    (0..3).for_each(|_| world.acquire_of(0));
    assert_eq!(world.dials.len(), 3);
    (0..3).for_each(|_| world.run(&FAILS_FOR_NOW));
    assert_eq!(world.host_of(0).dials().pace().troubles(), 1);
    world.run(&Op::Pass(200));
    assert_eq!(world.dials.len(), 1, "one at a time");
    world.run(&FAILS_FOR_NOW);
    assert_eq!(world.host_of(0).dials().pace().troubles(), 2);
}

#[test]
fn the_minimum_idle_is_restored_after_an_outage_for_those_who_wait_and_for_a_handle() {
    let mut waited_for = one_waits(0, |l| (l.min_idle_per_host, l.retry) = (1, true));
    (0..2).for_each(|_| waited_for.run(&FAILS_FOR_NOW));
    waited_for.run(&Op::Pass(200));
    assert_eq!(waited_for.dials.len(), 1);
    waited_for.run(&Op::DialDone(Pick::FIRST));
    assert_eq!(waited_for.dials.len(), 1, "the other one is to spare");
    let mut held = world(|l| l.min_idle_per_host = 1);
    held.run(&Op::Hold(0));
    held.acquire_of(0);
    (0..2).for_each(|_| held.run(&FAILS));
    held.run(&Op::Pass(500));
    assert_eq!(held.dials.len(), 1);
}

#[test]
fn a_lost_warm_request_is_not_taken_up_again_when_the_cap_is_raised() {
    let mut world = with_idle(1, |l| l.max_per_host = 2);
    world.run(&Op::Warm(0, 4));
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::SetMax(0, 4));
    assert!(world.dials.is_empty(), "there was no room for it");
}

#[test]
fn waiters_get_the_dial_error_when_the_last_dial_in_flight_fails() {
    let mut world = of_quick_server(|_| {});
    (0..2).for_each(|_| world.acquire_of(0));
    world.run(&FAILS);
    assert_eq!(told(&mut world), 0);
    world.run(&FAILS);
    assert_eq!(told(&mut world), 2);
}

#[test]
fn a_loan_that_is_the_last_of_its_connection_will_serve_nobody() {
    let mut world = one_waits(1, |l| l.max_uses = 1);
    world.run(&FAILS);
    assert_eq!(told(&mut world), 1);
}

/// One connection is pinged for two waiters, and another one is dialed.
fn pinged_and_dialed() -> World {
    let mut world = with_idle(1, |l| l.ping_after = Span::ZERO);
    (0..2).for_each(|_| world.acquire_of(0));
    assert_eq!((world.pings.len(), world.dials.len()), (1, 1));
    world
}

#[test]
fn a_ping_will_serve_one_for_a_limited_time() {
    let mut early = pinged_and_dialed();
    early.run(&FAILS);
    assert_eq!(told(&mut early), 0);
    let mut late = pinged_and_dialed();
    late.run(&Op::Pass(300));
    assert_eq!(late.dials.len(), 2);
    (0..2).for_each(|_| late.run(&FAILS));
    assert_eq!(told(&mut late), 2);
}

#[test]
fn the_ping_of_a_connection_that_is_to_be_closed_will_serve_nobody() {
    let mut world = pinged_and_dialed();
    world.run(&Op::Retire(0));
    while !world.dials.is_empty() {
        world.run(&FAILS);
    }
    assert_eq!((told(&mut world), world.pings.len()), (2, 1));
}

#[test]
fn a_dial_that_hangs_since_before_a_failure_does_not_hold_the_next_one_back() {
    let mut world = of_quick_server(|_| {});
    (0..2).for_each(|_| world.acquire_of(0));
    world.run(&FAILS);
    assert_eq!(world.dials.len(), 1);
    world.run(&Op::Pass(100));
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn an_old_dial_that_fails_at_last_tells_nobody_whom_a_newer_one_may_serve() {
    let mut world = one_waits(0, |_| {});
    world.run(&Op::Pass(2_500));
    assert_eq!(world.dials.len(), 2);
    world.run(&FAILS);
    assert_eq!(told(&mut world), 0);
    world.run(&FAILS);
    assert_eq!(told(&mut world), 1);
}

/// A host in a long backoff, after this many failures in a row.
fn backing_off(failures: u32, set: impl FnOnce(&mut Limits)) -> World {
    let mut world = world(|l| {
        l.backoff = Backoff::default().initial(SECOND).max(60 * SECOND).jitter(0.0);
        set(l);
    });
    // The handle keeps it from being forgotten between the failures.
    world.run(&Op::Hold(0));
    for _ in 0..failures {
        world.run(&Op::Pass(60_000));
        world.acquire_of(0);
        world.run(&FAILS);
        world.run(&Op::Poll(Pick::FIRST));
    }
    world
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_host_that_is_down_is_dialed_for_those_who_wait_every_four_of_the_shortest_backoff() {
    let mut world = backing_off(5, |_| {});
    world.acquire_of(0);
    world.run(&Op::Pass(3_990));
    assert!(world.dials.is_empty());
    world.run(&Op::Pass(10));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_newcomer_in_the_pause_of_a_host_that_is_down_waits_half_of_its_own_time_at_most() {
    let mut world = backing_off(5, |l| {
        l.backoff = Backoff::default().initial(15 * SECOND).max(60 * SECOND).jitter(0.0);
    });
    world.run(&Op::Pass(10_000));
    world.acquire_of(0);
    assert!(world.waits[0].waiter.deadline != Time::NEVER, "it has 20 s");
    world.run(&Op::Pass(9_990));
    assert!(world.dials.is_empty());
    world.run(&Op::Pass(10));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_caller_that_waits_when_a_dial_fails_waits_for_half_of_what_it_has_left() {
    let mut world = backing_off(2, |l| {
        l.backoff = Backoff::default().initial(3 * SECOND).max(60 * SECOND).jitter(0.0);
        l.retry = true;
    });
    world.run(&Op::Pass(60_000));
    world.acquire_of(0);
    assert!(world.waits[0].waiter.deadline != Time::NEVER, "it has 20 s");
    world.run(&Op::Pass(2_000));
    world.run(&FAILS_FOR_NOW);
    world.run(&Op::Pass(8_990));
    assert!(world.dials.is_empty());
    world.run(&Op::Pass(10));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_full_server_is_asked_for_more_only_now_and_then_and_at_once_when_a_connection_is_lost() {
    let backoff = |l: &mut Limits| l.backoff = Backoff::default().max(60 * SECOND).jitter(0.0);
    let mut world = one_waits(1, backoff);
    for backoff in [100, 200, 400, 800, 1600] {
        world.run(&FAILS);
        world.return_last();
        world.run(&Op::Poll(Pick::FIRST));
        world.acquire_of(0);
        world.run(&Op::Pass(backoff - 10));
        assert!(world.dials.is_empty(), "before {backoff} ms");
        world.run(&Op::Pass(10));
        assert_eq!(world.dials.len(), 1, "after {backoff} ms");
    }
    world.run(&FAILS);
    world.run(&Op::Pass(400));
    assert!(world.dials.is_empty());
    world.run(&Op::Discard(Pick::FIRST));
    assert_eq!(world.dials.len(), 1, "it has room for one again");
}

#[test]
fn a_host_that_nobody_waits_for_backs_off_for_longer() {
    let mut world = backing_off(0, |l| l.min_idle_per_host = 1);
    world.acquire_of(0);
    for seconds in [1, 2, 4, 8, 16] {
        while !world.dials.is_empty() {
            world.run(&FAILS);
        }
        world.run(&Op::Pass(seconds * 1000 - 10));
        assert!(world.dials.is_empty(), "before {seconds} s");
        world.run(&Op::Pass(10));
        assert_eq!(world.dials.len(), 1, "after {seconds} s");
    }
}

#[test]
fn a_newcomer_does_not_wait_for_a_dial_that_hangs_since_before_a_failure() {
    let mut world = one_waits(0, |_| {});
    world.run(&Op::Pass(2_500));
    world.run(&Op::DialFailed(Pick(1), false));
    assert_eq!((told(&mut world), world.dials.len()), (1, 1), "the first dial hangs");
    world.acquire_of(0);
    world.run(&Op::Pass(100));
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn a_newcomer_moves_no_dial_forward_where_there_is_no_room_for_one() {
    let mut world = world(|l| {
        l.backoff = Backoff::default().initial(SECOND).jitter(0.0);
        (l.retry, l.max_uses) = (true, 1);
    });
    world.borrow(0);
    world.acquire_of(0);
    world.run(&FAILS_FOR_NOW);
    world.run(&Op::Pass(1000));
    world.run(&FAILS_FOR_NOW);
    world.run(&Op::SetMax(0, 1));
    let look = world.next_look();
    // On the fast path, which ignores deadlines.
    world.acquire_of(0);
    assert_eq!((world.waits.len(), world.next_look()), (2, look));
}

#[test]
fn a_dial_that_hangs_beside_one_that_failed_is_not_waited_for() {
    let mut world = one_waits(0, |l| l.retry = true);
    world.acquire_of(0);
    world.run(&FAILS_FOR_NOW);
    world.run(&Op::Pass(200));
    assert_eq!(world.dials.len(), 1, "this one hangs");
    world.run(&Op::Pass(2_500));
    assert_eq!(world.dials.len(), 2);
    world.run(&Op::DialFailed(Pick(1), true));
    world.run(&Op::Cancel(Pick::FIRST));
    world.run(&Op::Pass(400));
    assert_eq!(world.dials.len(), 2, "another one for the one who waits");
}

#[test]
fn waiters_get_the_dial_error_when_the_last_loan_comes_back_dead() {
    let mut world = world(|l| l.max_per_host = 2);
    world.borrow(0);
    world.acquire_of(0);
    world.run(&FAILS);
    assert_eq!(told(&mut world), 0, "the loan may come back");
    world.run(&Op::Return(Pick::FIRST, false));
    assert_eq!((told(&mut world), world.dials.len()), (1, 0));
}

#[test]
fn a_host_whose_dials_hang_gives_its_permits_to_others_but_for_a_quarter() {
    let mut world = of_quick_server(|l| l.max_total = 8);
    (0..8).for_each(|_| world.acquire_of(0));
    assert_eq!(world.dials.len(), 8);
    (0..2).for_each(|_| world.acquire_of(1));
    assert_eq!(world.dials.len(), 8, "no permit is left");
    world.run(&Op::Pass(1_000));
    let of_others = world.dials.iter().filter(|dial| world.cells[dial.at].key == 1).count();
    assert_eq!((world.dials.len(), of_others), (8, 1), "nothing is known of the other's server");
}

#[test]
fn at_the_cap_a_hopeless_dial_makes_room_for_the_next_and_its_waiters_are_told_in_time() {
    let mut world = of_quick_server(|l| {
        (l.max_per_host, l.connect_timeout) = (1, secs(10));
        l.backoff = Backoff::default().jitter(0.0);
    });
    world.acquire_of(0);
    for (millis, dials) in [(999, 1), (1, 2), (999, 2), (1, 2)] {
        world.run(&Op::Pass(millis));
        let begun = world.host_of(0).counted().usual.dials - 1;
        assert_eq!(begun, dials);
    }
    world.run(&Op::Pass(7_999));
    assert_eq!(told(&mut world), 0);
    world.run(&Op::Pass(1));
    assert_eq!(told(&mut world), 1, "ten seconds after the first dial");
}
