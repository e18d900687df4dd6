//! Results as JSON.
#![cfg(feature = "serde")]

use penalty::Penalty;
use penalty_fit::{
    CrossValidation, Folds, Grid, Matrix, Options, Path, Problem, Scaling, Squared, cross_validate, path,
};

#[test]
fn results_come_back() {
    let x: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
    let y: Vec<f64> = (0..20).map(|i| x[i] - 0.5 * x[20 + i]).collect();
    let problem = Problem::new(Matrix::dense(20, 2, &x).unwrap(), &y).unwrap().standardize(true);
    let (l1, grid, options) =
        (Penalty::l1(1.0).unwrap(), Grid::Geometric { count: 5, ratio: 0.01 }, Options::default());
    let fits = path(&problem, &Squared, &l1, &grid, &options).unwrap();
    let text = serde_json::to_string(&fits).unwrap();
    for key in ["coef", "coef_raw", "intercept", "objective", "nonzero", "iterations", "converged", "gap", "aic"] {
        assert!(text.contains(&format!("\"{key}\":")), "{key} is not in {text}");
    }
    assert_eq!(serde_json::from_str::<Path>(&text).unwrap(), fits);
    let folds = Folds::shuffled(20, 4, 1).unwrap();
    let cv = cross_validate(&problem, &Squared, &l1, &grid, &folds, Scaling::PerFold, &options).unwrap();
    assert_eq!(serde_json::from_str::<CrossValidation>(&serde_json::to_string(&cv).unwrap()).unwrap(), cv);
}
