//! Words that do not belong into documents, comments and messages.

use std::fs;
use std::path::{Path, PathBuf};

/// Words and phrases that give translated prose away, or age it.
const TELL_TALE: [&str; 17] = [
    "a page a question",
    "beside",
    "for ever",
    "in the hand of",
    "mend",
    "mended",
    "mending",
    "mends",
    "patience",
    "so many",
    "the caller goes",
    "what becomes of",
    "whatever",
    "whoever",
    "whom",
    "wish",
    "wishes",
];

/// The files below a directory of the repository whose names end so.
fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, end));
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// What a line of a source says: the strings that end in it, and its comment.
fn said_in_source(line: &str) -> String {
    let (code, comment) = line.split_once("//").unwrap_or((line, ""));
    let strings = code.split('"').skip(1).step_by(2);
    strings.chain([comment]).collect::<Vec<_>>().join(" ")
}

/// The words of prose with their lines: all of a document, comments and strings of a source. Code in them is left out.
fn prose(text: &str, is_source: bool) -> Vec<(usize, String)> {
    let mut prose = Vec::new();
    for (nth, line) in (1..).zip(text.lines()) {
        let said = if is_source { said_in_source(line) } else { line.to_owned() };
        let outside_of_code = said.split('`').step_by(2);
        let words = outside_of_code.flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
        let words = words.filter(|word| !word.is_empty());
        prose.extend(words.map(|word| (nth, word.to_lowercase())));
    }
    prose
}

#[test]
fn no_word_gives_the_prose_away() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut findings = Vec::new();
    let all = [files(root, ".rs"), files(root, ".md")].concat();
    // This file lists them.
    for path in all.iter().filter(|path| !path.ends_with(file!())) {
        let text = fs::read_to_string(path).unwrap();
        let words = prose(&text, path.extension().unwrap() == "rs");
        for phrase in TELL_TALE {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            let hits = words.windows(phrase.len());
            for hit in hits.filter(|hit| hit.iter().map(|(_, word)| word).eq(&phrase)) {
                let file = path.strip_prefix(root).unwrap().display();
                findings.push(format!("{file}:{}: {}", hit[0].0, phrase.join(" ")));
            }
        }
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
