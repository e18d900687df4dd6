//! NumPy's files: the headers that we accept, and the orders of weights and bytes.

use std::fs;
use std::path::Path;

use crate::common::*;
use penalty::half::f16;
use serde_json::{Value, json};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The values as f4 or f2, in the byte order that the descr names.
fn stored(descr: &str, values: &[f32]) -> Vec<u8> {
    let size = if descr.contains("f4") { 4 } else { 2 };
    let mut bytes: Vec<u8> = match size {
        4 => f32s(values),
        _ => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
    };
    if descr.contains('>') {
        bytes.chunks_mut(size).for_each(<[u8]>::reverse);
    }
    bytes
}

/// The values that these bytes stand for.
fn read(descr: &str, mut bytes: Vec<u8>) -> Vec<f32> {
    let size = if descr.contains("f4") { 4 } else { 2 };
    if descr.contains('>') {
        bytes.chunks_mut(size).for_each(<[u8]>::reverse);
    }
    match size {
        4 => bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        _ => bytes.chunks(2).map(|b| f16::from_le_bytes(b.try_into().unwrap()).to_f32()).collect(),
    }
}

/// For each weight in column-major order, its place in row-major order.
fn column_major(shape: &[usize]) -> Vec<usize> {
    let place = |mut rest: usize| {
        let index: Vec<usize> = shape
            .iter()
            .map(|side| {
                let i = rest % side;
                rest /= side;
                i
            })
            .collect();
        index.iter().zip(shape).fold(0, |place, (i, side)| place * side + i)
    };
    (0..shape.iter().product()).map(place).collect()
}

/// Writes an array. `values` are in row-major order; the file is column-major if `fortran` is true.
fn array(path: &Path, descr: &str, fortran: bool, shape: &[usize], values: &[f32]) {
    let values: Vec<f32> = match fortran {
        true => column_major(shape).into_iter().map(|place| values[place]).collect(),
        false => values.to_vec(),
    };
    let tuple = format!("({})", shape.iter().map(|side| format!("{side},")).collect::<String>());
    let order = if fortran { "True" } else { "False" };
    npy(path, &format!("'{descr}'"), order, &tuple, &stored(descr, &values));
}

