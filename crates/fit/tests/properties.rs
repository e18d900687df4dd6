//! What must hold of every fit.

mod common;

use std::ops::ControlFlow;
use std::sync::Mutex;

use common::{design, mean_loss, predict, slopes, target};
use penalty::{Groups, Penalty};
use penalty_fit::{
    Folds, Grid, Logistic, Loss, Matrix, Multinomial, Options, Poisson, Problem, Progress, Scaling, Sign, Solution,
    Squared, at_radius, cross_validate, fit, lambda_max, path, radius,
};

const LOSSES: [&dyn Loss; 3] = [&Squared, &Logistic, &Poisson];

/// The separable penalties, with λ = 1.
fn separable() -> Vec<Penalty> {
    vec![
        Penalty::l1(1.0).unwrap(),
        Penalty::elastic_net(1.0, 0.5).unwrap(),
        Penalty::l2_squared(1.0).unwrap(),
        Penalty::mcp(1.0, 3.0).unwrap(),
        Penalty::scad(1.0, 3.7).unwrap(),
        Penalty::log_sum(1.0, 0.5).unwrap(),
        Penalty::l_half(1.0).unwrap(),
        Penalty::l0(1.0).unwrap(),
        Penalty::huber(1.0, 0.1).unwrap(),
        Penalty::nonnegative_l1(1.0).unwrap(),
    ]
}

/// Whether a fit may have no optimum: where a plane divides the classes, coefficients that a penalty does not restrain grow
/// without end.
fn may_diverge(loss: &dyn Loss, penalty: &Penalty) -> bool {
    loss.name() == "logistic" && ["mcp", "scad", "l0"].contains(&penalty.name())
}

/// How far a prox step of each coefficient moves it, from definitions: 0 at an optimum.
fn fixed_point(loss: &dyn Loss, x: &[f64], y: &[f64], penalty: &Penalty, solution: &Solution) -> f64 {
    let eta = predict(x, y.len(), &solution.coef, solution.intercept[0]);
    let c = slopes(loss, x, y, &eta);
    let of_intercept = y.iter().zip(&eta).map(|(y, eta)| loss.slope(*y, &[*eta], 0)).sum::<f64>() / y.len() as f64;
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let curvature = match loss.smoothness() {
        Some(smoothness) => smoothness,
        None => y.iter().zip(&eta).map(|(y, eta)| loss.curvature(*y, &[*eta], 0)).fold(0.0, f64::max),
    };
    let mut most = of_intercept.abs();
    for (j, x) in x.chunks(y.len()).enumerate() {
        let m = mean(x);
        let l = curvature * x.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / x.len() as f64;
        let moved = penalty.prox_at(solution.coef[j] + c[j] / l, 1.0 / l).unwrap();
        most = most.max((moved - solution.coef[j]).abs() * l.sqrt());
    }
    most
}

