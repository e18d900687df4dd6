//! `penalty shrink`: what it writes, and when it writes nothing.

use std::fs;

use crate::common::*;
use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty};
use serde_json::json;

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// A checkpoint with every type. Its tensors are neither sorted by name nor aligned.
fn checkpoint(path: &std::path::Path) -> (Vec<f32>, Vec<f16>, Vec<bf16>) {
    let a = weights(10_001, 1);
    let b: Vec<f16> = weights(4097, 2).into_iter().map(f16::from_f32).collect();
    let c: Vec<bf16> = weights(255, 3).into_iter().map(bf16::from_f32).collect();
    let halves = |bits: Vec<u16>| bits.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let tensors: [Stored; 4] = [
        ("z", "F16", vec![4097], halves(b.iter().map(|x| x.to_bits()).collect())),
        ("mask", "BOOL", vec![3], vec![1, 0, 1]),
        ("a", "F32", vec![73, 137], f32s(&a)),
        ("m", "BF16", vec![255], halves(c.iter().map(|x| x.to_bits()).collect())),
    ];
    safetensors(path, &tensors, 6);
    (a, b, c)
}

#[test]
fn the_file_is_the_prox_of_its_tensors_and_otherwise_the_same_bytes() {
    let folder = folder();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let (mut a, mut b, c) = checkpoint(&input);
    let args = ["--l1", "0.25", "--l2", "0.125", "--step", "0.5", "--exclude", "^m$"];
    let run = penalty(["shrink", &text(&input), "--out", &text(&output)].iter().chain(&args));
    assert_eq!((run.code, run.err.as_str()), (0, ""));

    let penalty = Penalty::keras(0.25, 0.125).unwrap();
    Backend::cpu().prox_in_place(&penalty, &mut a, 0.5).unwrap();
    Backend::cpu().prox_in_place(&penalty, &mut b, 0.5).unwrap();
    let (old, new) = (fs::read(&input).unwrap(), fs::read(&output).unwrap());
    let data = old.len() - 2 * 4097 - 3 - 4 * 10_001 - 2 * 255;
    let mut expected = old[..data].to_vec();
    expected.extend(b.iter().flat_map(|x| x.to_bits().to_le_bytes()));
    expected.extend([1, 0, 1]);
    expected.extend(f32s(&a));
    expected.extend(c.iter().flat_map(|x| x.to_bits().to_le_bytes()));
    assert!(new == expected);
    assert!(a.iter().filter(|&&x| x == 0.0).count() > 10_001 / 5);
}

#[test]
fn json_has_the_statistics_before_and_after() {
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    for asked in [["--l1", "0.1"], ["--penalty", "mcp:lambda=0.1,gamma=3"]] {
        let run = |args: &[&str]| penalty(args.iter().chain(&asked)).json();
        let shrunk = run(&["shrink", &input, "--out", &output, "--step", "1", "--force", "--json"]);
        let (before, after) = (run(&["eval", &input, "--json"]), run(&["eval", &output, "--json"]));
        assert_eq!(shrunk["penalty"], before["penalty"]);
        assert_eq!(shrunk["total"], json!({"before": before["total"], "after": after["total"]}));
        assert_eq!(shrunk["tensors"][1]["after"]["value"], after["tensors"][1]["value"]);
        assert_eq!((&shrunk["step"], &shrunk["out"]), (&json!(1.0), &json!(output)));
        assert_eq!(shrunk["skipped"][0]["name"], "mask");
        assert!(after["total"]["nonzero"].as_u64() < before["total"]["nonzero"].as_u64());
    }
}

