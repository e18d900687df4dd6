//! What users do wrong gives one line, and no panic.

use penalty::{Groups, Penalty};
use penalty_fit::{
    Error, Folds, Grid, Logistic, Loss, Matrix, Multinomial, Options, Poisson, Problem, Scaling, Sign, Squared,
    at_radius, cross_validate, cross_validate_each, cross_validate_with, fit, lambda_max, path,
};

const X: [f64; 12] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.0, 7.0, 7.0, 7.0, 7.0];
const Y: [f64; 6] = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0];

fn matrix() -> Matrix<'static> {
    Matrix::dense(6, 2, &X).unwrap()
}

fn problem() -> Problem<'static> {
    Problem::new(matrix(), &Y).unwrap()
}

fn assert_error<T: std::fmt::Debug>(result: Result<T, Error>, text: &str) {
    let error = result.expect_err(text).to_string();
    assert_eq!(error, text);
    assert!(!error.contains('\n'));
}

#[test]
fn shapes_and_numbers_that_do_not_fit() {
    let l1 = Penalty::l1(0.1).unwrap();
    assert_error(
        Matrix::dense(0, 2, &[]),
        "the design must be of at least one row and one column, found 0 rows and 2 columns",
    );
    assert_error(Matrix::dense(usize::MAX, 2, &X), &format!("the design must have {} numbers, found 12", usize::MAX));
    assert_error(Problem::new(matrix(), &Y[..5]), "the target must have 6 numbers, found 5");
    let y = [1.0, 0.0, f64::NAN, 1.0, 0.0, 1.0];
    assert_error(Problem::new(matrix(), &y), "the target must be a finite number, found NaN at index 2");
    assert_error(problem().weights(&[1.0; 3]), "the sample weights must have 6 numbers, found 3");
    let weights = [1.0, 1.0, -1.0, 1.0, 1.0, 1.0];
    assert_error(problem().weights(&weights), "the sample weights must be a finite number ≥ 0, found -1 at index 2");
    assert_error(problem().weights(&[0.0; 6]), "the sample weights must be above 0 in some row, found 0 at index 0");
    assert_error(
        problem().factors(&[1.0, f64::INFINITY]),
        "the penalty factors must be a finite number ≥ 0, found inf at index 1",
    );
    assert_error(problem().signs(&[Sign::Any]), "the signs must have 2 numbers, found 1");
    for starts in [&[0, 2][..], &[1, 2, 2], &[0, 2, 1], &[0, 1, 9]] {
        assert!(Matrix::sparse(6, 2, starts, &[0, 1], &[1.0, 2.0]).is_err(), "{starts:?}");
    }
    assert_error(
        Matrix::sparse(6, 1, &[0, 1], &[6], &[1.0]),
        "the sparse design must have rows below the number of rows, found row 6 of 6",
    );
    assert_error(
        Matrix::sparse(6, 1, &[0, 1], &[3], &[f64::INFINITY]),
        "the design must be finite, found inf in row 3 of column 0 (counted from 0)",
    );
    let options = Options { tolerance: f64::NAN, ..Options::default() };
    assert_error(
        fit(&problem(), &Squared, &l1, &options),
        "the tolerance and the iterations must be above 0, found NaN and 100",
    );
    let found = fit(&problem(), &Squared, &l1, &Options::default()).unwrap();
    assert_error(
        found.predict(&Matrix::dense(1, 1, &[1.0]).unwrap()),
        "a row of the design must have 2 numbers, found 1",
    );
}

#[test]
fn targets_that_a_loss_is_not_for() {
    let (l1, options) = (Penalty::l1(0.1).unwrap(), Options::default());
    let of = |loss: &dyn Loss, y: &[f64]| fit(&Problem::new(matrix(), y).unwrap(), loss, &l1, &options);
    assert_error(of(&Logistic, &[2.0; 6]), "the target must be 0 or 1, found 2 at index 0");
    assert_error(
        of(&Logistic, &[1.0; 6]),
        "the target of logistic must have at least two different values, found only 1",
    );
    assert_error(
        of(&Multinomial, &[1.0; 6]),
        "the target of multinomial must have at least two different values, found only 1",
    );
    assert_error(of(&Multinomial, &[0.5; 6]), "the target must be a class 0, 1, 2, … below 2^16, found 0.5 at index 0");
    assert_error(of(&Poisson, &[-1.0; 6]), "the target must be a number ≥ 0, found -1 at index 0");
    assert_error(of(&Poisson, &[0.0; 6]), "the target of poisson must be above 0 in some row, found 0 at index 0");
    // A constant target has nothing to explain, but a solution.
    let constant = of(&Squared, &[3.0; 6]).unwrap();
    assert!(constant.converged && constant.coef == [0.0; 2] && constant.intercept == [3.0], "{constant:?}");
}

