//! The caps across hosts: which host is next, and which gives.

use std::time::Duration;

use super::super::budget::{Budget, Grant, Ledger, Note, Scanned};
use super::support::{secs, unlimited};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// Hosts by number, and what each has reported.
struct Hosts {
    ledger: Ledger<u64>,
    notes: Vec<(u64, Note)>,
    now: Time,
}

fn millis(millis: u64) -> Span {
    Span::from(Duration::from_millis(millis))
}

fn hosts(set: impl FnOnce(&mut Limits)) -> Hosts {
    let mut limits = unlimited();
    set(&mut limits);
    Hosts { ledger: Ledger::new(&limits), notes: Vec::new(), now: Time::START.after(secs(1)) }
}

impl Hosts {
    /// A host changes its report.
    fn note(&mut self, host: u64, f: impl FnOnce(&mut Note)) {
        let at = self.notes.iter().position(|(id, _)| *id == host).unwrap_or_else(|| {
            self.notes.push((host, Note::default()));
            self.notes.len() - 1
        });
        let old = self.notes[at].1;
        f(&mut self.notes[at].1);
        self.ledger.budget.lock().tell((host, &host), &old, &self.notes[at].1, self.now);
    }

    /// A host wants this many dials for waiters.
    fn wants(&mut self, host: u64, wants: u32) {
        self.note(host, |note| note.wants = wants);
    }

    /// The same, after this many dials have failed in a row.
    fn wants_again(&mut self, host: u64, wants: u32, failures: u32) {
        self.note(host, |note| (note.wants, note.failures) = (wants, failures));
    }

    /// A host has this many connections, and has had the last one since now.
    fn has(&mut self, host: u64, live: u32) {
        let now = self.now;
        self.note(host, |note| {
            (note.live, note.permits) = (live, live);
            note.serves = (live > 0).then_some(now);
        });
    }

    fn pass(&mut self, time: Span) {
        self.now = self.now.after(time);
    }

    fn dialed(&self, took: Span) {
        self.ledger.budget.lock().dialed(took);
    }

    /// Hands out free permits, each of which becomes a connection at once. Returns the hosts that
    /// got them.
    fn granted(&mut self) -> Vec<u64> {
        let mut granted = Vec::new();
        while let Some(host) = self.grant() {
            granted.push(host);
            assert!(granted.len() < 100, "permits without end");
        }
        let promised = [];
        self.ledger.budget.lock().check_invariants(&self.notes, &promised, 0);
        granted
    }

    fn grant(&mut self) -> Option<u64> {
        let host = self.next()?;
        self.deliver(host);
        Some(host)
    }

    /// Returns the host to which the next free permit is on its way.
    fn next(&mut self) -> Option<u64> {
        let nobody = u64::MAX;
        let grant = self.ledger.budget.lock().next_grant((nobody, &nobody), self.now);
        let Grant::Other(host) = grant? else { panic!("nobody wants one") };
        Some(host)
    }

    /// The permit has arrived, and becomes a connection at once.
    fn deliver(&mut self, host: u64) {
        let note = self.notes.iter_mut().find(|(id, _)| *id == host).expect("it is known");
        {
            let budget: &mut Budget<u64> = &mut self.ledger.budget.lock();
            budget.hold(&mut note.1);
            budget.delivered((host, &host), true, self.now);
        }
        self.note(host, |note| {
            note.live += 1;
            note.dialing -= 1;
            if note.wants > 0 { note.wants -= 1 } else { note.spare -= 1 }
        });
    }

    /// Returns whether a host gives up its only connection, made at `gained`, when it returns.
    fn gives(&self, host: u64, gained: Time) -> bool {
        self.ledger.budget.lock().takes_from(host, 1, Some(gained), self.now)
    }

    /// Visits the host of the only listed connection.
    fn scan(&mut self, host: u64, idle_since: Time, idle: usize) -> Option<Scanned> {
        let mut budget = self.ledger.budget.lock();
        let found = budget.begin_scan(idle, self.now)?;
        assert_eq!(found, host);
        let note = self.notes.iter_mut().find(|(id, _)| *id == host).expect("it is known");
        budget.unlist(host, note.1.listed.take());
        let scanned = budget.end_scan(Some(idle_since), idle, self.now);
        drop(budget);
        self.note(host, |note| note.listed = Some(idle_since));
        Some(scanned)
    }

    /// Returns how long a host keeps a connection that is made now while another host starves.
    fn tenure_of(&mut self, host: u64) -> Span {
        self.has(host, 1);
        let gained = self.now;
        while !self.gives(host, gained) {
            self.pass(millis(1));
            assert!(self.now.since(gained) < Duration::from_secs(60), "it is never given up");
        }
        Span::from(self.now.since(gained))
    }
}

