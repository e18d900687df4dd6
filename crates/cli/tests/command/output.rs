//! Printed text: nothing in it acts on a terminal, and columns line up.

use std::fs;

use crate::common::*;
use serde_json::json;

/// Escape sequences, other control characters, and characters that reorder or hide text.
const HOSTILE: &str = "a\u{1b}]0;pwned\u{7}\u{1b}[31m\r\n\t\u{7f}\u{9b}2J\u{202e}b\u{2066}\u{200b}\u{200f}\u{feff}\u{2028}\u{2029}\u{ad}\u{61c}\u{e0041}\u{3164}c";

/// Asserts that all characters of a text are visible, apart from line breaks.
fn assert_seen(text: &str) {
    let seen = |c: char| c == '\n' || (!c.is_control() && !HOSTILE.contains(c)) || c.is_ascii_graphic();
    assert_eq!(text.chars().find(|&c| !seen(c)), None, "{text:?}");
}

#[test]
fn names_of_tensors_types_files_and_shards_are_escaped() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    // A file name must not contain a slash or be longer than 255 bytes.
    let hostile = HOSTILE.replace('/', "");
    let file = path(&hostile);
    let skipped = format!("skipped{HOSTILE}");
    safetensors(&file, &[(HOSTILE, "F32", vec![1], f32s(&[1.0])), (&skipped, "I8", vec![1], vec![1])], 0);
    safetensors(&path("ints"), &[(HOSTILE, "I8", vec![1], vec![1])], 0);
    raw_safetensors(
        &path("dtype"),
        &json!({HOSTILE: {"dtype": HOSTILE, "shape": [1], "data_offsets": [0, 4]}}).to_string(),
        &[0; 4],
    );
    npy(&path("descr.npy"), &format!("'{}'", HOSTILE.replace(['\r', '\n'], "")), "False", "(1,)", &[0; 4]);
    npy(&path("record.npy"), "[('a\u{1b}[31m\u{202e}', '<f4')]", "False", "(1,)", &[0; 4]);
    npy(&path(&format!("{hostile}.npy")), "'<i8'", "False", "(1,)", &[0; 8]);
    fs::write(path("text"), format!("{HOSTILE} and more")).unwrap();
    fs::write(path("gone.json"), json!({"weight_map": {"w": HOSTILE}}).to_string()).unwrap();
    fs::write(path("lost.json"), json!({"weight_map": {HOSTILE: "ints", "x\u{202e}": "ints"}}).to_string()).unwrap();
    let text = |name: &str| path(name).display().to_string();
    let (file, out) = (file.display().to_string(), text(&format!("out{hostile}")));
    let eval = |args: &[&str]| penalty(["eval"].iter().chain(args));
    let runs = [
        eval(&[&file, "--l1", "1"]),
        eval(&[&file, &file, "--l1", "1"]),
        penalty(["shrink", &file, "--out", &out, "--l1", "1", "--step", "1"]),
        penalty(["shrink", &file, "--out", &out, "--l1", "1", "--step", "1"]),
        penalty([
            "shrink",
            &file,
            "--out",
            &out,
            "--penalty",
            "top-k:k=1",
            "--groups",
            "rows",
            "--step",
            "1",
            "--force",
        ]),
        eval(&[&text("ints")]),
        eval(&[&text("dtype")]),
        eval(&[&text("descr.npy")]),
        eval(&[&text("record.npy")]),
        eval(&[&text(&format!("{hostile}.npy"))]),
        eval(&[&text(&format!("missing{hostile}"))]),
        eval(&[&text("text")]),
        eval(&[&text("gone.json")]),
        eval(&[&text("lost.json")]),
        eval(&[&file, "--include", &format!("zz{HOSTILE}")]),
        eval(&[&file, "--include", &format!("({HOSTILE}")]),
        eval(&[&file, "--l1", HOSTILE]),
        eval(&[&file, "--penalty", HOSTILE]),
        eval(&[&file, "--penalty", &format!("mcp:{HOSTILE}=1")]),
        eval(&[&file, "--groups", HOSTILE]),
        eval(&[&file, "--adapter", HOSTILE]),
        eval(&[&file, "--backend", HOSTILE]),
        eval(&[&file, &format!("--{HOSTILE}")]),
        eval(&[&file, "--l1", "a\n\nUs\n\nb"]),
        penalty([HOSTILE]),
    ];
    for run in runs {
        assert_seen(&run.out);
        assert_seen(&run.err);
        match run.code {
            0 => assert!(
                run.out.contains("a\\u{1b}]0;pwned\\u{7}\\u{1b}[31m\\r\\n\\t\\u{7f}\\u{9b}2J\\u{202e}b\\u{2066}"),
                "{run:?}"
            ),
            _ => assert_eq!((run.err.lines().count(), run.out.as_str()), (1, ""), "{run:?}"),
        }
    }
    assert_fails(&eval(&[&file, "--l1", "a\n\nb"]), 2, &["invalid value 'a b' for '--l1 <λ>': expected a number"]);
}

