//! `penalty cv`.

use penalty::Penalty;
use penalty_fit::{Folds, Grid, Scaling, cross_validate_each, path};
use serde_json::json;

use super::path::lists;
use super::task::{Task, usage};
use super::{model, picture};
use crate::args::fit::{self as args, of_coefficients};
use crate::error::Result;
use crate::output;
use crate::report::{Table, short};

pub(crate) fn run(args: &args::Cv) -> Result<()> {
    args.out.check()?;
    args.plot.as_deref().map_or(Ok(()), picture::check)?;
    let asked = args.family.penalties().map_err(usage)?;
    let penalties = asked.iter().map(of_coefficients).collect::<Result<Vec<Penalty>, String>>().map_err(usage)?;
    let task = Task::new(&args.data, &args.model)?;
    let rows = task.features.rows;
    let folds = if args.contiguous {
        Folds::contiguous(rows, args.folds)
    } else if args.stratified {
        Folds::stratified(&task.target, args.folds, args.seed)
    } else {
        Folds::shuffled(rows, args.folds, args.seed)
    }?;
    let scaling = if args.standardize_once { Scaling::Once } else { Scaling::PerFold };
    let (problem, options) = (task.problem()?, task.options());
    let (best, all) =
        cross_validate_each(&problem, task.loss(), &penalties, &args.grid.grid(), &folds, scaling, &options)?;
    let (asked, penalty, cv) = (&asked[best], &penalties[best], &all[best]);
    let fits = path(&problem, task.loss(), penalty, &Grid::Given(cv.lambdas.clone()), &options)?;
    let lambda = if args.one_se { cv.lambda_1se } else { cv.lambda_min };
    let at = cv.lambdas.iter().position(|of| *of == lambda).unwrap_or_default();
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
    let (key, name) = task.loss.measure();
    let mut out = output::stdout();
    if args.json {
        let mut object = task.head(asked);
        object.extend(lists(&fits));
        object.insert(key.to_owned(), json!(cv.losses));
        object.insert("mean".to_owned(), json!(cv.mean));
        object.insert("standard_error".to_owned(), json!(cv.standard_error));
        object.insert("lambda_min".to_owned(), json!(cv.lambda_min));
        object.insert("lambda_1se".to_owned(), json!(cv.lambda_1se));
        object.insert("chosen".to_owned(), json!(at));
        out.json(object)?;
    } else {
        let mut table = Table::new(0, &["λ", "nonzero", name, "± standard error", ""]);
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
        if all.len() > 1 {
            out.line(format_args!("of {} penalties, {penalty} has the least {name}", all.len()))?;
        }
        out.line(format_args!("the fit of all rows at λ = {}:", short(lambda)))?;
        model::print(&task, chosen, &mut out)?;
    }
    Ok(out.flush()?)
}
