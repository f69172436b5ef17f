//! The caps of a program's pool, looked at whenever a dial begins or a connection ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use wharf::test_util::Counts;

use crate::Verdict;
use crate::settings::Settings;
use crate::support::TestConnector;

#[derive(Clone)]
pub(crate) struct Ceilings(Arc<Mutex<State>>);

struct State {
    settings: Settings,
    /// How many times its cap a host may have open.
    times: usize,
    /// Caps that were changed.
    caps: HashMap<u32, usize>,
    /// What a host may have open: its cap, or what it had when that was lowered, until it is gone.
    ceilings: HashMap<u32, usize>,
    is_paused: bool,
    broken: Option<String>,
}

impl Ceilings {
    /// A shared connection that drains gives its place to another: a host has up to twice as many as its cap.
    pub(crate) fn over_shared(connector: &TestConnector, settings: &Settings) -> Self {
        let ceilings = Ceilings::over(connector, settings);
        ceilings.0.lock().unwrap().times = 2;
        ceilings
    }

    pub(crate) fn over(connector: &TestConnector, settings: &Settings) -> Self {
        let ceilings = Ceilings(Arc::new(Mutex::new(State {
            settings: settings.clone(),
            times: 1,
            caps: HashMap::new(),
            ceilings: HashMap::new(),
            is_paused: false,
            broken: None,
        })));
        let watched = ceilings.clone();
        connector.watch(move |host, counts| watched.0.lock().unwrap().look(*host, counts));
        ceilings
    }

    /// A host's cap changes; `open` are open now.
    pub(crate) fn set(&self, host: u32, cap: usize, open: usize) {
        let mut state = self.0.lock().unwrap();
        state.caps.insert(host, cap);
        state.ceilings.insert(host, open.max(cap));
    }

    /// While a connection is made that may not come in, nobody looks.
    pub(crate) fn pause(&self, is_paused: bool) {
        self.0.lock().unwrap().is_paused = is_paused;
    }

    /// The most that one host may hold in the end.
    pub(crate) fn cap(&self, host: u32) -> usize {
        self.0.lock().unwrap().cap(host)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.0.lock().unwrap().broken.clone().map_or(Ok(()), Err)
    }
}

impl State {
    fn cap(&self, host: u32) -> usize {
        self.caps.get(&host).copied().unwrap_or(self.settings.max_per_host)
    }

    fn ceiling(&self, host: u32) -> usize {
        self.ceilings.get(&host).copied().unwrap_or(self.settings.max_per_host)
    }

    fn look(&mut self, host: u32, counts: &Counts<u32>) {
        if self.is_paused || self.broken.is_some() {
            return;
        }
        let of = |counts: &HashMap<u32, usize>| counts.get(&host).copied().unwrap_or_default();
        let open = of(&counts.open_of) - of(&counts.parting_of);
        let dialing = of(&counts.dialing_of);
        let ceiling = self.ceiling(host);
        let or_none = |cap: Option<usize>| cap.unwrap_or(usize::MAX);
        let settings = &self.settings;
        for (what, is, most) in [
            ("open of its host", open, ceiling * self.times),
            ("open in all", counts.open - counts.parting, or_none(settings.max_total)),
            ("dials of its host", dialing, or_none(settings.max_dialing_per_host)),
            ("dials in all", counts.dialing, or_none(settings.max_dialing)),
        ] {
            if is > most {
                self.broken = Some(format!("{is} {what} where {most} may be, at host {host}"));
            }
        }
        self.ceilings.insert(host, ceiling.min(open.max(self.cap(host))));
    }
}
