//! Sharded checkpoints and folders: what `shrink` and `prune` read, write and replace.

use std::fs;
use std::path::Path;

use crate::common::*;
use serde_json::json;

fn text(path: &Path) -> String {
    path.display().to_string()
}

const NAMES: [&str; 4] = ["m-1.safetensors", "m-2.safetensors", "m-3.safetensors", "m.safetensors.index.json"];

/// Three shards of a model, and their index.
fn write(folder: &Path, len: usize) {
    fs::create_dir_all(folder).unwrap();
    let mut map = serde_json::Map::new();
    for (seed, shard) in (1..).zip(&NAMES[..3]) {
        let [a, b] = ["a", "b"].map(|tensor| format!("{tensor}{seed}"));
        let tensors: [Stored<'_>; 3] = [
            (&a, "F32", vec![len as u64], f32s(&weights(len, seed))),
            (&b, "F32", vec![4, 8], f32s(&weights(32, 10 * seed))),
            ("ids", "I64", vec![1], vec![seed as u8; 8]),
        ];
        safetensors(&folder.join(shard), &tensors[..if seed == 1 { 3 } else { 2 }], 0);
        map.extend([a, b].into_iter().map(|tensor| (tensor, json!(shard))));
    }
    map.insert("ids".into(), json!(NAMES[0]));
    fs::write(folder.join(NAMES[3]), json!({"weight_map": map}).to_string()).unwrap();
}

/// The bytes of a folder's files, or why they cannot be read.
fn contents(folder: &Path) -> Vec<Result<Vec<u8>, String>> {
    NAMES.iter().map(|name| fs::read(folder.join(name)).map_err(|error| error.to_string())).collect()
}

