//! What the documents say of the code.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A file of the repository.
fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// What stands between each pair of marks, in order.
fn between<'a>(text: &'a str, begin: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
}

/// A document without its line breaks.
fn unwrapped(file: &str) -> String {
    read(file).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A promise names its tests: `*a sentence* (`tests/file.rs`)`.
#[test]
fn the_promises_of_the_guide_have_the_tests_that_they_name() {
    let testing = unwrapped("TESTING.md");
    let mut named = 0;
    for (at, _) in testing.match_indices("* (`tests/") {
        let said = testing[..at].rsplit_once('*').unwrap().1;
        let file = testing[at + 4..].split_once('`').unwrap().0;
        let test = format!("fn {}()", said.to_lowercase().replace(' ', "_"));
        assert!(read(file).contains(&test), "{file} has no `{test}`");
        named += 1;
    }
    assert!(named > 25, "{named} tests");
}

#[test]
fn every_promise_of_the_guide_names_a_test() {
    let (trust, testing) = (unwrapped("src/guide/trust.md"), unwrapped("TESTING.md"));
    let promises = trust.split_once("# What it promises").unwrap().1;
    let promises = promises.split_once("# What it does not promise").unwrap().0;
    let promises: Vec<_> = between(promises, "- **", "**").map(trimmed).collect();
    for promise in &promises {
        let tests = testing.split_once(&format!("- **{promise}**: *"));
        let tests = tests.unwrap_or_else(|| panic!("TESTING.md has no tests of: {promise}")).1;
        let first = tests.split_once("* (`").unwrap().0;
        assert!(!first.contains("**"), "no test of: {promise}");
    }
    assert!(promises.len() > 10, "{} promises", promises.len());
}

#[test]
fn the_guide_says_what_is_promised_in_1100_words() {
    let words = read("src/guide/trust.md").split_whitespace().count();
    assert!(words <= 1100, "{words} words");
}

/// A line names files and directories of the repository in code font.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let is_path = |text: &&str| {
        ["tests/", "src/", "benches/", "examples/", "fuzz/", ".ci/"]
            .iter()
            .any(|at| text.starts_with(at))
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
    };
    line.split('`').skip(1).step_by(2).filter(is_path)
}

#[test]
fn every_path_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = files(&root.join("src/guide"), "md").into_iter();
    let documents =
        pages.chain(["README.md", "CONTRIBUTING.md", "TESTING.md"].map(|file| root.join(file)));
    let texts: Vec<_> = documents.map(|file| fs::read_to_string(file).unwrap()).collect();
    let named: Vec<_> = texts.iter().flat_map(|text| text.lines()).flat_map(paths).collect();
    let missing: Vec<_> = named.iter().filter(|path| !root.join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(named.len() > 50, "{} paths", named.len());
}

/// Of a heading, as a link to it spells it.
fn anchor(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    heading.to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-")
}

/// Whether this document of the top folder has what it links to: a file, or a section of its own.
fn leads_somewhere(link: &str, text: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let mut headings = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
    match link.strip_prefix('#') {
        Some(section) => headings.any(|heading| heading == section),
        None => {
            link.starts_with("https://")
                || Path::new(env!("CARGO_MANIFEST_DIR")).join(link).is_file()
        }
    }
}

#[test]
fn the_documents_for_contributors_link_to_files_and_sections_that_exist() {
    let mut links = 0;
    for document in ["CONTRIBUTING.md", "SECURITY.md", "TESTING.md"] {
        let text = read(document);
        for link in between(&text, "](", ")") {
            assert!(leads_somewhere(link, &text), "{document}: {link} leads nowhere");
            links += 1;
        }
    }
    assert!(links > 8, "{links} links");
    assert!(!leads_somewhere("#b", "# A") && leads_somewhere("#a-b", "## A `b`"));
}

/// The READMEs: that of the repository, and those of the packages of the backends.
fn readmes() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = files(&root.join("crates"), "md").into_iter();
    let readmes = pages.filter(|page| page.ends_with("README.md"));
    readmes.chain([root.join("README.md")]).collect()
}

/// Nothing is published yet, so a page of docs.rs would lead nowhere. A package has no file above its own folder. Images
/// count as links.
#[test]
fn a_readme_links_only_to_files_below_it() {
    let mut links = 0;
    for readme in readmes() {
        let (text, folder) = (fs::read_to_string(&readme).unwrap(), readme.parent().unwrap());
        for link in between(&text, "](", ")") {
            let is_there = !link.contains("..") && folder.join(link).is_file();
            assert!(is_there, "{}: {link} leads nowhere", readme.display());
            links += 1;
        }
        for tag in ["](\n", "<img", "<a ", "docs.rs"] {
            assert!(!text.contains(tag), "{tag} in {}", readme.display());
        }
    }
    assert!(links > 20, "{links} links");
}

/// What the package has, the registry's page can show. The browser's test of the page writes this picture.
#[test]
fn the_only_picture_in_a_readme_is_the_live_page_and_the_package_has_it() {
    let texts = readmes().into_iter().map(|readme| fs::read_to_string(readme).unwrap());
    let texts = texts.collect::<String>();
    let pictures: Vec<_> = between(&texts, "![", ")").collect();
    assert_eq!(pictures.len(), 1, "{pictures:?}");
    assert!(pictures[0].ends_with("](dashboards/page.png"), "{pictures:?}");
    let packed = read("Cargo.toml");
    let packed = packed.lines().find(|line| line.starts_with("include = ")).unwrap();
    assert!(packed.contains("\"dashboards/**\""), "{packed}");
}

