//! `penalty cv`.

use std::io::Write;

use penalty::Penalty;
use penalty_fit::{CrossValidation, Folds, Grid, Path, Scaling, cross_validate_each, path};
use serde_json::{Value, json};

use super::path::lists;
use super::task::{Task, of_grid, usage};
use super::{model, picture};
use crate::args::fit as args;
use crate::error::Result;
use crate::memory;
use crate::named::Asked;
use crate::output::{self, Output};
use crate::report::{Table, short};

/// A penalty's cross-validation beside the best one's, at the λ of the least error of each.
struct Compared<'a> {
    name: String,
    cv: &'a CrossValidation,
    at: usize,
    nonzero: usize,
    /// How much greater its error is, on average over the folds, and that average's standard error.
    above: f64,
    error: f64,
}

pub(crate) fn run(args: &args::Cv) -> Result<()> {
    args.out.check()?;
    args.plot.as_deref().map_or(Ok(()), picture::check)?;
    let (asked, grid) = (args.asked().map_err(usage)?, args.grid.grid().map_err(usage)?);
    args.coefficients.check(&asked)?;
    let asked: Vec<Asked> = asked.into_iter().map(|asked| args.coefficients.described(asked)).collect();
    let task = Task::new(&args.data, &args.model, &args.coefficients)?;
    let of = |asked| args.coefficients.penalty(asked, &task.features.names);
    let penalties = asked.iter().map(of).collect::<Result<Vec<Penalty>>>()?;
    let rows = task.features.rows;
    let folds = if args.contiguous {
        Folds::contiguous(rows, args.folds)
    } else if args.stratified {
        Folds::stratified(&task.target, args.folds, args.seed)
    } else {
        Folds::shuffled(rows, args.folds, args.seed)
    }?;
    // Each fold that runs has copies of its rows.
    let running = args.folds.min(rayon::current_num_threads());
    memory::check(8 * (task.features.values.len() * running) as u64)?;
    let scaling = if args.standardize_once { Scaling::Once } else { Scaling::PerFold };
    let (problem, options) = (task.problem()?, task.options());
    let (best, all) =
        cross_validate_each(&problem, task.loss(), &penalties, &grid, &folds, scaling, &options).map_err(of_grid)?;
    // Of the others, all that is shown is how many coefficients they have at λ_min: they are fitted down to it.
    let whole = |(which, (cv, penalty)): (usize, (&CrossValidation, &Penalty))| {
        let shown = if which == best { cv.lambdas.len() } else { place(cv, cv.lambda_min) + 1 };
        let grid = Grid::Given(cv.lambdas[..shown].to_vec());
        Ok(path(&problem, task.loss(), penalty, &grid, &options)?)
    };
    let paths = all.iter().zip(&penalties).enumerate().map(whole).collect::<Result<Vec<Path>>>()?;
    let (asked, cv, fits) = (&asked[best], &all[best], &paths[best]);
    let compared: Vec<Compared<'_>> =
        penalties.iter().zip(&all).zip(&paths).map(|((penalty, of), fits)| compare(penalty, of, fits, cv)).collect();
    let lambda = if args.one_se { cv.lambda_1se } else { cv.lambda_min };
    let at = place(cv, lambda);
    let chosen = &fits.points[at].solution;
    if let Some(file) = &args.plot {
        if cv.lambdas.iter().all(|lambda| *lambda == 0.0) {
            return Err(usage("nothing to draw: expected some λ above 0".into()));
        }
        picture::write(file, picture::curve(&task, cv))?;
    }
    let mut model = task.head(asked);
    model.insert("lambda".to_owned(), json!(lambda));
    model.extend(model::entries(chosen));
    model::write(&args.out, &model)?;
    let (key, measure) = task.loss.measure();
    let mut out = output::stdout();
    if args.json {
        let mut object = task.head(asked);
        object.extend(lists(fits));
        object.insert(key.to_owned(), json!(cv.losses));
        object.insert("mean".to_owned(), json!(cv.mean));
        object.insert("standard_error".to_owned(), json!(cv.standard_error));
        object.insert("lambda_min".to_owned(), json!(cv.lambda_min));
        object.insert("lambda_1se".to_owned(), json!(cv.lambda_1se));
        object.insert("chosen".to_owned(), json!(at));
        object.insert("compared".to_owned(), compared.iter().map(Compared::json).collect());
        out.json(object)?;
    } else {
        if compared.len() > 1 {
            print(&compared, measure, &mut out)?;
            out.line(format_args!("{}:", compared[best].name))?;
        }
        let mut table = Table::new(0, &["λ", "nonzero", measure, "± standard error", ""]);
        for (at, lambda) in cv.lambdas.iter().enumerate() {
            let mark = match (*lambda == cv.lambda_min, *lambda == cv.lambda_1se) {
                (true, true) => "λ_min = λ_1se",
                (true, false) => "λ_min",
                (false, true) => "λ_1se",
                (false, false) => "",
            };
            table.row([
                short(*lambda),
                fits.points[at].solution.nonzero.to_string(),
                short(cv.mean[at]),
                short(cv.standard_error[at]),
                mark.to_owned(),
            ]);
        }
        table.print(&mut out)?;
        out.line(format_args!("the fit of all rows at λ = {}:", short(lambda)))?;
        model::print(&task, chosen, &mut out)?;
    }
    Ok(out.flush()?)
}

