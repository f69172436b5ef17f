//! Pings of shared connections, leased or idle: an idle one is carried meanwhile.

use super::connection::Tracked;
use super::effects::{CloseReason, Effects, PingOrder};
use super::health::Purpose;
use super::share::{Beat, Carrier, NO_LOAN, Standing};
use super::time::Time;
use super::{Engine, Parts};

impl<P: Parts> Engine<P> {
    /// Asks a connection whose time has come, leased or idle, which goes on taking leases meanwhile.
    /// Says whether there was one.
    pub(super) fn probe_next(&mut self, at: usize, now: Time, fx: &mut Effects<P>) -> bool {
        let Some(key) = self.carrier_to_probe(at, now) else { return false };
        self.hosts[at].beating += 1;
        self.probe(at, key, Purpose::Heartbeat, fx);
        true
    }

    pub(super) fn probe(&mut self, at: usize, key: usize, purpose: Purpose, fx: &mut Effects<P>) {
        self.hosts[at].carriers[key].beat = Beat::Asked;
        let connection = Box::new(self.copy(at, key, NO_LOAN));
        let host = &self.hosts[at];
        let asked = host.asked(purpose);
        fx.rest().ping.push(PingOrder { host: host.shell.clone(), connection, asked });
    }

    /// Asks the carriers whose next lease would have to wait for a ping. Until they answer they take
    /// none.
    pub(super) fn probe_suspects(&mut self, at: usize, now: Time, fx: &mut Effects<P>) {
        let suspects = self.hosts[at].carriers.iter().filter(|(_, carrier)| {
            carrier.standing == Standing::Open && self.carrier_must_ping(at, carrier, now)
        });
        for key in suspects.map(|(key, _)| key).collect::<Vec<_>>() {
            self.suspect(at, key, fx);
        }
    }

    fn carrier_to_probe(&mut self, at: usize, now: Time) -> Option<usize> {
        let host = &self.hosts[at];
        let mut carriers = host.carriers.iter();
        if let Some((key, _)) = carriers.find(|(_, c)| c.next_beat().is_some_and(|b| b <= now)) {
            return Some(key);
        }
        let position = host.idle.iter().position(|c| c.health.next_beat <= now)?;
        self.carry_idle(at, position)
    }

    /// A ping of a carrier has ended. What its record says now is what is known of the connection.
    pub(super) fn probed(
        &mut self,
        at: usize,
        probe: Box<Tracked<P::Connection>>,
        purpose: Purpose,
        end: ProbeEnd,
        now: Time,
        fx: &mut Effects<P>,
    ) {
        let Some(key) = probe.carrier_key() else { return };
        if self.hosts[at].carriers[key].standing == Standing::Suspect {
            self.stand(at, key, Standing::Open);
        }
        let host = &mut self.hosts[at];
        host.beating -= usize::from(purpose == Purpose::Heartbeat);
        host.late -= usize::from(probe.health.late);
        self.totals.late -= usize::from(probe.health.late);
        let carrier = &mut host.carriers[key];
        carrier.beat = Beat::Still;
        let health = &mut carrier.connection.health;
        health.missed = probe.health.missed;
        health.rest(now);
        match end {
            ProbeEnd::Answered(doubts) => health.answered(doubts),
            ProbeEnd::Dead(reason) => self.kill(at, key, reason, fx),
            ProbeEnd::Open => {}
        }
        let carrier = &mut self.hosts[at].carriers[key];
        carrier.trusted |= matches!(end, ProbeEnd::Answered(_));
        if matches!(end, ProbeEnd::Dead(_)) && purpose == Purpose::Suspicion {
            // Whoever waits does not wait for one ping after the other.
            self.check_suspects(at, now, fx);
        }
        fx.rest().copies.push(probe);
        self.carrier_changed(at, key, now, fx);
    }
}

/// What a ping says of a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeEnd {
    /// With the doubts that the host had when it was asked.
    Answered(u32),
    /// Nothing that is sure.
    Open,
    Dead(CloseReason),
}

impl<T> Carrier<T> {
    /// When it is to be asked, if it may be.
    pub(super) fn next_beat(&self) -> Option<Time> {
        let lives = matches!(self.standing, Standing::Open | Standing::Leaving(_));
        let may = lives && self.beat == Beat::Still;
        may.then_some(self.connection.health.next_beat)
    }
}
