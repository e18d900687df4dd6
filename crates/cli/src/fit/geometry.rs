//! `penalty geometry`.

use penalty::Penalty;
use penalty_fit::{Grid, Matrix, Options, Path, Problem, Squared, fit, geometry, lambda_max, path};
use serde_json::{Map, Value, json};

use super::data::{Features, Table};
use super::model;
use super::picture::{self, Panel};
use super::task::usage;
use crate::args::fit::{self as args, of_coefficients};
use crate::error::Result;
use crate::named::Asked;
use crate::output;
use crate::report::short;
use crate::select::Patterns;

/// The data that is drawn if none is given, and what is drawn of it.
const DIABETES: &str = include_str!("../../data/diabetes.csv");
const COLUMNS: [&str; 2] = ["bmi", "bp"];
const TARGET: &str = "target";
/// How many λ the coefficients are drawn at.
const STEPS: usize = 120;

pub(crate) fn run(args: &args::Geometry) -> Result<()> {
    picture::check(&args.out)?;
    let (features, target) = match (&args.data, &args.target) {
        (Some(data), Some(target)) => {
            let table = Table::open(data, None)?;
            (table.features(target, &args.columns.patterns())?, table.numbers(target)?.to_vec())
        }
        _ => built_in(&args.columns.patterns())?,
    };
    let [first, second] = &features.names[..] else {
        let found = features.names.len();
        return Err(usage(format!(
            "a picture needs two columns besides the target, found {found}: choose two by --include or --exclude"
        )));
    };
    let names = [first.clone(), second.clone()];
    let x = Matrix::dense(features.rows, 2, &features.values)?;
    let problem = Problem::new(x, &target)?.standardize(true);
    let options = Options::default();
    let l1 = Penalty::l1(1.0)?;
    let most = lambda_max(&problem, &Squared, &l1, &options)?;
    let default = || -> Result<f64> {
        let fits = path(&problem, &Squared, &l1, &down_from(most), &options)?;
        Ok(with_one(&fits).unwrap_or(0.5 * most))
    };
    let lambda = args.lambda.map_or_else(default, Ok)?;
    // Unless λ is given, all panels show the contour that L1 touches.
    let loss = fit(&problem, &Squared, &l1.scaled(lambda)?, &options)?.loss;
    let asked = [("L1, the lasso", Asked::from(l1)), ("L2, ridge", Asked::from(Penalty::l2_squared(1.0)?))];
    let asked = asked.into_iter().map(|(name, asked)| (name.to_owned(), asked));
    let given = args.penalties.iter().map(|asked| (asked.penalty.name().replace('_', " "), asked.clone()));
    let panels = asked.chain(given).map(|(name, asked)| {
        let penalty = of_coefficients(&asked).map_err(usage)?;
        let lambda = match args.lambda {
            Some(lambda) => lambda,
            None => with_loss(&problem, &penalty, loss)?,
        };
        Ok(Panel {
            name,
            lambda,
            geometry: geometry(&problem, &penalty, lambda, &options)?,
            path: path(&problem, &Squared, &penalty, &down_from(1.2 * most), &options)?,
        })
    });
    let panels = panels.collect::<Result<Vec<Panel>>>()?;
    picture::write(&args.out, picture::planes(&names, &panels))?;
    let mut out = output::stdout();
    if args.json {
        out.json(object(&names, &panels))?;
    } else {
        let [a, b] = panels[0].geometry.optimum.map(short);
        out.line(format_args!("without a penalty: {first} {a}, {second} {b}, on standardized columns"))?;
        for Panel { name, lambda, geometry, .. } in &panels {
            let [a, b] = [0, 1].map(|j| match geometry.solution.coef[j] {
                0.0 => "exactly 0".to_owned(),
                w => short(w),
            });
            let (lambda, radius) = (short(*lambda), short(geometry.radius));
            out.line(format_args!("{name}, λ = {lambda}, c = {radius}: {first} {a}, {second} {b}"))?;
        }
    }
    Ok(out.flush()?)
}

/// λ from a largest one down to a thousandth of it.
fn down_from(most: f64) -> Grid {
    Grid::Given((0..STEPS).map(|k| most * 1e-3f64.powf(k as f64 / (STEPS - 1) as f64)).collect())
}

/// A λ in the middle of those at which one coefficient is not 0.
fn with_one(fits: &Path) -> Option<f64> {
    let with_one = fits.points.iter().filter(|point| point.solution.nonzero == 1).map(|point| point.solution.lambda);
    let of: Vec<f64> = with_one.collect();
    Some((of.first()? * of.last()?).sqrt())
}

/// The λ at which the loss is this, within what a picture shows.
fn with_loss(problem: &Problem<'_>, penalty: &Penalty, loss: f64) -> Result<f64> {
    let (mut low, mut high) = (1e-12f64, 1e12f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        let found = fit(problem, &Squared, &penalty.scaled(middle)?, &Options::default())?.loss;
        if found < loss { low = middle } else { high = middle }
    }
    Ok(low)
}

fn built_in(patterns: &Patterns<'_>) -> Result<(Features, Vec<f64>)> {
    let table = Table::of_csv("the diabetes data", DIABETES)?;
    let features = if patterns.include.is_empty() && patterns.exclude.is_empty() {
        table.named(COLUMNS.map(str::to_owned).to_vec())?
    } else {
        table.features(TARGET, patterns)?
    };
    Ok((features, table.numbers(TARGET)?.to_vec()))
}

fn object(names: &[String; 2], panels: &[Panel]) -> Map<String, Value> {
    let panel = |Panel { name, lambda, geometry, .. }: &Panel| {
        let mut object = Map::from_iter([
            ("name".to_owned(), json!(name)),
            ("lambda".to_owned(), json!(lambda)),
            ("optimum".to_owned(), json!(geometry.optimum)),
            ("radius".to_owned(), json!(geometry.radius)),
        ]);
        object.extend(model::entries(&geometry.solution));
        Value::Object(object)
    };
    Map::from_iter([
        ("features".to_owned(), json!(names)),
        ("penalties".to_owned(), panels.iter().map(panel).collect()),
    ])
}
