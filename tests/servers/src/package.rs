//! Servers that tests talk to, as packages: whether they are installed, and installing them.
//!
//! As root, what is missing is installed with `apt-get`, by one process at a time; `WHARF_INSTALL=0`
//! forbids it. A test whose server is missing all the same is skipped: its name is written after `SKIPPED:`, with the
//! command that installs everything, also where the harness keeps what tests print to itself. Where `CI=true`, it fails.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::{env, thread};

use crate::owner::is_root;
use crate::{browser, postgres};

/// A package of Debian's.
#[derive(Debug)]
pub struct Package {
    name: &'static str,
    /// What it is called where people talk of it.
    brings: &'static str,
    is_there: fn() -> bool,
}

/// PostgreSQL's server and its tools.
pub const POSTGRES: Package = Package {
    name: "postgresql",
    brings: "PostgreSQL",
    is_there: || postgres::programs().is_some(),
};
/// A proxy in front of PostgreSQL. Debian has it where only root looks by default.
pub const PGBOUNCER: Package =
    Package { name: "pgbouncer", brings: "PgBouncer", is_there: || program("pgbouncer").is_some() };
/// Redis.
pub const REDIS: Package = Package {
    name: "redis-server",
    brings: "Redis",
    is_there: || program("redis-server").is_some(),
};
/// Checks the queries and rules of Prometheus.
pub const PROMTOOL: Package =
    Package { name: "prometheus", brings: "promtool", is_there: || program("promtool").is_some() };

/// A browser.
pub const CHROMIUM: Package =
    Package { name: "chromium", brings: "Chromium", is_there: || browser::chromium().is_some() };

const ALL: [&Package; 5] = [&CHROMIUM, &PGBOUNCER, &POSTGRES, &PROMTOOL, &REDIS];

impl Package {
    /// Whether it is there; it is installed first where that is possible.
    pub fn is_installed(&self) -> bool {
        static KNOWN: Mutex<BTreeMap<&str, bool>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(self.name).or_insert_with(|| self.look_or_install())
    }

    /// What is said of one that is not there: with the one command that installs this one and all others.
    pub fn is_missing(&self) -> String {
        let all = ALL.map(|package| package.name).join(" ");
        let sudo = if is_root() { "" } else { "sudo " };
        format!(
            "no {}; this installs all that the tests can use: {sudo}apt-get install --yes --no-install-recommends {all}",
            self.brings
        )
    }

    /// Whether a test that needs it can go on. If not, the test is named as skipped.
    ///
    /// # Panics
    ///
    /// Where `CI=true`: there nothing is skipped.
    pub fn is_installed_or_skip(&self) -> bool {
        let is_installed = self.is_installed();
        if !is_installed {
            let missing = self.is_missing();
            assert!(!is_set("CI", "true"), "{missing} (nothing is skipped where CI=true)");
            skip(&missing);
        }
        is_installed
    }

    fn look_or_install(&self) -> bool {
        // What another process is installing looks installed before it is.
        let _ = in_turn("true").output();
        (self.is_there)() || self.install() && (self.is_there)()
    }

    fn install(&self) -> bool {
        let done = self.try_install();
        if let Err(why) = &done {
            say(&format!("{} is missing, and not installed: {why}", self.brings));
        }
        done.is_ok()
    }

    fn try_install(&self) -> Result<(), String> {
        if is_set("WHARF_INSTALL", "0") {
            return Err("WHARF_INSTALL=0".to_owned());
        }
        if !is_root() {
            return Err("only root may".to_owned());
        }
        say(&format!("{} is missing: installing it with apt-get", self.brings));
        let install = format!("{APT_GET} install --yes --no-install-recommends {}", self.name);
        // A machine that is new, or was long without an update, does not know where packages are.
        let install = format!("{install} 2>/dev/null || {{ {APT_GET} update && {install}; }}");
        let output = in_turn("sh").args(["-c", &install]).output();
        let output = output.map_err(|error| format!("flock: {error}"))?;
        let said = || String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        output.status.success().then_some(()).ok_or_else(said)
    }
}

/// Names the test of this thread as skipped, and says why.
pub fn skip(why: &str) {
    say(&format!("SKIPPED: {}: {why}", thread::current().name().unwrap_or("a test")));
}

/// It waits for others that install something.
const APT_GET: &str = "DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600";

/// A program that runs while no other process of ours installs anything. What it leaves running, such
/// as a server that a package starts, does not keep the lock.
fn in_turn(program: &str) -> Command {
    let mut command = Command::new("flock");
    command.args(["--close", "/var/lib/dpkg", program]);
    command
}

/// Where a program is.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(["/usr/sbin".into()]);
    places.map(|place| place.join(name)).find(|program| program.exists())
}

fn is_set(variable: &str, value: &str) -> bool {
    env::var_os(variable).is_some_and(|set| set == value)
}

/// Not by `eprintln!`: of a test that passes, nobody would see it.
fn say(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
