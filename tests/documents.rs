//! What the documents say of the code.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The links of a text: what they say, and where they lead.
fn links(text: &str) -> Vec<(String, &str)> {
    let ends = text.match_indices("](").map(|(at, _)| at);
    ends.filter_map(|at| {
        let said = text[..at].rsplit_once('[')?.1;
        let (target, _) = text[at + 2..].split_once(')')?;
        Some((said.split_whitespace().collect::<Vec<_>>().join(" "), target))
    })
    .collect()
}

#[test]
fn the_promises_of_the_readme_have_the_tests_that_they_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let links = links(&readme);
    let tests = links.iter().filter(|(_, target)| target.starts_with("tests/"));
    let mut named = 0;
    for (said, target) in tests {
        let file =
            fs::read_to_string(root.join(target)).unwrap_or_else(|e| panic!("{target}: {e}"));
        let test = format!("fn {}()", said.replace(' ', "_"));
        assert!(file.contains(&test), "{target} has no `{test}`");
        named += 1;
    }
    assert!(named > 20, "{named} promises with a test");
}

#[test]
fn what_the_readme_links_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for (said, target) in links(&readme) {
        let is_heading = |place: &str| readme.to_lowercase().contains(&format!("\n## {place}\n"));
        let is_there = target.starts_with("https://")
            || target.strip_prefix('#').is_some_and(is_heading)
            || root.join(target).exists();
        assert!(is_there, "[{said}]({target}) leads nowhere");
    }
}

/// The blocks of figures, which one program writes into both documents.
fn figures(document: &str) -> Vec<&str> {
    let begins = document.match_indices("<!-- figures: ").map(|(at, _)| at);
    let block = |at| document[at..].split_once("<!-- end of figures -->").map(|(block, _)| block);
    begins.filter_map(block).collect()
}

#[test]
fn the_readme_and_the_report_show_the_figures_of_one_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let (readme, report) = (read("README.md"), read("benches/REPORT.md"));
    assert_eq!(figures(&readme).len(), 2, "blocks of figures");
    assert_eq!(figures(&readme), figures(&report));
    assert!(figures(&readme).iter().all(|block| block.lines().count() > 5), "with figures");
}

/// Every file below a folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found =
        entries.flat_map(|path| if path.is_dir() { files(&path, extension) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|its| its == extension)).collect()
}

/// The lines that include a text into documentation.
fn including<'a>(code: &'a str, text: &str) -> Vec<&'a str> {
    let end = format!("include_str!(\"{text}\")");
    code.lines().filter(|line| line.contains("doc = ") && line.contains(&end)).collect()
}

/// What is said of pages in `src`, none of which may be left out: each is in wharf's documentation, and its code is a
/// test of wharf, or of the package `tests/guide`.
fn untested(page: &str, its_module: &str, guide_tests: &str) -> Option<String> {
    let name = page.rsplit('/').next().unwrap();
    let [line] = including(its_module, name)[..] else {
        return Some(format!("{page} is not included once by the module beside it"));
    };
    let here = !line.contains("not(doctest)");
    let there = !including(guide_tests, &format!("../../../{page}")).is_empty();
    (here == there).then(|| format!("{page} is tested here: {here}, in tests/guide: {there}"))
}

#[test]
fn the_code_of_each_page_is_tested_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide_tests = fs::read_to_string(root.join("tests/guide/src/lib.rs")).unwrap();
    let pages = files(&root.join("src"), "md");
    assert!(pages.len() > 15, "{} pages", pages.len());
    for path in &pages {
        let page = path.strip_prefix(root).unwrap().display().to_string();
        let module = fs::read_to_string(path.with_file_name("mod.rs")).unwrap();
        assert_eq!(untested(&page, &module, &guide_tests), None);
    }
}

#[test]
fn a_page_that_nobody_tests_is_found() {
    let there = "#[doc = include_str!(\"../../../src/guide/a.md\")]";
    let here = "#[doc = include_str!(\"a.md\")]";
    let only_shown = "#[cfg_attr(not(doctest), doc = include_str!(\"a.md\"))]";
    let is_fine = |module, tests| untested("src/guide/a.md", module, tests).is_none();
    assert!(is_fine(here, "") && is_fine(only_shown, there));
    assert!(!is_fine(only_shown, "") && !is_fine(here, there) && !is_fine("", there));
}

#[test]
fn the_guide_shows_the_program_of_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in files(&root.join("src/guide"), "md") {
        let page = fs::read_to_string(&path).unwrap();
        let Some((before, rest)) = page.split_once("<!-- program: ") else { continue };
        let (example, rest) = rest.split_once(" -->\n").unwrap();
        let (shown, after) = rest.split_once("<!-- end of the program -->").unwrap();
        let program = fs::read_to_string(root.join(example)).unwrap();
        let block = format!("```no_run\n{program}```\n");
        if env::var_os("WHARF_ACCEPT").is_some() {
            let page = format!(
                "{before}<!-- program: {example} -->\n{block}<!-- end of the program -->{after}"
            );
            fs::write(&path, page).unwrap();
        } else {
            assert_eq!(shown, block, "WHARF_ACCEPT=1 writes the page, if this is meant");
        }
    }
}
