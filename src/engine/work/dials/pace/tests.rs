use proptest::prelude::*;

use super::*;

const fn at(n: u64) -> Time {
    Time::from_nanos(n * 1_000_000)
}

/// The longest waits: nothing is left to chance.
const WAITS: fn() -> Waits = || Waits { backoff: Backoff::default().jitter(0.0), random: 0.0 };

fn succeeds(pace: &mut Pace, took: u64, now: u64) {
    pace.succeeded(millis(took), false, WAITS(), at(now));
}

fn slows(pace: &mut Pace, began: u64, now: u64) {
    let slow = pace.slow_after(false);
    pace.slowed(at(began), slow, WAITS(), at(now));
}

/// When the next dial begins for those who wait, with this many open connections.
fn next(pace: &Pace, open: usize, now: u64) -> u64 {
    pace.next(For::Waiters, open, at(now)).nanos() / 1_000_000
}

#[test]
fn one_dial_shows_how_quick_a_server_is() {
    for (took, window) in [(500, u32::MAX), (501, 2), (1000, 2), (1001, 1)] {
        let mut pace = Pace::new();
        succeeds(&mut pace, took, took);
        assert_eq!(pace.allows(Time::START, at(took)), window, "after {took} ms");
    }
}

#[test]
fn a_host_whose_dials_always_take_long_opens_its_window_by_one_for_each() {
    let mut pace = Pace::new();
    for dials in 0..4 {
        succeeds(&mut pace, 1200, dials * 1200);
    }
    assert_eq!((pace.allows(Time::START, at(5000)), pace.is_troubled()), (4, false));
}

#[test]
fn after_slow_dials_in_a_row_the_next_begins_ever_later_but_no_later_than_the_longest_pause() {
    let mut pace = Pace::new();
    let mut began = 0;
    for after in [2500, 5000, 5000, 5000] {
        slows(&mut pace, began, began + 2500);
        assert_eq!(next(&pace, 0, began), began + after);
        began += after;
    }
    assert_eq!(pace.lives(), 4);
}

#[test]
fn a_slow_success_in_trouble_pauses_too_and_the_first_of_a_healthy_host_does_not() {
    let mut pace = Pace::new();
    succeeds(&mut pace, 3000, 3000);
    assert!(!pace.is_troubled());
    succeeds(&mut pace, 9000, 12_000);
    assert_eq!(next(&pace, 1, 12_000), 12_000 + 5_000);
    succeeds(&mut pace, 100, 13_000);
    assert!(!pace.is_troubled());
}

#[test]
fn a_full_server_is_asked_as_if_nobody_waited_until_one_is_lost_or_none_has_returned_for_long() {
    let mut pace = Pace::new();
    (0..4).for_each(|_| pace.refused(2, WAITS(), at(0)));
    assert_eq!((next(&pace, 2, 1), next(&pace, 1, 1)), (800, 400));
    pace.returned(millis(2000), at(1000));
    assert_eq!(pace.loans_count_until(), at(1000 + 2 * 2000));
    assert_eq!(pace.full(2, at(4999)).map(|full| full.size), Some(2));
    assert!(pace.full(2, at(5000)).is_none() && pace.is_down(2, at(5000)));
    pace.refused(0, WAITS(), at(6000));
    assert_eq!(pace.loans_count_until(), Time::START, "nothing is open");
}

#[test]
fn the_usual_time_is_that_of_the_quicker_dials_and_follows_a_host_that_has_moved_away() {
    let mut pace = Pace::new();
    succeeds(&mut pace, 40, 0);
    assert_eq!(pace.slow_after(false), millis(1000));
    succeeds(&mut pace, 840, 0);
    assert_eq!(pace.slow_after(false), millis(20 * 140), "an eighth of the way");
    (0..40).for_each(|_| succeeds(&mut pace, 840, 0));
    assert!(pace.slow_after(false) > millis(20 * 820));
}

#[test]
fn a_pause_after_a_slow_dial_is_shortened_by_an_eighth_at_most_and_by_less_if_less_is_set() {
    for (jitter, after) in [(0.5, 4_375), (0.05, 4_750), (0.0, 5_000)] {
        let mut pace = Pace::new();
        let waits = Waits { backoff: Backoff::default().jitter(jitter), random: 1.0 };
        pace.slowed(at(0), millis(5_000), waits, at(2_500));
        assert_eq!(next(&pace, 0, 2_500), after, "jitter {jitter}");
    }
}