/// Shrinks the digits and compares each weight with the formula's result, rounded to the weight's type.
fn shrinks(dtype: &str, args: &[&str], formula: impl Fn(f64) -> f64) {
    let folder = folder();
    let (input, output) = (data(&format!("digits_mlp_{dtype}.safetensors")), folder.path().join("out"));
    let run = penalty(["shrink", &text(&input), "--out", &text(&output), "--backend", "cpu"].iter().chain(args));
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let tolerance = match dtype {
        "f32" => 2f64.powi(-22),
        "f16" => 2f64.powi(-11),
        _ => 2f64.powi(-8),
    };
    let (old, new) = (widened(&input), widened(&output));
    assert_eq!(old.len(), new.len());
    let mut zeros = 0;
    for ((name, old), (_, new)) in old.iter().zip(&new) {
        assert_eq!(old.len(), new.len());
        for (&v, &x) in old.iter().zip(new) {
            let expected = formula(v);
            // The tolerance is relative to v: near a threshold the result is small, but the rounding of the threshold
            // is not.
            assert!((x - expected).abs() <= tolerance * v.abs(), "{name} {args:?}: {v} {x} {expected}");
            zeros += usize::from(x == 0.0);
        }
    }
    assert!((1..50_826).contains(&zeros), "{zeros} zeros");
}

#[test]
fn named_penalties_shrink_by_their_formulas() {
    for dtype in ["f32", "f16", "bf16"] {
        // The threshold is √(2ηλ) = 0.1.
        shrinks(dtype, &["--penalty", "l0:lambda=0.01", "--step", "0.5"], |v| if v.abs() > 0.1 { v } else { 0.0 });
        let firm = |v: f64| match v.abs() {
            a if a <= 0.05 => 0.0,
            a if a <= 0.2 => (a - 0.05).copysign(v) * 2.0 / 1.5,
            _ => v,
        };
        shrinks(dtype, &["--penalty", "mcp:lambda=0.1,gamma=2", "--step", "0.5"], firm);
        // For η ≥ γ, MCP's prox is the hard threshold at λ√(γη) = 0.15.
        let hard = |v: f64| if v.abs() > 0.15 { v } else { 0.0 };
        shrinks(dtype, &["--penalty", "mcp:lambda=0.05,gamma=2", "--step", "4.5"], hard);
    }
}

#[test]
fn a_projection_takes_the_nearest_point_and_no_step() {
    for dtype in ["f32", "f16", "bf16"] {
        // Every type represents the bounds exactly.
        shrinks(dtype, &["--project", "box:lower=0,upper=0.125"], |v| v.clamp(0.0, 0.125));
    }
    let folder = folder();
    let out = |name: &str| text(&folder.path().join(name));
    let input = text(&data("digits_mlp_bf16.safetensors"));
    let shrink = |name: &str, args: &[&str]| {
        penalty(["shrink", &input, "--out", &out(name), "--json"].iter().chain(args)).json()
    };
    let bounds = "box:lower=-0.1,upper=0.2";
    let projected = shrink("projected", &["--project", bounds]);
    assert_eq!(projected["penalty"], json!({"name": "box", "parameters": {"lower": -0.1, "upper": 0.2}}));
    assert_eq!(projected["step"], json!(null));
    let value = |when: &str| projected["total"][when]["value"].clone();
    assert_eq!((value("before"), value("after")), (json!("inf"), json!(0.0)));
    let stepped = shrink("stepped", &["--penalty", bounds, "--step", "0.25"]);
    assert_eq!((&stepped["step"], &stepped["tensors"]), (&json!(0.25), &projected["tensors"]));
    assert!(fs::read(out("projected")).unwrap() == fs::read(out("stepped")).unwrap());
}

#[test]
fn npy_is_shrunk_too() {
    let folder = folder();
    let (input, output) = (folder.path().join("w.npy"), folder.path().join("out.npy"));
    npy(&input, "'<f4'", "False", "(3,)", &f32s(&[1.0, -0.25, f32::NAN]));
    assert_eq!(penalty(["shrink", &text(&input), "--out", &text(&output), "--l1", "0.5", "--step", "1"]).code, 0);
    let (old, new) = (fs::read(&input).unwrap(), fs::read(&output).unwrap());
    let (header, data) = new.split_at(new.len() - 12);
    assert_eq!(header, &old[..old.len() - 12]);
    assert_eq!(data, f32s(&[0.5, 0.0, f32::NAN]));
}

