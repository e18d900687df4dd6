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
    fails(2, &["path", &good, "--target", "y", "--alpha", "0.1,0.5"], &["--alpha", "found \"0.1,0.5\""]);
    let ridge = ["path", &good, "--target", "y", "--alpha", "0"];
    fails(2, &ridge, &["no λ makes every coefficient 0", "give --lambdas, such as 100..0.01"]);
    fails(2, &[&ridge[..], &["--lambdas", "1..0"]].concat(), &["FROM and TO must be above 0"]);
    fails(2, &[&ridge[..], &["--lambdas", "1,2", "--count", "3"]].concat(), &["--count is for --lambdas FROM..TO"]);
    for count in ["0", "1048577", "1000000000000", "18446744073709551615"] {
        let range = [&ridge[..], &["--lambdas", "100..0.01", "--count", count]].concat();
        fails(2, &range, &["--count", "of 1 to 2^20 λ", &format!("found {count} λ")]);
    }
    let fit = |more: &[&'static str]| [&["fit", good.as_str(), "--target", "y"][..], more].concat();
    fails(2, &fit(&["--l1", "1", "--groups", "runs:2"]), &["--groups is for group penalties", "takes none"]);
    let lasso = "group-lasso:lambda=1";
    fails(2, &fit(&["--penalty", lasso, "--groups", "runs:3"]), &["3 must divide the columns", "2 columns"]);
    fails(2, &fit(&["--penalty", lasso, "--groups", "rows"]), &["names:REGEX, runs:N or whole", "\"rows\""]);
    fails(1, &fit(&["--penalty", lasso, "--groups", "names:_"]), &["--groups names: \"_\" matches no column"]);
    fails(1, &fit(&["--l1", "1", "--penalty-factor", "z=0"]), &["--penalty-factor \"z\" matches no feature"]);
    fails(2, &fit(&["--l1", "1", "--penalty-factor", "a=-1"]), &["F must be a finite number ≥ 0, found -1"]);
    fails(2, &fit(&["--penalty", "weighted-l1:lambda=1"]), &["give another penalty and --penalty-factor"]);
    fails(2, &fit(&["--l1", "1", "--sample-weights", "y"]), &["\"y\" is the target"]);
    let negative = file("negative.csv", "a,v,y\n1,2,3\n2,-1,4\n3,5,1\n");
    let weighted = ["fit", &negative, "--target", "y", "--l1", "1", "--sample-weights", "v"];
    fails(1, &weighted, &["the sample weights must be a finite number ≥ 0, found -1"]);
    fails(2, &["path", &good, "--target", "y", "--penalty", "box:lower=0,upper=1"], &["λ does not change it"]);
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
    let same = file("same.csv", "a,y\n1,5\n2,5\n");
    fails(1, &["cv", &same, "--target", "y"], &["column \"y\"", "differs between rows, found only 5"]);
    if cfg!(target_os = "linux") {
        // A file of 8 TiB of holes.
        let huge = file("huge.csv", "a,y\n1,5\n2,5\n");
        fs::OpenOptions::new().write(true).open(&huge).unwrap().set_len(1 << 43).unwrap();
        fails(1, &["fit", &huge, "--target", "y", "--l1", "1"], &["needs 35184372088832 bytes of memory", "available"]);
    }
    let out = file("model.json", "{}");
    fails(1, &["fit", &good, "--target", "y", "--l1", "1", "--out", &out], &["exists; --force overwrites it"]);

    // A constant column and a λ that is too large are no mistakes, but a user should know.
    let constant = file("constant.csv", "a,b,y\n1,7,3\n2,7,4\n3,7,1\n");
    let run = penalty(["fit", &constant, "--target", "y", "--l1", "100"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("note: 1 column is constant") && run.out.contains("lambda_max"), "{run:?}");
}

/// A weight of 2 counts as two rows, and a column of weights is no feature.
#[test]
fn sample_weights_count_rows() {
    let folder = folder();
    let fit = |name: &str, text: &str, more: &[&str]| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let path = path.display().to_string();
        penalty([&["fit", path.as_str(), "--target", "y", "--l1", "0.1", "--standardize", "--json"], more].concat())
            .json()
    };
    let twice = fit("twice.csv", "a,b,y\n1,2,3\n2,1,4\n2,1,4\n3,5,1\n4,4,0\n", &[]);
    let weighted = "a,b,v,y\n1,2,0.5,3\n2,1,1,4\n3,5,0.5,1\n4,4,0.5,0\n";
    let weighted = fit("weighted.csv", weighted, &["--sample-weights", "v"]);
    assert_eq!(weighted["features"], serde_json::json!(["a", "b"]));
    for (a, b) in numbers(&weighted["coef_raw"]).into_iter().zip(numbers(&twice["coef_raw"])) {
        assert!((a - b).abs() < 1e-6 && b != 0.0, "{a}, not {b}");
    }
}