fn place(cv: &CrossValidation, lambda: f64) -> usize {
    cv.lambdas.iter().position(|of| *of == lambda).unwrap_or_default()
}

fn compare<'a>(penalty: &Penalty, cv: &'a CrossValidation, fits: &Path, best: &CrossValidation) -> Compared<'a> {
    let at = place(cv, cv.lambda_min);
    // The folds are the same, so the differences are less noisy than the errors.
    let pairs = cv.losses[at].iter().zip(&best.losses[place(best, best.lambda_min)]);
    let differences: Vec<f64> = pairs.map(|(of, best)| of - best).collect();
    let k = differences.len() as f64;
    let above = differences.iter().sum::<f64>() / k;
    let squares: f64 = differences.iter().map(|d| (d - above) * (d - above)).sum();
    let nonzero = fits.points[at].solution.nonzero;
    Compared { name: name(penalty), cv, at, nonzero, above, error: (squares / (k - 1.0) / k).sqrt() }
}

/// What to call a penalty without its λ.
fn name(penalty: &Penalty) -> String {
    match (penalty.l1_factor(), penalty.l2_squared_factor()) {
        _ if !penalty.is_elastic_net() => {
            let parameters = penalty.parameters().into_iter().filter(|(key, _)| *key != "lambda");
            let parameters: String = parameters.map(|(key, value)| format!(", {key} = {value}")).collect();
            (penalty.name().to_owned() + &parameters).replace('_', " ")
        }
        (_, 0.0) => "L1, the lasso".into(),
        (0.0, _) => "L2, ridge".into(),
        (l1, l2) => format!("elastic net, α = {}", l1 / (l1 + l2)),
    }
}

impl Compared<'_> {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "lambda_min": self.cv.lambda_min,
            "nonzero": self.nonzero,
            "mean": self.cv.mean[self.at],
            "standard_error": self.cv.standard_error[self.at],
            "above_the_least": self.above,
            "standard_error_of_that": self.error,
        })
    }
}

fn print(compared: &[Compared<'_>], measure: &str, out: &mut Output<impl Write>) -> Result<()> {
    let headings = ["penalty", "λ_min", "nonzero", measure, "± standard error", "above the least", "± standard error"];
    let mut table = Table::new(1, &headings);
    for of in compared {
        let [above, error] = match of.above {
            // The best one.
            0.0 if of.error == 0.0 => [String::new(), String::new()],
            above => [short(above), short(of.error)],
        };
        let (mean, own) = (short(of.cv.mean[of.at]), short(of.cv.standard_error[of.at]));
        table.row([of.name.clone(), short(of.cv.lambda_min), of.nonzero.to_string(), mean, own, above, error]);
    }
    Ok(table.print(out)?)
}
