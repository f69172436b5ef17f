//! Requests of the owner.

use super::super::Progress;
use super::super::programs::world::World;
use super::super::programs::{Answer, Op, Pick, beats};
use super::support::{of_quick_server, secs, shared, shuffled, with_idle, world};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// Returns how many connections the host has, after one more is added if there is room.
fn add(world: &mut World, key: u8) -> usize {
    world.run(&Op::Add(key));
    world.host_of(key).entries()
}

#[test]
fn a_cap_that_what_is_open_fits_closes_nothing() {
    let mut world = with_idle(3, |_| {});
    world.run(&Op::SetMax(0, 3));
    assert!(world.closes.is_empty());
    world.run(&Op::SetMax(0, 2));
    assert_eq!(world.closes.len(), 1);
}

#[test]
fn an_added_connection_must_fit_every_cap_on_idle_ones() {
    let mut world = with_idle(1, |l| l.max_idle_per_host = 1);
    assert_eq!((add(&mut world, 0), add(&mut world, 1)), (1, 1));
    let mut world = with_idle(1, |l| l.max_idle = 2);
    assert_eq!((add(&mut world, 1), add(&mut world, 1)), (1, 1));
}

#[test]
fn an_added_connection_for_one_who_waits_need_not_fit_among_the_idle() {
    let mut world = world(|l| (l.max_idle_per_host, l.max_idle) = (0, 0));
    world.acquire_of(0);
    assert_eq!(add(&mut world, 0), 2, "the dial, and what was added");
    assert_eq!(add(&mut world, 0), 2, "nobody waits");
}

#[test]
fn an_inspected_connection_goes_back_if_its_idle_place_is_still_free() {
    let mut world = with_idle(2, |l| l.max_idle = 2);
    world.run(&Op::Inspect(0));
    world.run(&Op::EndInspect(Pick::FIRST, true));
    assert!(world.closes.is_empty());
    world.run(&Op::Inspect(0));
    assert_eq!(add(&mut world, 1), 1);
    world.run(&Op::EndInspect(Pick::FIRST, true));
    assert_eq!(world.closes.len(), 1, "its place was taken meanwhile");
}

#[test]
fn the_warm_request_for_one_is_met_while_another_is_still_being_dialed() {
    let mut world = of_quick_server(|_| {});
    world.run(&Op::Warm(0, 2));
    world.run(&Op::Warm(0, 1));
    assert_eq!((world.dials.len(), world.warmers.len()), (2, 2));
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::LookWarm(Pick::FIRST));
    world.run(&Op::LookWarm(Pick::FIRST));
    assert_eq!((world.warmers.len(), world.told.as_slice()), (1, &[Progress::Reached][..]));
}

/// A host with a connection in use, whose last dial has failed.
fn failing(set: impl FnOnce(&mut Limits)) -> World {
    let mut world = world(set);
    world.borrow(0);
    world.acquire_of(0);
    world.run(&Op::DialFailed(Pick::FIRST, true));
    world.run(&Op::Cancel(Pick::FIRST));
    assert!(world.dials.is_empty());
    world
}

#[test]
fn a_warm_request_whose_dial_has_failed_is_told_so_whichever_ended_first() {
    assert_eq!(of_quick_server(|_| {}).told_of(2, &[true, false]), Progress::Failed("refused"));
    // After a success the missing connection is dialed once more.
    assert_eq!(
        of_quick_server(|_| {}).told_of(2, &[false, true, false]),
        Progress::Failed("refused")
    );
    assert_eq!(of_quick_server(|_| {}).told_of(2, &[false, true, true]), Progress::Reached);
}

#[test]
fn a_warm_request_is_told_of_an_older_failure_while_the_host_backs_off() {
    assert_eq!(failing(|_| {}).told_of(2, &[]), Progress::Failed("refused"));
}

#[test]
fn a_warm_request_is_told_of_the_caps_where_these_are_in_the_way() {
    let mut of_the_host = failing(|l| l.max_per_host = 2);
    assert_eq!(add(&mut of_the_host, 0), 2);
    assert_eq!(of_the_host.told_of(3, &[]), Progress::NoRoom);
    let mut of_all = failing(|l| l.max_total = 2);
    assert_eq!(add(&mut of_all, 1), 1);
    assert_eq!(of_all.told_of(2, &[]), Progress::NoRoom);
}

#[test]
fn a_warm_request_is_told_of_its_failed_dial_also_when_the_backoff_is_over() {
    let mut world = world(|_| {});
    world.run(&Op::Warm(0, 1));
    world.run(&Op::DialFailed(Pick::FIRST, true));
    world.run(&Op::Pass(39_999));
    world.run(&Op::LookWarm(Pick::FIRST));
    assert_eq!(world.told, [Progress::Failed("refused")]);
}