fn entries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn shrink_writes_what_it_writes_of_each_shard() {
    let folder = folder();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    write(&input, 5000);
    let args = ["--l1", "0.2", "--step", "1"];
    for model in [input.clone(), input.join(NAMES[3])] {
        let run = penalty(["shrink", &text(&model), "--out", &text(&out), "--json"].iter().chain(&args));
        let json = run.json();
        assert_eq!(json["tensors"].as_array().unwrap().len(), 6);
        assert_eq!(entries(&out), NAMES);
        for shard in &NAMES[..3] {
            let alone = folder.path().join("alone");
            let paths = [text(&input.join(shard)), text(&alone)];
            assert_eq!(penalty(["shrink", &paths[0], "--out", &paths[1]].iter().chain(&args)).code, 0);
            assert!(fs::read(&alone).unwrap() == fs::read(out.join(shard)).unwrap(), "{shard}");
            fs::remove_file(alone).unwrap();
        }
        assert!(fs::read(input.join(NAMES[3])).unwrap() == fs::read(out.join(NAMES[3])).unwrap());
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_folder_is_its_checkpoint() {
    let folder = folder();
    let input = folder.path().join("in");
    write(&input, 100);
    let eval = |path: &Path| penalty(["eval", &text(path), "--json"]);
    assert_eq!(difference(eval(&input).json(), eval(&input.join(NAMES[3])).json()), None);
    fs::write(input.join("config.json"), "{}").unwrap();
    assert_eq!(difference(eval(&input).json(), eval(&input.join(NAMES[3])).json()), None);
    fs::remove_file(input.join(NAMES[3])).unwrap();
    assert_fails(&eval(&input), 1, &["is a directory with several checkpoints, such as m-1.safetensors and"]);
    fs::remove_file(input.join(NAMES[1])).unwrap();
    fs::remove_file(input.join(NAMES[2])).unwrap();
    assert_eq!(difference(eval(&input).json(), eval(&input.join(NAMES[0])).json()), None);
    // One file is written as a file.
    let out = folder.path().join("out");
    assert_eq!(penalty(["prune", &text(&input), "--out", &text(&out), "--sparsity", "0.5"]).code, 0);
    assert!(out.is_file());
}

#[test]
fn a_folder_is_replaced_only_if_nothing_is_lost() {
    let folder = folder();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    write(&input, 100);
    let prune = |out: &Path, more: &[&str]| {
        penalty(["prune", &text(&input), "--out", &text(out), "--sparsity", "0.5"].iter().chain(more))
    };
    fs::create_dir(&out).unwrap();
    assert_fails(&prune(&out, &[]), 1, &["out: exists; --force replaces it"]);
    fs::write(out.join("notes"), "mine").unwrap();
    assert_fails(&prune(&out, &["--force"]), 1, &["has \"notes\", which would be lost"]);
    assert_eq!(entries(&out), ["notes"]);
    fs::remove_file(out.join("notes")).unwrap();
    fs::write(out.join(NAMES[0]), "old").unwrap();
    let run = prune(&out, &["--force"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(entries(&out), NAMES);
    let new = contents(&out);
    // A folder may take its own place, and a trailing slash means the same.
    assert_eq!(
        penalty(["prune", &text(&out), "--out", &format!("{}/", text(&out)), "--sparsity", "0.5", "--force"]).code,
        0
    );
    assert!(contents(&out) == new, "half were zero already");
    assert_fails(&prune(&folder.path().join("in/m-1.safetensors"), &["--force"]), 1, &["is a file"]);
    for name in [".", "..", "new/.."] {
        assert_fails(&prune(&folder.path().join(name), &["--force"]), 1, &[]);
    }
    assert_eq!(entries(folder.path()), ["in", "out"]);
}

#[test]
fn other_files_of_a_folder_go_with_it() {
    let folder = folder();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    write(&input, 100);
    fs::write(input.join("config.json"), "{\"a\": 1}").unwrap();
    fs::write(input.join("tokenizer.model"), [7, 0, 9]).unwrap();
    // Weights of other formats would be those before, and hidden files and folders are not the model's.
    fs::write(input.join("pytorch_model.bin"), "old").unwrap();
    fs::write(input.join(".gitattributes"), "hidden").unwrap();
    fs::create_dir(input.join("onnx")).unwrap();
    let prune = |model: &str, out: &str, more: &[&str]| {
        penalty(["prune", model, "--out", out, "--sparsity", "0.5"].iter().chain(more))
    };
    let run = prune(&text(&input), &text(&out), &[]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let with: Vec<&str> = ["config.json"].into_iter().chain(NAMES).chain(["tokenizer.model"]).collect();
    assert_eq!(entries(&out), with);
    assert_eq!(fs::read(out.join("tokenizer.model")).unwrap(), [7, 0, 9]);
    // The index alone names no other files, so a folder that has some is not replaced.
    let index = text(&input.join(NAMES[3]));
    assert_fails(&prune(&index, &text(&out), &["--force"]), 1, &["which would be lost"]);
    assert_eq!(prune(&text(&input), &text(&out), &["--force"]).code, 0);
    assert_eq!(entries(&out), with);
    // A folder with one file becomes a folder if it is asked for.
    NAMES[1..].iter().for_each(|name| fs::remove_file(input.join(name)).unwrap());
    let single = format!("{}/", text(&folder.path().join("single")));
    assert_eq!(prune(&text(&input), &single, &[]).code, 0);
    assert_eq!(entries(Path::new(&single)), ["config.json", NAMES[0], "tokenizer.model"]);
    assert_eq!(prune(&text(&input), &text(&folder.path().join("file")), &[]).code, 0);
    assert!(folder.path().join("file").is_file());
}

#[cfg(unix)]
#[test]
fn links_and_permissions_of_folders() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = folder();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    write(&input, 100);
    // As in a cache of models, the shards are links.
    fs::rename(input.join(NAMES[0]), folder.path().join("blob")).unwrap();
    symlink("../blob", input.join(NAMES[0])).unwrap();
    fs::set_permissions(&input, fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(folder.path().join("blob"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real", &out).unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    let run = penalty(["prune", &text(&input), "--out", &text(&out), "--sparsity", "0.5", "--force"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(fs::symlink_metadata(&out).unwrap().is_symlink());
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.path().join("real")), mode(&out.join(NAMES[0]))), (0o750, 0o640));
    assert!(!fs::symlink_metadata(out.join(NAMES[0])).unwrap().is_symlink());
}

#[cfg(unix)]
#[test]
fn signals_and_a_full_disk_leave_nothing_of_a_folder() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    let folder = folder();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    write(&input, 100);
    // A hole of 16 GiB in the last shard, which takes no space on the disk.
    let len: u64 = 1 << 34;
    let header = format!(r#"{{"a3":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{len}]}}}}"#, len / 4);
    raw_safetensors(&input.join(NAMES[2]), &header, &[]);
    let file = fs::File::options().write(true).open(input.join(NAMES[2])).unwrap();
    file.set_len(8 + header.len() as u64 + len).unwrap();
    let index = fs::read_to_string(input.join(NAMES[3])).unwrap().replace(r#","b3":"m-3.safetensors""#, "");
    fs::write(input.join(NAMES[3]), index).unwrap();
    let start = |shell: &str| {
        let args = ["shrink", &text(&input), "--out", &text(&out), "--l1", "1", "--step", "1", "--backend", "cpu"];
        let command = ["-c", &format!("{shell} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_penalty")];
        Command::new("sh").args(command).args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let left = start("ulimit -f 20000;").wait_with_output().unwrap();
    let error = String::from_utf8(left.stderr).unwrap();
    assert_eq!(left.status.code(), Some(1), "{error}");
    assert!(error.contains("out: cannot be written: file too large"), "{error}");
    assert_eq!(entries(folder.path()), ["in"]);

    let mut child = start("");
    let writes = || {
        entries(folder.path()).iter().any(|name| {
            name.starts_with(".penalty-")
                && folder.path().join(name).join(NAMES[2]).metadata().is_ok_and(|m| m.len() > 0)
        })
    };
    while !writes() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it wrote");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // SAFETY: this test started the child, and nobody has waited for it yet.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    assert_eq!(entries(folder.path()), ["in"]);
}

/// PENALTY_KILLS says how often.
#[cfg(target_os = "linux")]
#[test]
fn a_kill_leaves_the_old_folder_or_the_new_one() {
    use std::process::{Command, Stdio};
    use std::time::Duration;
    let kills: u64 = std::env::var("PENALTY_KILLS").ok().map_or(12, |kills| kills.parse().unwrap());
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    write(&path("in"), 1 << 20);
    let args =
        ["prune", &text(&path("in")), "--sparsity", "0.5", "--force", "--backend", "cpu", "--out"].map(str::to_owned);
    let run = penalty(args.iter().chain([&text(&path("new"))]));
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let new = contents(&path("new"));
    write(&path("old"), 1 << 10);
    let old = contents(&path("old"));
    let (mut replaced, mut left) = (0, 0);
    for kill in 0..kills {
        let _ = fs::remove_dir_all(path("out"));
        write(&path("out"), 1 << 10);
        let mut command = Command::new(env!("CARGO_BIN_EXE_penalty"));
        let mut child =
            command.args(&args).arg(path("out")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Up to a second, at places that do not repeat.
        std::thread::sleep(Duration::from_micros(kill * 381_966 % 1_000_000 / if kill % 2 == 0 { 1 } else { 8 }));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = contents(&path("out"));
        assert!(found == old || found == new, "a mixture after {kill} kills");
        replaced += usize::from(found == new);
        let temporary = |name: &String| name.starts_with(".penalty-");
        let others: Vec<String> = entries(folder.path()).into_iter().filter(temporary).collect();
        if let Some(other) = others.first() {
            left += 1;
            // The next run names it.
            let run =
                penalty(["prune", &text(&path("old")), "--out", &text(&path("next")), "--sparsity", "1", "--force"]);
            assert_eq!(run.code, 0);
            assert!(run.err.contains(other) && run.err.lines().count() == others.len(), "{}", run.err);
        }
        others.iter().for_each(|other| fs::remove_dir_all(path(other)).unwrap());
    }
    println!("of {kills} runs, {replaced} had replaced the folder and {left} left a temporary one");
}