#[test]
fn json_keeps_names_whole_and_escaped() {
    let folder = folder();
    let file = folder.path().join("m\u{202e}");
    let long = "長".repeat(5000);
    let tensors: [Stored<'_>; 3] = [
        (HOSTILE, "F32", vec![1], f32s(&[1.0])),
        (&long, "F32", vec![1], f32s(&[1.0])),
        ("i\u{9b}", "I8", vec![1], vec![1]),
    ];
    safetensors(&file, &tensors, 0);
    let run = penalty(["eval", &file.display().to_string(), "--l1", "1", "--json"]);
    assert_seen(&run.out);
    assert!(run.out.contains("\\u202eb\\u2066\\u200b") && run.out.contains("\\udb40\\udc41"), "{}", run.out);
    let found = run.json();
    assert_eq!((&found["tensors"][0]["name"], &found["tensors"][1]["name"]), (&json!(HOSTILE), &json!(long)));
    assert_eq!((&found["tensors"][0]["file"], &found["skipped"][0]["name"]), (&json!(file), &json!("i\u{9b}")));
}

/// Writes a checkpoint whose tensors have these names.
fn named(names: &[&str]) -> (tempfile::TempDir, String) {
    let folder = folder();
    let file = folder.path().join("m");
    let tensors: Vec<Stored<'_>> = names.iter().map(|&name| (name, "F32", vec![1], f32s(&[1.0]))).collect();
    safetensors(&file, &tensors, 0);
    let file = file.display().to_string();
    (folder, file)
}

#[test]
fn columns_line_up_by_what_is_seen() {
    // Each name with its width in columns.
    let names = [
        ("w", 1),
        ("重み層", 6),
        ("e\u{301}a\u{308}o\u{327}", 3),
        ("한글", 4),
        ("naïve", 5),
        ("x\u{200b}", 9),
        ("🦀", 2),
    ];
    let (_folder, file) = named(&names.map(|(name, _)| name));
    let run = penalty(["eval", &file, "--l1", "1", "--backend", "cpu"]);
    let lines: Vec<&str> = run.out.lines().collect();
    for ((name, columns), line) in names.iter().zip(&lines[1..]) {
        let name = name.replace('\u{200b}', "\\u{200b}");
        let numbers = "[1]    F32         1  1.00000  1.00000  1.00000     0.00  1.00000";
        assert_eq!(*line, format!("{name}{}  {numbers}", " ".repeat(9 - columns)));
    }
    assert!(lines[8].starts_with(&format!("total{}7  7.00000", " ".repeat(25))), "{}", run.out);
}

