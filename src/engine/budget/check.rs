//! The invariants of the budget: it matches what its hosts have reported.

use std::collections::BTreeSet;

use super::{Budget, Hints, Note, Record};

impl<H: Clone> Budget<H> {
    /// Panics if an invariant does not hold. All of them hold whenever the budget's lock is free.
    /// `notes` are those of all hosts, `promised` the hosts with a permit on its way, and `scans`
    /// the scans in progress.
    pub(crate) fn check_invariants(&self, notes: &[(u64, Note)], promised: &[u64], scans: usize) {
        self.check_sums(notes, promised, scans);
        self.check_records(notes, promised);
        self.check_sorted();
        self.check_givers(notes);
        assert!(
            !self.has_room() || self.next_short().is_none(),
            "9: a free permit, and a host that is short"
        );
    }

    /// Panics if there are more connections, or dials, than the caps allow, and than there were
    /// `before`: the caps may have been lowered. Returns how many there are.
    pub(crate) fn check_caps(&self, before: (usize, usize)) -> (usize, usize) {
        assert!(self.open <= self.max_total.max(before.0), "9: max_total");
        assert!(self.dialing <= self.max_dialing.max(before.1), "9: max_dialing");
        (self.open, self.dialing)
    }

    /// Panics unless nothing is counted, promised, listed or wanted.
    pub(crate) fn check_empty(&self) {
        let counts = [self.open, self.dialing, self.closing, self.making_room, self.late];
        assert_eq!(counts, [0; 5], "9: what was counted");
        let counts = [
            self.scanning,
            self.promised,
            self.failing,
            self.failing_dials,
            self.demand,
            self.failing_demand,
            self.starving,
        ];
        assert_eq!(counts, [0; 7], "9: what was wanted");
        let lists = [
            self.records.len(),
            self.short.len(),
            self.short_and_failing.len(),
            self.sparing.len(),
        ];
        assert_eq!(lists, [0; 4], "9: who wanted");
        let hosts =
            [self.draining.len(), self.giving_way.len(), self.listed.len(), self.serving.len()];
        assert_eq!(hosts, [0; 4], "9: hosts that are gone");
    }

    fn check_sums(&self, notes: &[(u64, Note)], promised: &[u64], scans: usize) {
        let sum = |f: &dyn Fn(&Note) -> u32| {
            notes.iter().map(|(_, note)| f(note) as usize).sum::<usize>()
        };
        assert_eq!(self.promised, promised.len(), "9: permits on their way");
        assert_eq!(self.open, sum(&|note| note.permits) + self.promised, "9: permits");
        assert_eq!(self.dialing, sum(&|note| note.dialing) + self.promised, "9: dials");
        assert_eq!(self.closing, sum(&|note| note.closing), "9: closes");
        assert_eq!(self.making_room, sum(&|note| note.making_room), "9: making room");
        assert_eq!(self.late, sum(&|note| note.late), "9: late heartbeats");
        assert_eq!(self.scanning, scans, "9: scans under way");
        let failing = self.records.values().filter(|record| record.is_failing());
        let on_their_way: usize = failing.map(|record| record.promised as usize).sum();
        let failing = |held: fn(&Note) -> u32| {
            on_their_way + sum(&|note| if note.failures > 0 { held(note) } else { 0 })
        };
        assert_eq!(self.failing, failing(|note| note.permits), "9: permits of failing hosts");
        assert_eq!(self.failing_dials, failing(|note| note.dialing), "9: dials of failing hosts");
    }

    fn check_records(&self, notes: &[(u64, Note)], promised: &[u64]) {
        let mut known = 0;
        for (id, note) in notes {
            let on_their_way = promised.iter().filter(|other| *other == id).count();
            let is_known = note.wants + note.spare > 0 || on_their_way > 0;
            known += usize::from(is_known);
            let record = self.records.get(id);
            assert_eq!(record.is_some(), is_known, "9: the record of {id}");
            let Some(record) = record else { continue };
            assert_eq!(record.promised as usize, on_their_way, "9: promised to {id}");
            assert_eq!(record.note, *note, "9: known of {id}");
        }
        assert_eq!(self.records.len(), known, "9: no other record");
    }

    /// Checks that everything that is sorted or summed by the records matches them.
    fn check_sorted(&self) {
        let of = |is_failing: bool| {
            let records = self.records.iter();
            records.filter(move |(_, record)| (record.is_failing()) == is_failing)
        };
        let ranks = |is_failing: bool| -> BTreeSet<_> {
            let short = of(is_failing).filter(|(_, record)| record.short_of() > 0);
            short.map(|(id, record)| record.rank(*id)).collect()
        };
        let demand = |is_failing: bool| {
            of(is_failing).map(|(_, record)| record.short_of() as usize).sum::<usize>()
        };
        assert_eq!(
            (&self.short, &self.short_and_failing),
            (&ranks(false), &ranks(true)),
            "9: the short"
        );
        assert_eq!(
            (self.demand, self.failing_demand),
            (demand(false), demand(true)),
            "9: the demand"
        );
        let spares = |record: &Record<H>| record.short_of() == 0 && record.spare_of() > 0;
        let sparing = self.records.iter().filter(|(_, record)| spares(record));
        let sparing: BTreeSet<_> = sparing.map(|(id, record)| (record.turn, *id)).collect();
        assert_eq!(self.sparing, sparing, "9: those who want some to spare");
        let starving = self.records.values().filter(|record| record.starves()).count();
        assert_eq!(self.starving, starving, "9: the starving");
    }

    fn check_givers(&self, notes: &[(u64, Note)]) {
        let draining = notes.iter().filter(|(_, note)| note.making_room > 0).map(|(id, _)| id);
        assert!(
            self.draining.keys().eq(draining.collect::<BTreeSet<_>>()),
            "9: those that make room"
        );
        let giving_way = notes.iter().filter(|(_, note)| note.gives_way).map(|(id, _)| id);
        assert!(
            self.giving_way.keys().eq(giving_way.collect::<BTreeSet<_>>()),
            "9: those with a slow dial that makes room"
        );
        let serving = notes.iter().filter_map(|(id, note)| Some((note.serves?, *id)));
        assert_eq!(self.serving, serving.collect(), "9: those that serve");
        // A scan in progress has removed its host from the list before it visits the host.
        let listed: BTreeSet<_> =
            notes.iter().filter_map(|(id, note)| Some((note.listed?, *id))).collect();
        assert!(self.listed.keys().all(|at| listed.contains(at)), "9: those that are listed");
        assert!(
            listed.len() <= self.listed.len() + self.scanning,
            "9: one that is idle is not listed"
        );
    }
}

impl Hints {
    /// Panics if the count of idle connections is not the sum of what the hosts reported.
    pub(crate) fn check(&self, notes: &[(u64, Note)]) {
        let idle: usize = notes.iter().map(|(_, note)| note.idle as usize).sum();
        assert_eq!(self.idle(), idle, "9: idle connections");
    }
}
