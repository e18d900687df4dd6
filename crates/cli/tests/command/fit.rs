//! The commands on data: do they give the numbers of scikit-learn, read what users have, and say what is wrong with it?

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/diabetes.csv");

/// scikit-learn's solutions on the diabetes data; the file says of what.
fn reference() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fit/tests/data/diabetes_sklearn.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Whether coefficients agree within 1e-6 of the largest, with the same support.
fn assert_coef(found: &Value, expected: &Value, about: &str) {
    let (found, expected) = (numbers(found), numbers(expected));
    let largest = expected.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
    assert_eq!(found.len(), expected.len(), "{about}");
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-6 * largest && (*a == 0.0) == (*b == 0.0), "{about}: {found:?}, not {expected:?}");
    }
}

#[test]
fn fits_are_those_of_scikit_learn() {
    let fits = reference();
    let fits = fits["fits"].as_array().unwrap();
    assert_eq!(fits.len(), 24);
    for fit in fits {
        let [lambda, alpha] = ["lambda", "alpha"].map(|key| fit[key].to_string());
        let about = format!("λ {lambda}, α {alpha}");
        let options = ["--lambda", &lambda, "--alpha", &alpha, "--standardize", "--tolerance", "1e-12", "--json"];
        let found = penalty(["fit", DATA, "--target", "target"].into_iter().chain(options)).json();
        let close = |key: &str| {
            let (a, b) = (found[key].as_f64().unwrap(), fit[key].as_f64().unwrap());
            assert!((a - b).abs() <= 1e-8 * b.abs(), "{about}: {key} {a}, not {b}");
        };
        close("objective");
        close("intercept");
        assert_coef(&found["coef"], &fit["coef"], &about);
        assert_eq!(found["nonzero"], fit["nonzero"], "{about}");
        assert_eq!(found["converged"], true, "{about}");
    }
}

#[test]
fn cross_validation_is_that_of_scikit_learn() {
    let reference = reference();
    let cv = &reference["cv"];
    let lambdas: Vec<String> = cv["lambdas"].as_array().unwrap().iter().map(Value::to_string).collect();
    let folder = folder();
    let model = folder.path().join("model.json").display().to_string();
    let plot = folder.path().join("cv.svg");
    let options =
        ["--folds", "5", "--contiguous", "--standardize", "--standardize-once", "--tolerance", "1e-12", "--json"];
    let more = ["--lambdas", &lambdas.join(","), "--out", &model, "--plot", &plot.display().to_string()];
    let found = penalty(["cv", DATA, "--target", "target"].into_iter().chain(options).chain(more)).json();
    assert_eq!(found["lambda_min"], cv["lambda_min"]);
    let curves = found["mse"].as_array().unwrap().iter().zip(cv["mse"].as_array().unwrap());
    for (found, expected) in curves.flat_map(|(a, b)| numbers(a).into_iter().zip(numbers(b))) {
        assert!((found - expected).abs() <= 1e-8 * expected, "{found}, not {expected}");
    }
    let model: Value = serde_json::from_str(&fs::read_to_string(&model).unwrap()).unwrap();
    assert_coef(&model["coef"], &cv["coef_at_lambda_min"], "at λ_min");
    let drawn = fs::read_to_string(&plot).unwrap();
    for mark in ["log₁₀ λ", "mean squared error on held-out rows", "λ_min", "λ_1se", "standard error"] {
        assert!(drawn.contains(mark), "the picture lacks {mark:?}");
    }
}

#[test]
fn a_model_predicts_from_columns_in_any_order() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("train.csv"), "a;b;kind\n0;1;no\n1;0;no\n3;1;yes\n2;2;yes\n4;0;yes\n0;0;no\n2;0;yes\n").unwrap();
    let (train, model) = (path("train.csv"), path("model.json"));
    let options = ["--loss", "logistic", "--l2", "0.01", "--out", &model, "--json"];
    let fitted = penalty(["fit", &train, "--target", "kind"].into_iter().chain(options)).json();
    assert_eq!(fitted["classes"], serde_json::json!(["no", "yes"]));
    fs::write(path("new.csv"), "other,b,a\nx,\"0\",4\ny,0,0\n").unwrap();
    let run = penalty(["predict", &model, &path("new.csv")]);
    assert_eq!(run.code, 0, "{}", run.err);
    let classes: Vec<&str> = run.out.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(classes, ["class", "yes", "no"]);
    let json = penalty(["predict", &model, &path("new.csv"), "--json"]).json();
    let eta = |a: f64, b: f64| {
        let w = numbers(&fitted["coef_raw"]);
        w[0] * a + w[1] * b + fitted["intercept_raw"].as_f64().unwrap()
    };
    let found = numbers(&json["probability"][0])[1];
    assert!((found - 1.0 / (1.0 + (-eta(4.0, 0.0)).exp())).abs() < 1e-12, "{found}");
}

#[test]
fn a_matrix_is_read_as_its_csv() {
    let folder = folder();
    let file = folder.path().join("data.npy");
    let rows = [[1.0f64, 2.0, 3.0], [2.0, 1.0, 4.5], [4.0, 0.5, 9.0], [3.0, 3.0, 9.5]];
    let bytes: Vec<u8> = rows.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
    npy(&file, "'<f8'", "False", "(4, 3)", &bytes);
    let text = folder.path().join("data.csv");
    let lines = rows.map(|row| row.map(|x| x.to_string()).join(","));
    fs::write(&text, lines.join("\n")).unwrap();
    let fit =
        |file: &Path| penalty(["fit", &file.display().to_string(), "--target", "3", "--l1", "0.1", "--json"]).json();
    assert_eq!(fit(&file), fit(&text));
}

