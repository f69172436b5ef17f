//! What a connector is told, and what it has counted: shared by its clones and its connections.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::counts::Counts;
use super::step::{Stage, Step};

/// What a connection tells of its end, whatever the key of its host is.
pub(super) trait Account: Send + Sync {
    fn shut(&self, number: usize);

    fn dropped(&self);
}

pub(super) struct Ledger<K> {
    state: Mutex<State<K>>,
    /// Decides where no script does. Not under the lock of the rest: it is the test's code.
    chance: Mutex<Option<Chance>>,
}

/// Told of a host of which more or less is open or dialed than before.
pub(super) type Watch<K> = Box<dyn FnMut(&K, &Counts<K>) + Send>;

pub(super) type Chance = Box<dyn FnMut(Stage) -> Step + Send>;

pub(super) struct State<K> {
    pub(super) counts: Counts<K>,
    scripts: HashMap<Stage, Script>,
    /// Of each connection made.
    made: Vec<(K, Arc<AtomicBool>)>,
    watch: Option<Watch<K>>,
    pub(super) is_open_panics: bool,
    pub(super) failed_pings_kill: bool,
    pub(super) nothing_is_retryable: bool,
    pub(super) closed: Vec<K>,
}

#[derive(Default)]
struct Script {
    next: VecDeque<Step>,
    then: Option<Step>,
}

impl<K> Ledger<K> {
    pub(super) fn new() -> Self {
        let state = State {
            counts: Counts::default(),
            scripts: HashMap::new(),
            made: Vec::new(),
            watch: None,
            is_open_panics: false,
            failed_pings_kill: false,
            nothing_is_retryable: false,
            closed: Vec::new(),
        };
        Ledger { state: Mutex::new(state), chance: Mutex::new(None) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock()
    }

    pub(super) fn leave_to(&self, chance: Chance) {
        // What was there is dropped when the lock is released: it is the test's.
        let old = self.chance.lock().replace(chance);
        drop(old);
    }

    /// Everything goes well from now on.
    pub(super) fn behave(&self) {
        self.state().scripts.clear();
        let chance = self.chance.lock().take();
        drop(chance);
    }

    /// What the stage does this time.
    pub(super) fn step(&self, stage: Stage) -> Step {
        let told = self.state().told(stage);
        told.unwrap_or_else(|| match &mut *self.chance.lock() {
            Some(chance) => chance(stage),
            None => Step::Ok,
        })
    }
}

impl<K> State<K> {
    pub(super) fn once(&mut self, stage: Stage, step: Step) {
        self.scripts.entry(stage).or_default().next.push_back(step);
    }

    pub(super) fn always(&mut self, stage: Stage, step: Step) {
        self.scripts.entry(stage).or_default().then = Some(step);
    }

    fn told(&mut self, stage: Stage) -> Option<Step> {
        let script = self.scripts.get_mut(&stage)?;
        script.next.pop_front().or_else(|| script.then.clone())
    }

    /// Gives the one before, to be dropped when the lock is released.
    pub(super) fn watch(&mut self, watch: Watch<K>) -> Option<Watch<K>> {
        self.watch.replace(watch)
    }

    /// More or less of the host is open or dialed than before.
    pub(super) fn changed(&mut self, host: &K) {
        if let Some(watch) = &mut self.watch {
            watch(host, &self.counts);
        }
    }

    /// The number and the pulse of a new connection.
    pub(super) fn made(&mut self, host: K) -> (usize, Arc<AtomicBool>) {
        let (number, pulse) = (self.counts.made, Arc::new(AtomicBool::new(true)));
        self.counts.made += 1;
        self.made.push((host, pulse.clone()));
        (number, pulse)
    }

    pub(super) fn kill(&self, number: usize) {
        self.made[number].1.store(false, Ordering::SeqCst);
    }

    pub(super) fn kill_all(&self) {
        self.made.iter().for_each(|(_, pulse)| pulse.store(false, Ordering::SeqCst));
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    /// Gives the connection's host.
    pub(super) fn begin_ping(&mut self, number: usize) -> K {
        let host = self.made[number].0.clone();
        self.counts.begin_ping(&host);
        host
    }
}

impl<K: Clone> State<K> {
    pub(super) fn begin_close(&mut self, number: usize) {
        self.counts.closes += 1;
        self.closed.push(self.made[number].0.clone());
    }
}

impl<K: Clone + Eq + Hash + Send + Sync> Account for Ledger<K> {
    fn shut(&self, number: usize) {
        let mut state = self.state();
        let host = state.made[number].0.clone();
        state.counts.shut(&host);
        state.changed(&host);
    }

    fn dropped(&self) {
        self.state().counts.dropped += 1;
    }
}
