//! Everything in its short form: runs the benches one after the other, counts instructions, draws plots, and writes
//! `benches/REPORT.md`, `benches/plots` and the plot of the README. Takes about nine minutes.
//!
//! Run: `cargo run --release -p wharf-benches --bin report`. It refuses to publish what was measured on a machine that had
//! other work (a load average above 0.3 before it began), unless it is told `-- --anyway`; the report says so then.
//! `-- --draft DIRECTORY` writes there and leaves the README alone, and `--only hit,keys` runs some of the benches for it.
//!
//! Two parts are read, since it takes minutes or other programs to measure them: `benches/compile/measured.txt`, by
//! `benches/compile/measure --keep`, and `benches/anchors/measured.txt`, by `benches/anchors/measure`. Each names its machine.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use std::{env, fs};

use wharf_benches::machine::MOST_LOAD;
use wharf_benches::publish::{Chapter, put_into, report};
use wharf_benches::table::Part;
use wharf_benches::{anchors, compile, instructions, machine, overload, plots};

const BENCHES: [&str; 13] = [
    "dialing", "beside", "hit", "keys", "threads", "crowd", "queue", "memory", "starving",
    "status", "expiry", "clients", "postgres",
];
const OWN: &str = "wharf-benches";
const COUNTED: &str = ".ci/instructions";

fn main() -> ExitCode {
    match publish() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("no report: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What follows an argument.
fn after(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}

fn publish() -> Result<(), Box<dyn Error>> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    env::set_current_dir(root)?;
    let draft = after("--draft").map(PathBuf::from);
    let only = after("--only");
    if only.is_some() && draft.is_none() {
        return Err("some of the benches are no report: --only goes with --draft".into());
    }
    // Builds are no part of what each part takes.
    run(OWN, &["--no-run", "--quiet"])?;
    run(overload::PACKAGE, &["--no-run", "--quiet", "--bench", "overload"])?;
    let load = machine::load();
    if load > MOST_LOAD && !env::args().any(|argument| argument == "--anyway") {
        let why = "the figures would be of this machine's other work, too. Builds count: wait some minutes, or say --anyway";
        return Err(format!("the load average is {load}, above {MOST_LOAD}: {why}").into());
    }
    let begin = Instant::now();
    let is_wanted = |name: &str| only.iter().all(|only| only.split(',').any(|other| other == name));
    let mut chapters = Vec::new();
    for bench in BENCHES.into_iter().filter(|bench| is_wanted(bench)) {
        chapters.push(chapter(bench)?);
    }
    if is_wanted("overload") {
        chapters.push(timed(overload::COMMAND, || Ok(vec![overload::run()]))?);
    }
    if is_wanted("instructions") {
        chapters.push(timed(COUNTED, || Ok(vec![instructions::run(COUNTED)]))?);
    }
    chapters.extend(measured_before(root, &chapters));
    write(draft.as_deref(), &machine::describe(load), &chapters)?;
    eprintln!("it took {:.0} seconds", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Runs `cargo bench` for a package. What it prints comes back.
fn run(package: &str, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Command::new(cargo);
    let command = command.args(["bench", "-p", package]).args(arguments);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo bench {}: {}", arguments.join(" "), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn chapter(bench: &str) -> Result<Chapter, Box<dyn Error>> {
    timed(&format!("cargo bench -p {OWN} --bench {bench}"), || {
        let parts = run(OWN, &["--quiet", "--bench", bench, "--", "--json"])?;
        Ok(serde_json::from_str(&parts)?)
    })
}

/// Measures, and says how long it took.
fn timed(
    command: &str,
    measure: impl FnOnce() -> Result<Vec<Part>, Box<dyn Error>>,
) -> Result<Chapter, Box<dyn Error>> {
    let begin = Instant::now();
    let parts = measure()?;
    let took = begin.elapsed();
    eprintln!("{command}: {:.0} seconds", took.as_secs_f64());
    Ok(Chapter { command: command.to_owned(), parts, took: Some(took) })
}

/// What scripts have measured at another time, beside the figures of this run.
fn measured_before(root: &Path, chapters: &[Chapter]) -> Vec<Chapter> {
    let read =
        |command: &str, part| Chapter { command: command.into(), parts: vec![part], took: None };
    let anchors = anchors::run(root, chapters).map(|part| read(anchors::COMMAND, part));
    [read(compile::COMMAND, compile::run(root))].into_iter().chain(anchors).collect()
}

fn write(draft: Option<&Path>, machine: &str, chapters: &[Chapter]) -> Result<(), Box<dyn Error>> {
    let benches = draft.unwrap_or(Path::new("benches"));
    plots::write(&benches.join("plots"), chapters)?;
    fs::write(benches.join("REPORT.md"), report(machine, chapters))?;
    if draft.is_none() {
        let readme = fs::read_to_string("README.md")?;
        fs::write(
            "README.md",
            put_into(&readme, chapters).ok_or("the README lacks the marks of its plot")?,
        )?;
    }
    eprintln!("written: {}", benches.join("REPORT.md").display());
    Ok(())
}