/// The values of a shrunk array, in row-major order. Its header must equal that of the original.
fn shrunk(input: &Path, output: &Path, descr: &str, fortran: bool, shape: &[usize]) -> Vec<f32> {
    let (old, new) = (fs::read(input).unwrap(), fs::read(output).unwrap());
    let len: usize = shape.iter().product();
    let header = old.len() - len * if descr.contains("f4") { 4 } else { 2 };
    assert_eq!((&new[..header], new.len()), (&old[..header], old.len()), "{descr} {fortran} {shape:?}");
    let values = read(descr, new[header..].to_vec());
    match fortran {
        false => values,
        true => {
            let mut rows = vec![0.0; len];
            column_major(shape).into_iter().zip(values).for_each(|(place, value)| rows[place] = value);
            rows
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Values that every type represents exactly, each of them many times.
fn tied(len: usize) -> Vec<f32> {
    weights(len, 3).iter().map(|w| (w * 8.0).round() * 0.25).collect()
}

/// Non-separable penalties, with every way to give their groups.
const TOGETHER: [&[&str]; 9] = [
    &["--keep", "n-of-m:n=2,m=4"],
    &["--keep", "top-k:k=5"],
    &["--keep", "top-k:k=1", "--groups", "columns"],
    &["--keep", "top-k:k=1", "--groups", "runs:4"],
    &["--penalty", "group-lasso:lambda=0.3,group-size=4", "--step", "0.5"],
    &["--penalty", "group-lasso:lambda=0.2", "--groups", "tiles:1x2", "--step", "0.5"],
    &["--penalty", "sparse-group-lasso:lambda=0.3,alpha=0.5", "--groups", "rows", "--step", "0.5"],
    &["--project", "l1-ball:radius=0.75", "--groups", "columns"],
    &["--project", "simplex:radius=1", "--groups", "runs:4"],
];

const ALONE: [&[&str]; 2] = [&["--l1", "0.25", "--step", "1"], &["--penalty", "l0:lambda=0.1", "--step", "1"]];

/// The results that depend on a tensor's order.
const SUMS: [&str; 3] = ["l1", "l2_squared", "value"];

#[test]
fn an_array_is_shrunk_alike_whatever_its_layout() {
    let folder = folder();
    let [input, output] = ["w.npy", "out.npy"].map(|name| folder.path().join(name));
    let shapes: [&[usize]; 6] = [&[6, 8], &[40, 36], &[2, 4, 3, 2], &[3, 1, 8], &[3, 2, 2, 1, 4], &[12]];
    for (shape, asked) in shapes.iter().flat_map(|shape| TOGETHER.iter().chain(&ALONE).map(move |asked| (shape, asked)))
    {
        if shape.len() < 2 && asked.iter().any(|text| ["rows", "columns", "tiles:1x2"].contains(text)) {
            continue;
        }
        let values = tied(shape.iter().product());
        let run = |descr: &str, fortran| {
            array(&input, descr, fortran, shape, &values);
            let args = ["shrink", &text(&input), "--out", &text(&output), "--force", "--json", "--backend", "cpu"];
            let mut tensor = penalty(args.iter().chain(*asked)).json()["tensors"][0].take();
            if ALONE.contains(asked) {
                // Their sums are taken in the file's order, so they may differ.
                for (when, sum) in ["before", "after"].iter().flat_map(|when| SUMS.map(|sum| (when, sum))) {
                    tensor[when][sum].take();
                }
            }
            (shrunk(&input, &output, descr, fortran, shape), [tensor["before"].take(), tensor["after"].take()])
        };
        for size in ["f4", "f2"] {
            let (want, said) = run(&format!("<{size}"), false);
            assert_ne!(bits(&want), bits(&values), "{asked:?} {shape:?}");
            for (order, fortran) in [("<", true), (">", false), (">", true), ("=", true), ("", false)] {
                let (found, also) = run(&format!("{order}{size}"), fortran);
                assert_eq!(bits(&found), bits(&want), "{asked:?} {shape:?} {order}{size} {fortran}");
                assert_eq!(also, said, "{asked:?} {shape:?} {order}{size} {fortran}");
            }
        }
    }
}

#[test]
fn a_matrix_is_in_rows() {
    let folder = folder();
    let file = folder.path().join("w.npy");
    // The rows are (3, 4), (0, 0) and (5, 12).
    let norm = |groups: &str, fortran| {
        array(&file, "<f4", fortran, &[3, 2], &[3.0, 4.0, 0.0, 0.0, 5.0, 12.0]);
        let args = ["eval", &text(&file), "--json", "--penalty", "l2-norm:lambda=1", "--groups", groups];
        penalty(args).json()["total"]["value"].as_f64().unwrap()
    };
    for fortran in [false, true] {
        assert_eq!(norm("rows", fortran), 18.0);
        assert_eq!(norm("runs:2", fortran), 18.0);
        assert_eq!(norm("tiles:3x2", fortran), norm("whole", fortran));
        assert!((norm("columns", fortran) - 34f64.sqrt() - 160f64.sqrt()).abs() < 1e-5);
    }
}

#[test]
fn weights_of_elements_are_matched_by_their_indices() {
    let (model, element_weights, out) = (folder(), folder(), folder());
    let path = |folder: &tempfile::TempDir| folder.path().join("w.npy");
    // The second array is larger than what is read at a time.
    for (shape, seed) in [(vec![3, 5, 4], 1), (vec![700, 1000], 2)] {
        let len = shape.iter().product();
        let values = weights(len, seed);
        let factors: Vec<f32> = tied(len).into_iter().map(f32::abs).collect();
        let run = |(descr, fortran): (&str, bool), (weights_descr, weights_fortran): (&str, bool)| {
            array(&path(&model), descr, fortran, &shape, &values);
            array(&path(&element_weights), weights_descr, weights_fortran, &shape, &factors);
            let args = ["shrink", &text(&path(&model)), "--out", &text(&path(&out)), "--force", "--json"];
            let element_weights = text(&path(&element_weights));
            let asked = [
                "--penalty",
                "weighted-l1:lambda=0.25",
                "--step",
                "1",
                "--weights",
                &element_weights,
                "--backend",
                "cpu",
            ];
            let before = penalty(args.iter().chain(&asked)).json()["total"]["before"].take();
            (shrunk(&path(&model), &path(&out), descr, fortran, &shape), before)
        };
        for size in ["f4", "f2"] {
            let little = format!("<{size}");
            let (want, rows) = run((&little, false), ("<f4", false));
            let (turned, columns) = run((&little, true), ("<f4", true));
            assert_eq!(bits(&turned), bits(&want));
            for fortran in [false, true] {
                for element_weights in [("<f4", true), (">f4", true), (">f2", false), ("<f2", true), ("<f4", false)] {
                    for order in ["<", ">"] {
                        let (found, before) = run((&format!("{order}{size}"), fortran), element_weights);
                        assert_eq!(bits(&found), bits(&want), "{shape:?} {order}{size} {fortran} {element_weights:?}");
                        // Sums are taken in the order of the model's file, whatever the order of the element weights'
                        // file.
                        assert_eq!(&before, if fortran { &columns } else { &rows });
                    }
                }
            }
        }
    }
}

#[test]
fn a_bad_weight_of_an_element_is_named_by_its_place_in_row_major_order() {
    let (model, element_weights) = (folder(), folder());
    let path = |folder: &tempfile::TempDir| folder.path().join("w.npy");
    let mut factors = vec![1.0; 24];
    factors[13] = -0.5;
    for (fortran, weights_fortran) in [(false, false), (false, true), (true, false), (true, true)] {
        array(&path(&model), "<f4", fortran, &[2, 3, 4], &tied(24));
        array(&path(&element_weights), ">f4", weights_fortran, &[2, 3, 4], &factors);
        let element_weights = text(&path(&element_weights));
        let run =
            penalty(["eval", &text(&path(&model)), "--penalty", "weighted-l1:lambda=1", "--weights", &element_weights]);
        assert_fails(&run, 1, &["must be numbers ≥ 0, found -0.5 at index 13"]);
    }
}

/// Runs with less memory than the array needs, if the system can limit it.
#[cfg(target_os = "linux")]
#[test]
fn arrays_whose_weights_stand_alone_are_streamed_whatever_their_layout() {
    let (model, element_weights) = (folder(), folder());
    let path = |folder: &tempfile::TempDir| folder.path().join("w.npy");
    const SIDE: u64 = 1 << 13;
    for (folder, descr) in [(&model, "'>f4'"), (&element_weights, "'<f4'")] {
        let shape = format!("({SIDE}, {SIDE})");
        npy(&path(folder), descr, "True", &shape, &[]);
        let file = fs::OpenOptions::new().write(true).open(path(folder)).unwrap();
        let header = file.metadata().unwrap().len();
        // A hole: zeros that take no space on the disk.
        file.set_len(header + 4 * SIDE * SIDE).unwrap();
    }
    let limited = |args: &str| {
        let command = format!("ulimit -v {}; exec \"$PENALTY\" {args} --backend cpu", 4 * SIDE * SIDE / 1024);
        let output = std::process::Command::new("sh")
            .args(["-c", &command])
            .env("PENALTY", env!("CARGO_BIN_EXE_penalty"))
            .env("RAYON_NUM_THREADS", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let (model, element_weights) = (text(&path(&model)), text(&path(&element_weights)));
    limited(&format!("eval {model} --l1 1"));
    limited(&format!("eval {model} --penalty weighted-l1:lambda=1 --weights {element_weights}"));
    limited(&format!("shrink {model} --out none --l1 1 --step 1 --dry-run"));
}

/// Writes a file of any version with this header.
fn of_version(path: &Path, version: [u8; 2], header: &[u8], data: &[u8]) {
    let mut file = b"\x93NUMPY".to_vec();
    file.extend(version);
    match version[0] {
        1 => file.extend((header.len() as u16).to_le_bytes()),
        _ => file.extend((header.len() as u32).to_le_bytes()),
    }
    file.extend(header);
    file.extend(data);
    fs::write(path, file).unwrap();
}

/// The header that NumPy writes for this descr and shape.
fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}     \n")
}

const VALUES: [f32; 3] = [0.5, -2.0, 0.25];

/// Evaluates and shrinks an array of the three values. The result must have the same header.
fn accepted(version: [u8; 2], header: &[u8], descr: &str, shape: Value) {
    let folder = folder();
    let [input, output] = ["w.npy", "out.npy"].map(|name| folder.path().join(name));
    of_version(&input, version, header, &stored(descr, &VALUES));
    let found = penalty(["eval", &text(&input), "--l1", "1", "--json"]).json();
    let said = String::from_utf8_lossy(header);
    let dtype = if descr.contains("f4") { "F32" } else { "F16" };
    assert_eq!((&found["total"]["l1"], &found["total"]["nonzero"]), (&json!(2.75), &json!(3)), "{said}");
    assert_eq!((&found["tensors"][0]["dtype"], &found["tensors"][0]["shape"]), (&json!(dtype), &shape), "{said}");
    let run = penalty(["shrink", &text(&input), "--out", &text(&output), "--l1", "0.25", "--step", "1"]);
    assert_eq!(run.code, 0, "{run:?}");
    of_version(&input, version, header, &stored(descr, &[0.25, -1.75, 0.0]));
    assert_eq!(fs::read(&output).unwrap(), fs::read(&input).unwrap(), "{said}");
}

#[test]
fn every_name_of_a_type_that_numpy_reads() {
    let names = [
        ("<f4", "<f4 =f4 f4 |f4 f <f =f |f float32 single"),
        (">f4", ">f4 >f"),
        ("<f2", "<f2 =f2 f2 |f2 e <e =e |e float16 half"),
        (">f2", ">f2 >e"),
    ];
    for (descr, names) in names {
        for name in names.split(' ') {
            accepted([1, 0], header(&format!("'{name}'"), "(3,)").as_bytes(), descr, json!([3]));
        }
    }
}

#[test]
fn every_header_that_numpy_reads() {
    let shapes = [
        ("(3,)", json!([3])),
        ("(3L,)", json!([3])),
        ("( 3L , 1L )", json!([3, 1])),
        ("(1, 3L)", json!([1, 3])),
        ("(0x3L,)", json!([3])),
        ("(0x3, 0b1)", json!([3, 1])),
        ("(+3,)", json!([3])),
        ("(3,\n1)", json!([3, 1])),
        ("(3, 1, 1, )", json!([3, 1, 1])),
    ];
    for (shape, sides) in shapes {
        accepted([1, 0], header("'<f4'", shape).as_bytes(), "<f4", sides);
    }
    for version in [[1, 0], [2, 0], [3, 0]] {
        accepted(version, header("'>f2'", "(3,)").as_bytes(), ">f2", json!([3]));
    }
    accepted([2, 0], header("'=f4'", "(3L,)").as_bytes(), "<f4", json!([3]));
    for header in [
        r#"{"shape": (3,), "descr": "<f4", "fortran_order": False}"#,
        "{u'descr': u'<f4', u'fortran_order': False, u'shape': (3L,), }\n",
        "\n {'descr':'<f4','fortran_order':False,\n'shape':(3,)}\n\n",
        r"{'descr': '\x3cf4', 'fortran_order': False, 'shape': (3,), }",
    ] {
        accepted([1, 0], header.as_bytes(), "<f4", json!([3]));
    }
}

#[test]
fn headers_that_numpy_does_not_read() {
    let folder = folder();
    let file = folder.path().join("w.npy");
    let rejected = |version, header: &[u8], reason: &str| {
        of_version(&file, version, header, &f32s(&VALUES));
        let start = format!("penalty: {}: its .npy header: ", text(&file));
        assert_fails(&penalty(["eval", &text(&file), "--l1", "1"]), 1, &[&start, reason]);
    };
    let sides = "shape must have whole numbers from 0 to 2^64 − 1, found";
    let dictionary = "expected {'descr': …, 'fortran_order': …, 'shape': …}, found";
    for (shape, reason) in [
        ("(np.int64(3),)", format!("{dictionary} {}", header("'<f4'", "(np.int64(3),)").trim())),
        ("(3LL,)", dictionary.into()),
        ("(3l,)", dictionary.into()),
        ("(3,,)", dictionary.into()),
        ("3", "shape must be a tuple, found 3".into()),
        ("3L", "shape must be a tuple, found 3".into()),
        ("'3'", "shape must be a tuple, found '3'".into()),
        ("(-3,)", format!("{sides} (-3,)")),
        ("(3.0,)", format!("{sides} (3e0,)")),
        ("('3L',)", format!("{sides} ('3L',)")),
        ("(True,)", format!("{sides} (True,)")),
        ("(18446744073709551616,)", format!("{sides} (18446744073709551616,)")),
        ("((3,),)", format!("{sides} ((3,),)")),
    ] {
        rejected([1, 0], header("'<f4'", shape).as_bytes(), &reason);
    }
    let full = "'descr': '<f4', 'fortran_order': False, 'shape': (3,)";
    rejected([1, 0], b"{'descr': '<f4', 'fortran_order': False}", "has no shape");
    rejected([1, 0], b"{'fortran_order': False, 'shape': (3,)}", "has no descr");
    rejected([1, 0], b"{'descr': '<f4', 'shape': (3,)}", "has no fortran_order");
    rejected([1, 0], format!("{{{full}, 'descr': '>f4'}}").as_bytes(), "has descr twice");
    rejected(
        [1, 0],
        format!("{{{full}, 'x': 1}}").as_bytes(),
        "expected descr, fortran_order and shape, found 'descr', 'fortran_order', 'shape', 'x'",
    );
    rejected(
        [1, 0],
        b"{'descr': '<f4', 'fortran_order': 1, 'shape': (3,)}",
        "fortran_order must be True or False, found 1",
    );
    rejected([1, 0], b"[]", dictionary);
    rejected([1, 0], b"", dictionary);
    for version in [[0, 0], [1, 1], [4, 0]] {
        let found = format!("its version must be 1.0, 2.0 or 3.0, found {}.{}", version[0], version[1]);
        rejected(version, header("'<f4'", "(3,)").as_bytes(), &found);
    }
    rejected([3, 0], b"{'\xe9': 1}", "invalid utf-8");
    // In Latin-1 this byte is a valid key.
    rejected([1, 0], b"{'\xe9': 1}", "has no descr");
}

#[test]
fn other_types_are_skipped_by_their_names() {
    let folder = folder();
    let file = folder.path().join("w.npy");
    let good = folder.path().join("good.npy");
    npy(&good, "'<f4'", "False", "()", &f32s(&[1.0]));
    for (descr, dtype) in [
        ("'<i8'", "<i8"),
        ("'|i1'", "|i1"),
        ("'|O'", "|O"),
        ("''", ""),
        ("'<'", "<"),
        ("'<<f4'", "<<f4"),
        ("'<float32'", "<float32"),
        ("'F4'", "F4"),
        ("None", "None"),
        ("[('a', '<f4'), ('\\xe9', '<i2')]", "[('a', '<f4'), ('\\xe9', '<i2')]"),
    ] {
        npy(&file, descr, "False", "(3,)", &[0; 24]);
        let found = penalty(["eval", &text(&file), &text(&good), "--json"]).json();
        let reason = format!("{dtype} is not f8, f4 or f2");
        assert_eq!(found["skipped"], json!([{"name": "w", "dtype": dtype, "reason": reason}]));
    }
    // NumPy saves ml_dtypes' arrays like this.
    for (descr, dtype) in [("'<V2'", "<V2"), ("'|V2'", "|V2"), ("'bfloat16'", "bfloat16")] {
        npy(&file, descr, "False", "(3,)", &[0; 6]);
        let found = penalty(["eval", &text(&file), &text(&good), "--json"]).json();
        let reason = format!("{dtype} is not f8, f4 or f2; bfloat16 is read from safetensors, which name it");
        assert_eq!(found["skipped"], json!([{"name": "w", "dtype": dtype, "reason": reason}]));
    }
}
