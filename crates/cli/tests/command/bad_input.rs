//! Mistakes that a user or a file can make. Each gives one line that says what was wrong, and an exit code.

use std::fs;
use std::path::Path;

use crate::common::*;

/// Runs eval and shrink on a bad file. Both must fail alike, and shrink must leave nothing behind.
fn rejected(name: &str, fragments: &[&str], make: impl FnOnce(&std::path::Path)) {
    let folder = folder();
    let file = folder.path().join(name);
    make(&file);
    let before = fs::read_dir(folder.path()).unwrap().count();
    let text = file.display().to_string();
    let fragments: Vec<&str> = fragments.iter().copied().chain([text.as_str()]).collect();
    assert_fails(&penalty(["eval", &text, "--l1", "1"]), 1, &fragments);
    let out = folder.path().join("out").display().to_string();
    assert_fails(&penalty(["shrink", &text, "--out", &out, "--l1", "1", "--step", "1"]), 1, &fragments);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
}

#[test]
fn files_that_are_no_checkpoints() {
    rejected("missing.safetensors", &["no such file"], |_| {});
    rejected("folder", &["is a directory"], |path| fs::create_dir(path).unwrap());
    rejected("empty.safetensors", &["is empty"], |path| fs::write(path, "").unwrap());
    rejected("short", &["at least 8 bytes, found 3"], |path| fs::write(path, "abc").unwrap());
    rejected("text.txt", &["no safetensors file"], |path| fs::write(path, "just some text, you know").unwrap());
    rejected("huge", &["a header of 18446744073709551615 bytes"], |path| fs::write(path, [0xff; 64]).unwrap());
    rejected("broken.npy", &["is no .npy file: its first bytes"], |path| fs::write(path, [0xff; 64]).unwrap());
}