#[test]
fn a_host_is_forgotten_some_time_after_its_last_failed_dial() {
    let mut world = world(|limits| limits.idle_timeout = Span::from_nanos(1_000_000_000));
    world.acquire_of(0);
    world.run(&Op::DialFailed(Pick::FIRST, false));
    world.run(&Op::Poll(Pick::FIRST));
    world.run(&Op::Pass(999));
    assert!(world.find(0).is_some());
    world.run(&Op::Pass(1));
    assert!(world.find(0).is_none());
}

#[test]
fn a_retired_connection_stays_draining_when_the_cap_is_raised() {
    let mut world = shared(1, |_| {});
    world.borrow(0);
    world.borrow(0);
    world.run(&Op::SetMax(0, 1));
    world.run(&Op::Retire(0));
    world.run(&Op::SetMax(0, 2));
    assert_eq!(world.host_of(0).gauges().draining, 2);
}

#[test]
fn a_pinged_connection_that_drained_for_a_lowered_cap_is_lent_once_it_has_answered() {
    let mut world = shared(1, |l| l.ping_after = crate::policy::time::Span::ZERO);
    world.borrow(0);
    world.borrow(0);
    world.run(&Op::Return(Pick(1), true));
    world.acquire_of(0);
    assert_eq!(world.pings.len(), 1);
    world.run(&Op::SetMax(0, 1));
    world.run(&Op::SetMax(0, 5));
    world.acquire_of(0);
    assert_eq!(world.loans.len(), 1, "nothing is lent before it answers");
}

#[test]
fn a_close_that_takes_too_long_gives_its_place_and_its_permit_up_and_its_entry_stays() {
    for max_total in [usize::MAX, 1] {
        let mut world = world(|l| {
            (l.max_per_host, l.max_total, l.close_timeout) = (1, max_total, secs(5));
            l.max_uses = 1;
        });
        world.borrow(0);
        world.return_last();
        world.acquire_of(0);
        world.run(&Op::Pass(5000));
        assert_eq!((world.closes.len(), world.dials.len()), (1, 0), "its task may end itself");
        world.run(&Op::Pass(10));
        assert_eq!((world.closes.len(), world.dials.len()), (1, 1));
        let host = world.host_of(0);
        assert_eq!((host.view().seen.closing, host.entries()), (0, 2));
        world.run(&Op::CloseEnded(Pick::FIRST));
        assert_eq!(world.host_of(0).entries(), 1);
        world.finish();
    }
}

#[test]
fn the_first_reason_for_good_is_the_one_that_is_told() {
    let mut world = with_idle(1, |_| {});
    world.run(&Op::Inspect(0));
    world.run(&Op::Retire(0));
    world.run(&Op::EndInspect(Pick::FIRST, false));
    assert_eq!(world.closes[0].1.reason, CloseReason::Retired);
}