/// A path shows which penalty's coefficients reach 0, and pictures have their marks.
#[test]
fn pictures_have_their_marks() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let path = penalty([
        "path",
        DATA,
        "--target",
        "target",
        "--standardize",
        "--count",
        "9",
        "--plot",
        &at("path.svg"),
        "--json",
    ]);
    let path = path.json();
    assert_eq!(path["nonzero"][0], 0);
    assert!((path["lambda"][0].as_f64().unwrap() - reference()["lambda_max_l1"].as_f64().unwrap()).abs() < 1e-9);
    let found = penalty(["geometry", "--out", &at("geometry.svg"), "--penalty", "mcp:gamma=3", "--json"]).json();
    let coef = |at: usize| numbers(&found["penalties"][at]["coef"]);
    assert!(coef(0)[1] == 0.0 && coef(0)[0] != 0.0, "L1 has an exact zero: {:?}", coef(0));
    assert!(coef(1).iter().all(|w| *w != 0.0), "L2 has none: {:?}", coef(1));
    // At the touching point, R is the radius.
    let radius = |at: usize| found["penalties"][at]["radius"].as_f64().unwrap();
    assert!((radius(0) - coef(0)[0].abs()).abs() < 1e-9);
    assert!((radius(1) - coef(1).iter().map(|w| w * w).sum::<f64>()).abs() < 1e-9 * radius(1));
    for (picture, marks) in [
        ("path.svg", &["log₁₀ λ", "coefficient on the standardized column", "bmi", "s5"][..]),
        (
            "geometry.svg",
            &["touching point", "least loss", "contours of the loss", "exactly bp = 0", "no exact zero", "bmi"],
        ),
    ] {
        let drawn = fs::read_to_string(folder.path().join(picture)).unwrap();
        for mark in marks {
            assert!(drawn.contains(mark), "{picture} lacks {mark:?}");
        }
    }
    let run = penalty(["geometry", "--out", &at("geometry.png")]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(fs::read(at("geometry.png")).unwrap().starts_with(b"\x89PNG"));
}

/// What a user gets wrong, and what the one line says.
#[test]
fn mistakes_are_named() {
    let folder = folder();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let fails = |code, args: &[&str], fragments: &[&str]| assert_fails(&penalty(args), code, fragments);
    let good = file("good.csv", "a,b,y\n1,2,3\n2,1,4\n3,5,1\n4,4,0\n");
    fails(1, &["fit", &good, "--target", "z", "--l1", "1"], &["no column \"z\"", "a, b, y"]);
    fails(1, &["fit", &good, "--target", "y", "--include", "c", "--l1", "1"], &["--include \"c\" matches no column"]);
    fails(1, &["cv", &good, "--target", "y", "--folds", "9"], &["folds", "4", "9"]);
    fails(2, &["path", &good, "--target", "y", "--alpha", "0.1,0.5"], &["path takes one --alpha"]);
    fails(1, &["path", &good, "--target", "y", "--penalty", "box:lower=0,upper=1"], &["λ does not change it"]);
    fails(1, &["path", &good, "--target", "y", "--plot", "p.gif"], &["p.gif", ".svg or .png"]);
    let text = file("text.csv", "a,b,y\n1,2,3\n2,much,4\n");
    fails(1, &["fit", &text, "--target", "y", "--l1", "1"], &["line 3", "column \"b\"", "found \"much\""]);
    let empty = file("empty.csv", "a,b,y\n1,2,3\n2,,4\n");
    fails(1, &["fit", &empty, "--target", "y", "--l1", "1"], &["line 3", "column \"b\"", "an empty cell"]);
    let nan = file("nan.csv", "a,b,y\n1,NaN,3\n2,1,4\n");
    fails(1, &["fit", &nan, "--target", "y", "--l1", "1"], &["line 2", "column \"b\"", "\"NaN\""]);
    let ragged = file("ragged.csv", "a,b,y\n1,2,3\n2,1\n");
    fails(1, &["fit", &ragged, "--target", "y", "--l1", "1"], &["line 3: expected 3 cells", "found 2"]);
    let nothing = file("nothing.csv", "a,b,y\n");
    fails(1, &["fit", &nothing, "--target", "y", "--l1", "1"], &["expected rows of data, found none"]);
    let copy = file("copy.csv", "a,b,y\n1,3,3\n2,4,4\n3,1,1\n");
    fails(1, &["fit", &copy, "--target", "y", "--l1", "1"], &["\"b\" is the target \"y\" itself", "--exclude it"]);
    let class = file("class.csv", "a,y\n1,yes\n2,yes\n");
    fails(
        1,
        &["fit", &class, "--target", "y", "--loss", "logistic", "--l1", "1"],
        &["at least two classes", "only yes"],
    );
    let three = file("three.csv", "a,y\n1,x\n2,y\n3,z\n");
    fails(1, &["fit", &three, "--target", "y", "--loss", "logistic", "--l1", "1"], &["two classes, found 3: x, y, z"]);
    fails(1, &["fit", "missing.csv", "--target", "y", "--l1", "1"], &["missing.csv", "No such file"]);
    fails(1, &["predict", &good, &good], &["good.csv", "not a model"]);
    let out = file("model.json", "{}");
    fails(1, &["fit", &good, "--target", "y", "--l1", "1", "--out", &out], &["exists; --force overwrites it"]);

    // A constant column and a λ that is too large are no mistakes, but a user should know.
    let constant = file("constant.csv", "a,b,y\n1,7,3\n2,7,4\n3,7,1\n");
    let run = penalty(["fit", &constant, "--target", "y", "--l1", "100"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("note: 1 column is constant") && run.out.contains("lambda_max"), "{run:?}");
}
