//! The maps that newcomers read name every part of the code. Each table of modules names the
//! modules that its file declares, and `ARCHITECTURE.md` names each module at the top and each
//! crate. Links between documents lead to files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file that declares this many modules needs a map.
const MODULES_THAT_NEED_A_MAP: usize = 5;
/// Its modules are rules of one kind, which `docs/verification.md` explains one by one.
const RULES: &str = "src/sim/invariants/mod.rs";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files of the replica, the cluster in virtual time and the crates beside them, but for
/// directories of tests.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root().join("src"), root().join("crates")];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        for path in entries.map(|entry| entry.expect("readable").path()) {
            if path.is_dir() {
                directories.extend((!path.ends_with("tests")).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The modules that a source declares in files of their own, but for those of tests alone.
fn modules(source: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut before = "";
    for line in source.lines() {
        let declared = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        if let Some(module) = declared.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
            && before != "#[cfg(test)]"
        {
            found.insert(module);
        }
        before = line;
    }
    found
}

/// The names in the first column of a table of files or modules, if the module's own text has one.
fn map(source: &str) -> Option<BTreeSet<&str>> {
    let mut rows = source
        .lines()
        .skip_while(|line| !line.starts_with("//! | file |") && !line.starts_with("//! | module |"))
        .take_while(|line| line.starts_with("//! |"));
    rows.next()?;
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    Some(cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect())
}

/// The fault of the map of a file, if it has one.
fn fault(file: &str, source: &str) -> Option<String> {
    let modules = modules(source);
    match map(source) {
        Some(map) if map != modules => {
            let missing: Vec<_> = modules.difference(&map).collect();
            let stale: Vec<_> = map.difference(&modules).collect();
            Some(format!("{file}: its map lacks {missing:?} and names {stale:?}, which it does not declare"))
        }
        None if modules.len() >= MODULES_THAT_NEED_A_MAP && file != RULES => {
            Some(format!("{file}: {} modules and no map (a table `| file | job |`)", modules.len()))
        }
        _ => None,
    }
}

#[test]
fn map_names_each_module_that_its_file_declares_and_no_other() {
    let mut maps = 0;
    let mut faults = Vec::new();
    for path in sources() {
        let source = fs::read_to_string(&path).expect("readable");
        maps += usize::from(map(&source).is_some());
        faults.extend(fault(&name(&path), &source));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(maps >= 5, "only {maps} maps were found: do they still begin with `//! | file |`?");
}

#[test]
fn map_that_lacks_or_invents_a_module_is_a_fault() {
    let source = "//! | file | job |\n//! |---|---|\n//! | `a`, [`b`] | two |\n\nmod a;\npub mod b;\n#[cfg(test)]\nmod t;\n";
    assert_eq!(fault("f", source), None);
    assert!(
        fault("f", &source.replace("mod a;", "mod c;")).is_some_and(|said| said.contains("lacks [\"c\"]"))
    );
    assert!(fault("f", &source.replace("mod a;\n", "")).is_some_and(|said| said.contains("names [\"a\"]")));
    let many = "mod a;\nmod b;\nmod c;\nmod d;\npub(crate) mod e;\n";
    assert!(fault("f", many).is_some_and(|said| said.contains("5 modules and no map")));
}

#[test]
fn each_rule_is_explained_in_the_documentation() {
    let source = fs::read_to_string(root().join(RULES)).expect("readable");
    let explained = fs::read_to_string(root().join("docs/verification.md")).expect("readable");
    let unexplained: Vec<_> = modules(&source)
        .into_iter()
        .filter(|module| *module != "knowledge" && !explained.contains(&format!("| `{module}` |")))
        .collect();
    assert!(unexplained.is_empty(), "docs/verification.md has no row for {unexplained:?}");
}

#[test]
fn architecture_names_each_module_at_the_top_and_each_crate() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("readable");
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("readable");
    let table = text.lines().skip_while(|line| !line.starts_with("| module |")).skip(1);
    let rows = table.take_while(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    let named: BTreeSet<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let (crates, named): (BTreeSet<_>, BTreeSet<_>) =
        named.into_iter().partition(|name| name.starts_with("crates/"));
    assert_eq!(named, modules(&library), "the modules of ARCHITECTURE.md and of src/lib.rs");
    let there: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .into_iter()
        .flatten()
        .map(|entry| format!("crates/{}", entry.expect("readable").file_name().display()))
        .collect();
    assert!(
        there.iter().map(String::as_str).eq(crates),
        "the crates of ARCHITECTURE.md: {there:?} are there"
    );
}

#[test]
fn links_of_the_documentation_lead_to_files() {
    let mut documents = vec![root().to_path_buf(), root().join("docs")]
        .into_iter()
        .flat_map(|directory| fs::read_dir(directory).expect("readable"))
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect::<Vec<_>>();
    documents.sort();
    let mut dead = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).expect("readable");
        let directory = document.parent().expect("it stands in one");
        for target in links(&text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { document.clone() } else { directory.join(path) };
            if !path.exists() || !anchor.is_empty() && !has_heading(&path, anchor) {
                dead.push(format!("{}: {target}", name(&document)));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

/// The targets inside the repository of links and pictures, outside of code blocks.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for prose in text.split("```").step_by(2) {
        for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"'), ("href=\"", '"')] {
            let rests = prose.split(opening).skip(1);
            found.extend(rests.filter_map(|rest| rest.split_once(closing)).map(|(target, _)| target));
        }
    }
    found.retain(|target| !target.contains("://"));
    found
}

/// Whether a Markdown file has a heading with this anchor.
fn has_heading(path: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(path).expect("readable");
    text.lines().filter(|line| line.starts_with('#')).any(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-") == anchor
    })
}
