//! Every mistake a user or a file can make: one line that says what was wrong, and the exit code.

mod common;

use std::fs;

use common::*;

/// Runs eval and shrink on a bad file: both fail alike, and shrink leaves nothing behind.
fn refused(name: &str, fragments: &[&str], make: impl FnOnce(&std::path::Path)) {
    let folder = folder();
    let file = folder.path().join(name);
    make(&file);
    let before = fs::read_dir(folder.path()).unwrap().count();
    let text = file.display().to_string();
    let fragments: Vec<&str> = fragments.iter().copied().chain([text.as_str()]).collect();
    assert_fails(&penalty(["eval", &text, "--l1", "1"]), 1, &fragments);
    let out = folder.path().join("out").display().to_string();
    let shrink = penalty(["shrink", &text, "--out", &out, "--l1", "1", "--step", "1"]);
    assert_eq!((shrink.code, shrink.err.lines().count()), (1, 1), "{shrink:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn files_that_are_no_checkpoints() {
    refused("missing.safetensors", &["no such file"], |_| {});
    refused("folder", &["is a directory"], |path| fs::create_dir(path).unwrap());
    refused("empty.safetensors", &["is empty"], |path| fs::write(path, "").unwrap());
    refused("short", &["at least 8 bytes, found 3"], |path| fs::write(path, "abc").unwrap());
    refused("text.txt", &["no safetensors file"], |path| fs::write(path, "just some text, you know").unwrap());
    refused("huge", &["a header of 18446744073709551615 bytes"], |path| fs::write(path, [0xff; 64]).unwrap());
    refused("pickle.pt", &["no safetensors file"], |path| fs::write(path, b"PK\x03\x04 zip archive here").unwrap());
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let file = folder.path().join("secret.safetensors");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&file).is_ok() {
        eprintln!("ignored: this user may read every file");
        return;
    }
    assert_fails(&penalty(["eval", &file.display().to_string()]), 1, &["permission denied"]);
}

