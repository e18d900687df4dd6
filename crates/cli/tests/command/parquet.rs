//! Are Parquet files, as pyarrow writes them, read as their CSV is?

use crate::common::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_it_says_so() {
    let file = format!("{FOLDER}houses_snappy.parquet");
    assert_fails(
        &penalty(["fit", &file, "--target", "price", "--l1", "1"]),
        1,
        &[&file, "build with --features parquet"],
    );
}

#[cfg(feature = "parquet")]
#[test]
fn columns_are_those_of_the_csv() {
    let folder = folder();
    let csv = folder.path().join("houses.csv");
    let text = "size,age,garden,share,fee,city,price\n90,3,1,0.5,1.25,north,400\n55,20,0,0.25,2.50,south,210\n\
                70,11,1,0.125,3.75,north,300\n120,5,1,0.75,0.50,west,520\n40,40,0,0.5,0.75,south,150\n\
                65,8,0,0.25,1.00,west,280\n85,15,1,1.0,2.25,north,330\n100,2,1,0.5,3.00,west,450\n\
                30,33,0,0.25,1.50,south,100\n75,9,1,0.125,1.75,north,310\n60,27,0,0.75,2.00,west,240\n\
                110,6,1,0.5,2.75,south,470\n";
    std::fs::write(&csv, text).unwrap();
    let csv = csv.display().to_string();
    let fit = |file: &str, options: &[&str]| {
        let include = ["--include", "^(size|age|garden|share|fee)$", "--json"];
        penalty(["fit", file].iter().chain(options).chain(&include)).json()
    };
    for options in [
        &["--target", "price", "--l1", "0.5"][..],
        &["--target", "city", "--loss", "multinomial", "--l2", "0.1", "--standardize"],
    ] {
        let expected = fit(&csv, options);
        assert!(expected["nonzero"].as_u64().unwrap() > 0);
        for compression in ["snappy", "zstd", "gzip"] {
            assert_eq!(fit(&format!("{FOLDER}houses_{compression}.parquet"), options), expected, "{compression}");
        }
    }
    let garden = fit(
        &format!("{FOLDER}houses_snappy.parquet"),
        &["--target", "garden", "--exclude", "garden", "--loss", "logistic", "--l2", "1"],
    );
    assert_eq!(garden["classes"], serde_json::json!(["false", "true"]));
}

#[cfg(feature = "parquet")]
#[test]
fn cells_that_are_no_numbers_are_named() {
    let file = format!("{FOLDER}houses_snappy.parquet");
    let fails = |column: &str, fragments: &[&str]| {
        let run = penalty(["fit", &file, "--target", "price", "--l1", "1", "--include", column]);
        assert_fails(&run, 1, &[&[&*file, column][..], fragments].concat());
    };
    fails("city", &["row 1,", "expected a finite number, found \"north\""]);
    fails("floor", &["row 3,", "found null: fill or drop it first"]);
    fails("sold", &["row 1,", "found a date: make it a number first"]);
    fails("rooms", &["row 1,", "found a nested value: give each of its parts a column"]);
    let folder = folder();
    let text = folder.path().join("text.parquet").display().to_string();
    std::fs::write(&text, "a,b\n1,2\n").unwrap();
    assert_fails(&penalty(["fit", &text, "--target", "b", "--l1", "1"]), 1, &["text.parquet", "Parquet"]);
}

/// Writes a file of twelve rows with these columns between `x` and `y`, which are numbers.
#[cfg(feature = "parquet")]
fn written(path: &std::path::Path, columns: &str) {
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
    let schema = format!("message m {{ required double x; {columns} required double y; }}");
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(&schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::file::writer::SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let mut at = 0.0;
    while let Some(mut column) = rows.next_column().unwrap() {
        let number = |row: u32| f64::from(row) + at * f64::from(row % 5);
        match column.untyped() {
            ColumnWriter::DoubleColumnWriter(column) => {
                column.write_batch(&(0..12).map(number).collect::<Vec<f64>>(), None, None).unwrap()
            }
            ColumnWriter::Int32ColumnWriter(column) => column.write_batch(&[i32::MAX; 12], None, None).unwrap(),
            ColumnWriter::Int64ColumnWriter(column) => column.write_batch(&[i64::MAX; 12], None, None).unwrap(),
            ColumnWriter::Int96ColumnWriter(column) => column.write_batch(&[Int96::new(); 12], None, None).unwrap(),
            ColumnWriter::FixedLenByteArrayColumnWriter(column) => {
                let cell = FixedLenByteArray::from(ByteArray::from(vec![1; 12]));
                column.write_batch(&vec![cell; 12], None, None).unwrap()
            }
            _ => panic!("no such column is written here"),
        };
        column.close().unwrap();
        at += 1.0;
    }
    rows.close().unwrap();
    writer.close().unwrap();
}

/// Times have no numbers, whatever their unit, as features and as classes; nor does the reader panic at any.
#[cfg(feature = "parquet")]
#[test]
fn times_are_no_numbers() {
    let folder = folder();
    let path = folder.path().join("times.parquet");
    let file = path.display().to_string();
    for (stored, found) in [
        ("int64 t (TIMESTAMP(NANOS,true))", "a time"),
        ("int64 t (TIMESTAMP(NANOS,false))", "a time"),
        ("int64 t (TIMESTAMP(MICROS,true))", "a time"),
        ("int64 t (TIMESTAMP_MILLIS)", "a time"),
        ("int64 t (TIME(NANOS,true))", "a time"),
        ("int64 t (TIME_MICROS)", "a time"),
        ("int32 t (TIME_MILLIS)", "a time"),
        ("int96 t", "a time"),
        ("fixed_len_byte_array(12) t (INTERVAL)", "a time"),
        ("int32 t (DATE)", "a date"),
    ] {
        written(&path, &format!("required {stored};"));
        let fragments = ["times.parquet", "row 1, column \"t\"", &format!("found {found}: make it a number first")];
        assert_fails(&penalty(["fit", &file, "--target", "y", "--l1", "0.1"]), 1, &fragments);
        assert_fails(&penalty(["fit", &file, "--target", "t", "--loss", "multinomial", "--l2", "1"]), 1, &fragments);
        let without = penalty(["fit", &file, "--target", "y", "--l1", "0.1", "--exclude", "t", "--json"]).json();
        assert_eq!(without["features"], serde_json::json!(["x"]), "{stored}");
    }
    written(&path, "required int64 t;");
    let with = penalty(["fit", &file, "--target", "y", "--l1", "0.1", "--json"]).json();
    assert_eq!(with["features"], serde_json::json!(["x", "t"]));
}
