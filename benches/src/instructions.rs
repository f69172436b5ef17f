//! The instructions of the pool's paths, which repeat where times do not.

use std::process::{Command, Stdio};

use crate::contestants::Kind;
use crate::table::{Part, Row};

/// Runs the script that counts them.
pub fn run(script: &str) -> Part {
    let mut part = Part::new(
        "Instructions",
        "Of each walk of a path, counted by valgrind. The floor is a bare mutex and vector, a hit includes its return; \
         `benches/alone/paths/main.rs` says what each path is",
        vec!["instructions", "known"],
    );
    if !is_there() {
        part.notes.push("Not counted: valgrind is not installed".to_owned());
        return part;
    }
    let output = Command::new(script).stderr(Stdio::inherit()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    part.rows.extend(said.unwrap_or_default().lines().filter_map(row));
    part.add_fault(part.rows.is_empty().then(|| format!("{script} counted nothing")));
    part
}

fn is_there() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// From `host 459 (known: 459)`.
fn row(line: &str) -> Option<Row> {
    let (path, rest) = line.split_once(' ')?;
    let (count, known) = rest.strip_suffix(')')?.split_once(" (known: ")?;
    Some(Row::new(path, Kind::Wharf, vec![count.parse().ok()?, known.parse().ok()?]))
}
