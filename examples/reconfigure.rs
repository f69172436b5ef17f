//! Settings in a file that is read again when the process gets SIGHUP.
//!
//! ```text
//! cargo run --features serde --example reconfigure
//! cargo run --features serde --example reconfigure -- pool.toml
//! ```
//!
//! With a file it runs until it is stopped: change the file, send SIGHUP, and it says what has changed.
//! A file that cannot be read, or has an invalid setting, changes nothing. Without one it shows that
//! once with a file of its own: ten connections are open, the cap is lowered to three, a wrong value is
//! refused. The connections are made up.

use std::error::Error;

#[cfg(unix)]
mod example {
    use std::error::Error;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::{env, fs, process};

    use tokio::signal::unix::{SignalKind, signal};
    use wharf::{Config, Connector, Pool, connector_fn};

    type Result<T> = std::result::Result<T, Box<dyn Error>>;

    fn read(file: &Path) -> Result<Config> {
        Ok(toml::from_str(&fs::read_to_string(file)?)?)
    }

    /// Applies the file, and says what has changed.
    fn read_again<C: Connector>(pool: &Pool<C>, file: &Path) -> Result<String> {
        let config = read(file)?;
        let old = pool.reconfigure(|settings| *settings = config.clone())?;
        let shown = |max: Option<usize>| max.map_or("none".to_owned(), |max| max.to_string());
        let (before, now) = (shown(old.max_per_host), shown(config.max_per_host));
        let open = pool.status().idle + pool.status().in_use;
        Ok(format!("read again: max_per_host {before} -> {now}, open: {open}"))
    }

    pub(crate) async fn run() -> Result<()> {
        let given = env::args().nth(1).map(PathBuf::from);
        let own = env::temp_dir().join(format!("reconfigure-{}.toml", process::id()));
        let file = given.as_deref().unwrap_or(&own);
        if given.is_none() {
            fs::write(file, "max_per_host = 10\n")?;
        }
        let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
        let pool = Pool::builder().config(read(file)?).build(connector)?;
        pool.warm("a server", 10).await?;
        let mut hangups = signal(SignalKind::hangup())?;
        // Its own file changes twice.
        let mut changes = vec!["max_per_host = 0\n", "max_per_host = 3\n"];
        while given.is_some() || !changes.is_empty() {
            if given.is_none() {
                fs::write(file, changes.pop().unwrap_or_default())?;
                Command::new("kill").args(["-HUP", &process::id().to_string()]).status()?;
            }
            hangups.recv().await;
            match read_again(&pool, file) {
                Ok(said) => println!("{said}"),
                Err(error) => println!("nothing has changed: {error}"),
            }
        }
        pool.close().await;
        Ok(fs::remove_file(own)?)
    }
}

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    example::run().await
}

#[cfg(not(unix))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("it shows SIGHUP, which this system does not have".into())
}
