//! Do the commands of docs/choosing-lambda.md print what the page shows?

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::folder;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/choosing-lambda.md");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data");
const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data");

/// The page's blocks of a language with what follows each.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = page.split("```").collect();
    let inside: Vec<&str> = parts.iter().skip(1).step_by(2).copied().collect();
    let pairs = inside.windows(2).filter_map(|pair| Some((pair[0].strip_prefix("sh\n")?, pair[1])));
    pairs.map(|(script, shown)| (script, shown.strip_prefix("text\n").unwrap())).collect()
}

/// Whether two lines have the same words, and the same numbers up to what processors round differently.
fn same(found: &str, shown: &str) -> bool {
    let (found, shown): (Vec<&str>, Vec<&str>) =
        (found.split_whitespace().collect(), shown.split_whitespace().collect());
    found.len() == shown.len()
        && found.iter().zip(&shown).all(|(a, b)| {
            let number = |word: &str| word.trim_end_matches([',', ':']).parse::<f64>();
            match (number(a), number(b)) {
                (Ok(x), Ok(y)) => (x - y).abs() <= 1e-4 * y.abs() || y.abs() < 1e-9,
                _ => a == b,
            }
        })
}

#[test]
fn the_guides_commands_print_what_it_shows() {
    let page = fs::read_to_string(GUIDE).unwrap();
    let folder = folder();
    for (of, file) in [(DATA, "diabetes.csv"), (DATA, "wine.csv"), (DATA, "breast_cancer.csv"), (DIGITS, "digits.csv")]
    {
        fs::copy(Path::new(of).join(file), folder.path().join(file)).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_penalty")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let blocks = blocks(&page);
    assert_eq!(blocks.len(), 12);
    // What cargo runs is tested where it is built.
    for (script, shown) in blocks.into_iter().filter(|(script, _)| !script.starts_with("cargo")) {
        let run =
            Command::new("sh").args(["-c", script]).current_dir(folder.path()).env("PATH", &path).output().unwrap();
        assert!(run.status.success(), "{script}: {run:?}");
        let found = String::from_utf8(run.stdout).unwrap();
        let (found, shown): (Vec<&str>, Vec<&str>) = (found.lines().collect(), shown.lines().collect());
        // The page leaves out what follows the dots.
        let dots = shown.iter().position(|line| *line == "…");
        let shown = &shown[..dots.unwrap_or(shown.len())];
        assert!(found.len() >= shown.len() && (dots.is_some() || found.len() == shown.len()), "{script}: {found:?}");
        for (found, shown) in found.iter().zip(shown) {
            assert!(same(found, shown), "{script}: found {found:?}, the page shows {shown:?}");
        }
    }
    // The page's pictures are those of its commands: they have the same texts.
    let texts = |path: std::path::PathBuf| {
        let drawn = fs::read_to_string(&path).unwrap();
        drawn
            .split("<text")
            .skip(1)
            .map(|text| text.split(['>', '<']).nth(1).unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    for picture in ["overfitting.svg", "digits.svg", "geometry.svg", "path.svg"] {
        let shown = Path::new(GUIDE).with_file_name("figures").join(picture);
        let (found, shown) = (texts(folder.path().join(picture)), texts(shown));
        assert!(found.len() > 10, "{picture}: {found:?}");
        assert_eq!(found, shown, "{picture}");
    }
}