#[test]
fn a_dry_run_writes_nothing_and_says_the_same() {
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    let args = ["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1", "--json"];
    let dry = penalty(args.iter().chain(&["--dry-run"])).json();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(dry["out"], json!(null));
    assert_eq!(difference(dry, penalty(args).json()), None);
}

#[test]
fn an_existing_file_is_kept_unless_forced_and_no_run_leaves_a_temporary_file() {
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    fs::write(&output, "precious").unwrap();
    let args = ["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1"];
    assert_fails(&penalty(args), 1, &[&output, "exists", "--force"]);
    assert_eq!(fs::read(&output).unwrap(), b"precious");
    assert_eq!(penalty(args.iter().chain(&["--force"])).code, 0);
    assert!(fs::read(&output).unwrap() != b"precious");
    // The output may replace the input.
    let expected = fs::read(&output).unwrap();
    assert_eq!(penalty(["shrink", &input, "--out", &input, "--l1", "0.1", "--step", "1", "--force"]).code, 0);
    assert!(fs::read(&input).unwrap() == expected);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_an_existing_file() {
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    std::os::unix::fs::symlink("nowhere", &output).unwrap();
    let args = ["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1"];
    assert_fails(&penalty(args), 1, &[&output, "exists", "--force"]);
    assert_eq!(penalty(args.iter().chain(&["--force"])).code, 0);
    assert_eq!(penalty(["eval", &output]).code, 0);
}

/// Whatever is not a regular file stays as it is. The input does not exist, so any error about OUT comes before
/// reading.
#[cfg(unix)]
#[test]
fn only_a_regular_file_or_a_new_name_is_written() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    for (link, target) in [("to pipe", "pipe"), ("to device", "/dev/null"), ("to folder", "folder"), ("loop", "loop")] {
        symlink(target, path(link)).unwrap();
    }
    let regular = "must be a regular file or a new name, found";
    let cases = [
        ("pipe", format!("{regular} a pipe")),
        ("socket", format!("{regular} a socket")),
        ("to pipe", format!("{regular} a pipe")),
        ("to device", format!("{regular} a device")),
        ("folder", "is a directory".to_owned()),
        ("folder/", "is a directory".into()),
        ("folder/..", "is a directory".into()),
        ("to folder", "is a directory".into()),
        ("loop", "cannot be written: ".into()),
        ("new/", "names a folder".into()),
        ("new/.", "names a folder".into()),
    ];
    let before = listing(folder.path());
    for force in [&[][..], &["--force"]] {
        for (out, message) in &cases {
            let out = format!("{}/{out}", text(folder.path()));
            let args = ["shrink", "no such input", "--out", &out, "--l1", "1", "--step", "1"];
            assert_fails(&penalty(args.iter().chain(force)), 1, &[&format!("{out}: {message}")]);
        }
        // In this test, standard output is a pipe.
        let args = ["shrink", "no such input", "--out", "/dev/stdout", "--l1", "1", "--step", "1"];
        assert_fails(&penalty(args.iter().chain(force)), 1, &[&format!("/dev/stdout: {regular} a pipe")]);
    }
    assert_eq!(listing(folder.path()), before);
}

/// The names in a folder, with their kinds.
#[cfg(unix)]
fn listing(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = entries.map(|e| format!("{:?} {:?}", e.file_name(), e.file_type().unwrap())).collect();
    names.sort();
    names
}

