//! Any program keeps what must hold, and in the end everybody is served.

use std::fmt;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::act::{Act, act};
use crate::play::Play;
use crate::settings::settings;
use crate::world::World;
use crate::{on_paused_time, seed};

#[derive(Clone)]
struct Program<S> {
    settings: S,
    acts: Vec<Act>,
}

impl<S: fmt::Debug> fmt::Debug for Program<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.settings)?;
        for (number, act) in self.acts.iter().enumerate() {
            writeln!(f, "{:>4}  {act:?}", number + 1)?;
        }
        Ok(())
    }
}

/// What happened, a line for each act, where something did not hold.
fn run<W: Play>(program: &Program<W::Settings>) -> Result<(), TestCaseError> {
    on_paused_time(async {
        let mut world = W::new(program.settings.clone());
        let mut verdict = Ok(());
        for act in &program.acts {
            verdict = world.run(act).await;
            if verdict.is_err() {
                break;
            }
        }
        if verdict.is_ok() {
            verdict = world.finish().await;
        }
        verdict.map_err(|broken| TestCaseError::fail(format!("{broken}\n{}", world.story())))
    })
}

/// Runs any programs of such acts on pools with such settings.
pub(crate) fn run_any<W: Play>(
    settings: impl Strategy<Value = W::Settings>,
    act: impl Strategy<Value = Act>,
) {
    let config = ProptestConfig {
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        ..Default::default()
    };
    let acts = prop::collection::vec(act, 1..120);
    let programs = (settings, acts).prop_map(|(settings, acts)| Program { settings, acts });
    let outcome = TestRunner::new(config).run(&programs, |program| run::<W>(&program));
    if let Err(broken) = outcome {
        panic!("{broken}");
    }
}

#[test]
fn any_program_on_hosts_with_common_caps_keeps_every_promise() {
    run_any::<World>(settings(true), act());
}

#[test]
fn any_program_on_hosts_apart_keeps_every_promise() {
    run_any::<World>(settings(false), act());
}