#[test]
fn headers_that_lie() {
    let one = |offsets: &str| format!(r#"{{"w":{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}}}"#);
    let headers = [
        ("not json", "{".to_owned(), 8),
        ("past the end", one("[0,8]"), 4),
        ("bytes behind", one("[0,8]"), 12),
        ("backwards", one("[8,0]"), 8),
        ("a hole before", one("[8,16]"), 16),
        ("shape and size differ", one("[0,4]"), 4),
        ("overlap", r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#.into(), 12),
        ("overflowing shape", r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,8]}}"#.into(), 8),
        ("overflowing offsets", r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}}"#.into(), 8),
        ("negative", r#"{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#.into(), 8),
        ("no such type", r#"{"w":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#.into(), 8),
        ("an array", "[1,2]".into(), 0),
    ];
    for (name, header, data) in headers {
        refused(name, &[], |path| raw_safetensors(path, &header, &vec![0; data]));
    }
}

/// Eight tensors of the most bytes that a shape can have, and one more: together they end just below 2^64.
#[test]
fn a_header_whose_data_end_past_2_to_the_64() {
    let most = (1u64 << 61) - 1;
    let tensor = |i: u64, len: u64| {
        format!(r#""w{i}":{{"dtype":"U8","shape":[{len}],"data_offsets":[{},{}]}}"#, i * most, i * most + len)
    };
    let tensors: Vec<String> = (0..8).map(|i| tensor(i, most)).chain([tensor(8, 7)]).collect();
    let header = format!("{{{}}}", tensors.join(","));
    refused("most", &["more bytes than 2^64"], |path| raw_safetensors(path, &header, &[]));
}

/// Opening a pipe would wait for a writer, and a pipe has no places to read from.
#[cfg(unix)]
#[test]
fn a_pipe() {
    refused("pipe", &["no regular file"], |path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    });
}

#[test]
fn npy_files_that_lie() {
    refused("truncated.npy", &["is truncated"], |path| npy(path, "'<f4'", "False", "(3,)", &[0; 8]));
    refused("longer.npy", &["bytes behind"], |path| npy(path, "'<f4'", "False", "(3,)", &[0; 16]));
    let shape = "(18446744073709551615, 18446744073709551615)";
    refused("overflow.npy", &["more bytes than 2^64"], |path| npy(path, "'<f4'", "False", shape, &[]));
    refused("garbled.npy", &[".npy header"], |path| fs::write(path, b"\x93NUMPY\x01\x00\x05\x00{abc}").unwrap());
    let deep = "[".repeat(5000);
    refused("deep.npy", &["nests 5002 deep"], |path| npy(path, &deep, "False", "()", &[]));
    refused("cut.npy", &[".npy header"], |path| fs::write(path, b"\x93NUMPY\x01\x00\xff\xff{").unwrap());
}

#[test]
fn indexes_that_lie() {
    let index = |text: &'static str| move |path: &std::path::Path| fs::write(path, text).unwrap();
    refused("a.json", &["no index"], index("{}"));
    refused("b.json", &["no index"], index("not json"));
    refused("c.json", &["shard gone.safetensors is missing"], index(r#"{"weight_map":{"w":"gone.safetensors"}}"#));
    refused("d.json", &["must be a file beside it"], index(r#"{"weight_map":{"w":"../w.safetensors"}}"#));
    refused("e.json", &["must be a file beside it"], index(r#"{"weight_map":{"w":"/etc/passwd"}}"#));
    refused("f.json", &["tensor \"w\" is not in its shard s"], |path| {
        raw_safetensors(&path.with_file_name("s"), "{}", &[]);
        fs::write(path, r#"{"weight_map":{"w":"s"}}"#).unwrap();
    });
}

#[test]
fn usage_errors_exit_with_2_and_name_the_option() {
    let file = data("digits_mlp_f32.safetensors").display().to_string();
    let cases: &[(&[&str], &[&str])] = &[
        (&["eval"], &["FILE"]),
        (&["eval", &file, "--l1", "NaN"], &["--l1", "from 0 to half of f32::MAX", "NaN"]),
        (&["eval", &file, "--l1", "-1"], &["--l1", "found -1"]),
        (&["eval", &file, "--l1", "inf"], &["--l1"]),
        (&["eval", &file, "--l2", "abc"], &["--l2", "expected a number, found \"abc\""]),
        (&["eval", &file, "--lambda", "1", "--alpha", "1.5"], &["--alpha", "from 0 to 1, found 1.5"]),
        (&["eval", &file, "--lambda", "1", "--alpha", "-0.5"], &["--alpha", "found -0.5"]),
        (&["eval", &file, "--lambda", "1"], &["--alpha"]),
        (&["eval", &file, "--alpha", "1"], &["--lambda"]),
        (&["eval", &file, "--lambda", "1", "--alpha", "1", "--l1", "1"], &["cannot be used with"]),
        (&["eval", &file, "--alpha", "1", "--l1", "1"], &["cannot be used with"]),
        (&["eval", &file, "--include", "("], &["--include", "unclosed group"]),
        (&["eval", &file, "--backend", "tpu"], &["--backend", "tpu"]),
        (&["eval", &file, "--backend", "cpu", "--adapter", "x"], &["--adapter", "--backend cpu"]),
        (&["eval", &file, "--frobnicate"], &["--frobnicate"]),
        (&["frobnicate"], &["frobnicate"]),
        (&["shrink", &file, "--out", "x", "--step", "1"], &["--l1"]),
        (&["shrink", &file, "--out", "x", "--l1", "1"], &["--step"]),
        (
            &["shrink", &file, "--out", "x", "--l1", "1", "--step", "-1"],
            &["step must be a finite number ≥ 0, found -1"],
        ),
        (&["shrink", &file, "--out", "x", "--l1", "1", "--step", "inf"], &["--step"]),
        (&["shrink", &file, "--out", "x", "--l2", "1e38", "--step", "1e10"], &["step", "below 2^119"]),
        (&["completions", "tcl"], &["tcl"]),
        (&["bench", "--sizes", "2^40"], &["--sizes"]),
        (&["bench", "--sizes", "abc"], &["--sizes"]),
    ];
    for (args, fragments) in cases {
        assert_fails(&penalty(*args), 2, fragments);
    }
    assert_eq!(penalty([] as [&str; 0]).code, 2);
}

#[test]
fn mistakes_in_a_named_penalty_say_what_it_takes() {
    let file = data("digits_mlp_f32.safetensors").display().to_string();
    let names = "l1, l2-squared, elastic-net, l0, l-half, log-sum, mcp, scad, huber, nonnegative-l1, box, \
                 weighted-l1, weighted-elastic-net, l2-norm, group-lasso, sparse-group-lasso, l2-ball, linf-norm, l1-ball, \
                 simplex, top-k, n-of-m";
    let unknown = |found: &str| format!("expected one of {names}; found {found:?}");
    let malformed = |found: &str| format!("expected mcp:lambda=…,gamma=…, found {found:?}");
    let keys = |found: &str| format!("mcp must have the parameters lambda, gamma; found {found}");
    let whole = |name: &str, found: &str| format!("{name} must be a whole number from 1 to 2^32 − 1, found {found}");
    let cases = [
        ("", unknown("")),
        ("mpc:lambda=1,gamma=3", unknown("mpc")),
        ("lambda=1,gamma=3", unknown("lambda=1,gamma=3")),
        ("mcp", malformed("mcp")),
        ("mcp:", malformed("mcp:")),
        ("mcp:lambda", malformed("mcp:lambda")),
        ("mcp:lambda=1,gamma=3,", malformed("mcp:lambda=1,gamma=3,")),
        ("mcp:lambda=1", keys("lambda")),
        ("mcp:lambda=1,a=3", keys("lambda, a")),
        ("mcp:lambda=1,gamma=3,a=3", keys("lambda, gamma, a")),
        ("mcp:lambda=1,gamma=3,lambda=1", keys("lambda, gamma, lambda")),
        ("mcp:lambda=abc,gamma=3", "lambda: expected a number, found \"abc\"".into()),
        ("mcp:lambda=-1,gamma=3", "lambda must be a number from 0 to half of f32::MAX, found -1".into()),
        ("mcp:lambda=1,gamma=NaN", "gamma must be from 2^-100 to 2^100, found NaN".into()),
        ("scad:lambda=1,a=1", "a must be above 1 and at most 2^100, found 1".into()),
        ("huber:lambda=1e30,delta=1e30", "lambda·delta must be a number from 0 to half of f32::MAX".into()),
        ("elastic-net:lambda=1,alpha=2", "alpha must be from 0 to 1, found 2".into()),
        (
            "group-lasso",
            "expected group-lasso:lambda=…,group-size=… or group-lasso:lambda=…, found \"group-lasso\"".into(),
        ),
        (
            "group-lasso:alpha=1",
            "group_lasso must have the parameters lambda, group_size or lambda; found alpha".into(),
        ),
        ("group-lasso:lambda=1,group-size=0", whole("group_size", "0")),
        ("sparse-group-lasso:lambda=1,alpha=2", "alpha must be from 0 to 1, found 2".into()),
        ("l1-ball:radius=-1", "radius must be a number from 0 to f32::MAX, found -1".into()),
        ("top-k:k=0", whole("k", "0")),
        ("top-k:k=1.5", whole("k", "1.5")),
        ("box:lower=1,upper=-1", "upper must be a number that is not below lower, found -1".into()),
    ];
    for (given, message) in &cases {
        let line = format!("penalty: invalid value '{given}' for '--penalty <PENALTY>': {message}");
        assert_fails(&penalty(["eval", &file, "--penalty", given]), 2, &[&line]);
        assert_fails(&penalty(["shrink", &file, "--out", "x", "--step", "1", "--penalty", given]), 2, &[&line]);
    }
    for (given, message) in [
        ("top-k:k=1", "expected one of box, l2-ball, l1-ball, simplex; found \"top-k\""),
        ("mcp:lambda=1,gamma=3", "expected one of box, l2-ball, l1-ball, simplex; found \"mcp\""),
        ("l1-ball:radius=NaN", "radius must be a number from 0 to f32::MAX, found NaN"),
        ("simplex", "expected simplex:radius=…, found \"simplex\""),
        ("box", "expected box:lower=…,upper=…, found \"box\""),
        ("box:lower=0", "box must have the parameters lower, upper; found lower"),
    ] {
        let line = format!("penalty: invalid value '{given}' for '--project <SET>': {message}");
        assert_fails(&penalty(["shrink", &file, "--out", "x", "--project", given]), 2, &[&line]);
    }
    for (given, message) in [
        ("l1-ball:radius=1", "expected one of top-k, n-of-m; found \"l1-ball\"".to_owned()),
        ("top-k", "expected top-k:k=…, found \"top-k\"".into()),
        ("top-k:k=0", whole("k", "0")),
        ("n-of-m:n=2", "n_of_m must have the parameters n, m; found n".into()),
        ("n-of-m:n=2,m=4.5", whole("m", "4.5")),
    ] {
        let line = format!("penalty: invalid value '{given}' for '--keep <CHOICE>': {message}");
        assert_fails(&penalty(["shrink", &file, "--out", "x", "--keep", given]), 2, &[&line]);
    }
}

#[test]
fn a_penalty_is_given_in_one_way() {
    let file = data("digits_mlp_f32.safetensors").display().to_string();
    let (l0, set) = (["--penalty", "l0:lambda=1"], ["--project", "box:lower=0,upper=1"]);
    let others: [&[&str]; 4] = [&["--l1", "1"], &["--l2", "1"], &["--lambda", "1", "--alpha", "1"], &["--alpha", "1"]];
    for other in others {
        assert_fails(
            &penalty(["eval", &file].iter().chain(&l0).chain(other)),
            2,
            &["--penalty", "cannot be used with"],
        );
        let shrink = ["shrink", &file, "--out", "x"];
        assert_fails(&penalty(shrink.iter().chain(&set).chain(other)), 2, &["--project", "cannot be used with"]);
    }
    let shrink = |args: &[&str]| penalty(["shrink", &file, "--out", "x"].iter().chain(args));
    assert_fails(&penalty(["eval", &file].iter().chain(&l0).chain(&l0)), 2, &["--penalty", "multiple times"]);
    assert_fails(&shrink(&[l0, set].concat()), 2, &["--project", "cannot be used with", "--penalty"]);
    assert_fails(&shrink(&[set, ["--step", "1"]].concat()), 2, &["--project", "cannot be used with", "--step"]);
    let keep = ["--keep", "top-k:k=1"];
    for other in others.into_iter().chain([&l0[..], &set, &["--step", "1"]]) {
        assert_fails(&shrink(&[&keep, other].concat()), 2, &["--keep", "cannot be used with"]);
    }
    assert_fails(&shrink(&l0), 2, &["not provided", "--step"]);
    assert_fails(&shrink(&["--step", "1"]), 2, &["not provided", "--penalty", "--project", "--keep"]);
    assert_fails(&penalty(["eval", &file].iter().chain(&set)), 2, &["--project"]);
    assert_fails(&penalty(["eval", &file].iter().chain(&keep)), 2, &["--keep"]);
    // Each in range alone, and not together.
    let far = ["--penalty", "huber:lambda=1e38,delta=1e-5", "--step", "1e10", "--backend", "cpu"];
    assert_fails(&shrink(&far), 2, &["step·lambda must be below 2^119"]);
    assert!(!std::path::Path::new("x").exists());
}

#[test]
fn what_fails_at_run_time_exits_with_1_or_3() {
    let file = data("digits_mlp_f32.safetensors").display().to_string();
    assert_fails(&penalty(["eval", &file, "--include", "zzz"]), 1, &["--include \"zzz\" matches no tensor"]);
    assert_fails(&penalty(["eval", &file, "--exclude", "zzz"]), 1, &["--exclude \"zzz\" matches no tensor"]);
    let missing = penalty(["eval", &file, "--adapter", "no such adapter"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.err.contains("no adapter is named like \"no such adapter\""));
    let folder = folder();
    let out = folder.path().join("no/such/folder/out").display().to_string();
    assert_fails(&penalty(["shrink", &file, "--out", &out, "--l1", "1", "--step", "1"]), 1, &[&out, "no such file"]);
    let out = folder.path().display().to_string();
    let run = penalty(["shrink", &file, "--out", &out, "--l1", "1", "--step", "1", "--force"]);
    assert_fails(&run, 1, &[&out, "is a directory"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::process::{Command, Stdio};
    let file = data("digits_mlp_f32.safetensors");
    let mut child = Command::new(env!("CARGO_BIN_EXE_penalty"))
        .args(["eval".as_ref(), file.as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