#[test]
fn a_name_is_whole_where_there_is_no_terminal() {
    let long = "n".repeat(5000);
    let (_folder, file) = named(&[&long, "w"]);
    let run = penalty(["eval", &file, "--l1", "1"]);
    assert!(run.out.contains(&long) && run.out.contains(&format!("\nw{}  [1]", " ".repeat(4999))));
    let run = penalty(["eval", &file, "--penalty", "group-lasso:lambda=1", "--groups", "rows"]);
    assert_fails(&run, 1, &[&long]);
}

/// Runs the command on a terminal with this many columns. Returns its exit code and the printed lines.
#[cfg(unix)]
fn on_terminal<S: AsRef<std::ffi::OsStr>>(columns: u16, args: impl IntoIterator<Item = S>) -> (i32, Vec<String>) {
    use std::io::Read;
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::process::{Command, Stdio};
    let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut ours, mut theirs) = (0, 0);
    let nothing = std::ptr::null_mut();
    // SAFETY: the pointers are to two descriptors, no name, and a size that outlives the call. Nobody else owns the
    // descriptors.
    let (ours, theirs) = unsafe {
        assert_eq!(libc::openpty(&mut ours, &mut theirs, nothing, std::ptr::null_mut(), &raw const size as *mut _), 0);
        (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs))
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_penalty"));
    command.args(args).stdin(Stdio::null()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut printed = Vec::new();
    // Reading ends with an error once the other side's last descriptor is closed.
    let _ = fs::File::from(ours).read_to_end(&mut printed);
    let printed = String::from_utf8(printed).unwrap();
    (
        child.wait().unwrap().code().unwrap(),
        printed.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect(),
    )
}

#[cfg(unix)]
#[test]
fn names_wider_than_the_terminal_are_shortened_in_the_middle() {
    use unicode_width::UnicodeWidthStr;
    let ends = |middle: &str| format!("begin{}end", middle.repeat(1000));
    let (latin, wide, marks) = (ends("n"), ends("重"), ends("e\u{301}"));
    let (_folder, file) = named(&[&latin, "model.layers.0.weight", &wide, &marks]);
    for columns in [100, 101, 160] {
        let (code, lines) = on_terminal(columns, ["eval", &file, "--l1", "1", "--backend", "cpu"]);
        assert_eq!(code, 0, "{lines:?}");
        // Names that fit into the terminal stay whole.
        assert!(lines[2].starts_with("model.layers.0.weight "), "{lines:?}");
        for line in [&lines[1], &lines[3], &lines[4]] {
            assert!(line.starts_with("begin") && line.contains('…') && line.contains("end "), "{line}");
            assert!(line.width() <= columns.into() && line.width() == lines[2].width(), "{columns}: {line}");
        }
        assert!(!lines[4].contains("…\u{301}"), "{}", lines[4]);
        assert_eq!(lines.len(), 8);
    }
    // Numbers stay whole, however narrow the terminal is.
    let (_, lines) = on_terminal(5, ["eval", &file, "--l1", "1", "--backend", "cpu"]);
    assert!(
        lines[1].starts_with("begi…end  [1]") && lines[1].ends_with("1.00000  1.00000     0.00  1.00000"),
        "{}",
        lines[1]
    );
    let (_, lines) = on_terminal(20, ["eval", &file, "--l1", "1", "--backend", "cpu"]);
    assert!(lines[1].starts_with("begi") && lines[1].ends_with("1.00000") && lines[1].width() < 100, "{}", lines[1]);
    // Lines outside of tables shorten names too.
    let groups = ["eval", &file, "--penalty", "group-lasso:lambda=1", "--groups", "rows"];
    let (code, lines) = on_terminal(80, groups);
    assert_eq!((code, lines.len()), (1, 1), "{lines:?}");
    assert!(lines[0].contains("\"begin") && lines[0].contains("end\" of shape [1]"), "{}", lines[0]);
    assert!(lines[0].width() < 400, "{}", lines[0]);
    // JSON is for programs, so names stay whole even on a terminal.
    let (_, lines) = on_terminal(80, ["eval", &file, "--json"]);
    assert!(lines.concat().contains(&latin));
}