#[test]
fn hosts_get_permits_in_the_order_in_which_they_became_short() {
    let mut hosts = hosts(|l| l.max_total = 4);
    hosts.has(9, 4);
    for host in [7, 3, 8, 1] {
        hosts.wants(host, 1);
    }
    hosts.has(9, 0);
    assert_eq!(hosts.granted(), [7, 3, 8, 1]);
}

#[test]
fn hosts_that_have_fewer_get_permits_first() {
    let mut hosts = hosts(|l| l.max_total = 4);
    hosts.has(9, 2);
    hosts.has(1, 2);
    hosts.wants(1, 2);
    hosts.wants(2, 2);
    hosts.has(9, 0);
    assert_eq!(hosts.granted(), [2, 2]);
}

#[test]
fn a_host_that_wants_more_meanwhile_keeps_its_turn() {
    let mut hosts = hosts(|l| l.max_total = 2);
    hosts.has(9, 2);
    hosts.wants(7, 1);
    hosts.wants(3, 1);
    hosts.wants(7, 2);
    hosts.has(9, 0);
    assert_eq!(hosts.granted(), [7, 3]);
}

#[test]
fn a_host_that_was_granted_one_comes_last_among_equals() {
    let mut hosts = hosts(|l| l.max_total = 2);
    hosts.has(9, 2);
    hosts.wants(7, 3);
    hosts.wants(3, 3);
    hosts.has(9, 1);
    assert_eq!(hosts.granted(), [7]);
    // It was dead at once.
    hosts.has(7, 0);
    assert_eq!(hosts.granted(), [3]);
}

#[test]
fn the_turn_of_one_that_was_granted_a_permit_counts_from_the_grant() {
    let mut hosts = hosts(|l| l.max_total = 3);
    hosts.has(3, 1);
    hosts.has(9, 2);
    hosts.wants(7, 2);
    hosts.has(9, 1);
    assert_eq!(hosts.next(), Some(7));
    hosts.wants(3, 1);
    hosts.deliver(7);
    hosts.has(9, 0);
    assert_eq!(hosts.granted(), [7], "both have one, and this one has wanted another for longer");
}

#[test]
fn demand_without_a_waiter_is_granted_last_and_in_turn() {
    let mut hosts = hosts(|l| l.max_total = 3);
    hosts.has(9, 3);
    hosts.note(7, |note| note.spare = 1);
    hosts.note(3, |note| note.spare = 1);
    hosts.wants(8, 1);
    // The demand without a waiter now has its turn, too.
    hosts.note(7, |note| note.spare = 2);
    hosts.has(9, 0);
    assert_eq!(hosts.granted(), [8, 7, 3]);
}

#[test]
fn failing_hosts_hold_at_most_a_quarter_while_others_want_them() {
    let mut hosts = hosts(|l| l.max_total = 8);
    hosts.has(9, 8);
    hosts.wants_again(1, 2, 1);
    hosts.wants_again(2, 2, 1);
    hosts.pass(secs(20));
    hosts.wants(3, 3);
    hosts.wants(4, 3);
    hosts.has(9, 0);
    let granted = hosts.granted();
    assert_eq!(granted[..2], [1, 2], "their turn has come");
    assert_eq!(granted[2..], [3, 4, 3, 4, 3, 4]);
}

#[test]
fn failing_hosts_hold_one_at_least_however_few_there_are() {
    let mut hosts = hosts(|l| l.max_total = 3);
    hosts.has(9, 3);
    hosts.wants_again(1, 2, 1);
    hosts.pass(secs(20));
    hosts.wants(3, 3);
    hosts.has(9, 0);
    assert_eq!(hosts.granted(), [1, 3, 3]);
}

#[test]
fn failing_hosts_hold_all_while_nobody_else_wants_them() {
    let mut hosts = hosts(|l| l.max_total = 8);
    hosts.wants_again(1, 5, 1);
    hosts.wants_again(2, 5, 1);
    assert_eq!(hosts.granted().len(), 8);
}

#[test]
fn a_failing_host_waits_for_its_turn_twice_as_long_for_each_failure() {
    let first = |later| {
        let mut hosts = hosts(|l| l.max_total = 1);
        hosts.has(9, 1);
        // 800 ms: eight times the tenure.
        hosts.wants_again(1, 1, 3);
        hosts.pass(millis(later));
        hosts.wants(2, 1);
        hosts.has(9, 0);
        hosts.granted()
    };
    assert_eq!((first(699), first(701)), (vec![2], vec![1]));
}

