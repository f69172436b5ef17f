//! A PostgreSQL server of one's own: in a temporary directory, on a free port of the loopback address
//! and on a Unix socket, stopped and removed when it is dropped.
//!
//! Its programs are looked for in `PATH`, where `pg_config` says, and where Debian has them; if they are
//! nowhere, they are installed where that is possible. PostgreSQL refuses to be run by root: then it
//! runs as `postgres` or `nobody`. Where there is `setpriv`, the server also ends when this process is
//! killed.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use crate::owner::{give, hide, is_root};
use crate::package::POSTGRES;

/// Generous: a machine may be busy, and a server that crashed has to recover.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and where its files are.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    directory: PathBuf,
    port: u16,
    settings: Vec<String>,
    running: Option<Child>,
}

impl Server {
    /// Whether a test can start one. If not, the test is named as skipped.
    pub fn is_installed_or_skip() -> bool {
        POSTGRES.is_installed_or_skip()
    }

    /// Makes a server and starts it, with settings such as `max_connections=5`.
    pub fn start(settings: &[&str]) -> Self {
        Server::start_with(settings, &[])
    }

    /// The same, with files in the server's data directory: names and contents.
    pub fn start_with(settings: &[&str], files: &[(&str, &str)]) -> Self {
        let programs = Programs::find();
        let directory = programs.make_directory();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Server { programs, directory, port: 0, settings, running: None };
        let data = server.data();
        server.programs.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-N"]);
        fs::write(server.directory.join("data/pg_hba.conf"), ACCESS).unwrap();
        for (name, contents) in files {
            server.programs.write_secret(&Path::new(&data).join(name), contents);
        }
        while let Err(log) = server.try_port() {
            // Somebody else was given the port in between.
            assert!(log.contains("could not bind"), "the server does not start:\n{log}");
        }
        server
    }

    /// Starts a standby of this server, which follows it and takes no writes.
    pub fn standby(&self) -> Self {
        let programs = Programs::find();
        let directory = programs.make_directory();
        let mut standby =
            Server { programs, directory, port: 0, settings: self.settings.clone(), running: None };
        let primary = format!("host=127.0.0.1 port={} user=postgres", self.port);
        let copy = ["-D", &standby.data(), "-R", "-c", "fast", "--no-sync", "-d", &primary];
        standby.programs.run("pg_basebackup", &copy);
        while let Err(log) = standby.try_port() {
            assert!(log.contains("could not bind"), "the standby does not start:\n{log}");
        }
        standby
    }

    /// Makes a standby the primary, and waits until it takes writes.
    pub fn promote(&self) {
        self.programs.run("pg_ctl", &["promote", "-D", &self.data(), "-w"]);
    }

