use super::pace::For;
use super::*;
use crate::policy::backoff::Backoff;

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn ms(n: u64) -> Time {
    at(n * 1_000_000)
}

/// A dial that succeeds while nothing else happens.
const NEWS: Landed = Landed {
    since: Time::START,
    retired_at: None,
    is_cut_off: false,
    is_slow: false,
    is_news: true,
    is_forgiven: false,
};

const WAITS: fn() -> Waits = || Waits { backoff: Backoff::default().jitter(0.0), random: 0.0 };

const LIMIT: Span = Span::from_nanos(10_000_000_000);

/// One begins at each of the first nanoseconds.
fn dials(n: u32) -> Dials<u32> {
    let mut dials = Dials::new(1);
    (0..n).for_each(|slot| dials.begin(slot, at(slot.into()), slot));
    dials
}

fn cut_off(dials: &Dials<u32>) -> Vec<u32> {
    dials.slots().filter(|slot| dials.is_cut_off(*slot)).collect()
}

fn allowed(dials: &Dials<u32>, now: Time) -> usize {
    dials.allowed(dials.pace().next(For::Waiters, 0, now), now)
}

#[test]
fn the_newest_are_cut_off_first_and_none_twice() {
    let mut dials = dials(4);
    assert_eq!((dials.cut_off_newest(1, at(9)), cut_off(&dials)), (vec![3], vec![3]));
    assert_eq!((dials.cut_off_newest(2, at(9)), dials.len()), (vec![2, 1], 1));
    assert_eq!((dials.cut_off_newest(2, at(9)), dials.len()), (vec![0], 0));
    (0..4).for_each(|slot| assert!(dials.end(slot).is_some_and(|dial| dial.is_cut_off)));
    assert_eq!((dials.slots().count(), dials.end(0)), (0, None));
}

#[test]
fn a_dial_that_was_cut_off_and_does_not_stop_is_taken_once_a_second_later() {
    let mut dials = dials(4);
    assert_eq!(dials.cut_off_newest(2, ms(100)), [3, 2]);
    assert_eq!(dials.cut_off_newest(1, ms(300)), [1]);
    assert_eq!((dials.next(), dials.take_unstopped(ms(1_099))), (ms(1_100), None));
    assert!(dials.end(2).is_some_and(|dial| dial.is_cut_off), "it has stopped");
    assert_eq!((dials.take_unstopped(ms(1_100)), dials.take_unstopped(ms(1_100))), (Some(3), None));
    assert_eq!((dials.next(), dials.in_flight()), (ms(1_300), 3));
    assert_eq!((dials.take_unstopped(ms(2_000)), dials.take_unstopped(ms(9_000))), (Some(1), None));
    assert_eq!((dials.next(), dials.len()), (ms(2_500), 1), "that of the last one is slow then");
    assert!(dials.end(3).is_some_and(|dial| dial.is_cut_off), "its task stops after all");
}

#[test]
fn a_slow_dial_makes_room_also_behind_one_that_did_not_stop() {
    let mut dials = dials(2);
    dials.judge(WAITS(), ms(2501));
    let hopeless =
        |dials: &mut Dials<u32>, now| dials.cut_off_slow(Span::FOREVER, Wanted::Here, now);
    assert_eq!(hopeless(&mut dials, ms(2_600)), Some(0));
    assert_eq!(hopeless(&mut dials, ms(60_000)), None, "one at a time");
    assert_eq!(dials.take_unstopped(ms(60_000)), Some(0));
    assert_eq!(hopeless(&mut dials, ms(60_000)), Some(1));
}

#[test]
fn a_dial_whose_task_says_nothing_of_its_time_out_makes_room_a_second_later() {
    let mut dials = dials(1);
    dials.judge(WAITS(), ms(2501));
    let silent = ms(11_000);
    assert_eq!(dials.makes_room_at(LIMIT, Wanted::Here), silent);
    assert_eq!(dials.cut_off_slow(LIMIT, Wanted::Here, silent), Some(0));
}

#[test]
fn of_ten_thousand_dials_the_slow_ones_are_cut_off_first_and_then_the_newest() {
    for (most, slow_left, left) in
        [(0, 100, 10_000), (40, 60, 9_960), (100, 0, 9_900), (9_999, 0, 1)]
    {
        let mut dials: Dials<u32> = Dials::new(1);
        let since = |slot: u32| at(u64::from(slot) * 7_919 % 10_000);
        (0..10_000).for_each(|slot| dials.begin(slot, since(slot), slot));
        let slow = |slot: &u32| since(*slot) >= at(5_000) && since(*slot) < at(5_100);
        (0..10_000).filter(slow).for_each(|slot| _ = dials.overdue(slot, WAITS(), ms(1)));
        let stops = dials.cut_off_newest(most, ms(1));
        assert_eq!((stops.len(), dials.len()), (most as usize, left));
        assert_eq!(dials.slow().map_or(0, |(count, _)| count), slow_left);
        let rank = |slot: &u32| (slow(slot), since(*slot));
        let cut_off = cut_off(&dials);
        let stays = dials.slots().filter(|slot| !dials.is_cut_off(*slot)).map(|slot| rank(&slot));
        let (most_to_stay, least) = (stays.max(), cut_off.iter().map(rank).min());
        assert!(least.is_none_or(|least| Some(least) > most_to_stay), "{least:?} {most_to_stay:?}");
        let mut stops = stops;
        stops.sort_unstable();
        assert_eq!(stops, cut_off, "each is stopped");
    }
}