#[test]
fn a_failing_host_waits_for_its_turn_for_ten_of_its_dials_and_at_most_ten_seconds() {
    let first = |took, later| {
        let mut hosts = hosts(|l| l.max_total = 1);
        hosts.has(9, 1);
        hosts.note(1, |note| (note.wants, note.failures, note.wasted) = (1, 1, Some(took)));
        hosts.pass(later);
        hosts.wants(2, 1);
        hosts.has(9, 0);
        hosts.granted()
    };
    assert_eq!(first(millis(500), millis(4899)), [2]);
    assert_eq!(first(millis(500), millis(4901)), [1]);
    assert_eq!(first(secs(30), millis(9899)), [2]);
    assert_eq!(first(secs(30), millis(9901)), [1]);
}

#[test]
fn a_connection_serves_for_a_tenth_of_a_second_or_ten_dials_before_it_is_given_up() {
    for (dials, tenure) in [(&[][..], 100), (&[2], 100), (&[80], 800), (&[80, 160], 900)] {
        let mut hosts = hosts(|l| l.max_total = 1);
        for took in dials {
            hosts.dialed(millis(*took));
        }
        hosts.wants(2, 1);
        assert_eq!(hosts.tenure_of(1), millis(tenure), "after dials of {dials:?} ms");
    }
}

#[test]
fn a_round_of_all_who_starve_takes_at_most_ten_seconds_or_a_third_of_the_acquire_timeout() {
    let tenure = |acquire_timeout, took| {
        let mut hosts = hosts(|l| (l.max_total, l.acquire_timeout) = (2, acquire_timeout));
        hosts.dialed(millis(took));
        hosts.has(1, 2);
        (11..50).for_each(|host| hosts.wants(host, 1));
        hosts.note(1, |note| (note.live, note.permits) = (1, 1));
        hosts.has(2, 1);
        hosts.pass(secs(20));
        hosts.tenure_of(1)
    };
    assert_eq!(tenure(secs(30), 100), millis(500), "of forty hosts, two are served at once");
    assert_eq!(tenure(secs(6), 20), millis(100));
    assert_eq!(tenure(secs(6), 130), millis(130), "not below one dial");
}

#[test]
fn an_idle_connection_makes_room_after_the_time_that_a_dial_takes() {
    let mut hosts = hosts(|l| (l.max_total, l.max_idle) = (1, 1));
    hosts.dialed(millis(50));
    hosts.has(1, 1);
    let idle_since = hosts.now;
    hosts.note(1, |note| note.listed = Some(idle_since));
    assert_eq!(hosts.scan(1, idle_since, 1), None, "nobody wants it");
    hosts.wants(2, 1);
    hosts.pass(millis(49));
    assert_eq!(hosts.scan(1, idle_since, 1), Some(Scanned::Kept));
    assert_eq!(hosts.scan(1, idle_since, 1), None);
    let ripe = idle_since.after(millis(50));
    assert_eq!(hosts.ledger.budget.lock().room_at(hosts.now), Some(ripe));
    hosts.pass(millis(1));
    assert_eq!(hosts.ledger.budget.lock().room_at(hosts.now), None, "it is time");
    assert_eq!(hosts.scan(1, idle_since, 1), Some(Scanned::MakesRoom));
    assert_eq!(hosts.scan(1, idle_since, 2), Some(Scanned::TooMany));
}

#[test]
fn only_those_who_have_nothing_starve() {
    let mut hosts = hosts(|l| l.max_total = 2);
    hosts.dialed(millis(100));
    for host in 11..50 {
        hosts.has(host, 1);
        hosts.wants(host, 1);
    }
    hosts.wants(2, 1);
    hosts.pass(secs(20));
    assert_eq!(hosts.tenure_of(1), secs(1), "it is not shared out among forty");
}

#[test]
fn a_return_is_told_of_a_failing_host_that_wants_a_connection() {
    let mut hosts = hosts(|l| l.max_total = 1);
    hosts.has(1, 1);
    hosts.wants_again(2, 1, 1);
    hosts.pass(secs(20));
    let hints = &hosts.ledger.hints;
    hosts.ledger.budget.lock().publish(hints);
    assert!(hints.may_take(1, Some(Time::START), hosts.now));
}

#[test]
fn no_two_connections_go_idle_at_the_same_time() {
    let ledger = Ledger::<&str>::new(&unlimited());
    let now = Time::START.after(secs(1));
    let stamps = [(); 4].map(|()| ledger.hints.stamp(now));
    assert!(stamps[0] == now && stamps.is_sorted_by(|one, next| one < next), "{stamps:?}");
}
