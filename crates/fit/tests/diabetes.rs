//! scikit-learn's solutions on the diabetes data (Efron et al. 2004).

use penalty::Penalty;
use penalty_fit::{Folds, Grid, Matrix, Options, Problem, Scaling, Squared, cross_validate, fit, lambda_max, path};
use serde_json::Value;

/// The design in column-major order, and the target.
fn data() -> (Vec<f64>, Vec<f64>) {
    let text = include_str!("../../cli/data/diabetes.csv");
    let number = |cell: &str| cell.trim().parse::<f64>().expect("it is a number");
    let rows: Vec<Vec<f64>> = text.lines().skip(1).map(|line| line.split(',').map(number).collect()).collect();
    let x = (0..10).flat_map(|j| rows.iter().map(move |row| row[j])).collect();
    (x, rows.iter().map(|row| row[10]).collect())
}

fn reference() -> Value {
    serde_json::from_str(include_str!("data/diabetes_sklearn.json")).expect("it is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn assert_close(found: f64, want: f64, relative: f64, what: &str) {
    assert!((found - want).abs() <= relative * want.abs(), "{what}: {found}, not {want}");
}

fn assert_coef(found: &[f64], want: &[f64], what: &str) {
    let largest = want.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
    for (j, (found, want)) in found.iter().zip(want).enumerate() {
        assert!((found - want).abs() <= 1e-6 * largest, "{what}: {found} in column {j}, not {want}");
        assert_eq!(*found == 0.0, *want == 0.0, "{what}: the support differs in column {j}: {found}, {want}");
    }
}

#[test]
fn every_solution_is_that_of_scikit_learn() {
    let ((x, y), reference) = (data(), reference());
    let problem = Problem::new(Matrix::dense(442, 10, &x).unwrap(), &y).unwrap().standardize(true);
    for of in reference["fits"].as_array().unwrap() {
        let (lambda, alpha) = (number(&of["lambda"]), number(&of["alpha"]));
        let what = format!("λ = {lambda}, α = {alpha}");
        let penalty = Penalty::elastic_net(lambda, alpha).unwrap();
        let found = fit(&problem, &Squared, &penalty, &Options::default()).unwrap();
        assert!(found.converged, "{what}: {found:?}");
        assert_close(found.objective, number(&of["objective"]), 1e-8, &what);
        assert_close(found.intercept[0], number(&of["intercept"]), 1e-8, &what);
        assert_coef(&found.coef, &numbers(&of["coef"]), &what);
        assert_eq!(found.nonzero as u64, of["nonzero"].as_u64().unwrap(), "{what}");
        let gap = found.gap.expect("an elastic net has a dual");
        assert!((-1e-9..=1e-5).contains(&gap), "{what}: {gap}");
    }
}

#[test]
fn a_path_has_the_same_solutions() {
    let ((x, y), reference) = (data(), reference());
    let problem = Problem::new(Matrix::dense(442, 10, &x).unwrap(), &y).unwrap().standardize(true);
    for alpha in [1.0, 0.7, 0.3] {
        let of: Vec<&Value> =
            reference["fits"].as_array().unwrap().iter().filter(|of| number(&of["alpha"]) == alpha).collect();
        let lambdas: Vec<f64> = of.iter().rev().map(|of| number(&of["lambda"])).collect();
        let penalty = Penalty::elastic_net(1.0, alpha).unwrap();
        let found = path(&problem, &Squared, &penalty, &Grid::Given(lambdas), &Options::default()).unwrap();
        for (point, of) in found.points.iter().zip(of.iter().rev()) {
            let what = format!("λ = {}, α = {alpha}", point.solution.lambda);
            assert_close(point.solution.objective, number(&of["objective"]), 1e-8, &what);
            assert_coef(&point.solution.coef, &numbers(&of["coef"]), &what);
            if alpha == 1.0 {
                assert_eq!(point.degrees_of_freedom, point.solution.nonzero as f64, "{what}");
            } else {
                assert!(
                    point.degrees_of_freedom < point.solution.nonzero as f64 || point.solution.nonzero == 0,
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn the_largest_lambda_is_that_of_scikit_learn() {
    let ((x, y), reference) = (data(), reference());
    let problem = Problem::new(Matrix::dense(442, 10, &x).unwrap(), &y).unwrap().standardize(true);
    let want = number(&reference["lambda_max_l1"]);
    for alpha in [1.0, 0.25] {
        let penalty = Penalty::elastic_net(1.0, alpha).unwrap();
        let found = lambda_max(&problem, &Squared, &penalty, &Options::default()).unwrap();
        assert_close(found, want / alpha, 1e-12, "lambda_max");
        let zeros = fit(&problem, &Squared, &penalty.scaled(found).unwrap(), &Options::default()).unwrap();
        assert!(zeros.nonzero == 0 && zeros.notes.iter().any(|note| note.contains("lambda_max")), "{zeros:?}");
        let below = fit(&problem, &Squared, &penalty.scaled(0.999 * found).unwrap(), &Options::default()).unwrap();
        assert_eq!(below.nonzero, 1);
    }
}

#[test]
fn the_curve_of_five_folds_is_that_of_scikit_learn() {
    let ((x, y), reference) = (data(), reference());
    let problem = Problem::new(Matrix::dense(442, 10, &x).unwrap(), &y).unwrap().standardize(true);
    let want = &reference["cv"];
    let (l1, folds) = (Penalty::l1(1.0).unwrap(), Folds::contiguous(442, 5).unwrap());
    let (grid, options) = (Grid::Given(numbers(&want["lambdas"])), Options::default());
    let found = cross_validate(&problem, &Squared, &l1, &grid, &folds, Scaling::Once, &options).unwrap();
    assert!(found.converged);
    for (found, want) in found.losses.iter().zip(want["mse"].as_array().unwrap()) {
        found.iter().zip(numbers(want)).for_each(|(found, want)| assert_close(*found, want, 1e-8, "an error"));
    }
    assert_eq!(found.lambda_min, number(&want["lambda_min"]));
    let best = found.refit(&problem, &Squared, &l1, found.lambda_min, &options).unwrap();
    assert_coef(&best.coef, &numbers(&want["coef_at_lambda_min"]), "at lambda_min");
    // The columns of each fold by themselves make another curve.
    let apart = cross_validate(&problem, &Squared, &l1, &grid, &folds, Scaling::PerFold, &options).unwrap();
    assert_ne!(apart.losses, found.losses);
    assert!(apart.lambda_1se > apart.lambda_min);
}