#[test]
fn the_readme_has_no_more_than_1100_words() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= 1100, "{words} words");
}

/// The numbers of a text that measure something: with a decimal point, or before a unit.
fn figures(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_whitespace().map(trimmed).collect();
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let is_figure = |pair: &[&str]| {
        is_number(pair[0])
            && (pair[0].contains('.') || matches!(pair[1], "ms" | "ns" | "s" | "%" | "times"))
    };
    words.windows(2).filter(|pair| is_figure(pair)).map(|pair| pair[0]).collect()
}

fn trimmed(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '%')
}

/// Outside of code, of the table of other pools and of the version of Rust.
#[test]
fn every_figure_of_the_readme_is_one_of_the_report() {
    let readme = read("README.md").replace("Rust 1.85", "");
    let plots: Vec<_> = between(&readme, "<!-- figures of", "<!-- end of figures -->").collect();
    assert_eq!(plots.len(), 1, "plots");
    let prose = |section: &str| section.split("```").step_by(2).collect::<String>();
    let sections = readme.split("\n## ").filter(|section| !section.starts_with("Compared"));
    let text = sections.map(prose).collect::<String>() + plots[0];
    let published = read("benches/REPORT.md") + &read("TESTING.md");
    let published: Vec<_> = published.split_whitespace().map(trimmed).collect();
    let figures = figures(&text);
    for figure in &figures {
        // A whole percentage stands in the report as 77 or as 77.0.
        let is_there = published.iter().any(|of| of.strip_suffix(".0").unwrap_or(of) == *figure);
        assert!(is_there || published.contains(figure), "{figure} is not in the report");
    }
    assert!(figures.len() > 30, "{} figures", figures.len());
}

#[test]
fn the_readme_says_how_many_are_answered_under_overload_as_the_guide_does() {
    let guide = read("src/guide/overload.md");
    let row = guide.lines().find_map(|line| line.strip_prefix("| load 130 % | ")).unwrap();
    let [here, in_order, deadpool, ..] = row.split(" | ").collect::<Vec<_>>()[..] else {
        panic!("{row}")
    };
    let said = format!("a load of 130 %, with time-outs of 30 s, {here} of the users are answered");
    assert!(unwrapped("README.md").contains(&said), "the guide: {row}");
    assert_eq!((in_order, deadpool), ("0 %", "0 %"), "none, says the README");
}

/// What every error says.
fn list_of_errors(directory: &Path) -> Option<String> {
    if let Ok(list) = fs::read_to_string(directory.join("errors.txt")) {
        return Some(list);
    }
    let below = fs::read_dir(directory).ok()?.map(|entry| entry.unwrap().path());
    below.filter(|path| path.is_dir()).find_map(|path| list_of_errors(&path))
}

/// The first time-out that a document shows, in a block of code that may wrap it.
fn shown_time_out(document: &str) -> String {
    let text = read(document);
    let block = between(&text, "```text\n", "```").find(|block| block.starts_with("timed out"));
    let block = block.unwrap_or_else(|| panic!("{document} shows no time-out"));
    block.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// With other numbers it is the same text.
fn without_numbers(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[test]
fn the_readme_and_the_guide_show_a_time_out_as_the_pool_words_it() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let errors = list_of_errors(&tests).expect("the list that the test of errors compares with");
    let has = |errors: &str, said: &str| {
        errors.lines().any(|line| line.ends_with(&format!("AcquireError::Timeout: {said}")))
    };
    let said = shown_time_out("README.md");
    assert!(has(&errors, &said), "no error says: {said}");
    let said = without_numbers(&shown_time_out("src/guide/timed_out.md"));
    assert!(has(&without_numbers(&errors), &said), "no error says: {said}");
}

/// They are tested as part of the documentation: those of a package in its README.
#[test]
fn the_lines_of_the_backends_are_those_of_the_documentation() {
    let trimmed = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let (readme, documentation) = (read("README.md"), read("src/lib.rs"));
    let packages = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crates"), "md");
    let tested: Vec<_> = packages.iter().map(|page| fs::read_to_string(page).unwrap()).collect();
    let rows: Vec<_> = readme.lines().filter(|row| row.contains("<br>")).collect();
    assert_eq!(rows.len(), 6, "backends");
    for row in rows {
        let code = row.rsplit(" | ").next().unwrap();
        let lines: Vec<_> =
            code.split("<br>").map(|line| line.trim_matches([' ', '`', '|'])).collect();
        let shown = format!("//! {}\n", lines.join("\n//! "));
        assert!(documentation.contains(&shown), "src/lib.rs does not show:\n{shown}");
        let is_tested = documentation.contains(&format!("{shown}//! # Ok(())"))
            || tested.iter().any(|page| trimmed(page).contains(&lines.join("\n")));
        assert!(is_tested, "no README shows:\n{shown}");
    }
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
        return Some(format!("{page} is not included once by its module"));
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
