//! Who is answered under overload, on simulated time: played by a package of its own, since a clock that can be paused
//! would cost what is measured here.

use std::env;
use std::process::{Command, Stdio};

use crate::contestants::Kind;
use crate::table::{Part, Row};

/// The package that plays the scenes.
pub const PACKAGE: &str = "wharf-benches-alone";
/// What plays them.
pub const COMMAND: &str = "cargo bench -p wharf-benches-alone --bench overload";

/// The rows whose names begin so are loads that last.
pub(crate) const LOAD: &str = "load ";

/// Plays the scenes.
pub fn run() -> Part {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Command::new(cargo);
    let command = command.args(COMMAND.split(' ').skip(1)).arg("--quiet");
    let output = command.stderr(Stdio::inherit()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    part(&said.unwrap_or_default())
}

/// Reads the table that was printed.
fn part(said: &str) -> Part {
    let mut lines = said.lines().map(cells).filter(|cells| cells.len() > 1);
    let head = lines.next().unwrap_or_default();
    let mut part = Part::new(
        "Overload: who is answered",
        "Percent of the users. Each leaves after a second and tries twice more, unless the row says otherwise; ten \
         connections, uses of ten milliseconds; simulated time",
        head.into_iter().skip(1).collect(),
    );
    part.are_percents = true;
    part.rows.extend(lines.filter_map(|cells| row(&cells)));
    part.add_fault(part.rows.is_empty().then(|| format!("{COMMAND} printed no table")));
    part
}

fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

fn row(cells: &[&str]) -> Option<Row> {
    let percent = |cell: &&str| cell.strip_suffix(" %")?.parse().ok();
    let (name, shares) = cells.split_first()?;
    let shares: Option<Vec<f64>> = shares.iter().map(percent).collect();
    Some(Row::new(*name, Kind::Wharf, shares?))
}