#[test]
fn a_column_may_be_free_of_the_penalty() {
    let options = ["fit", DATA, "--target", "target", "--standardize", "--l1", "1000", "--json"];
    let found =
        penalty(options.into_iter().chain(["--penalty-factor", "^s[0-9]=2", "--penalty-factor", "^s5$=0"])).json();
    assert_eq!(numbers(&found["penalty_factors"]), [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 0.0, 2.0]);
    let alone = penalty(["fit", DATA, "--target", "target", "--standardize", "--include", "^s5$", "--json"]).json();
    let (found, alone) = (numbers(&found["coef"]), numbers(&alone["coef"]));
    assert!(found.iter().enumerate().all(|(at, w)| (*w != 0.0) == (at == 8)), "{found:?}");
    assert!((found[8] - alone[0]).abs() < 1e-6 * alone[0].abs(), "{found:?}, not {alone:?}");
}

/// Groups by names are those of the same columns side by side.
#[test]
fn columns_are_grouped_by_name() {
    let folder = folder();
    let row = |i: u32| [f64::from(i * i % 17), f64::from(i % 5), f64::from(i * 3 % 7), f64::from(i * i * i % 11)];
    let write = |name: &str, head: &str, order: [usize; 4]| {
        let line = |i: u32| {
            let x = row(i);
            let y = x[0] - 0.5 * x[2] + f64::from(i % 3);
            order.iter().map(|at| x[*at].to_string()).chain([y.to_string()]).collect::<Vec<_>>().join(",")
        };
        let path = folder.path().join(name);
        fs::write(&path, std::iter::once(head.to_owned()).chain((0..40).map(line)).collect::<Vec<_>>().join("\n"))
            .unwrap();
        path.display().to_string()
    };
    let mixed = write("mixed.csv", "a_1,b_1,a_2,b_2,y", [0, 1, 2, 3]);
    let beside = write("beside.csv", "a_1,a_2,b_1,b_2,y", [0, 2, 1, 3]);
    let path = |file: &str, groups: &str| {
        let options = ["--penalty", "group-lasso", "--groups", groups, "--count", "6", "--json"];
        penalty(["path", file, "--target", "y"].into_iter().chain(options)).json()
    };
    let (mixed, beside) = (path(&mixed, "names:^[^_]+"), path(&beside, "runs:2"));
    assert_eq!(mixed["penalty"]["groups"], "names:^[^_]+");
    let supports = |found: &Value| numbers(&found["nonzero"]);
    assert_eq!(supports(&mixed), supports(&beside));
    assert!(supports(&mixed).contains(&2.0), "some λ leaves one group: {:?}", supports(&mixed));
    for (a, b) in numbers(&mixed["objective"]).into_iter().zip(numbers(&beside["objective"])) {
        assert!((a - b).abs() < 1e-9 * b, "{a}, not {b}");
    }
}

/// Several penalties are compared on the same folds, each at its own λ_min.
#[test]
fn penalties_are_compared() {
    let options = ["--standardize", "--seed", "1", "--lambdas", "100..0.01", "--count", "9", "--json"];
    let compared = ["--alpha", "1,0", "--penalty", "mcp:gamma=3"];
    let found = penalty(["cv", DATA, "--target", "target"].into_iter().chain(options).chain(compared)).json();
    let lambdas = numbers(&found["lambda"]);
    let expected = (0..9).map(|k| 100.0 * 1e-4f64.powf(f64::from(k) / 8.0));
    assert!(lambdas.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12 * b), "{lambdas:?}");
    let all = found["compared"].as_array().unwrap();
    let names: Vec<&str> = all.iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["L1, the lasso", "L2, ridge", "mcp, gamma = 3"]);
    let least = numbers(&found["mean"]).into_iter().fold(f64::INFINITY, f64::min);
    for (of, alone) in all.iter().zip([&["--alpha", "1"][..], &["--alpha", "0"], &["--penalty", "mcp:gamma=3"]]) {
        let alone = penalty(["cv", DATA, "--target", "target"].iter().chain(&options).chain(alone)).json();
        assert_eq!((&of["lambda_min"], &of["mean"]), (&alone["lambda_min"], &alone["compared"][0]["mean"]));
        assert_eq!(of["nonzero"], alone["compared"][0]["nonzero"]);
        // The differences of the folds at each penalty's λ_min, and their standard error.
        let at = |found: &Value| lambdas.iter().position(|lambda| *lambda == found["lambda_min"]).unwrap();
        let folds = |found: &Value| numbers(&found["mse"][at(found)]);
        let differences: Vec<f64> = folds(&alone).into_iter().zip(folds(&found)).map(|(a, b)| a - b).collect();
        let above = of["mean"].as_f64().unwrap() - least;
        assert!((of["above_the_least"].as_f64().unwrap() - above).abs() < 1e-9 * least);
        let variance = differences.iter().map(|d| (d - above) * (d - above)).sum::<f64>() / 4.0;
        let error = of["standard_error_of_that"].as_f64().unwrap();
        assert!((error - (variance / 5.0).sqrt()).abs() < 1e-9 * least, "{error}");
    }
}

/// No help offers what its command rejects.
#[test]
fn helps_offer_what_is_taken() {
    for command in ["fit", "path", "cv"] {
        let help = penalty([command, "--help"]).out;
        for absent in ["--weights", "tiles", "weighted-l1"] {
            assert!(!help.contains(absent), "{command} offers {absent}");
        }
        for present in [".parquet", "--sample-weights", "--penalty-factor", "names:REGEX", "group-lasso:lambda=…"] {
            assert!(help.contains(present), "{command} lacks {present}");
        }
    }
}
