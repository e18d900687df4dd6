//! `penalty geometry`.

use std::path::Path;

use penalty::Penalty;
use penalty_fit::{
    Matrix, Options, Problem, Squared, fit, geometry, lambda_at_loss, lambda_max, path, picture_grid, picture_lambda,
};
use penalty_table::{Features, Kind, Table};
use serde_json::{Map, Value, json};

use super::data;
use super::model;
use super::picture::{self, Panel};
use super::task::usage;
use crate::args::fit as args;
use crate::error::Result;
use crate::named::Asked;
use crate::output;
use crate::report::short;

/// The data that is drawn if none is given, and what is drawn of it.
const DIABETES: &str = include_str!("../../data/diabetes.csv");
const COLUMNS: [&str; 2] = ["bmi", "bp"];
const TARGET: &str = "target";

pub(crate) fn run(args: &args::Geometry) -> Result<()> {
    picture::check(&args.out)?;
    let (features, target) = columns(args)?;
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
    let lambda = args.lambda.map_or_else(|| picture_lambda(&problem, &options), Ok)?;
    // Unless λ is given, all panels show the contour that L1 touches.
    let loss = fit(&problem, &Squared, &l1.scaled(lambda)?, &options)?.loss;
    let asked = [("L1, the lasso", Asked::from(l1)), ("L2, ridge", Asked::from(Penalty::l2_squared(1.0)?))];
    let asked = asked.into_iter().map(|(name, asked)| (name.to_owned(), asked));
    let given = args.penalties.iter().map(|asked| (asked.penalty.name().replace('_', " "), asked.clone()));
    let panels = asked.chain(given).map(|(name, asked)| {
        let penalty = asked.penalty;
        let lambda = match args.lambda {
            Some(lambda) => lambda,
            None => lambda_at_loss(&problem, &penalty, loss, &options)?,
        };
        Ok(Panel {
            name,
            lambda,
            geometry: geometry(&problem, &penalty, lambda, &options)?,
            path: path(&problem, &Squared, &penalty, &picture_grid(1.2 * most), &options)?,
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

/// The columns and the target.
fn columns(args: &args::Geometry) -> Result<(Features, Vec<f64>)> {
    let patterns = &args.columns.patterns();
    let (path, table, name) = match (&args.data, &args.target) {
        (Some(data), Some(target)) => (data.as_path(), data::open(data, None)?, target.as_str()),
        _ => {
            let path = Path::new("the diabetes data");
            let table = Table::csv(DIABETES.as_bytes(), None).map_err(|error| data::failed(path, &error))?;
            (path, table, TARGET)
        }
    };
    let failed = |error| data::failed(path, &error);
    let target = table.target(name, Kind::Number).map_err(failed)?;
    let features = if args.data.is_none() && patterns.include.is_empty() && patterns.exclude.is_empty() {
        table.named(COLUMNS.map(str::to_owned).to_vec()).map_err(failed)?
    } else {
        data::features(path, &table, patterns, name, None, &target)?
    };
    Ok((features, target.values))
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
