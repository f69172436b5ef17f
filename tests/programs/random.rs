//! Any program keeps what must hold, and in the end everybody is served.

use std::fmt;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::act::{Act, act};
use crate::settings::{Settings, settings};
use crate::world::World;
use crate::{on_paused_time, seed};

#[derive(Clone)]
struct Program {
    settings: Settings,
    acts: Vec<Act>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.settings)?;
        for (number, act) in self.acts.iter().enumerate() {
            writeln!(f, "{:>4}  {act:?}", number + 1)?;
        }
        Ok(())
    }
}

fn program(together: bool) -> impl Strategy<Value = Program> {
    let acts = prop::collection::vec(act(), 1..120);
    (settings(together), acts).prop_map(|(settings, acts)| Program { settings, acts })
}

/// What happened, a line for each act, where something did not hold.
fn run(program: &Program) -> Result<(), TestCaseError> {
    on_paused_time(async {
        let mut world = World::new(program.settings.clone());
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

fn run_any(together: bool) {
    let config = ProptestConfig {
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        ..Default::default()
    };
    let outcome = TestRunner::new(config).run(&program(together), |program| run(&program));
    if let Err(broken) = outcome {
        panic!("{broken}");
    }
}

#[test]
fn any_program_on_hosts_with_common_caps_keeps_every_promise() {
    run_any(true);
}

#[test]
fn any_program_on_hosts_apart_keeps_every_promise() {
    run_any(false);
}