/// Files given by mistake, and what the error must say about each, whatever it was read as.
const MISTAKEN: [(&str, &[u8], &str); 24] = [
    (
        "lfs",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4976698672\n",
        "a Git LFS pointer: run `git lfs pull` to fetch",
    ),
    (
        "lfs crlf",
        b"version https://git-lfs.github.com/spec/v1\r\noid sha256:00\r\n",
        "a Git LFS pointer: run `git lfs pull`",
    ),
    ("login", b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>\n", "HTML, a web page"),
    ("page", b"\xef\xbb\xbf\n  <HTML lang=en>\n<p>404 Not Found</p>", "HTML, a web page"),
    ("denied", b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML, such as a server's error"),
    ("says", b"Invalid username or password.", "text, which begins with \"Invalid username or password.\""),
    ("m.gguf", b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0", "GGUF, llama.cpp's format: use the safetensors files"),
    ("m.h5", b"\x89HDF\r\n\x1a\n\0\0\0\0\0\0\0\0", "HDF5, as .h5 files of Keras are: save its weights"),
    ("m.onnx", b"\x08\x08\x12\x07pytorch\0\0\0\0\0", "an ONNX model: use the checkpoint"),
    ("graph", b"\x08\x0a:\xff\x01\0\0\0\0\0\0\0", "an ONNX model: use the checkpoint"),
    (
        "old.pt",
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\0\0",
        "a pickle, such as torch.save writes, which can run code",
    ),
    ("m.pkl", b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.", "a pickle, such as torch.save writes, which can run code"),
    ("m.bin", b"PK\x03\x04\0\0\0\0\0\0", "a PyTorch file that is damaged or cut off: download or save it again"),
    ("torch", b"PK\x03\x04\0\0 archive/data.pkl PK\x01\x02", "a PyTorch file that is damaged or cut off"),
    ("arrays", b"PK\x03\x04\0\0 arr_0.npy PK\x01\x02", "a .npz archive of NumPy arrays: unzip it"),
    ("w.npz", b"PK\x05\x06\0\0\0\0\0\0\0\0", "a .npz archive of NumPy arrays: unzip it"),
    ("m.keras", b"PK\x03\x04\0\0 config.json", "a Keras archive"),
    ("x.zip", b"PK\x03\x04\0\0 weights.dat", "a zip archive: unzip it"),
    ("x.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip: unpack it with gunzip"),
    ("x.zst", b"\x28\xb5\x2f\xfd\x24\0\0\0\0\0", "zstd: unpack it"),
    ("x.xz", b"\xfd7zXZ\0\0\x04\0\0\0\0", "xz: unpack it"),
    ("x.bz2", b"BZh91AY&SY\0\0\0\0", "bzip2: unpack it"),
    ("x.7z", b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0", "7z: unpack it"),
    ("m.tflite", b"\x1c\0\0\0TFL3\x14\0\x20\0", "a TensorFlow Lite model"),
];

#[test]
fn files_given_by_mistake_are_named() {
    let tar = [&[b'x'; 257][..], b"ustar\x0000", &[0; 248]].concat();
    for (name, bytes, found) in MISTAKEN.iter().copied().chain([("x.tar", &tar[..], "a tar archive: unpack it")]) {
        let write = |path: &Path| fs::write(path, bytes).unwrap();
        // We read each file under its real name, under names that it may be downloaded under, and as a shard.
        rejected(name, &[&format!("is no safetensors file but {found}")], write);
        rejected("model.safetensors", &["is no safetensors file but"], write);
        rejected("w.npy", &["is no .npy file but"], write);
        rejected("model.safetensors.index.json", &["is no index of a sharded checkpoint but"], write);
        let folder = folder();
        write(&folder.path().join(name));
        let index = folder.path().join("model.index.json");
        fs::write(&index, serde_json::json!({"weight_map": {"w": name}}).to_string()).unwrap();
        let shard = folder.path().join(name).display().to_string();
        let message = format!("{shard}: is no safetensors file but {found}");
        assert_fails(&penalty(["eval", &index.display().to_string()]), 1, &[&message]);
    }
    // Files with the right contents under a wrong name.
    let json = |path: &Path| fs::write(path, r#"{"weight_map": {}}"#).unwrap();
    let index = "but the index of a sharded checkpoint: give it a name that ends in .json";
    rejected("index", &["is no safetensors file", index], json);
    rejected("index.npy", &["is no .npy file", index], json);
    rejected("model.safetensors", &["is no safetensors file but JSON, such as", "a server's error"], |path| {
        fs::write(path, r#"{"error":"Repository not found"}"#).unwrap();
    });
    let tensors = |path: &Path| raw_safetensors(path, r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, &[1]);
    rejected("m.json", &["but a safetensors file: give it a name that does not end in .json"], tensors);
    rejected("w.json", &["but a NumPy array"], |path| npy(path, "'<f4'", "False", "(1,)", &[0; 4]));
    rejected("config.json", &["but other JSON, without a weight_map"], |path| {
        fs::write(path, r#"{"architectures": ["GPT2"]}"#).unwrap();
    });
}

/// Damaged checkpoints that begin like a file of another kind.
#[test]
fn a_damaged_checkpoint_is_not_taken_for_another_kind() {
    for length in [0x28b, 0x0308, 0x088b1f, 0x0280] {
        rejected(
            "cut.safetensors",
            &[&format!("or is truncated: its first bytes say a header of {length} bytes")],
            |path| {
                fs::write(path, [&u64::to_le_bytes(length)[..], b"{\"w\":"].concat()).unwrap();
            },
        );
    }
    rejected("cut.safetensors", &["its safetensors header: EOF"], |path| raw_safetensors(path, r#"{"w":"#, &[0; 8]));
    rejected("cut.index.json", &["no index of a sharded checkpoint: EOF"], |path| fs::write(path, "{").unwrap());
}

#[test]
fn where_every_selected_tensor_is_skipped_nothing_is_done() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    npy(&path("i8.npy"), "'<i8'", "False", "(1,)", &[0; 8]);
    npy(&path("i1.npy"), "'|i1'", "False", "(1,)", &[0]);
    safetensors(&path("fp8"), &[("w", "C64", vec![2], vec![0; 16]), ("v", "I64", vec![1], vec![0; 8])], 0);
    safetensors(&path("some"), &[("w", "C64", vec![2], vec![0; 16]), ("b", "F32", vec![1], vec![0; 4])], 0);
    let fails = |file: &str, more: &[&str], found: &str| {
        let found = format!(
            "{file}: nothing to do: expected tensors of the types F64, F32, F16, BF16, F8_E4M3 or F8_E5M2 (f8, f4 or f2 in .npy), found only {found}\n"
        );
        let out = text("out");
        let (eval, shrink) = (["eval", file], ["shrink", file, "--out", &out, "--step", "1"]);
        for options in [&["--l1", "1"][..], &["--l1", "1", "--json"]] {
            assert_fails(&penalty(eval.iter().chain(more).chain(options)), 1, &[&found]);
            assert_fails(&penalty(shrink.iter().chain(more).chain(options)), 1, &[&found]);
            assert_fails(&penalty(shrink.iter().chain(more).chain(options).chain(&["--dry-run"])), 1, &[&found]);
        }
    };
    fails(&text("i8.npy"), &[], "<i8");
    fails(&text("fp8"), &[], "C64, I64");
    fails(&text("fp8"), &["--exclude", "v"], "C64");
    fails(&text("some"), &["--include", "w"], "C64");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    let several = penalty(["eval", &text("i8.npy"), &text("i1.npy")]);
    let files = format!("{}, {}: nothing to do", text("i8.npy"), text("i1.npy"));
    assert_fails(&several, 1, &[&files, "found only <i8, |i1\n"]);
    // One readable tensor is enough for a result.
    assert_eq!(penalty(["eval", &text("some"), "--l1", "1"]).code, 0);
    assert_eq!(penalty(["eval", &text("i8.npy"), &text("some"), "--l1", "1"]).code, 0);
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
        rejected(name, &[], |path| raw_safetensors(path, &header, &vec![0; data]));
    }
}

#[test]
fn names_that_are_there_twice() {
    let w = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let next = r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#;
    let headers = [
        ("w", format!(r#"{{"w":{w},"w":{next}}}"#), 8),
        ("w", format!(r#"{{"w":{w},"w":{w}}}"#), 4),
        ("w", format!(r#"{{"a":{w},"w":{next},"\u0077":{w}}}"#), 8),
        ("dtype", r#"{"w":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#.into(), 8),
        ("shape", r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"shape":[2]}}"#.into(), 8),
        ("__metadata__", format!(r#"{{"__metadata__":{{}},"w":{w},"__metadata__":{{}}}}"#), 4),
        ("format", format!(r#"{{"__metadata__":{{"format":"pt","format":"np"}},"w":{w}}}"#), 4),
    ];
    for (name, header, data) in headers {
        let reason = format!("its safetensors header: the name {name:?} is there twice");
        rejected("header", &[&reason], |path| raw_safetensors(path, &header, &vec![0; data]));
    }
    let shards = [
        ("w", r#"{"weight_map":{"w":"s","w":"t"}}"#),
        ("w", r#"{"weight_map":{"w":"s","v":"s","w":"s"}}"#),
        ("weight_map", r#"{"weight_map":{"v":"s"},"weight_map":{"w":"s"}}"#),
        ("total_size", r#"{"metadata":{"total_size":1,"total_size":2},"weight_map":{"w":"s"}}"#),
    ];
    for (name, index) in shards {
        let reason = format!("is no index of a sharded checkpoint: the name {name:?} is there twice");
        rejected("index.json", &[&reason], |path| fs::write(path, index).unwrap());
    }
}

/// Eight tensors with the most bytes that a shape can have, and one more. Together they end just below 2^64.
#[test]
fn a_header_whose_data_end_past_2_to_the_64() {
    let most = (1u64 << 61) - 1;
    let tensor = |i: u64, len: u64| {
        format!(r#""w{i}":{{"dtype":"U8","shape":[{len}],"data_offsets":[{},{}]}}"#, i * most, i * most + len)
    };
    let tensors: Vec<String> = (0..8).map(|i| tensor(i, most)).chain([tensor(8, 7)]).collect();
    let header = format!("{{{}}}", tensors.join(","));
    rejected("most", &["more bytes than 2^64"], |path| raw_safetensors(path, &header, &[]));
}

/// Opening a pipe would wait for a writer, and a pipe cannot be read from an offset.
#[cfg(unix)]
#[test]
fn a_pipe() {
    rejected("pipe", &["no regular file"], |path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    });
}

#[test]
fn npy_files_that_lie() {
    rejected("truncated.npy", &["is truncated"], |path| npy(path, "'<f4'", "False", "(3,)", &[0; 8]));
    rejected("longer.npy", &["bytes behind"], |path| npy(path, "'<f4'", "False", "(3,)", &[0; 16]));
    let shape = "(18446744073709551615, 18446744073709551615)";
    rejected("overflow.npy", &["more bytes than 2^64"], |path| npy(path, "'<f4'", "False", shape, &[]));
    rejected("garbled.npy", &[".npy header"], |path| fs::write(path, b"\x93NUMPY\x01\x00\x05\x00{abc}").unwrap());
    let deep = "[".repeat(5000);
    rejected("deep.npy", &["nests 5002 deep"], |path| npy(path, &deep, "False", "()", &[]));
    rejected("cut.npy", &[".npy header"], |path| fs::write(path, b"\x93NUMPY\x01\x00\xff\xff{").unwrap());
}

#[test]
fn indexes_that_lie() {
    let index = |text: &'static str| move |path: &std::path::Path| fs::write(path, text).unwrap();
    rejected("a.json", &["no index"], index("{}"));
    rejected("b.json", &["no index"], index("not json"));
    rejected("c.json", &["shard gone.safetensors is missing"], index(r#"{"weight_map":{"w":"gone.safetensors"}}"#));
    rejected("d.json", &["must be a file beside it"], index(r#"{"weight_map":{"w":"../w.safetensors"}}"#));
    rejected("e.json", &["must be a file beside it"], index(r#"{"weight_map":{"w":"/etc/passwd"}}"#));
    rejected("up.json", &["must be a file beside it"], index(r#"{"weight_map":{"w":"./../w.safetensors"}}"#));
    rejected("through.json", &["must be a file beside it"], index(r#"{"weight_map":{"w":"a/../w.safetensors"}}"#));
    rejected("dot.json", &["\"\" must be a file beside it"], index(r#"{"weight_map":{"w":"./."}}"#));
    rejected("nothing.json", &["\"\" must be a file beside it"], index(r#"{"weight_map":{"w":""}}"#));
    rejected("f.json", &["tensor \"w\" is not in its shard s"], |path| {
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
        ("mcp:lambda=1", keys("lambda: gamma is missing")),
        ("mcp:lambda=1,a=3", keys("lambda, a: a is unknown, gamma is missing")),
        ("mcp:lambda=1,gamma=3,a=3", keys("lambda, gamma, a: a is unknown")),
        ("mcp:lambda=1,gamma=3,lambda=1", keys("lambda, gamma, lambda: lambda is given 2 times")),
        ("mcp:lambda=1,lambda=1", keys("lambda, lambda: lambda is given 2 times, gamma is missing")),
        ("mcp:lambda=1,Gamma=3", keys("lambda, Gamma: Gamma is unknown, gamma is missing")),
        ("mcp:lam bda=1,gamma=3", keys("lam bda, gamma: lam bda is unknown, lambda is missing")),
        ("mcp: lambda = 1 , a = 3", keys("lambda, a: a is unknown, gamma is missing")),
        ("m cp:lambda=1,gamma=3", unknown("m cp")),
        ("mcp : lambda=1 gamma=3", "lambda: expected a number, found \"1 gamma=3\"".into()),
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
            "group_lasso must have the parameters lambda, group_size or lambda; found alpha: alpha is unknown, lambda is \
             missing"
                .into(),
        ),
        (
            "group-lasso:group_size=2",
            "group_lasso must have the parameters lambda, group_size or lambda; found group_size: lambda is missing".into(),
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
    // Each value is in range alone, but not in combination.
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
