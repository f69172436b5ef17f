//! The end of every program: from here on everything succeeds, so every caller is served, and
//! nothing is left.

use super::super::{Listing, Phase};
use super::steps::pick;
use super::world::World;
use super::{Answer, Op, Pick};

const FIRST: Pick = Pick(0);

impl World {
    /// Serves every caller, closes the pool, and checks that nothing is left.
    pub(in crate::engine) fn finish(&mut self) {
        self.checks_all = self.setup.crowd.is_none();
        self.serve_all();
        self.end_uses();
        self.end(Phase::Closed);
        self.end_uses();
        self.check_left();
    }

    /// Everything in progress succeeds, except that late heartbeats are never answered. In the end
    /// no caller waits.
    fn serve_all(&mut self) {
        let mut rounds = 0;
        while !self.waits.is_empty() || self.has_work() {
            rounds += 1;
            assert!(
                rounds < 10_000,
                "{} waits are never served, and {} warm requests never end",
                self.waits.len(),
                self.warmers.len()
            );
            if !self.go_on() {
                self.run(&Op::Pass(1000));
            }
            self.run(&Op::Pass(1));
        }
        assert!(self.warmers.is_empty(), "{} warm requests never end", self.warmers.len());
    }

    fn has_work(&self) -> bool {
        self.loans.len()
            + self.in_hand.len()
            + self.inspected.len()
            + self.dials.len()
            + self.bag.len()
            > 0
            || !self.woken.is_empty()
            || !self.warmers.is_empty()
    }

    /// Ends one thing in progress. Returns false if there was none.
    fn go_on(&mut self) -> bool {
        self.advance() || self.return_something()
    }

    /// The same, without the uses of connections and the closes.
    pub(super) fn advance(&mut self) -> bool {
        if let Some(follow) = pick(&mut self.bag, FIRST) {
            self.carry_out(follow);
        } else if self.look_all_told() {
        } else if let Some(tag) = self.woken.pop() {
            self.look(tag);
        } else if let Some(dial) = pick(&mut self.dials, FIRST) {
            self.dial_done(&dial);
        } else if let Some(at) = self.pings.iter().position(|ping| !ping.late) {
            let ping = self.pings.remove(at);
            self.ping_ended(ping, Answer::Yes);
        } else {
            return false;
        }
        self.check();
        true
    }

    fn return_something(&mut self) -> bool {
        if !self.in_hand.is_empty() {
            self.run(&Op::HandBack(FIRST, true));
        } else if !self.inspected.is_empty() {
            self.run(&Op::EndInspect(FIRST, true));
        } else if !self.closes.is_empty() {
            self.run(&Op::CloseEnded(FIRST));
        } else if !self.loans.is_empty() {
            self.run(&Op::Return(FIRST, true));
        } else {
            return false;
        }
        true
    }

    /// Only tasks that were woken poll.
    fn look(&mut self, tag: usize) {
        if let Some(at) = self.waits.iter().position(|wait| wait.tag == tag) {
            // The poll decides what it was woken for.
            self.woken.push(tag);
            let wait = self.waits.remove(at);
            self.poll(wait);
        } else if let Some(at) = self.warmers.iter().position(|warmer| warmer.tag == tag) {
            let warmer = self.warmers.remove(at);
            self.look_warm(warmer.at, warmer.request);
        }
    }

    /// Drops the handles and ends every task.
    fn end_uses(&mut self) {
        while let Some(at) = self.held.pop() {
            self.release(at);
        }
        for _ in 0..10_000 {
            if let Some(at) = self.pings.iter().position(|ping| ping.late && !ping.told) {
                let ping = self.pings.remove(at);
                self.ping_ended(ping, Answer::Yes);
            } else if !self.go_on() {
                return self.check();
            }
        }
        panic!("tasks begin without end");
    }

    /// 7 and 9: all gauges are zero, and the budget knows no host.
    fn check_left(&self) {
        assert!(self.connections.iter().all(|known| known.gone), "4: a connection is lost");
        assert_eq!(self.leaks, 0, "a loan that was reported is not back");
        for (at, cell) in self.cells.iter().enumerate() {
            cell.state.check_empty();
            assert_ne!(cell.state.listing(), Listing::Listed, "8: {at} is not forgotten");
        }
        if let Some(ledger) = self.common.ledger() {
            ledger.hints.check(&self.notes());
            assert_eq!(ledger.hints.idle(), 0, "9: nothing is idle");
            let budget = ledger.budget.lock();
            budget.check_empty();
        }
    }
}
