//! `penalty bench` on the CPU: what it prints, whatever the times are. `parity.rs` runs it on devices.

use serde_json::Value;

use crate::common::{assert_fails, penalty, timed_rows};

#[test]
fn each_line_of_json_is_a_row_with_the_documented_keys() {
    let include = "^(evaluate|adam|sgd_momentum) ";
    let run = penalty(["bench", "--backend", "cpu", "--sizes", "1000,3x50", "--include", include, "--json-lines"]);
    let rows = timed_rows(&run);
    let names: Vec<String> = rows
        .iter()
        .map(|row| ["operation", "type", "tensors", "weights", "zeros"].map(|key| row[key].to_string()).join(" "))
        .collect();
    let of = |rest: &str| ["evaluate", "sgd_momentum", "adam"].map(|operation| format!("{operation:?} {rest}"));
    let expected = [
        of("\"F32\" 1 1000 0.0"),
        of("\"F32\" 3 50 0.0"),
        of("\"F32\" 1 1000 0.9"),
        of("\"F16\" 1 1000 0.0"),
        of("\"BF16\" 1 1000 0.0"),
    ];
    assert_eq!(names, expected.concat());
    let bytes: Vec<&Value> = rows[..6].iter().map(|row| &row["bytes"]).collect();
    assert_eq!(bytes, [4_000, 20_000, 28_000, 600, 3_000, 4_200]);
    for row in &rows {
        assert_eq!((&row["backend"], &row["measure"]), (&"cpu".into(), &"step".into()));
        for key in ["determinism", "device_microseconds", "dispatch_microseconds", "machine_device_microseconds"] {
            assert_eq!(row[key], Value::Null, "{key}");
        }
        let [gb, micros] =
            [&row["gb_per_second"], &row["microseconds"]["median"]].map(|x| x.as_f64().expect("a number"));
        let bytes = row["bytes"].as_f64().expect("a number");
        assert!((gb * micros * 1e3 / bytes - 1.0).abs() < 1e-9, "{row}");
    }
}

#[test]
fn the_help_explains_every_key() {
    let help = penalty(["bench", "--help"]).out;
    for key in crate::common::BENCH_KEYS {
        assert!(help.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == key), "{key}");
    }
}

#[test]
fn the_table_has_a_line_for_each_row() {
    let run = penalty(["bench", "--instructions", "baseline", "--sizes", "10..100", "--include", "^prox F32 .* dense"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let lines: Vec<Vec<&str>> = run.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines.len(), lines[0][..2].join(" ").as_str()), (4, "cpu: baseline,"));
    assert_eq!((lines[1][0], lines[1][lines[1].len() - 1]), ("operation", "ratio"));
    assert_eq!(lines[2][..3].join(" "), "prox F32 10");
    assert_eq!(lines[3][..3].join(" "), "prox F32 100");
}

#[test]
fn options_that_contradict_each_other_are_usage_errors() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--sizes", "100..10"], &["--sizes", "FROM ≤ TO", "100..10"]),
        (&["--sizes", "10x"], &["--sizes", "from 1 to 2^32"]),
        (&["--sizes", "2^20x2^20"], &["--sizes", "at most 2^32 weights"]),
        (&["--include", "("], &["--include", "unclosed group"]),
        (&["--instructions", "avx2", "--adapter", "x"], &["--instructions", "--adapter"]),
        (&["--instructions", "avx2", "--backend", "gpu"], &["--instructions", "--backend gpu"]),
    ];
    for (args, fragments) in cases {
        assert_fails(&penalty(["bench"].iter().chain(args)), 2, fragments);
    }
    assert_fails(&penalty(["bench", "--backend", "cpu", "--include", "nothing"]), 1, &["\"nothing\" matches no row"]);
}
