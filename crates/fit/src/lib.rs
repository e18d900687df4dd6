//! Linear models under the penalties of [`penalty`]: fits, paths over λ, and cross-validation, on dense and sparse data.
//!
//! A fit minimizes (1/Σv) Σ vᵢ ℓ(yᵢ, xᵢw + b) + R(w): n rows xᵢ (samples) with targets yᵢ and weights vᵢ, p columns
//! (features) with coefficients w, an intercept b that is not penalized, a smooth loss ℓ, and a penalty R with its λ. With
//! the squared loss, that is 1/(2n)‖y − Xw − b‖² + R(w), as in scikit-learn and glmnet. λ is in units of y times a
//! (standardized) column for L1. It does not depend on n.
//!
//! ```
//! use penalty::Penalty;
//! use penalty_fit::{Folds, Grid, Matrix, Options, Problem, Scaling, Squared, cross_validate};
//!
//! // Three columns of 60 rows, one after the other; the target needs the first two.
//! let x: Vec<f64> = (0..180).map(|i| f64::from(i * i % 29) / 29.0).collect();
//! let y: Vec<f64> = (0..60).map(|i| 3.0 * x[i] - 2.0 * x[60 + i] + (i as f64).sin() / 10.0).collect();
//! let problem = Problem::new(Matrix::dense(60, 3, &x)?, &y)?.standardize(true);
//!
//! let (l1, options) = (Penalty::l1(1.0)?, Options::default()); // a path scales λ = 1
//! let (grid, folds) = (Grid::default(), Folds::shuffled(60, 5, 0)?);
//! let cv = cross_validate(&problem, &Squared, &l1, &grid, &folds, Scaling::PerFold, &options)?;
//! let chosen = cv.refit(&problem, &Squared, &l1, cv.lambda_1se, &options)?;
//! assert!(chosen.coef[0] > 0.0 && chosen.coef[1] < 0.0 && chosen.converged);
//! # Ok::<(), penalty_fit::Error>(())
//! ```
//!
//! What is minimized, by which algorithm, and when it ends is said at [`fit`](fit()). Every loop has a fixed order: the
//! number of threads changes no bit of a result.
//!
//! # Where things are
//!
//! Data flow from a [`Matrix`] in a [`Problem`] to the [`Folds`]' rows (`sample.rs`), centred and scaled columns
//! (`design.rs`), what a loss asks of them (`smooth.rs`: `quadratic.rs` by products of columns, `newton.rs`), working sets
//! (`working.rs`) or FISTA (`fista.rs`), the fits along λ (`fitter.rs`), and paths, cross-validation and constraints.

mod constraint;
mod cv;
mod degrees;
mod design;
mod error;
mod extrapolation;
mod fista;
mod fitter;
mod fold_products;
mod folds;
mod geometry;
mod kernel;
mod lambda;
mod loss;
mod matrix;
mod newton;
mod options;
mod path;
mod problem;
mod products;
mod quadratic;
mod regularizer;
mod sample;
mod smooth;
mod solution;
mod subproblem;
mod working;

pub use constraint::{at_radius, radius};
pub use cv::{CrossValidation, Scaling, cross_validate, cross_validate_each, cross_validate_with};
pub use error::{Error, Result};
pub use fitter::fit;
pub use folds::{Fold, Folds};
pub use geometry::{Geometry, geometry, lambda_at_loss, picture_grid, picture_lambda};
pub use lambda::{Grid, lambda_max};
pub use loss::Loss;
pub use loss::logistic::Logistic;
pub use loss::multinomial::Multinomial;
pub use loss::poisson::Poisson;
pub use loss::squared::Squared;
pub use matrix::Matrix;
pub use options::{Options, Progress};
pub use path::{Path, Point, path};
pub use problem::{Problem, Sign};
pub use solution::Solution;
