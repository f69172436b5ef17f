//! The versions of other crates that the documents name are those that the manifests ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The versions of each dependency: those of wharf, and of the packages that have examples, tests and benchmarks.
type Versions = BTreeMap<String, Vec<String>>;

/// The manifest that names each version once.
const MANIFEST: &str = "Cargo.toml";

/// Each backend: the file that documents it, and the crate whose types are public there.
const BACKENDS: [(&str, &str); 6] = [
    ("crates/wharf-http/src/lib.rs", "hyper"),
    ("crates/wharf-grpc/src/lib.rs", "tonic"),
    ("crates/wharf-postgres/src/lib.rs", "tokio-postgres"),
    ("crates/wharf-websocket/src/lib.rs", "tokio-tungstenite"),
    ("crates/wharf-bb8/src/lib.rs", "bb8"),
    ("crates/wharf-deadpool/src/lib.rs", "deadpool"),
];

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn versions() -> Versions {
    let manifest: toml::Table = toml::from_str(&read(MANIFEST)).unwrap();
    let named = manifest["workspace"]["dependencies"].as_table().unwrap();
    let version = |wanted: &toml::Value| -> Option<String> {
        wanted.as_str().or_else(|| wanted.get("version")?.as_str()).map(str::to_owned)
    };
    named
        .iter()
        .map(|(name, wanted)| (name.clone(), version(wanted).into_iter().collect()))
        .collect()
}

/// Whether `0.14` is said of `0.14.2`, or the other way round.
fn fits(named: &str, version: &str) -> bool {
    named.split('.').zip(version.split('.')).all(|(one, other)| one == other)
}

/// The versions that a text names after the name of a crate and one of these separators.
fn named<'a>(text: &'a str, name: &str, separators: &[&str]) -> Vec<&'a str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let found = text.match_indices(name).filter(|(at, _)| !text[..*at].ends_with(is_part));
    let rest = found.map(|(at, _)| &text[at + name.len()..]);
    let version = |rest: &'a str| {
        let rest = separators.iter().find_map(|separator| rest.strip_prefix(separator))?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches('.')).filter(|version| !version.is_empty())
    };
    rest.filter_map(version).collect()
}

/// What a text says of dependencies that no manifest asks for.
fn wrong(text: &str, versions: &Versions) -> Vec<String> {
    let of_crate = |(name, known): (&String, &Vec<String>)| {
        let mut named_versions = named(text, name, &[" = \"", " = { version = \""]);
        // The guides for users of bb8 and deadpool name managers for older versions, too.
        if BACKENDS[..4].iter().any(|(_, backend)| backend == name) {
            named_versions.extend(named(text, name, &[" ", "` "]));
        }
        let is_known = |version: &str| known.iter().any(|known| fits(version, known));
        named_versions.retain(|version| !is_known(version));
        named_versions.iter().map(|version| format!("{name} {version}")).collect::<Vec<_>>()
    };
    versions.iter().flat_map(of_crate).collect()
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { documents(&path) } else { vec![path] }).collect()
}