#[test]
fn retiring_cuts_off_those_that_take_too_long_and_each_time_the_limit_doubles() {
    let mut dials = dials(10);
    assert_eq!(dials.retire(at(9), Duration::from_nanos(8)), [0, 1]);
    assert_eq!((cut_off(&dials), dials.retired()), (vec![0, 1], (8, at(9))));
    assert_eq!(dials.retire(at(15), Duration::from_nanos(8)), [0; 0]);
    assert_eq!(dials.retired(), (8, at(9)), "the first time counts");
    dials.succeeded(&NEWS, Span::from_nanos(1), WAITS(), at(15));
    assert_eq!(dials.retire(at(15), Duration::from_nanos(8)), [2, 3, 4, 5, 6, 7]);
    assert_eq!((dials.len(), dials.young()), (2, 0));
}

#[test]
fn a_dial_counts_until_it_is_slow_and_its_slowness_is_one_event_for_all_that_began_with_it() {
    let mut dials = dials(3);
    assert_eq!((dials.young(), dials.next()), (3, ms(2500)));
    dials.judge(WAITS(), at(2_499_999_999));
    assert_eq!(dials.young(), 3);
    dials.judge(WAITS(), ms(2501));
    assert_eq!((dials.young(), dials.len(), dials.pace().troubles()), (0, 3, 1));
    assert_eq!(allowed(&dials, ms(2501)), 1, "2.5 s after its start is now");
    dials.begin(7, ms(2501), 7);
    assert_eq!(allowed(&dials, ms(2501)), 0);
    dials.judge(WAITS(), ms(5001));
    assert_eq!(dials.pace().troubles(), 2, "in a row");
    assert_eq!(dials.pace().next(For::Waiters, 0, ms(5001)), ms(7501), "twice that time later");
}

#[test]
fn the_slow_ones_are_found_sooner_when_the_host_turns_out_to_be_quick() {
    let mut dials = dials(2);
    dials.end(0);
    dials.succeeded(&NEWS, Span::from_nanos(5), WAITS(), ms(1));
    assert!(dials.next() <= ms(1001));
    dials.judge(WAITS(), ms(1001));
    assert_eq!(dials.young(), 0);
    assert_eq!(dials.pace().troubles(), 0, "a success has forgiven it");
}

#[test]
fn a_dial_begun_before_the_last_result_is_no_news() {
    let mut dials = dials(3);
    let first = dials.end(0).expect("it is in flight");
    assert!(first.is_news);
    dials.failed(&first, Failure::Refused(0), WAITS(), at(5));
    let second = dials.end(1).expect("it is in flight");
    assert!(!second.is_news);
    dials.succeeded(&NEWS, Span::from_nanos(5), WAITS(), at(6));
    assert!(dials.end(2).is_some_and(|dial| !dial.is_news), "a success forgives it");
}

#[test]
fn a_slow_dial_makes_room_once_it_is_known_to_be_hopeless_and_its_waiters_are_owed_an_answer() {
    let mut dials = dials(2);
    dials.judge(WAITS(), ms(2501));
    assert_eq!(
        dials.cut_off_slow(LIMIT, Wanted::Here, ms(2502)),
        None,
        "nothing is known of this host"
    );
    assert!(dials.overdue(0, WAITS(), ms(2502)));
    assert!(!dials.overdue(0, WAITS(), ms(2503)), "once");
    assert!(dials.cut_off_slow(LIMIT, Wanted::Here, ms(2502)).is_some());
    assert_eq!(cut_off(&dials), [0]);
    assert_eq!(dials.cut_off_slow(LIMIT, Wanted::Here, ms(2502)), None, "one at a time");
    dials.end(0);
    assert_eq!(dials.next(), Time::NEVER, "it was told when its time-out passed");
    dials.pace_mut().succeeded(Span::from_nanos(9), false, WAITS(), ms(2504));
    assert_eq!(dials.cut_off_slow(LIMIT, Wanted::Here, ms(2502)), Some(1));
    assert_eq!(dials.next(), ms(3502), "it may not stop");
    dials.end(1);
    assert_eq!(dials.next(), at(10_000_000_001));
    assert_eq!(dials.take_owed(at(10_000_000_000)), None);
    assert_eq!(dials.take_owed(at(10_000_000_001)), Some(at(1)));
    assert_eq!(dials.next(), Time::NEVER);
}

