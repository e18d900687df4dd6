//! Each public type, constructor and operation has an example in its documentation.

use super::layers::files;

/// Sealed traits in private modules: an example could not name them.
const UNNAMED: [&str; 1] = ["Bits"];

/// A public item, and whether its documentation has a code block.
type Item<'a> = (&'a str, bool);

/// The name of the public type or function that a line declares. A bare `pub` means public: the lint `unreachable_pub`
/// rejects it elsewhere.
fn declared(line: &str) -> Option<&str> {
    let mut words =
        line.strip_prefix("pub ")?.split(' ').skip_while(|word| ["async", "const", "unsafe"].contains(word));
    let is_item = ["fn", "struct", "enum", "union", "trait", "type"].contains(&words.next()?);
    words.next().filter(|_| is_item)?.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// The public items of a file.
fn items(text: &str) -> Vec<Item<'_>> {
    let (mut has_example, mut in_attribute) = (false, false);
    let mut items = Vec::new();
    for line in text.lines().map(str::trim) {
        if in_attribute || line.starts_with("#[") {
            in_attribute = !line.ends_with(']');
        } else if line.starts_with("//") {
            has_example |= line.starts_with("/// ```");
        } else {
            items.extend(declared(line).map(|name| (name, has_example)));
            has_example = false;
        }
    }
    items
}

/// The items without an example. Forms that end in `_async` need none: they name the call that they mirror.
fn missing(text: &str) -> Vec<&str> {
    let without = items(text).into_iter().filter_map(|(name, has_example)| (!has_example).then_some(name));
    without.filter(|name| !name.ends_with("_async") && !UNNAMED.contains(name)).collect()
}

#[test]
fn each_public_type_and_function_has_an_example() {
    for (package, at_least) in [("", 150), ("crates/burn", 20), ("crates/mpi", 10)] {
        let files = files(package);
        let count: usize = files.values().map(|text| items(text).len()).sum();
        assert!(count > at_least, "only {count} public items were found in {package:?}");
        let without =
            files.iter().flat_map(|(file, text)| missing(text).into_iter().map(move |name| format!("{file}: {name}")));
        assert_eq!(without.collect::<Vec<_>>(), Vec::<String>::new(), "in {package:?}");
    }
}

#[test]
fn planted_items_without_an_example_are_found() {
    let example = "/// Text.\n///\n/// ```no_run\n/// f();\n/// ```\n";
    let planted = [
        ("pub struct Plain;", Some("Plain")),
        ("/// Text.\npub fn documented<T>(x: T) -> u32 {", Some("documented")),
        ("    /// Text.\n    pub const fn constant(self) {}", Some("constant")),
        (
            "/// Text.\n#[derive(Debug)]\n#[cfg_attr(\n    any(),\n    derive(Copy)\n)]\npub enum Attributed {",
            Some("Attributed"),
        ),
        ("/// Text.\npub async fn awaited() {}", Some("awaited")),
        ("/// Text.\npub async fn awaited_async() {}", None),
        ("/// Text.\npub(crate) fn internal() {}", None),
        ("/// Text.\npub const NUMBER: usize = 1;", None),
        ("/// Text.\npub field: u32,", None),
    ];
    for (source, expected) in planted {
        assert_eq!(missing(source), Vec::from_iter(expected), "{source}");
        // Items with an example are not missing. An example counts only for the next item.
        assert_eq!(missing(&format!("{example}{source}")), Vec::<&str>::new(), "{source}");
        assert_eq!(missing(&format!("{example}fn other() {{}}\n{source}")), Vec::from_iter(expected), "{source}");
    }
}