#[test]
fn every_document_names_versions_that_a_manifest_asks_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut versions = versions();
    versions.insert("wharf".to_owned(), vec![env!("CARGO_PKG_VERSION").to_owned()]);
    let mut documents = documents(&root.join("src"));
    documents.extend(crate::documents(&root.join("crates")));
    documents.push(root.join("README.md"));
    for path in documents {
        let wrong = wrong(&fs::read_to_string(&path).unwrap(), &versions);
        assert_eq!(wrong, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn every_backend_names_the_version_of_the_crate_that_it_is_made_with() {
    let versions = versions();
    for (file, name) in BACKENDS {
        let text = read(file);
        let named = named(&text, name, &[" ", "` "]);
        let fits = |named: &&str| versions[name].iter().any(|version| fits(named, version));
        assert!(named.iter().any(fits), "{file} names {named:?} of {name}: {:?}", versions[name]);
    }
}

#[test]
fn the_guides_for_users_of_bb8_and_deadpool_say_which_managers_fit() {
    let versions = versions();
    for pool in ["bb8", "deadpool"] {
        let named = format!("{pool} {}", versions[pool][0]);
        let guide = read(&format!("crates/wharf-{pool}/src/guide.md"));
        let fits = guide.lines().filter(|line| line.contains(&format!("| {named} |")));
        assert!(fits.count() > 3, "{pool}'s managers that fit");
        assert!(guide.contains(&format!("`wharf-{pool}` fits {named}.")));
        assert!(read("README.md").contains(&named), "README.md does not name {named}");
    }
}

#[test]
fn a_wrong_version_is_found() {
    let versions = Versions::from([
        ("hyper".to_owned(), vec!["1.12".to_owned()]),
        ("axum".to_owned(), vec!["0.8.4".to_owned()]),
    ]);
    for right in
        ["hyper 1", "`hyper` 1.12.", "axum = \"0.8\"", "hyper-util 0.1", "axum 0.7", "my-hyper 2"]
    {
        assert_eq!(wrong(right, &versions), Vec::<String>::new(), "{right}");
    }
    for bad in ["hyper 0.14", "`hyper` 2", "axum = \"0.7\"", "axum = { version = \"0.9\" }"] {
        assert_eq!(wrong(bad, &versions).len(), 1, "{bad}");
    }
}

#[test]
fn the_pool_alone_brings_at_most_20_crates() {
    let crates = brings(&[]);
    assert!((2..=20).contains(&crates.len()), "{}: {crates:#?}", crates.len());
}

#[test]
fn the_page_brings_at_most_ten_crates_more() {
    let (alone, page) = (brings(&[]), brings(&["--features", "page"]));
    let more: Vec<_> = page.difference(&alone).collect();
    assert!((2..=10).contains(&more.len()), "{}: {more:#?}", more.len());
}

/// The crates that wharf brings with these features.
fn brings(features: &[&str]) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--package", "wharf", "--no-default-features", "--edges", "normal,build"]);
    tree.args(features);
    tree.args(["--prefix", "none", "--no-dedupe"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let tree = tree.output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let mut crates: BTreeSet<_> = tree.lines().map(str::to_owned).collect();
    assert!(crates.remove(tree.lines().next().unwrap()), "wharf itself");
    crates
}

/// The crates that a manifest brings into the `Cargo.lock` of its users: those for any platform and any compiler flag, but
/// not those for its own tests.
fn needs(manifest: &toml::Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables =
        targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    let lists = tables.chain([manifest]).flat_map(|table| {
        ["dependencies", "build-dependencies"].map(|list| table.get(list)?.as_table())
    });
    lists.flatten().flat_map(toml::Table::keys).cloned().collect()
}

/// These crates, and all that they need: each crate with what it needs is in `Cargo.lock`.
fn closure(mut needs: BTreeSet<String>, lock: &toml::Table) -> BTreeSet<String> {
    let name = |text: &toml::Value| text.as_str().unwrap().split(' ').next().unwrap().to_owned();
    let mut left: Vec<_> = needs.iter().cloned().collect();
    while let Some(next) = left.pop() {
        let packages = lock["package"].as_array().unwrap().iter();
        let its = packages.filter(|package| package["name"].as_str() == Some(&*next));
        let below = its.filter_map(|package| package.get("dependencies")?.as_array()).flatten();
        left.extend(below.map(name).filter(|name| needs.insert(name.clone())));
    }
    needs
}

fn parse(file: &str) -> toml::Table {
    toml::from_str(&read(file)).unwrap()
}

/// The manifests of the packages that are published.
fn published() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let crates = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name());
    let manifests = crates.map(|name| format!("crates/{}/Cargo.toml", name.to_str().unwrap()));
    manifests.chain([MANIFEST.to_owned()]).collect()
}

#[test]
fn every_package_has_what_a_registry_asks_for_and_shows() {
    for manifest in published() {
        let parsed = parse(&manifest);
        let package = parsed["package"].as_table().unwrap();
        for key in ["description", "documentation", "readme"] {
            assert!(package.get(key).is_some_and(toml::Value::is_str), "{manifest}: {key}");
        }
        for key in ["version", "edition", "rust-version", "license"] {
            let of_the_workspace = package[key].get("workspace").and_then(toml::Value::as_bool);
            assert_eq!(of_the_workspace, Some(true), "{manifest}: {key}");
        }
        for (key, most) in [("keywords", 5), ("categories", 5)] {
            let count = package[key].as_array().unwrap().len();
            assert!((1..=most).contains(&count), "{manifest}: {count} {key}");
        }
        let included = package["include"].as_array().unwrap();
        assert!(included.contains(&"LICENSE-*".into()), "{manifest}: no licence");
    }
}

#[test]
fn the_crates_of_the_models_are_not_in_the_lock_of_a_package_that_depends_on_wharf() {
    let lock = parse("Cargo.lock");
    for manifest in published() {
        let crates = closure(needs(&parse(&manifest)), &lock);
        assert!(crates.contains("tokio") && crates.contains("libc"), "{manifest}: {crates:?}");
        assert!(
            !crates.contains("loom") && !crates.contains("generator"),
            "{manifest}: {crates:?}"
        );
    }
    let models = closure(needs(&parse("tests/models/Cargo.toml")), &lock);
    assert!(models.contains("loom") && models.contains("generator"), "{models:?}");
}