#[test]
fn every_solution_of_a_path_is_a_fixed_point() {
    for (rows, cols) in [(120, 30), (40, 90)] {
        let x = design(rows, cols, 0.5, 3);
        for loss in LOSSES {
            let y = target(loss, &x, rows, 4);
            let problem = Problem::new(Matrix::dense(rows, cols, &x).unwrap(), &y).unwrap();
            for penalty in separable() {
                let what = format!("{} under {penalty} on {rows} × {cols}", loss.name());
                let options = Options { tolerance: 1e-10, ..Options::default() };
                let largest = lambda_max(&problem, loss, &penalty, &options).unwrap_or(1.0);
                let grid = Grid::Given([1.001, 0.7, 0.4, 0.2, 0.1].map(|share| share * largest).to_vec());
                let fits = path(&problem, loss, &penalty, &grid, &options).unwrap();
                for point in &fits.points {
                    let of = &point.solution;
                    if may_diverge(loss, &penalty) && cols > rows && of.lambda < 0.5 * largest {
                        continue;
                    }
                    let scaled = penalty.scaled(of.lambda).unwrap();
                    assert!(
                        of.converged,
                        "{what} at {}: {} epochs, gap {:?}, residual {}",
                        of.lambda, of.iterations, of.gap, of.residual
                    );
                    let residual = fixed_point(loss, &x, &y, &scaled, of);
                    let scale =
                        mean_loss(loss, &y, &predict(&x, rows, &vec![0.0; cols], fits.points[0].solution.intercept[0]));
                    assert!(residual <= (2.0 * 1e-10 * scale).sqrt() * 1.1, "{what} at {}: {residual}", of.lambda);
                    let eta = predict(&x, rows, &of.coef, of.intercept[0]);
                    let objective = mean_loss(loss, &y, &eta) + scaled.value_of(&of.coef).unwrap();
                    assert!(
                        (objective - of.objective).abs() <= 1e-10 * objective.abs().max(1.0),
                        "{what}: {objective}, {of:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_objective_never_rises() {
    let x = design(80, 40, 0.7, 5);
    for loss in LOSSES {
        let y = target(loss, &x, 80, 6);
        let problem = Problem::new(Matrix::dense(80, 40, &x).unwrap(), &y).unwrap();
        let groups = Groups::runs(4).unwrap();
        let all =
            [separable(), vec![Penalty::group_lasso(1.0, groups.clone()).unwrap(), Penalty::linf_norm(1.0).unwrap()]];
        for penalty in all.concat() {
            let seen = Mutex::new(Vec::new());
            let note = |progress: &Progress| {
                seen.lock().unwrap().push(progress.objective);
                ControlFlow::Continue(())
            };
            let options = Options { tolerance: 1e-10, progress: Some(&note), ..Options::default() };
            fit(&problem, loss, &penalty.scaled(0.05).unwrap(), &options).unwrap();
            let seen = seen.into_inner().unwrap();
            for pair in seen.windows(2) {
                assert!(pair[1] <= pair[0] + 1e-12 * pair[0].abs(), "{} under {penalty}: {seen:?}", loss.name());
            }
            assert!(seen[seen.len() - 1] < seen[0], "{} under {penalty}: {seen:?}", loss.name());
        }
    }
}

#[test]
fn permutations_and_scales_change_only_what_they_should() {
    let (rows, cols) = (60, 25);
    let x = design(rows, cols, 0.4, 7);
    let y = target(&Squared, &x, rows, 8);
    let options = Options { tolerance: 1e-14, ..Options::default() };
    for penalty in [Penalty::l1(0.05).unwrap(), Penalty::elastic_net(0.1, 0.3).unwrap()] {
        let of = |x: &[f64], y: &[f64], penalty: &Penalty| {
            let problem = Problem::new(Matrix::dense(rows, cols, x).unwrap(), y).unwrap().standardize(true);
            fit(&problem, &Squared, penalty, &options).unwrap()
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a}, {b}");
        let plain = of(&x, &y, &penalty);
        let reversed_columns: Vec<f64> = x.chunks(rows).rev().flatten().copied().collect();
        let found = of(&reversed_columns, &y, &penalty);
        found.coef.iter().rev().zip(&plain.coef).for_each(|(a, b)| close(*a, *b));
        let reversed_rows: Vec<f64> = x.chunks(rows).flat_map(|x| x.iter().rev()).copied().collect();
        let reversed_y: Vec<f64> = y.iter().rev().copied().collect();
        let found = of(&reversed_rows, &reversed_y, &penalty);
        found.coef.iter().zip(&plain.coef).for_each(|(a, b)| close(*a, *b));
        close(found.intercept[0], plain.intercept[0]);
        // A column in another unit.
        let mut other_unit = x.clone();
        other_unit[..rows].iter_mut().for_each(|x| *x = 1000.0 * *x + 5.0);
        let found = of(&other_unit, &y, &penalty);
        found.coef.iter().zip(&plain.coef).for_each(|(a, b)| close(*a, *b));
        close(1000.0 * found.coef_raw[0], plain.coef_raw[0]);
    }
    // y times 3: the lasso's λ is in units of y.
    let scaled: Vec<f64> = y.iter().map(|y| 3.0 * y + 2.0).collect();
    let problem = |y| Problem::new(Matrix::dense(rows, cols, &x).unwrap(), y).unwrap();
    let (a, b) = (Penalty::l1(0.05).unwrap(), Penalty::l1(0.15).unwrap());
    let plain = fit(&problem(&y), &Squared, &a, &options).unwrap();
    let found = fit(&problem(&scaled), &Squared, &b, &options).unwrap();
    found.coef.iter().zip(&plain.coef).for_each(|(found, plain)| assert!((found - 3.0 * plain).abs() < 1e-9));
    assert!((found.intercept[0] - 3.0 * plain.intercept[0] - 2.0).abs() < 1e-9);
}

/// The columns of a design with most numbers set to 0, dense and in compressed columns.
struct Both {
    dense: Vec<f64>,
    starts: Vec<usize>,
    rows: Vec<usize>,
    values: Vec<f64>,
}

fn both(rows: usize, cols: usize, seed: u64) -> Both {
    let mut dense = design(rows, cols, 0.2, seed);
    dense.iter_mut().for_each(|x| *x = if x.abs() < 1.2 { 0.0 } else { *x });
    let (mut starts, mut at, mut values) = (vec![0], Vec::new(), Vec::new());
    for column in dense.chunks(rows) {
        for (row, x) in column.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            at.push(row);
            values.push(*x);
        }
        starts.push(values.len());
    }
    Both { dense, starts, rows: at, values }
}

#[test]
fn a_sparse_design_has_the_solutions_of_a_dense_one() {
    for (rows, cols) in [(80, 30), (50, 120)] {
        let of = both(rows, cols, 11);
        let dense = Matrix::dense(rows, cols, &of.dense).unwrap();
        let sparse = Matrix::sparse(rows, cols, &of.starts, &of.rows, &of.values).unwrap();
        let weights: Vec<f64> = (0..rows).map(|row| 0.5 + (row % 3) as f64).collect();
        for loss in LOSSES {
            let y = target(loss, &of.dense, rows, 12);
            for (standardize, intercept) in [(true, true), (true, false), (false, true)] {
                for penalty in [Penalty::l1(0.02).unwrap(), Penalty::log_sum(0.05, 0.5).unwrap()] {
                    let problem = |x| {
                        let problem = Problem::new(x, &y).unwrap().weights(&weights).unwrap();
                        problem.standardize(standardize).intercept(intercept)
                    };
                    let options = Options { tolerance: 1e-12, ..Options::default() };
                    let [a, b] = [dense, sparse].map(|x| fit(&problem(x), loss, &penalty, &options).unwrap());
                    assert!(a.nonzero > 0 && a.converged && b.converged, "{} {penalty} {a:?} {b:?}", loss.name());
                    assert!((a.objective - b.objective).abs() <= 1e-9 * a.objective.abs(), "{} {penalty}", loss.name());
                    for (a, b) in
                        a.coef_raw.iter().chain(&a.intercept_raw).zip(b.coef_raw.iter().chain(&b.intercept_raw))
                    {
                        assert!((a - b).abs() < 2e-5, "{} under {penalty}: {a}, {b}", loss.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_weight_of_two_is_a_row_twice() {
    let (rows, cols) = (30, 8);
    let x = design(rows, cols, 0.3, 13);
    let twice: Vec<f64> = x.chunks(rows).flat_map(|x| x.iter().chain(&x[..10])).copied().collect();
    let weights: Vec<f64> = (0..rows).map(|row| if row < 10 { 2.0 } else { 1.0 }).collect();
    for loss in LOSSES {
        let y = target(loss, &x, rows, 14);
        let y_twice = [&y[..], &y[..10]].concat();
        let weighted = Problem::new(Matrix::dense(rows, cols, &x).unwrap(), &y).unwrap().weights(&weights).unwrap();
        let repeated = Problem::new(Matrix::dense(rows + 10, cols, &twice).unwrap(), &y_twice).unwrap();
        let options = Options { tolerance: 1e-13, ..Options::default() };
        let of = |problem: &Problem<'_>| {
            fit(&problem.standardize(true), loss, &Penalty::l1(0.02).unwrap(), &options).unwrap()
        };
        let (a, b) = (of(&weighted), of(&repeated));
        assert!((a.objective - b.objective).abs() < 1e-11, "{}", loss.name());
        a.coef_raw
            .iter()
            .zip(&b.coef_raw)
            .for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{}: {a}, {b}", loss.name()));
    }
}

#[test]
fn slopes_and_curvatures_are_finite_differences() {
    let losses: [(&dyn Loss, &[f64], usize); 4] = [
        (&Squared, &[-1.5, 2.0], 1),
        (&Logistic, &[0.0, 1.0], 1),
        (&Poisson, &[0.0, 3.0], 1),
        (&Multinomial, &[0.0, 1.0, 2.0], 3),
    ];
    for (loss, targets, outputs) in losses {
        for y in targets {
            for eta in [[0.3, -1.0, 2.0], [-4.0, 0.5, 1.5], [2.0, 2.0, 2.0]] {
                for output in 0..outputs {
                    let at = |f: &dyn Fn(&[f64]) -> f64, by: f64| {
                        let mut eta = eta;
                        eta[output] += by;
                        f(&eta[..outputs])
                    };
                    let difference = |f: &dyn Fn(&[f64]) -> f64| (at(f, 1e-5) - at(f, -1e-5)) / 2e-5;
                    let slope = loss.slope(*y, &eta[..outputs], output);
                    assert!((difference(&|eta| loss.value(*y, eta)) - slope).abs() < 1e-8, "{}", loss.name());
                    let curvature = loss.curvature(*y, &eta[..outputs], output);
                    assert!(
                        (difference(&|eta| loss.slope(*y, eta, output)) - curvature).abs() < 1e-8,
                        "{}",
                        loss.name()
                    );
                    // Fenchel's equality at the slope.
                    if let (Some(conjugate), 1) = (loss.conjugate(*y, slope), outputs) {
                        let equal = slope * eta[0] - loss.value(*y, &eta[..1]);
                        assert!((conjugate - equal).abs() < 1e-12, "{}: {conjugate}, {equal}", loss.name());
                    }
                }
            }
        }
    }
}

#[test]
fn every_class_is_stationary() {
    let (rows, cols) = (90, 12);
    let x = design(rows, cols, 0.3, 15);
    let y = target(&Multinomial, &x, rows, 16);
    let problem = Problem::new(Matrix::dense(rows, cols, &x).unwrap(), &y).unwrap();
    let (penalty, options) = (Penalty::l1(0.02).unwrap(), Options { tolerance: 1e-12, ..Options::default() });
    let found = fit(&problem, &Multinomial, &penalty, &options).unwrap();
    assert!(found.converged && found.outputs == 3 && found.nonzero > 3, "{found:?}");
    let eta = found.predict(&problem_matrix(&x, rows, cols)).unwrap();
    for class in 0..3 {
        let u: Vec<f64> = (0..rows).map(|row| -Multinomial.slope(y[row], &eta[3 * row..3 * row + 3], class)).collect();
        assert!(u.iter().sum::<f64>().abs() / (rows as f64) < 1e-6);
        for (j, x) in x.chunks(rows).enumerate() {
            let c = x.iter().zip(&u).map(|(x, u)| x * u).sum::<f64>() / rows as f64;
            let w = found.coef[class * cols + j];
            let moved = penalty.prox_at(w + c, 1.0).unwrap();
            assert!((moved - w).abs() < 1e-5, "class {class}, column {j}: {w}, {moved}");
        }
    }
    // At lambda_max, nothing is left.
    let largest = lambda_max(&problem, &Multinomial, &Penalty::l1(1.0).unwrap(), &options).unwrap();
    assert_eq!(fit(&problem, &Multinomial, &Penalty::l1(largest).unwrap(), &options).unwrap().nonzero, 0);
    assert!(fit(&problem, &Multinomial, &Penalty::l1(0.98 * largest).unwrap(), &options).unwrap().nonzero > 0);
}

fn problem_matrix(x: &[f64], rows: usize, cols: usize) -> Matrix<'_> {
    Matrix::dense(rows, cols, x).unwrap()
}

#[test]
fn groups_are_fixed_points_of_their_prox() {
    let (rows, cols) = (60, 24);
    let x = design(rows, cols, 0.4, 17);
    for loss in LOSSES {
        let y = target(loss, &x, rows, 18);
        let problem = Problem::new(problem_matrix(&x, rows, cols), &y).unwrap();
        let options = Options { tolerance: 1e-12, ..Options::default() };
        for penalty in [
            Penalty::group_lasso(1.0, Groups::runs(4).unwrap()).unwrap(),
            Penalty::sparse_group_lasso(1.0, 0.4, Groups::columns(6).unwrap()).unwrap(),
            Penalty::l2_norm(1.0).unwrap(),
            Penalty::linf_norm(1.0).unwrap().over(Groups::runs(6).unwrap()).unwrap(),
        ] {
            let largest = lambda_max(&problem, loss, &penalty, &options).unwrap();
            let at = |share: f64| fit(&problem, loss, &penalty.scaled(share * largest).unwrap(), &options).unwrap();
            assert_eq!(at(1.0001).nonzero, 0, "{penalty}");
            assert!(at(0.99).nonzero > 0, "{penalty}");
            let found = at(0.3);
            assert!(found.converged, "{} under {penalty}: {found:?}", loss.name());
            let eta = predict(&x, rows, &found.coef, found.intercept[0]);
            let c = slopes(loss, &x, &y, &eta);
            let mut moved: Vec<f64> = found.coef.iter().zip(&c).map(|(w, c)| w + 0.1 * c).collect();
            penalty.scaled(0.3 * largest).unwrap().prox_of(&mut moved, 0.1).unwrap();
            for (moved, w) in moved.iter().zip(&found.coef) {
                assert!((moved - w).abs() < 1e-5, "{} under {penalty}: {w} moves to {moved}", loss.name());
            }
        }
    }
}

#[test]
fn the_constraint_form_is_the_ball() {
    let (rows, cols) = (50, 12);
    let x = design(rows, cols, 0.3, 19);
    let y = target(&Squared, &x, rows, 20);
    let problem = Problem::new(problem_matrix(&x, rows, cols), &y).unwrap();
    let (l1, options) = (Penalty::l1(1.0).unwrap(), Options { tolerance: 1e-13, ..Options::default() });
    let free = fit(&problem, &Squared, &Penalty::none(), &options).unwrap();
    let full = radius(&problem, &l1, &free).unwrap();
    for share in [0.1, 0.5, 0.9] {
        let penalized = at_radius(&problem, &Squared, &l1, share * full, &options).unwrap();
        assert!((radius(&problem, &l1, &penalized).unwrap() - share * full).abs() < 1e-8 * full);
        let ball = fit(&problem, &Squared, &Penalty::l1_ball(share * full).unwrap(), &options).unwrap();
        assert!(ball.converged, "{ball:?}");
        ball.coef.iter().zip(&penalized.coef).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a}, {b}"));
        assert!((ball.loss - penalized.loss).abs() < 1e-9 * ball.loss);
    }
    // A radius that does not bind.
    assert_eq!(at_radius(&problem, &Squared, &l1, 2.0 * full, &options).unwrap().lambda, 0.0);
    let simplex = fit(&problem, &Squared, &Penalty::simplex(1.0).unwrap(), &options).unwrap();
    assert!(simplex.converged && (simplex.coef.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(simplex.coef.iter().all(|w| *w >= 0.0));
}

#[test]
fn signs_and_factors_are_kept() {
    let (rows, cols) = (60, 10);
    let x = design(rows, cols, 0.5, 21);
    for loss in LOSSES {
        let y = target(loss, &x, rows, 22);
        let problem = Problem::new(problem_matrix(&x, rows, cols), &y).unwrap();
        let options = Options { tolerance: 1e-12, ..Options::default() };
        let l1 = Penalty::l1(0.01).unwrap();
        let free = fit(&problem, loss, &l1, &options).unwrap();
        let signs: Vec<Sign> = free.coef.iter().map(|w| if *w > 0.0 { Sign::NonPositive } else { Sign::Any }).collect();
        let held = fit(&problem.signs(&signs).unwrap(), loss, &l1, &options).unwrap();
        assert!(held.converged, "{held:?}");
        held.coef.iter().zip(&signs).for_each(|(w, sign)| assert!(*sign == Sign::Any || *w <= 0.0));
        let nonnegative = [Sign::NonNegative; 10];
        let a = fit(&problem.signs(&nonnegative).unwrap(), loss, &l1, &options).unwrap();
        let b = fit(&problem, loss, &Penalty::nonnegative_l1(0.01).unwrap(), &options).unwrap();
        a.coef.iter().zip(&b.coef).for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{}: {a}, {b}", loss.name()));
        // A factor is a column in another unit.
        let mut factors = [1.0; 10];
        factors[0] = 2.0;
        factors[4] = 0.0;
        let factored = fit(&problem.factors(&factors).unwrap(), loss, &Penalty::l1(1e3).unwrap(), &options).unwrap();
        assert_eq!(
            factored.coef.iter().map(|w| *w != 0.0).collect::<Vec<_>>(),
            (0..10).map(|j| j == 4).collect::<Vec<_>>()
        );
        let mut halved = x.clone();
        halved[..rows].iter_mut().for_each(|x| *x *= 0.5);
        let unit = fit(&Problem::new(problem_matrix(&halved, rows, cols), &y).unwrap(), loss, &l1, &options).unwrap();
        factors[4] = 1.0;
        let factored = fit(&problem.factors(&factors).unwrap(), loss, &l1, &options).unwrap();
        assert!((unit.coef[0] * 0.5 - factored.coef[0]).abs() < 1e-5, "{}", loss.name());
    }
}

#[test]
fn mcp_and_scad_find_the_support_that_the_lasso_does_not() {
    let (rows, cols) = (200, 60);
    let x = design(rows, cols, 0.6, 23);
    let truth: Vec<f64> = (0..cols).map(|j| if j % 15 == 0 { 2.0 } else { 0.0 }).collect();
    let mut random = common::Random(24);
    let y: Vec<f64> = predict(&x, rows, &truth, 1.0).into_iter().map(|eta| eta + random.normal()).collect();
    let problem = Problem::new(problem_matrix(&x, rows, cols), &y).unwrap().standardize(true);
    let (folds, options) = (Folds::shuffled(rows, 5, 1).unwrap(), Options::default());
    let support = |penalty: Penalty| {
        let grid = Grid::Geometric { count: 50, ratio: 0.01 };
        let cv = cross_validate(&problem, &Squared, &penalty, &grid, &folds, Scaling::PerFold, &options).unwrap();
        let found = cv.refit(&problem, &Squared, &penalty, cv.lambda_1se, &options).unwrap();
        found.coef.iter().map(|w| *w != 0.0).collect::<Vec<bool>>()
    };
    let want: Vec<bool> = truth.iter().map(|w| *w != 0.0).collect();
    assert_eq!(support(Penalty::mcp(1.0, 3.0).unwrap()), want);
    assert_eq!(support(Penalty::scad(1.0, 3.7).unwrap()), want);
    assert_ne!(support(Penalty::l1(1.0).unwrap()), want);
}

#[test]
fn folds_do_not_depend_on_the_number_of_threads() {
    let (rows, cols) = (300, 40);
    let x = design(rows, cols, 0.5, 25);
    for loss in [&Squared as &dyn Loss, &Logistic] {
        let y = target(loss, &x, rows, 26);
        let problem = Problem::new(problem_matrix(&x, rows, cols), &y).unwrap().standardize(true);
        let grid = Grid::Geometric { count: 20, ratio: 0.01 };
        let (l1, folds) = (Penalty::l1(1.0).unwrap(), Folds::stratified(&y, 5, 3).unwrap());
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                cross_validate(&problem, loss, &l1, &grid, &folds, Scaling::PerFold, &Options::default()).unwrap()
            })
        };
        assert_eq!(on(1), on(3));
    }
}

#[test]
fn products_of_folds_are_those_of_their_rows() {
    // Weights that are nearly equal turn the shared products off.
    let (rows, cols) = (150, 20);
    let x = design(rows, cols, 0.5, 27);
    let y = target(&Squared, &x, rows, 28);
    let mut weights = vec![1.0; rows];
    weights[0] = 1.0 + 1e-12;
    let plain = Problem::new(problem_matrix(&x, rows, cols), &y).unwrap();
    let (l1, folds) = (Penalty::l1(1.0).unwrap(), Folds::shuffled(rows, 4, 3).unwrap());
    let grid = Grid::Geometric { count: 20, ratio: 0.01 };
    for scaling in [Scaling::PerFold, Scaling::Once] {
        for standardize in [false, true] {
            for intercept in [false, true] {
                let of = |problem: Problem<'_>| {
                    let problem = problem.standardize(standardize).intercept(intercept);
                    cross_validate(&problem, &Squared, &l1, &grid, &folds, scaling, &Options::default()).unwrap()
                };
                let (shared, apart) = (of(plain), of(plain.weights(&weights).unwrap()));
                for (a, b) in shared.losses.iter().flatten().zip(apart.losses.iter().flatten()) {
                    assert!((a - b).abs() <= 1e-9 * b, "{a}, {b}");
                }
            }
        }
    }
}

#[test]
fn too_few_iterations_are_visible() {
    let x = design(40, 20, 0.95, 29);
    for loss in LOSSES {
        let y = target(loss, &x, 40, 30);
        let problem = Problem::new(problem_matrix(&x, 40, 20), &y).unwrap();
        let options = Options { iterations: 1, tolerance: 1e-12, ..Options::default() };
        let found = fit(&problem, loss, &Penalty::linf_norm(0.01).unwrap(), &options).unwrap();
        assert!(!found.converged && found.iterations == 101, "{}: {found:?}", loss.name());
    }
}

/// What cannot be reached ends all the same.
#[test]
fn a_tolerance_below_rounding_ends() {
    let x = design(40, 60, 0.9, 31);
    for loss in LOSSES {
        let y = target(loss, &x, 40, 32);
        let problem = Problem::new(problem_matrix(&x, 40, 60), &y).unwrap();
        let options = Options { tolerance: 1e-60, ..Options::default() };
        for penalty in separable().into_iter().filter(|penalty| !may_diverge(loss, penalty)) {
            let exact = fit(&problem, loss, &penalty.scaled(0.05).unwrap(), &options).unwrap();
            let usual = fit(&problem, loss, &penalty.scaled(0.05).unwrap(), &Options::default()).unwrap();
            // Of several minima, another tolerance may find another one.
            let convex = ["l1", "elastic_net", "l2_squared", "huber", "nonnegative_l1"].contains(&penalty.name());
            assert!(!convex || exact.objective <= usual.objective + 1e-12, "{} under {penalty}", loss.name());
            assert!(exact.objective.is_finite());
        }
    }
}