#[test]
fn penalties_that_cannot_be_fitted() {
    let options = Options::default();
    let of = |penalty: &Penalty| fit(&problem(), &Squared, penalty, &options);
    assert_error(
        of(&Penalty::weighted_l1(0.1).unwrap()),
        "weighted_l1 cannot be fitted: its element weights are the problem's penalty factors; use l1 or elastic_net",
    );
    let groups = Penalty::group_lasso(0.1, Groups::runs(4).unwrap()).unwrap();
    assert!(matches!(of(&groups), Err(Error::Penalty(penalty::Error::Groups { .. }))));
    let pairs = Penalty::group_lasso(0.1, Groups::runs(2).unwrap()).unwrap();
    let signs = [Sign::NonNegative; 2];
    assert!(fit(&problem().signs(&signs).unwrap(), &Squared, &pairs, &options).is_err());
    assert!(fit(&problem().factors(&[1.0, 2.0]).unwrap(), &Squared, &pairs, &options).is_err());
    let ridge = Penalty::l2_squared(1.0).unwrap();
    let text = "l2_squared cannot have a largest λ: no λ makes every coefficient 0, so it needs a given grid";
    assert_error(lambda_max(&problem(), &Squared, &ridge, &options), text);
    assert!(matches!(lambda_max(&problem(), &Squared, &ridge, &options), Err(Error::NoLargest { .. })));
    assert_error(path(&problem(), &Squared, &ridge, &Grid::default(), &options), text);
    assert_error(
        at_radius(&problem(), &Squared, &ridge, -1.0, &options),
        "the radius must be a finite number ≥ 0, found -1",
    );
}

#[test]
fn grids_and_folds_that_are_none() {
    let (l1, options) = (Penalty::l1(1.0).unwrap(), Options::default());
    for grid in [Grid::Given(vec![]), Grid::Given(vec![-1.0]), Grid::Given(vec![f64::NAN])] {
        assert!(matches!(path(&problem(), &Squared, &l1, &grid, &options), Err(Error::Setting { .. })), "{grid:?}");
    }
    for (count, ratio) in [(0, 0.1), (10, 0.0), (10, 1.0), (10, f64::NAN)] {
        let grid = Grid::Geometric { count, ratio };
        assert!(matches!(path(&problem(), &Squared, &l1, &grid, &options), Err(Error::Setting { .. })), "{grid:?}");
    }
    for folds in [
        Folds::contiguous(6, 7),
        Folds::contiguous(6, 1),
        Folds::shuffled(6, 0, 1),
        Folds::stratified(&Y, 7, 1),
        Folds::grouped(&[1, 1, 2, 2], 3, 1),
        Folds::given(&[]),
        Folds::given(&[0, 0]),
        Folds::given(&[0, 2]),
        Folds::given(&[0, usize::MAX]),
    ] {
        assert!(matches!(folds, Err(Error::Setting { .. })), "{folds:?}");
    }
    let grid = Grid::Given(vec![0.1, 0.01]);
    let of = |loss: &dyn Loss, y: &[f64], folds: &Folds| {
        let problem = Problem::new(matrix(), y).unwrap();
        cross_validate(&problem, loss, &l1, &grid, folds, Scaling::PerFold, &options)
    };
    assert_error(
        of(&Squared, &Y, &Folds::contiguous(5, 5).unwrap()),
        "the folds must be of the problem's 6 rows, found 5",
    );
    let sorted = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    assert_error(
        of(&Logistic, &sorted, &Folds::contiguous(6, 2).unwrap()),
        "the target of logistic must have at least two different values, found only 1",
    );
    let folds = Folds::contiguous(6, 3).unwrap();
    let each = cross_validate_each(&problem(), &Squared, &[], &grid, &folds, Scaling::PerFold, &options);
    assert_error(each, "the penalties must be at least one, found none");
    assert!(cross_validate_with(&[], &folds, |_, _| Ok::<f64, Error>(0.0)).is_err());
    let cv = of(&Squared, &Y, &folds).unwrap();
    assert!(cv.refit(&problem(), &Squared, &l1, 0.5, &options).is_err());
    let failed =
        cross_validate_with(&[1.0], &folds, |_, fold| if fold.index == 1 { Err(Error::Cancelled) } else { Ok(1.0) });
    assert_eq!(failed.unwrap_err(), Error::Cancelled);
}

#[test]
fn constant_columns_are_noted() {
    for standardize in [false, true] {
        let of = problem().standardize(standardize);
        let found = fit(&of, &Squared, &Penalty::l1(0.001).unwrap(), &Options::default()).unwrap();
        assert!(found.converged && found.coef[1] == 0.0 && found.coef[0] != 0.0, "{found:?}");
        assert_eq!(found.notes, ["1 column is constant: the coefficient stays 0"]);
        // Without an intercept, it is one.
        let found = fit(&of.intercept(false), &Squared, &Penalty::none(), &Options::default()).unwrap();
        assert!(found.notes.is_empty() && found.nonzero == 2, "{found:?}");
    }
}