#[test]
fn a_connection_that_retain_drops_holds_its_place_until_it_is_closed() {
    let mut world = with_idle(1, |l| l.max_per_host = 1);
    world.run(&Op::Inspect(0));
    world.run(&Op::EndInspect(Pick::FIRST, false));
    world.acquire_of(0);
    assert_eq!((world.closes.len(), world.dials.len()), (1, 0));
    world.run(&Op::CloseEnded(Pick::FIRST));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_lowered_cap_cuts_dials_off_the_newest_first_then_closes_what_is_idle() {
    let mut world = with_idle(1, |_| {});
    world.run(&Op::Warm(0, 2));
    world.run(&Op::Pass(1));
    world.run(&Op::Warm(0, 3));
    let older = world.dials[0].order.slot;
    world.run(&Op::SetMax(0, 2));
    assert_eq!((world.dials.len(), world.closes.len()), (1, 0));
    assert_eq!(world.dials[0].order.slot, older);
    world.run(&Op::SetMax(0, 1));
    assert_eq!((world.dials.len(), world.closes.len()), (0, 0));
    world.run(&Op::Warm(0, 1));
    assert_eq!(world.told.pop(), Some(Progress::Reached));
}

#[test]
fn a_loan_above_a_lowered_cap_is_closed_when_it_returns() {
    let mut world = world(|_| {});
    (0..2).for_each(|_| world.borrow(0));
    world.run(&Op::SetMax(0, 1));
    world.return_last();
    assert_eq!(world.closes[0].1.reason, CloseReason::OverCap);
    world.return_last();
    assert_eq!(world.closes.len(), 1);
}

#[test]
fn close_idle_closes_all_idle_connections() {
    let mut world = with_idle(2, |_| {});
    world.run(&Op::CloseIdle);
    assert_eq!(world.closes.len(), 2);
}

#[test]
fn close_idle_closes_a_pinged_connection_after_its_answer() {
    let mut world = shared(2, |l| l.heartbeat = Some(beats()));
    world.borrow(0);
    world.return_last();
    world.run(&Op::Pass(4000));
    world.run(&Op::CloseIdle);
    assert_eq!((world.pings.len(), world.closes.len()), (1, 0));
    world.run(&Op::PingEnded(Pick::FIRST, Answer::Yes));
    assert_eq!(world.closes[0].1.reason, CloseReason::Asked);
}

#[test]
fn the_end_of_the_pool_cuts_dials_off() {
    let mut world = world(|_| {});
    world.acquire_of(0);
    world.run(&Op::Close);
    assert!(world.dials.is_empty());
}

#[test]
fn retiring_cuts_off_dials_that_take_longer_than_usual_and_no_others() {
    for (dialing_for, is_cut_off) in [(998, false), (1001, true)] {
        let mut world = world(|_| {});
        world.acquire_of(0);
        world.run(&Op::Pass(dialing_for));
        world.run(&Op::Retire(0));
        world.run(&Op::DialDone(Pick::FIRST));
        world.run(&Op::Poll(Pick::FIRST));
        world.return_last();
        assert_eq!(world.closes.is_empty(), is_cut_off, "after {dialing_for} ms");
    }
}

#[test]
fn each_retire_that_cuts_dials_off_allows_the_next_ones_twice_as_long() {
    let mut world = world(|_| {});
    world.acquire_of(0);
    let mut retire_after = |millis, cut_offs| {
        world.run(&Op::Pass(millis));
        world.run(&Op::Retire(0));
        assert_eq!(world.host_of(0).failed_dials(), cut_offs);
    };
    retire_after(1001, 1);
    retire_after(1990, 1);
    retire_after(20, 2);
    retire_after(3980, 2);
    retire_after(40, 3);
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::Poll(Pick::FIRST));
    // It took at least a millisecond, as the programs count.
    world.acquire_of(0);
    world.run(&Op::Pass(100));
    world.run(&Op::Retire(0));
    assert_eq!(world.host_of(0).failed_dials(), 4, "one has succeeded since");
}

#[test]
fn a_host_is_remembered_while_anybody_has_it_or_it_has_a_cap_of_its_own() {
    let mut held = world(|_| {});
    held.run(&Op::Hold(0));
    assert!(held.find(0).is_some());
    held.run(&Op::LetGo(Pick::FIRST));
    assert!(held.find(0).is_none());
    let mut capped = world(|_| {});
    capped.run(&Op::SetMax(0, 3));
    assert!(capped.find(0).is_some());
}

#[test]
fn a_warm_request_that_is_met_is_over() {
    let mut world = world(|_| {});
    assert_eq!(world.told_of(2, &[true, true]), Progress::Reached);
    world.acquire_of(0);
    world.discard(Pick::FIRST);
    assert!(world.dials.is_empty());
}

#[test]
fn a_warm_request_that_is_met_is_over_while_more_are_being_dialed() {
    let mut world = world(|_| {});
    (0..3).for_each(|_| world.acquire_of(0));
    world.run(&Op::Warm(0, 2));
    for _ in 0..2 {
        world.run(&Op::DialDone(Pick::FIRST));
        world.run(&Op::Poll(Pick::FIRST));
    }
    (0..2).for_each(|_| world.discard(Pick::FIRST));
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn a_warm_request_waits_for_a_permit_as_long_as_the_caps_leave_room() {
    let mut world = world(|l| l.max_dialing = 1);
    world.acquire_of(1);
    world.run(&Op::Warm(0, 1));
    assert_eq!((world.dials.len(), world.warmers.len()), (1, 1));
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::LookWarm(Pick::FIRST));
    assert_eq!(world.told, [Progress::Reached]);
}