#[test]
fn the_more_dials_in_a_row_are_slow_the_longer_each_may_take_and_a_refusal_ends_that() {
    let mut pace = Pace::new();
    let mut lives = vec![pace.lives()];
    for n in 0..3 {
        slows(&mut pace, n * 9_000, n * 9_000 + 2_500);
        lives.push(pace.lives());
    }
    assert_eq!(lives, [1, 2, 4, 4]);
    pace.refused(0, WAITS(), at(30_000));
    assert_eq!(pace.lives(), 1);
}

#[test]
fn a_slow_dial_and_the_loss_of_all_connections_close_the_window() {
    for closes in [Pace::lost_all as fn(&mut Pace), |pace: &mut Pace| slows(pace, 0, 2_500)] {
        let mut pace = Pace::new();
        succeeds(&mut pace, 10, 10);
        assert_eq!(pace.allows(Time::START, at(10)), u32::MAX);
        closes(&mut pace);
        succeeds(&mut pace, 900, 5_000);
        assert_eq!(pace.allows(Time::START, at(5_000)), 2, "it opens by one");
    }
}

#[test]
fn retiring_shortens_every_pause_and_no_pause_becomes_longer_by_it() {
    let mut pace = Pace::new();
    (0..4).for_each(|_| pace.refused(2, WAITS(), at(0)));
    pace.forgive(at(100));
    assert!(pace.full(2, at(1)).is_none(), "another server may take more");
    for purpose in [For::Waiters, For::Spare] {
        assert_eq!(pace.next(purpose, 2, at(1)), at(100));
    }
    pace.forgive(at(900));
    for purpose in [For::Waiters, For::Spare] {
        assert_eq!(pace.next(purpose, 2, at(1)), at(100));
    }
}

#[test]
fn a_host_is_down_if_its_dials_are_refused_and_not_if_they_are_slow_or_if_it_is_full() {
    let mut pace = Pace::new();
    assert!(!pace.is_down(0, at(0)));
    pace.refused(2, WAITS(), at(0));
    assert_eq!((pace.is_down(2, at(1)), pace.is_down(1, at(1))), (false, true));
    slows(&mut pace, 1_000, 3_500);
    assert!(!pace.is_down(1, at(3_501)));
}

/// What happens to a host.
#[derive(Clone, Debug)]
enum Event {
    Passes(u64),
    Succeeds(u64),
    Slows,
    Refuses(usize),
    Returns(u64),
    LosesAll,
    Forgives,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1..4000_u64).prop_map(Event::Passes),
        (1..30_000_u64).prop_map(Event::Succeeds),
        Just(Event::Slows),
        (0..4_usize).prop_map(Event::Refuses),
        (0..9000_u64).prop_map(Event::Returns),
        Just(Event::LosesAll),
        Just(Event::Forgives),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_dial_begins_again_within_the_longest_pause_and_a_quick_answer_ends_all_trouble(
        events in prop::collection::vec(event(), 1..60), random in 0.0..1.0, open in 0..4_usize
    ) {
        let waits = Waits { backoff: Backoff::default(), random };
        let longest = Span::from(waits.backoff.max);
        let (mut pace, mut now) = (Pace::new(), at(0));
        for event in events {
            match event {
                Event::Passes(ms) => now = now.after(millis(ms)),
                Event::Succeeds(ms) => pace.succeeded(millis(ms), false, waits, now),
                Event::Slows => pace.slowed(now, pace.slow_after(false), waits, now),
                Event::Refuses(open) => pace.refused(open, waits, now),
                Event::Returns(used) => pace.returned(millis(used), now),
                Event::LosesAll => pace.lost_all(),
                Event::Forgives => pace.forgive(now),
            }
            for purpose in [For::Waiters, For::Spare] {
                let next = pace.next(purpose, open, now);
                prop_assert!(next <= now.after(longest), "{next:?} at {now:?}");
                prop_assert!(pace.allows(next, next) >= 1, "a dial may begin then");
            }
            let spare = pace.next(For::Spare, open, now);
            prop_assert!(pace.next(For::Waiters, open, now) <= spare, "who waits comes first");
            prop_assert!(pace.is_troubled() || pace.troubles() == 0);
        }
        pace.succeeded(millis(1), false, waits, now);
        prop_assert_eq!(pace.allows(Time::START, now), u32::MAX);
    }
}