#[test]
fn standard_output_takes_no_checkpoint() {
    let folder = folder();
    let input = folder.path().join("in");
    checkpoint(&input);
    let shrink = |out: &str| {
        let args = ["shrink", "in", "--out", out, "--l1", "0.1", "--step", "1", "--force"];
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_penalty"));
        command.args(args).current_dir(folder.path()).output().unwrap()
    };
    let run = shrink("-");
    let error = String::from_utf8(run.stderr).unwrap();
    assert_eq!((run.status.code(), run.stdout.len()), (Some(2), 0), "{error}");
    assert!(error.contains("standard output takes no checkpoint: give a file (./- is one called -)"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(shrink("./-").status.code(), Some(0));
    assert!(folder.path().join("-").is_file());
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_what_it_leads_to_is_written() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    checkpoint(&path("in"));
    for name in ["links", "blobs"] {
        fs::create_dir(path(name)).unwrap();
    }
    fs::write(path("blobs/old"), "old").unwrap();
    symlink("../blobs/old", path("links/old")).unwrap();
    symlink("old", path("links/twice")).unwrap();
    symlink("../blobs/new", path("links/new")).unwrap();
    let shrink = |out: &str, more: &[&str]| {
        let args = ["shrink", &text(&path("in")), "--out", &text(&path(out)), "--l1", "0.1", "--step", "1"];
        penalty(args.iter().chain(more))
    };
    assert_eq!(shrink("out", &[]).code, 0);
    let expected = fs::read(path("out")).unwrap();
    for (link, target) in [("links/old", "blobs/old"), ("links/twice", "blobs/old"), ("links/new", "blobs/new")] {
        let before = fs::read(path(target)).ok();
        assert_fails(&shrink(link, &[]), 1, &[&text(&path(link)), "exists", "--force"]);
        assert_eq!(fs::read(path(target)).ok(), before);
        assert_eq!(shrink(link, &["--force"]).code, 0);
        assert!(fs::symlink_metadata(path(link)).unwrap().is_symlink(), "{link}");
        assert!(fs::read(path(target)).unwrap() == expected, "{link}");
        fs::write(path(target), "old").unwrap();
    }
    assert_eq!((listing(&path("links")).len(), listing(&path("blobs")).len()), (3, 2));
}

/// Signals that end a run.
#[cfg(unix)]
const SIGNALS: [i32; 6] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGXCPU];

/// Starts a run that would write for minutes.
#[cfg(unix)]
fn started(folder: &std::path::Path, shell: &str) -> std::process::Child {
    use std::process::{Command, Stdio};
    let len: u64 = 1 << 34;
    let (input, output) = (folder.join("in"), folder.join("out"));
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{len}]}}}}"#, len / 4);
    raw_safetensors(&input, &header, &[]);
    // A hole, which takes no space on the disk.
    let file = fs::File::options().write(true).open(&input).unwrap();
    file.set_len(8 + header.len() as u64 + len).unwrap();
    let mut command = Command::new("sh");
    // SAFETY: between fork and exec the closure only calls `signal`, which is allowed there. It resets the signals
    // because the command would also ignore those that the tests inherit as ignored, such as SIGINT in a shell's
    // background job.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, || {
            for signal in SIGNALS {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    };
    command
        .args(["-c", &format!("{shell} exec \"$@\""), "sh", env!("CARGO_BIN_EXE_penalty"), "shrink"])
        .args([&text(&input), "--out", &text(&output), "--l1", "1", "--step", "1", "--force", "--backend", "cpu"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The same, and waits until it writes.
#[cfg(unix)]
fn writing(folder: &std::path::Path, shell: &str) -> std::process::Child {
    use std::time::{Duration, Instant};
    let (mut child, begin) = (started(folder, shell), Instant::now());
    let writes = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        entry.file_name().to_string_lossy().starts_with(".penalty-") && entry.metadata().is_ok_and(|m| m.len() > 0)
    };
    while !fs::read_dir(folder).unwrap().any(writes) {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it wrote");
        assert!(begin.elapsed() < Duration::from_secs(600), "it hangs before it writes");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[cfg(unix)]
fn send(child: &std::process::Child, signal: i32) {
    // SAFETY: this test started the child, and nobody has waited for it yet.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_nothing_behind() {
    use std::os::unix::process::ExitStatusExt;
    for (signal, old) in SIGNALS.into_iter().zip([None, Some("old")].into_iter().cycle()) {
        let folder = folder();
        if let Some(old) = old {
            fs::write(folder.path().join("out"), old).unwrap();
        }
        // `ulimit -c 0` suppresses the core file that some of these signals leave.
        let mut child = writing(folder.path(), "ulimit -c 0;");
        send(&child, signal);
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
        let left: Vec<String> = listing(folder.path());
        assert_eq!(left.len(), 1 + usize::from(old.is_some()), "{signal}: {left:?}");
        assert_eq!(fs::read_to_string(folder.path().join("out")).ok().as_deref(), old);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    use std::os::unix::process::ExitStatusExt;
    let folder = folder();
    let mut child = writing(folder.path(), "trap '' HUP;");
    send(&child, libc::SIGHUP);
    send(&child, libc::SIGTERM);
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    assert_eq!(listing(folder.path()).len(), 1);
}

#[cfg(unix)]
#[test]
fn an_error_midway_leaves_nothing_behind() {
    use std::io::Read;
    let fails = |folder: &std::path::Path, mut child: std::process::Child, message: &str| {
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{error}");
        assert!(error.contains(message) && error.lines().count() == 1, "{error}");
        assert_eq!(listing(folder).len(), 1);
    };
    // The input shrinks while it is read.
    let first = folder();
    let child = writing(first.path(), "");
    fs::File::options().write(true).open(first.path().join("in")).unwrap().set_len(1000).unwrap();
    fails(first.path(), child, "in: became shorter while it was read");
    // The output grows beyond its size limit, as on a full disk.
    let second = folder();
    let child = started(second.path(), "ulimit -f 200000;");
    fails(second.path(), child, "out: cannot be written: file too large");
}

#[cfg(unix)]
#[test]
fn a_kill_at_any_moment_leaves_the_old_file_or_the_new_one() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    safetensors(input.as_ref(), &[("w", "F32", vec![8 << 20], f32s(&weights(8 << 20, 1)))], 0);
    let args = ["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1", "--force", "--backend", "cpu"];
    assert_eq!(penalty(args).code, 0);
    let new = fs::read(&output).unwrap();
    for delay in (0..20).map(|i| Duration::from_millis(3 * i)) {
        fs::write(&output, "old").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_penalty")).args(args).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        let found = fs::read(&output).unwrap();
        assert!(found == b"old" || found == new, "{} bytes after {delay:?}", found.len());
    }
    // This run is killed while it writes, however fast the machine is.
    let long = self::folder();
    fs::write(long.path().join("out"), "old").unwrap();
    let mut child = writing(long.path(), "");
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(fs::read(long.path().join("out")).unwrap(), b"old");
}

#[test]
fn weights_that_are_taken_together_are_never_cut() {
    // More weights than go to a device at a time, and more than a thread sums at a time.
    const LEN: usize = 2048 * 4096 + 5;
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    let theta = weights(LEN, 1);
    safetensors(input.as_ref(), &[("w", "F32", vec![LEN as u64], f32s(&theta))], 0);

    let norm = penalty(["eval", &input, "--penalty", "l2-norm:lambda=0.5", "--backend", "cpu", "--json"]).json();
    let want = Backend::cpu().evaluate(&Penalty::l2_norm(0.5).unwrap(), &theta).unwrap().value;
    assert_eq!(norm["total"]["value"], json!(want));

    let args = ["shrink", &input, "--out", &output, "--penalty", "top-k:k=1000", "--step", "1", "--backend", "cpu"];
    let kept = penalty(args.into_iter().chain(["--json"])).json();
    assert_eq!(kept["total"]["after"]["nonzero"], json!(1000));
    let want = Backend::cpu().prox(&Penalty::top_k(1000).unwrap(), &theta, 1.0).unwrap();
    let bytes = fs::read(&output).unwrap();
    assert_eq!(bytes[bytes.len() - 4 * LEN..], f32s(&want));
}

#[cfg(unix)]
#[test]
fn the_result_has_the_checkpoints_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    fs::set_permissions(&input, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(penalty(["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1"]).code, 0);
    assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o640);
}
