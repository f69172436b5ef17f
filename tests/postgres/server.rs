//! A `PostgreSQL` server of the test's own: on a free port, in a folder that goes with it.
//!
//! The programs are looked for on the path and where Debian puts them. They do not run as root: for
//! root, they run as the system's user `postgres`.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

pub(crate) struct PostgresServer {
    port: u16,
    folder: PathBuf,
    _template: Arc<Template>,
}

impl PostgresServer {
    /// Starts a new one. It has the superuser `postgres`, who needs no password.
    pub(crate) fn start() -> Self {
        let (template, folder) = (Template::get(), new_folder());
        run(Command::new("cp").arg("-a").arg(&template.0).arg(folder.join("data")));
        // Somebody may take the port before the server does: then another is tried.
        for _ in 0..10 {
            let port = free_port();
            if begin(&folder, port) {
                return PostgresServer { port, folder, _template: template };
            }
        }
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("postgres did not start on any of ten ports: {log}");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it without a word to its clients, as a crash does.
    pub(crate) fn stop(&self) {
        assert!(stop(&self.folder), "postgres did not stop");
    }

    /// Starts it again where it was.
    pub(crate) fn start_again(&self) {
        assert!(begin(&self.folder, self.port), "postgres did not start again");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        stop(&self.folder);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn begin(folder: &Path, port: u16) -> bool {
    let options = format!("-p {port} -h 127.0.0.1 -k {} -c fsync=off", folder.display());
    control(folder, &["-l", "../log", "-o", &options, "start"])
}

fn stop(folder: &Path) -> bool {
    control(folder, &["-m", "immediate", "stop"])
}

/// `pg_ctl` waits until it is done.
fn control(folder: &Path, arguments: &[&str]) -> bool {
    let data = folder.join("data");
    let mut command = program("pg_ctl");
    command.current_dir(&data).arg("-w").arg("-D").arg(&data).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The files of a new server, which take a second to make: made once, and copied by all who start
/// one while another is there.
struct Template(PathBuf);

impl Template {
    fn get() -> Arc<Template> {
        static LAST: Mutex<Weak<Template>> = Mutex::new(Weak::new());
        let mut last = LAST.lock().unwrap();
        last.upgrade().unwrap_or_else(|| {
            let template = Arc::new(Template::make());
            *last = Arc::downgrade(&template);
            template
        })
    }

    fn make() -> Self {
        let folder = new_folder();
        let arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
        run(program("initdb").args(arguments).arg("-D").arg(&folder));
        Template(folder)
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn new_folder() -> PathBuf {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let nth = STARTED.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("wharf-pg-{}-{nth}", std::process::id()));
    make(&folder);
    folder
}

fn make(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    if let Some((user, group)) = other_user() {
        chown(folder, Some(user), Some(group)).unwrap();
    }
}

/// Whom to run as instead of root.
fn other_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    is_root.then(|| {
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let user = users.lines().find(|line| line.starts_with("postgres:"));
        let user = user.expect("as root, these tests need the system's user postgres");
        let mut ids = user.split(':').skip(2).map(|id| id.parse().unwrap());
        (ids.next().unwrap(), ids.next().unwrap())
    })
}

fn program(name: &str) -> Command {
    let mut command = Command::new(find(name));
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let programs = folders.into_iter().map(|folder| folder.join(name));
    let found = programs.into_iter().find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("these tests need PostgreSQL's program {name}: install it"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let name = Path::new(command.get_program()).file_name().and_then(OsStr::to_str).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {said}");
}