#[test]
fn initial_connections_are_dialed_when_the_host_is_first_used() {
    let mut world = world(|l| l.initial_per_host = 3);
    world.run(&Op::Hold(0));
    world.run(&Op::CloseIdle);
    assert!(world.dials.is_empty());
    world.acquire_of(0);
    assert_eq!(world.dials.len(), 1, "nothing is known of its server");
    world.run(&Op::DialDone(Pick::FIRST));
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn a_loan_makes_room_under_the_idle_limit_of_all_hosts() {
    let mut world = with_idle(1, |l| l.max_idle = 1);
    world.acquire_of(0);
    assert_eq!(add(&mut world, 1), 1);
}

#[test]
fn a_loan_makes_room_for_a_warm_request_above_the_idle_limit() {
    let mut world = world(|l| l.max_idle_per_host = 2);
    world.borrow(0);
    world.acquire_of(0);
    world.return_last();
    world.run(&Op::Poll(Pick::FIRST));
    world.return_last();
    world.run(&Op::Warm(0, 3));
    assert_eq!(
        world.dials.len(),
        1,
        "one is idle, and the dial that nobody waits for is the other"
    );
    world.acquire_of(0);
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn a_warm_request_is_told_of_no_failure_from_before_the_end_of_the_backoff() {
    for (late, expected) in [(0, Progress::NoRoom), (1, Progress::Failed("refused"))] {
        let mut world = shuffled(|l| l.max_idle_per_host = 0);
        world.run(&Op::Hold(0));
        world.acquire_of(0);
        world.run(&Op::DialFailed(Pick::FIRST, false));
        let ends = world
            .host_of(0)
            .dials()
            .pace()
            .next(crate::engine::work::dials::pace::For::Spare, 0, Time::START)
            .nanos();
        world.now = Time::from_nanos(ends - late);
        world.run(&Op::Warm(0, 1));
        assert_eq!(world.told, [expected]);
    }
}

#[test]
fn a_warm_request_ends_when_the_pool_closes() {
    let mut world = world(|_| {});
    world.run(&Op::Warm(0, 1));
    world.run(&Op::Close);
    assert_eq!(world.woken.len(), 1);
    world.run(&Op::LookWarm(Pick::FIRST));
    assert_eq!(world.told, [Progress::Closed]);
}

#[test]
fn a_dropped_warm_request_is_not_woken() {
    let mut world = world(|_| {});
    world.run(&Op::Warm(0, 1));
    world.run(&Op::LeaveWarm(Pick::FIRST));
    world.run(&Op::DialDone(Pick::FIRST));
    assert!(world.woken.is_empty());
}

#[test]
fn a_dial_that_a_retire_cuts_off_and_that_succeeds_before_it_stops_is_closed_as_retired() {
    let mut world = shuffled(|_| {});
    world.acquire_of(0);
    world.run(&Op::Pass(1001));
    world.run(&Op::Retire(0));
    world.run(&Op::DialDone(Pick::FIRST));
    assert_eq!(world.closes[0].1.reason, CloseReason::Retired);
}

#[test]
fn the_warm_request_for_connections_in_advance_ends_with_a_hit_once_the_caps_leave_no_room() {
    let mut world = world(|l| {
        (l.initial_per_host, l.max_per_host, l.max_total, l.max_dialing) = (2, 2, 3, 1);
        l.max_uses = 1;
    });
    for key in 0..3 {
        world.acquire_of(key);
    }
    world.run(&Op::Cancel(Pick::FIRST));
    world.run(&Op::DialDone(Pick::FIRST));
    world.run(&Op::DialDone(Pick::FIRST));
    world.acquire_of(0);
    world.run(&Op::DialFailed(Pick::FIRST, false));
    let dialing = |key| world.host_of(key).gauges().dialing;
    assert_eq!([0, 1, 2].map(dialing), [0; 3], "there is room again, and nobody waits");
}

#[test]
fn closes_that_have_ended_are_forgotten_behind_one_that_never_ends() {
    let mut world = with_idle(1, |l| l.close_timeout = Span::FOREVER);
    world.run(&Op::Retire(0));
    for _ in 0..200 {
        world.borrow(0);
        world.return_last();
        world.run(&Op::Retire(0));
        world.run(&Op::CloseEnded(Pick(1)));
    }
    assert_eq!(world.closes.len(), 1, "it goes on");
    let kept = world.host_of(0).closes();
    assert!(kept < 100, "{kept} closes are kept, and one is under way");
}

#[test]
fn a_goodbye_to_a_retired_server_holds_its_place_for_a_tenth_of_a_second() {
    let mut world = with_idle(1, |l| (l.max_per_host, l.close_timeout) = (1, secs(5)));
    world.run(&Op::Retire(0));
    world.acquire_of(0);
    assert_eq!((world.closes.len(), world.dials.len()), (1, 0));
    world.run(&Op::Pass(99));
    assert_eq!(world.dials.len(), 0);
    world.run(&Op::Pass(1));
    assert_eq!((world.closes.len(), world.dials.len()), (1, 1), "the close goes on");
}