/// Dials of a host whose usual time is known to be 1 ms, so that they are slow after a second: this
/// many, and two seconds have passed.
fn slow_dials(n: u32) -> Dials<u32> {
    let mut dials = dials(0);
    dials.pace_mut().succeeded(Span::from_nanos(1_000_000), false, WAITS(), at(0));
    (0..n).for_each(|slot| dials.begin(slot, at(slot.into()), slot));
    dials.judge(WAITS(), ms(2_000));
    assert_eq!(dials.slow(), Some((n as usize, at(0))));
    dials
}

fn cut_off_here(dials: &mut Dials<u32>, now: Time) -> Option<u32> {
    dials.cut_off_slow(LIMIT, Wanted::Here, now)
}

#[test]
fn slow_dials_make_room_one_at_a_time_the_oldest_first() {
    let mut dials = slow_dials(3);
    assert_eq!(cut_off_here(&mut dials, ms(2_001)), Some(0));
    assert!(!dials.gives_way() && dials.has_slow());
    assert_eq!(cut_off_here(&mut dials, ms(9_000)), None, "the first has not stopped yet");
    dials.end(0);
    assert!(dials.gives_way());
    assert_eq!(cut_off_here(&mut dials, ms(9_000)), Some(1));
}

#[test]
fn each_that_made_room_in_vain_doubles_what_the_next_is_given_unless_others_need_the_room() {
    const SHARE: Wanted = Wanted::Elsewhere { is_their_share: true };
    const MORE: Wanted = Wanted::Elsewhere { is_their_share: false };
    let mut dials = slow_dials(5);
    for (slot, here, share) in [(0, 1, 1), (1, 2, 2), (2, 4, 4), (3, 8, 4)] {
        let room = |wanted| dials.makes_room_at(LIMIT, wanted);
        let after = |seconds: u64| at(u64::from(slot) + seconds * 1_000_000_000);
        assert_eq!([room(Wanted::Here), room(SHARE), room(MORE)], [here, share, 1].map(after));
        assert_eq!(cut_off_here(&mut dials, ms(9_000)), Some(slot));
        dials.end(slot);
    }
    assert!(dials.retire(ms(2_000), Duration::from_secs(9)).is_empty());
    assert_eq!(dials.makes_room_at(LIMIT, Wanted::Here), at(4 + 1_000_000_000));
}

#[test]
fn a_success_clears_what_is_owed_and_forgives_what_was_cut_off_before() {
    let mut dials = slow_dials(3);
    assert!(cut_off_here(&mut dials, ms(2_001)).is_some());
    dials.end(0);
    assert_eq!(dials.next(), at(10_000_000_000), "an answer is owed");
    let second = dials.end(1).expect("it is in flight");
    dials.succeeded(&second, Span::from_nanos(1), WAITS(), ms(3_000));
    assert_eq!((dials.take_owed(ms(10_001)), dials.in_vain()), (None, 0));
    assert!(dials.end(2).is_some_and(|third| third.is_forgiven));
}

#[test]
fn the_success_of_a_dial_that_is_forgiven_changes_nothing() {
    let mut dials = slow_dials(2);
    dials.end(0);
    dials.succeeded(&NEWS, Span::from_nanos(1), WAITS(), ms(2_001));
    let late = dials.end(1).expect("it is in flight");
    dials.succeeded(&late, Span::from_nanos(9_000_000_000), WAITS(), ms(9_000));
    assert_eq!((allowed(&dials, ms(9_000)), dials.pace().troubles()), (u32::MAX as usize, 0));
}

#[test]
fn a_dial_whose_time_out_passes_before_it_is_slow_is_slow_then() {
    let mut dials = dials(1);
    assert!(dials.overdue(0, WAITS(), ms(500)));
    assert_eq!((dials.young(), dials.slow()), (0, Some((1, at(0)))));
    assert_eq!(dials.pace().troubles(), 1);
    assert!(!dials.overdue(0, WAITS(), ms(1_000)));
    assert_eq!(dials.pace().troubles(), 1, "the same dial");
}

#[test]
fn dials_that_were_cut_off_are_answered_in_the_order_of_their_time_outs() {
    let mut dials = slow_dials(3);
    for slot in 0..3 {
        assert_eq!(cut_off_here(&mut dials, ms(9_000)), Some(slot));
        dials.end(slot);
    }
    for began in 0..3 {
        let due = at(began + 10_000_000_000);
        assert_eq!((dials.next(), dials.take_owed(due)), (due, Some(at(began))));
    }
}
