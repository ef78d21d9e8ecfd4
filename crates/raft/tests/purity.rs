//! The core stays pure: it has no I/O, no clock and no threads, and no dependency that brings them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The dependencies that the core may have.
const DEPENDENCIES: [&str; 2] = ["fastrand", "thiserror"];

/// The dependencies that the golden scripts add for tests and for fuzz targets.
const OPTIONAL: [&str; 1] = ["goldenscript"];

/// The modules of the standard library that the core may use. None of them reaches outside the
/// process or knows the time.
const MODULES: [&str; 4] = ["collections", "fmt", "mem", "str"];

/// Sources that are compiled for tests only.
const TESTS: [&str; 3] = ["harness.rs", "properties.rs", "scripts"];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The dependencies of a manifest that are not for tests: their lines, or the headers of sections
/// of their own.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let header = line.strip_prefix('[').map(|header| header.trim_end_matches(']'));
        section = header.unwrap_or(section);
        match section {
            "dependencies" if header.is_none() => found.push(line),
            "dependencies" => {}
            _ if section.starts_with("dev-dependencies") => {}
            _ if section.contains("dependencies") => found.push(section),
            _ => {}
        }
    }
    found
}

/// The modules of the standard library that a source uses, but for its unit tests.
fn std_modules(source: &str) -> BTreeSet<String> {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join(" ");
    let first_word = |path: &str| {
        let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
        path.trim_start().chars().take_while(is_part).collect::<String>()
    };
    let mut modules = BTreeSet::new();
    for path in code.split("std::").skip(1) {
        match path.strip_prefix('{').and_then(|list| list.split_once('}')) {
            Some((list, _)) => modules.extend(list.split(',').map(first_word)),
            None => modules.extend([first_word(path)]),
        }
    }
    modules.remove(""); // after the last comma of a list
    modules
}

/// The sources of the core below this folder, without those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).expect("the core has sources") {
        let path = file.expect("it can be read").path();
        let is_test = path.file_name().is_some_and(|name| TESTS.iter().any(|test| name == *test));
        match () {
            () if is_test => {}
            () if path.is_dir() => found.extend(sources(&path)),
            () => found.push(path),
        }
    }
    found
}

#[test]
fn core_has_no_dependency_that_does_io() {
    let manifest = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    for line in dependencies(&manifest) {
        let name = line.split(|c: char| c == '=' || c == '.' || c.is_whitespace()).next().unwrap_or_default();
        let is_optional = OPTIONAL.contains(&name) && line.contains("optional = true");
        assert!(DEPENDENCIES.contains(&name) || is_optional, "the core must not depend on this: {line}");
    }
}

#[test]
fn core_uses_no_network_no_files_no_clock_and_no_threads() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 15, "only {sources:?}");
    for path in sources {
        for module in std_modules(&read(&path)) {
            assert!(MODULES.contains(&module.as_str()), "{} uses std::{module}", path.display());
        }
    }
}

#[test]
fn purity_test_finds_forbidden_modules_and_dependencies() {
    let modules = |source| std_modules(source).into_iter().collect::<Vec<_>>();
    assert_eq!(modules("use std::net::TcpStream;\nlet now = std::time::Instant::now();"), ["net", "time"]);
    assert_eq!(modules("use std::{fmt,\n    thread::spawn};"), ["fmt", "thread"]);
    assert_eq!(modules("use std::{\n    fs,\n    mem,\n};"), ["fs", "mem"]);
    assert_eq!(modules("// std::fs\nuse std::collections::{BTreeMap, VecDeque};"), ["collections"]);
    assert_eq!(modules("fn f() {}\n#[cfg(test)]\nmod tests { use std::fs; }"), [""; 0]);
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nserde = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n\
                    [target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n[dependencies.mio]\nversion = \"1\"\n";
    let found = dependencies(manifest);
    for refused in ["serde = \"1\"", "target.'cfg(unix)'.dependencies", "dependencies.mio"] {
        assert!(found.contains(&refused), "{refused} is not among {found:?}");
    }
    assert!(!found.iter().any(|line| line.contains("proptest")));
}
