//! The layers of `src`, as its folders show them: a file imports from its own layer and from those below it.
//!
//! Exempt are `lib.rs`, which names everything, `models`, which test from outside, and the guide, which is text.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with its rank. Layers of equal rank do not import from each other.
const LAYERS: [(&str, u8); 9] = [
    ("policy", 0),
    ("engine", 1),
    ("runtime", 2),
    ("pool", 3),
    ("transport", 4),
    ("tcp", 5),
    ("metrics", 5),
    ("page", 5),
    ("test_util", 5),
];

/// The rank of a module of the crate's root. What is no layer is a name that `lib.rs` exports: it may come from the
/// top.
fn rank(name: &str) -> u8 {
    LAYERS.iter().find(|(layer, _)| *layer == name).map_or(u8::MAX, |(_, rank)| *rank)
}

/// The modules from the root to the one that a file holds: `["engine", "lend"]` for `engine/lend.rs`.
fn module(file: &str) -> Vec<&str> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    path.strip_suffix("/mod").unwrap_or(path).split('/').collect()
}

/// The names of the crate's root that a line of such a module names.
fn names<'a>(module: &[&'a str], line: &'a str) -> Vec<&'a str> {
    // Links in documentation and other comments import nothing.
    let code = line.split("//").next().unwrap_or_default();
    let word = |text: &'a str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
    };
    let from_root = code.split("crate::").skip(1).map(word);
    let mut names: Vec<_> = from_root.collect();
    // `super::super::pool` in `engine/lend.rs`.
    let mut rest = code;
    while let Some((_, after)) = rest.split_once("super::") {
        let mut levels = 1;
        rest = after;
        while let Some(after) = rest.strip_prefix("super::") {
            levels += 1;
            rest = after;
        }
        if levels >= module.len() {
            names.push(word(rest));
        }
    }
    names
}

/// What a file imports against the layers, line by line.
fn violations(file: &str, text: &str) -> Vec<String> {
    let module = module(file);
    let own = module[0];
    let is_bad = |name: &&str| *name != own && rank(name) >= rank(own);
    let of_line = |(at, line)| {
        let bad = names(&module, line).into_iter().filter(is_bad);
        bad.map(move |name| format!("src/{file}:{}: `{own}` may not import `{name}`", at + 1))
            .collect::<Vec<_>>()
    };
    text.lines().enumerate().flat_map(of_line).collect()
}

/// The files with code below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn no_file_imports_from_a_layer_above_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for (layer, _) in LAYERS {
        let files = files(&root.join(layer));
        assert!(!files.is_empty(), "{layer} has no files");
        for path in files {
            let file = path.strip_prefix(&root).unwrap().components();
            let file: Vec<_> = file.map(|part| part.as_os_str().to_str().unwrap()).collect();
            found.extend(violations(&file.join("/"), &fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_folder_is_a_layer_or_exempt() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_known = LAYERS.iter().any(|(layer, _)| *layer == name);
        assert!(
            is_known || ["lib.rs", "guide", "models"].contains(&&*name),
            "src/{name} is in no layer"
        );
    }
}

#[test]
fn an_import_from_above_is_found() {
    let bad = [
        ("engine/lend.rs", "use crate::runtime::cell::HostCell;"),
        ("engine/lend.rs", "    let pool: crate::pool::pool::Pool<C> = made();"),
        ("engine/lend.rs", "use super::super::pool::host::Host;"),
        ("engine/tests/health.rs", "use super::super::super::runtime::clock;"),
        ("policy/time.rs", "use crate::engine::Section;"),
        ("pool/shared/mod.rs", "pub use super::super::tcp::TcpConnector;"),
        // What the root exports may come from any layer, and so may a list.
        ("runtime/mod.rs", "use crate::Pool;"),
        ("runtime/mod.rs", "use crate::{policy::reuse::Reuse, pool::host::Host};"),
        // Layers of the same rank.
        ("metrics/mod.rs", "use crate::test_util::Step;"),
    ];
    for (file, line) in bad {
        assert_eq!(violations(file, line).len(), 1, "{file}: {line}");
    }
}

#[test]
fn imports_from_the_same_layer_and_from_below_are_not() {
    let good = [
        ("engine/lend.rs", "use crate::policy::time::Time;"),
        ("engine/lend.rs", "use super::host::HostState;"),
        ("engine/tests/health.rs", "use super::super::*;"),
        ("engine/mod.rs", "/// A [`Pool`](crate::pool::pool::Pool) asks it."),
        ("pool/host.rs", "use crate::runtime::cell::HostCell; // not crate::tcp"),
        ("tcp/tcp_transport.rs", "use crate::transport::{Place, Stream};"),
        ("tcp/mod.rs", "use tokio::net::TcpStream;"),
    ];
    for (file, line) in good {
        assert_eq!(violations(file, line), Vec::<String>::new(), "{file}: {line}");
    }
}

/// The modules of its own layer that a file of the runtime imports.
fn siblings(text: &str) -> Vec<String> {
    let word = |text: &str| {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
    };
    let code: Vec<_> =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n").replace("crate::runtime::", "super::");
    let mut found = Vec::new();
    for after in code.split("super::").skip(1) {
        match after.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                found.extend(list.split(',').map(|name| word(name.trim())));
            }
            None => found.push(word(after)),
        }
    }
    found
}

/// The runtime's files can be read one after the other, each after those that it imports.
#[test]
fn no_two_files_of_the_runtime_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime");
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let read = |path: &PathBuf| (name(path), siblings(&fs::read_to_string(path).unwrap()));
    let mut left: Vec<_> =
        files(&root).iter().map(read).filter(|(name, _)| name != "mod").collect();
    loop {
        let names: Vec<_> = left.iter().map(|(name, _)| name.clone()).collect();
        let before = left.len();
        left.retain(|(name, imports)| {
            imports.iter().any(|import| import != name && names.contains(import))
        });
        if left.len() == before {
            assert!(left.is_empty(), "these import in a circle, or from one: {names:?}");
            return;
        }
    }
}

/// Each package, and those of this repository that it is made of.
const PACKAGES: [(&str, &[&str]); 8] = [
    ("wharf-tls", &["wharf"]),
    ("wharf-proxy", &["wharf"]),
    ("wharf-http", &["wharf", "wharf-proxy", "wharf-tls"]),
    ("wharf-grpc", &["wharf", "wharf-http"]),
    ("wharf-websocket", &["wharf", "wharf-tls"]),
    ("wharf-postgres", &["wharf", "wharf-tls"]),
    ("wharf-bb8", &["wharf"]),
    ("wharf-deadpool", &["wharf"]),
];

#[test]
fn no_package_is_made_of_a_sibling_that_the_table_does_not_name() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    assert_eq!(fs::read_dir(&crates).unwrap().count(), PACKAGES.len());
    for (name, may) in PACKAGES {
        let manifest = fs::read_to_string(crates.join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap();
        let needs = manifest["dependencies"].as_table().unwrap().keys();
        let own: Vec<_> = needs.filter(|need| need.starts_with("wharf")).collect();
        assert_eq!(own, may, "{name}");
    }
}

/// A package sees what is public in the core, as every user does: the compiler takes care of that. What is public and
/// not documented would be a door for some.
#[test]
fn nothing_in_the_core_is_public_and_hidden() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in files(&root) {
        let text =
            fs::read_to_string(&path).unwrap().replace("#[cfg(fuzzing)]\n#[doc(hidden)]", "");
        assert!(!text.contains("doc(hidden)"), "{}", path.display());
    }
}
