//! Layers: each file imports only files of its layer and of the layers above it. No files import each other in a cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From top to bottom.
const LAYERS: [&str; 13] = [
    "numeric",
    "error",
    "schedule",
    "transport",
    "formula",
    "penalty",
    "plan",
    "report",
    "slices",
    "cpu",
    "gpu",
    "backend",
    "lib",
];

/// Module paths and the text of their files: `gpu::kernel` is `src/gpu/kernel.rs`.
pub(super) type Files = BTreeMap<String, String>;

/// Each module, and the modules that it imports.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn read(folder: &Path, module: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("names are UTF-8");
        let name = if module.is_empty() { stem.to_owned() } else { format!("{module}::{stem}") };
        if path.is_dir() {
            read(&path, &name, files);
        } else {
            files.insert(name, fs::read_to_string(&path).expect("it is text"));
        }
    }
}

/// A file's text without comments and tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let without_docs = text.split("#[cfg(doc)]\nuse ").enumerate().map(|(i, part)| {
        // Imports for the documentation alone do not count.
        if i == 0 { part } else { part.split_once(';').map_or("", |(_, rest)| rest) }
    });
    let lines = without_docs.collect::<String>();
    lines.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Turns `a::{b, c::{d, e}}` into `a::b`, `a::c::d`, `a::c::e`.
fn expanded(tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    let body = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&body[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&body[start..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(|part| expanded(&format!("{}{part}", head.trim()))).collect()
}

/// The paths that a file imports, and those written out in its code.
fn imports(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let statement = code[at + 4..].split(';').next().unwrap_or_default();
        paths.extend(expanded(&statement.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    for (at, _) in code.match_indices("crate::") {
        let path = code[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next();
        paths.extend(path.map(|path| path.trim_end_matches(':').to_owned()));
    }
    paths
}

/// The file that defines what a path means in a module, or `None` if it is not one of ours.
fn target(module: &str, path: &str, files: &Files, exported: &BTreeMap<String, String>) -> Option<String> {
    let mut at: Vec<&str> = if module == "lib" { Vec::new() } else { module.split("::").collect() };
    let mut steps = path.split("::").map(str::trim).peekable();
    match *steps.peek()? {
        "crate" => {
            steps.next();
            at.clear();
        }
        "self" => {
            steps.next();
        }
        "super" => {
            while steps.next_if_eq(&"super").is_some() {
                at.pop();
            }
        }
        // A child module or a crate.
        _ => {}
    }
    let steps: Vec<&str> = steps.collect();
    let defined = steps.first().filter(|_| at.is_empty()).and_then(|name| exported.get(*name));
    if let Some(defined) = defined {
        return Some(defined.clone());
    }
    let full: Vec<&str> = at.iter().copied().chain(steps).collect();
    let is_ours = path.starts_with("crate") || path.starts_with("super") || path.starts_with("self");
    (1..=full.len()).rev().map(|len| full[..len].join("::")).find(|name| {
        // A bare name is a child of the module, never the module itself.
        files.contains_key(name) && (is_ours || name.len() > module.len() || module == "lib")
    })
}

fn arrows(files: &Files) -> Arrows {
    // An item that `lib.rs` re-exports counts for the file that defines it.
    let lib = files.get("lib").map(|text| code(text)).unwrap_or_default();
    let mut exported = BTreeMap::new();
    for path in imports(&lib) {
        if let (Some(name), Some(file)) = (path.rsplit("::").next(), target("lib", &path, files, &BTreeMap::new())) {
            // A module of that name is not an item.
            let is_module = file.split("::").last() == Some(name);
            exported.extend((!is_module).then(|| (name.to_owned(), file)));
        }
    }
    let of = |(module, text): (&String, &String)| {
        let known = imports(&code(text)).into_iter().filter_map(|path| target(module, &path, files, &exported));
        (module.clone(), known.filter(|file| file != module).collect())
    };
    files.iter().map(of).collect()
}

fn layer(module: &str) -> usize {
    let first = module.split("::").next().unwrap_or_default();
    LAYERS.iter().position(|layer| *layer == first).unwrap_or_else(|| panic!("{module} is in no layer"))
}

/// The arrows that point to a lower layer.
fn pointing_back(arrows: &Arrows) -> Vec<String> {
    let of = |(from, all): (&String, &BTreeSet<String>)| {
        let lower = all.iter().filter(|to| layer(to) > layer(from));
        lower.map(|to| format!("{from} knows {to}, which is in a lower layer")).collect::<Vec<_>>()
    };
    arrows.iter().flat_map(of).collect()
}

/// The files that import themselves by way of others.
fn in_a_circle(arrows: &Arrows) -> Vec<String> {
    let is = |from: &&String| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![*from]);
        while let Some(file) = next.pop() {
            next.extend(arrows.get(file).into_iter().flatten().filter(|to| reached.insert(*to)));
        }
        reached.contains(*from)
    };
    arrows.keys().filter(is).map(|file| format!("{file} is in a circle")).collect()
}

/// The source files of a package.
pub(super) fn files(package: &str) -> Files {
    let mut files = Files::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(package).join("src"), "", &mut files);
    files
}

#[test]
fn each_layer_knows_only_those_above_it() {
    let arrows = arrows(&files(""));
    let count: usize = arrows.values().map(BTreeSet::len).sum();
    assert!(count > 150, "only {count} imports were found");
    assert_eq!(pointing_back(&arrows), Vec::<String>::new());
}

#[test]
fn no_files_know_each_other_in_a_circle() {
    for (package, least) in [("", 150), ("crates/cli", 50), ("crates/burn", 10), ("crates/fit", 60)] {
        let arrows = arrows(&files(package));
        let count: usize = arrows.values().map(BTreeSet::len).sum();
        assert!(count > least, "only {count} imports were found in {package:?}");
        assert_eq!(in_a_circle(&arrows), Vec::<String>::new(), "in {package:?}");
    }
}

#[test]
fn planted_arrows_are_found() {
    let planted = [
        ("numeric::bits", "use crate::formula::Formula;", "numeric::bits knows formula"),
        ("formula", "use crate::{Error, Penalty, Result};", "formula knows penalty"),
        ("plan::coefficients", "fn f() { crate::gpu::Gpu::open(); }", "plan::coefficients knows gpu"),
        (
            "numeric::bits",
            "use super::{\n    hash::fnv1a,\n    tile::{self, TILE},\n};",
            "numeric::bits is in a circle",
        ),
        ("gpu::lock", "use super::device::Gpu;", "gpu::lock is in a circle"),
    ];
    for (module, line, expected) in planted {
        let mut files = files("");
        let text = files.get_mut(module).expect("the file is there");
        text.insert_str(0, &format!("{line}\n"));
        let arrows = arrows(&files);
        let found = [pointing_back(&arrows), in_a_circle(&arrows)].concat();
        assert!(found.iter().any(|text| text.starts_with(expected)), "{line} in {module}: {found:?}");
    }
}
