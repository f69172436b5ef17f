//! Go's client, in a process of its own. Its standard library speaks HTTP/2 over TLS only.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::{Ends, LIMIT, PAUSE, Protocol, TASKS, Target};

/// The program, where it could be built.
pub(super) struct Go(PathBuf);

/// Says why not, if it cannot be built.
pub(super) async fn build() -> Result<Go, String> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/vanishing/client.go");
    let program = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/vanishing-go"));
    let building =
        Command::new("go").args(["build", "-o"]).arg(&program).arg(source).output().await;
    let built = building.map_err(|error| format!("`go` cannot be run ({error})"))?;
    if built.status.success() {
        Ok(Go(program))
    } else {
        Err(String::from_utf8_lossy(&built.stderr).into_owned())
    }
}

impl Go {
    /// The process, and the task that reads what it prints: a line for each request.
    pub(super) fn start(&self, target: &Target, ends: &Ends) -> (Child, JoinSet<()>) {
        let mut command = Command::new(&self.0);
        command
            .arg(format!("https://{}/", target.authority))
            .arg((target.protocol == Protocol::Http2).to_string());
        command.args([LIMIT.as_millis(), PAUSE.as_millis(), TASKS as u128].map(|n| n.to_string()));
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("a process");
        let printed = process.stdout.take().expect("it is piped");
        let (mut tasks, ends) = (JoinSet::new(), ends.clone());
        tasks.spawn(async move {
            let mut lines = BufReader::new(printed).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let (task, is_answer) = line.split_once(' ').expect("a task and its answer");
                ends.note(task.parse().expect("a number"), is_answer == "true");
            }
        });
        (process, tasks)
    }
}
