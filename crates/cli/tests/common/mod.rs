//! Runs the command, and makes files for it.

// No test binary uses all of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use penalty::half::{bf16, f16};
use serde_json::{Map, Value, json};

/// The output of a run, and its exit code.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn penalty<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    Run::of(Command::new(env!("CARGO_BIN_EXE_penalty")).args(args).output().expect("the command starts"))
}

/// The same in this folder, with additional arguments `more`, separated by spaces.
pub(crate) fn penalty_in<const N: usize>(folder: &Path, args: [&str; N], more: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penalty"));
    command.args(args).args(more.split(' ')).current_dir(folder);
    Run::of(command.output().expect("the command starts"))
}

/// The same with these environment variables.
pub(crate) fn penalty_with<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    args: impl IntoIterator<Item = &'a str>,
) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penalty"));
    Run::of(command.args(args).envs(variables).output().expect("the command starts"))
}

/// The same with this many threads, whatever the number of processors.
pub(crate) fn penalty_on_threads(threads: usize, args: &[&str]) -> Run {
    penalty_with([("RAYON_NUM_THREADS", threads.to_string().as_str())], args.iter().copied())
}

impl Run {
    fn of(Output { status, stdout, stderr }: Output) -> Run {
        Run {
            code: status.code().expect("the command ends by itself"),
            out: String::from_utf8(stdout).expect("standard output is UTF-8"),
            err: String::from_utf8(stderr).expect("standard error is UTF-8"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        serde_json::from_str(&self.out).expect("standard output is one JSON object")
    }
}

/// Asserts that a run failed with this code and one line that contains every fragment.
pub(crate) fn assert_fails(run: &Run, code: i32, fragments: &[&str]) {
    assert_eq!(run.code, code, "{run:?}");
    assert_eq!(run.err.lines().count(), 1, "{run:?}");
    assert_eq!(run.out, "", "{run:?}");
    for fragment in fragments {
        assert!(run.err.contains(fragment), "{fragment:?} is not in {:?}", run.err);
    }
}

/// The path of a checkpoint that the repository ships.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name)
}

/// The tensors of a safetensors file, widened to f64.
pub(crate) fn widened(path: &Path) -> BTreeMap<String, Vec<f64>> {
    let bytes = fs::read(path).expect("the file can be read");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("it is a safetensors file");
    let floats = |tensor: &safetensors::tensor::TensorView<'_>| -> Vec<f64> {
        let words = |size: usize| tensor.data().chunks_exact(size);
        match tensor.dtype() {
            safetensors::Dtype::F32 => words(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()).collect(),
            safetensors::Dtype::F16 => words(2).map(|b| f16::from_le_bytes([b[0], b[1]]).into()).collect(),
            safetensors::Dtype::BF16 => words(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).into()).collect(),
            dtype => panic!("{dtype:?} is no type of weights"),
        }
    };
    tensors.tensors().iter().map(|(name, tensor)| (name.clone(), floats(tensor))).collect()
}

/// A temporary folder that the end of the test removes.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A tensor for a test file: name, type, shape, bytes.
pub(crate) type Stored<'a> = (&'a str, &'a str, Vec<u64>, Vec<u8>);

pub(crate) fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Writes a safetensors file with these tensors in this order, and with metadata. The header's length is `pad` modulo
/// 8.
pub(crate) fn safetensors(path: &Path, tensors: &[Stored<'_>], pad: usize) {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt", "step": "7"}));
    let mut at = 0;
    for (name, dtype, shape, bytes) in tensors {
        let end = at + bytes.len();
        header.insert((*name).into(), json!({"dtype": dtype, "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let mut text = Value::Object(header).to_string();
    while text.len() % 8 != pad {
        text.push(' ');
    }
    let mut file = (text.len() as u64).to_le_bytes().to_vec();
    file.extend(text.bytes());
    file.extend(tensors.iter().flat_map(|t| &t.3));
    fs::write(path, file).expect("the test's file is written");
}

/// Writes a file with this header text and data, valid or not.
pub(crate) fn raw_safetensors(path: &Path, header: &str, data: &[u8]) {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(data);
    fs::write(path, file).expect("the test's file is written");
}

/// Writes a .npy file of version 1.0.
pub(crate) fn npy(path: &Path, descr: &str, fortran: &str, shape: &str, data: &[u8]) {
    let mut header = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(data);
    fs::write(path, file).expect("the test's file is written");
}

/// Irregular weights, a few of them zero.
pub(crate) fn weights(len: usize, seed: u32) -> Vec<f32> {
    (0..len as u32)
        .map(|i| {
            let random = (i ^ seed).wrapping_mul(2_654_435_761);
            if random.is_multiple_of(11) { 0.0 } else { (f64::from(random) / 4_294_967_296.0 - 0.5) as f32 }
        })
        .collect()
}

/// Two results that differ, as text; `None` if they agree. The device and the time do not count.
pub(crate) fn difference(mut a: Value, mut b: Value) -> Option<String> {
    forget(&mut a);
    forget(&mut b);
    (a != b).then(|| format!("{a}\n{b}"))
}

/// Removes the device, the time and the output path from a result.
pub(crate) fn forget(result: &mut Value) {
    let object = result.as_object_mut().expect("a result is an object");
    object.remove("seconds").expect("a result says how long it took");
    object.remove("device").expect("a result says who answered");
    object.remove("out");
}

/// The keys of each line of `bench --json-lines`, in their order.
pub(crate) const BENCH_KEYS: [&str; 22] = [
    "version",
    "backend",
    "adapter",
    "driver",
    "determinism",
    "operation",
    "type",
    "tensors",
    "weights",
    "zeros",
    "measure",
    "bytes",
    "microseconds",
    "device_microseconds",
    "dispatch_microseconds",
    "machine",
    "machine_microseconds",
    "machine_device_microseconds",
    "gb_per_second",
    "machine_gb_per_second",
    "ratio",
    "error",
];

/// The rows of `bench --json-lines`, whether it failed or not. Asserts that each has the documented keys, and times or
/// an error.
pub(crate) fn bench_rows(run: &Run) -> Vec<Value> {
    let rows: Vec<Value> =
        run.out.lines().map(|line| serde_json::from_str(line).expect("each line is one JSON object")).collect();
    for row in &rows {
        let keys: Vec<&str> = row.as_object().expect("a row is an object").keys().map(String::as_str).collect();
        assert_eq!(keys, BENCH_KEYS);
        assert_eq!(row["error"].is_null(), row["microseconds"].is_object(), "{row}");
    }
    rows
}

/// The same of a run in which no row failed. Asserts that its times make sense.
pub(crate) fn timed_rows(run: &Run) -> Vec<Value> {
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    let rows = bench_rows(run);
    for row in &rows {
        let spreads = ["", "device_", "dispatch_", "machine_", "machine_device_"]
            .map(|clock| &row[format!("{clock}microseconds")]);
        for spread in spreads.into_iter().filter(|spread| !spread.is_null()) {
            let [minimum, median, maximum] =
                ["minimum", "median", "maximum"].map(|key| spread[key].as_f64().expect("a number"));
            assert!(0.0 <= minimum && minimum <= median && median <= maximum, "{row}");
        }
        for key in ["gb_per_second", "machine_gb_per_second", "ratio"] {
            assert!(row["measure"] == "recording" || row[key].as_f64().is_some_and(|x| x > 0.0), "{key}: {row}");
        }
    }
    rows
}