    /// Starts another program as the user who runs the server, with a file of this text as its last argument.
    pub fn run_beside(&self, program: &Path, args: &[&str], file: &str) -> Child {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("program-{nth}"));
        self.programs.write_secret(&path, file);
        let mut command = self.programs.command(&program.display().to_string());
        command.args(args).arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        spawn(command)
    }

    fn try_port(&mut self) -> Result<(), String> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        self.port = free.local_addr().unwrap().port();
        drop(free);
        self.run()
    }

    /// Starts a server that was stopped or killed, and waits until it takes connections.
    pub fn start_again(&mut self) {
        let begin = Instant::now();
        // What is left of one that was killed may hold its memory for a moment.
        while let Err(log) = self.run() {
            assert!(begin.elapsed() < PATIENCE, "the server does not start:\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the server as `kill -9` does, without a word to anybody.
    pub fn kill(&mut self) {
        let mut server = self.running.take().expect("a server that runs");
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Stops the server: every session is ended with a word.
    pub fn stop(&mut self) {
        let Some(mut server) = self.running.take() else { return };
        let stop = ["stop", "-D", &self.data(), "-m", "fast", "-w"];
        if !self.programs.try_run("pg_ctl", &stop).status.success() {
            let _ = server.kill();
        }
        let _ = server.wait();
    }

    /// How to connect over TCP, as user `postgres`, who needs no password.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// How to connect over the Unix socket.
    pub fn socket(&self) -> String {
        let directory = self.directory.display();
        format!("host='{directory}' port={} user=postgres dbname=postgres", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> String {
        self.directory.join("data").display().to_string()
    }

    fn run(&mut self) -> Result<(), String> {
        let log = fs::File::create(self.directory.join("log")).unwrap();
        let mut command = self.programs.command("postgres");
        command.args(["-D", &self.data(), "-p", &self.port.to_string()]);
        command.arg("-k").arg(&self.directory);
        let always = ["listen_addresses=127.0.0.1", "fsync=off", "lc_messages=C"];
        for setting in always.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut server = spawn(command);
        let begin = Instant::now();
        loop {
            let ended = server.try_wait().unwrap().is_some();
            if ended || begin.elapsed() > PATIENCE {
                let _ = server.kill();
                let _ = server.wait();
                return Err(fs::read_to_string(self.directory.join("log")).unwrap());
            }
            if self.is_ready(server.id()) {
                self.running = Some(server);
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The server notes its process in the first line of this file, and its state in the eighth.
    fn is_ready(&self, process: u32) -> bool {
        let Ok(notes) = fs::read_to_string(self.directory.join("data/postmaster.pid")) else {
            return false;
        };
        let notes: Vec<_> = notes.lines().map(str::trim).collect();
        notes.first() == Some(&&*process.to_string())
            && matches!(notes.get(7), Some(&("ready" | "standby")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Everybody may come in, but for `guarded`, who needs a password.
const ACCESS: &str = "\
host  replication  all  127.0.0.1/32  trust
host  all  guarded  127.0.0.1/32  scram-sha-256
host  all  all      127.0.0.1/32  trust
local all  all                    trust
";

/// Starts a program that lives no longer than this process.
///
/// What `setpriv --pdeathsig` asks for comes when the thread ends that started the program, and a
/// test's thread ends before its process: so a thread is kept for it.
fn spawn(mut command: Command) -> Child {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(command.spawn());
        loop {
            thread::park();
        }
    });
    receiver.recv().unwrap().expect("PostgreSQL's programs can be run")
}

/// Where PostgreSQL's programs are, and who runs them.
#[derive(Debug)]
struct Programs {
    directory: PathBuf,
    /// Somebody who is not root, when we are.
    user: Option<User>,
    setpriv: bool,
}

#[derive(Debug)]
struct User {
    id: u32,
    group: u32,
}

impl Programs {
    fn find() -> Self {
        assert!(POSTGRES.is_installed(), "{}", POSTGRES.is_missing());
        let directory = programs().expect("they were there");
        let is_root = is_root();
        let setpriv = Command::new("setpriv").arg("--version").output().is_ok();
        assert!(setpriv || !is_root, "as root, setpriv (of util-linux) is needed");
        let user = is_root.then(|| user("postgres").or_else(|| user("nobody")).expect("a user"));
        Programs { directory, user, setpriv }
    }

    /// A directory that belongs to the user that runs the server.
    fn make_directory(&self) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("wharf-postgres-{}-{nth}", process::id()));
        fs::create_dir(&directory).expect("a new directory");
        if let Some(User { id, group }) = self.user {
            give(&directory, id, group);
        }
        directory
    }

    /// Writes a file that only the user that runs the server may read.
    fn write_secret(&self, path: &Path, contents: &str) {
        fs::write(path, contents).unwrap();
        hide(path);
        if let Some(User { id, group }) = self.user {
            give(path, id, group);
        }
    }

    fn command(&self, program: &str) -> Command {
        let program = self.directory.join(program);
        let mut command = if self.setpriv {
            let mut command = Command::new("setpriv");
            if let Some(User { id, group }) = self.user {
                command.arg(format!("--reuid={id}")).arg(format!("--regid={group}"));
                command.arg("--clear-groups");
            }
            command.arg("--pdeathsig=KILL").arg(program);
            command
        } else {
            Command::new(program)
        };
        // Not everybody may enter the directory that we are in.
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    fn try_run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program).args(args).output().expect("PostgreSQL's programs can be run")
    }

    fn run(&self, program: &str, args: &[&str]) {
        let Output { status, stderr, .. } = self.try_run(program, args);
        assert!(status.success(), "{program} failed: {}", String::from_utf8_lossy(&stderr));
    }
}

/// The directory of the programs, the newest first where there are several.
pub(crate) fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let config = Command::new("pg_config").arg("--bindir").output();
    let config = config.map(|output| PathBuf::from(text(&output).trim()));
    let mut debian: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|bin| std::cmp::Reverse(version(bin)));
    let has_all = |directory: &PathBuf| {
        ["initdb", "pg_basebackup", "pg_ctl", "postgres"]
            .iter()
            .all(|name| directory.join(name).exists())
    };
    env::split_paths(&path).chain(config).chain(debian).find(has_all)
}

/// The version in `/usr/lib/postgresql/15/bin`.
fn version(bin: &Path) -> Option<u32> {
    bin.parent()?.file_name()?.to_str()?.parse().ok()
}

fn user(name: &str) -> Option<User> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(User { id: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
