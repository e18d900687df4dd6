//! `penalty path`.

use penalty_fit::{Path, path};
use serde_json::{Map, Value, json};

use super::task::{Task, of_grid, usage};
use super::{model, picture};
use crate::args::fit as args;
use crate::error::Result;
use crate::output;
use crate::report::{Table, short};

pub(crate) fn run(args: &args::Path) -> Result<()> {
    args.plot.as_deref().map_or(Ok(()), picture::check)?;
    let (asked, grid) = (args.asked().map_err(usage)?, args.grid.grid().map_err(usage)?);
    args.coefficients.check(std::slice::from_ref(&asked))?;
    let asked = args.coefficients.described(asked);
    let task = Task::new(&args.data, &args.model, &args.coefficients)?;
    let penalty = args.coefficients.penalty(&asked, &task.features.names)?;
    let fits = path(&task.problem()?, task.loss(), &penalty, &grid, &task.options()).map_err(of_grid)?;
    if let Some(file) = &args.plot {
        if fits.points.iter().all(|point| point.solution.nonzero == 0 || point.solution.lambda == 0.0) {
            return Err(usage("nothing to draw: expected coefficients that are not 0 at some λ above 0".into()));
        }
        picture::write(file, picture::paths(&task, &fits))?;
    }
    let mut out = output::stdout();
    if args.json {
        let mut object = task.head(&asked);
        object.extend(lists(&fits));
        out.json(object)?;
    } else {
        let mut table = Table::new(0, &["λ", "nonzero", "explained %", "degrees", "AIC", "BIC", "EBIC"]);
        for point in &fits.points {
            let approximate = if point.approximate { "≈" } else { "" };
            table.row([
                short(point.solution.lambda),
                point.solution.nonzero.to_string(),
                format!("{:.2}", 100.0 * point.deviance_explained),
                format!("{approximate}{:.2}", point.degrees_of_freedom),
                short(point.aic),
                short(point.bic),
                short(point.ebic),
            ]);
        }
        table.print(&mut out)?;
        let unconverged = fits.points.iter().filter(|point| !point.solution.converged).count();
        if unconverged > 0 {
            out.line(format_args!("note: {unconverged} of {} fits have not converged", fits.points.len()))?;
        }
        // The first fit has no coefficients, and says so.
        if let Some(last) = fits.points.last() {
            model::notes(&last.solution, &mut out)?;
        }
    }
    Ok(out.flush()?)
}

/// The entries of each solution, as lists over λ.
pub(super) fn lists(fits: &Path) -> Map<String, Value> {
    let mut lists: Map<String, Value> = Map::new();
    for point in &fits.points {
        let mut entries = Map::from_iter([("lambda".to_owned(), json!(point.solution.lambda))]);
        entries.extend(model::entries(&point.solution));
        entries.insert("deviance_explained".to_owned(), json!(point.deviance_explained));
        entries.insert("degrees_of_freedom".to_owned(), json!(point.degrees_of_freedom));
        for (key, number) in [("aic", point.aic), ("bic", point.bic), ("ebic", point.ebic)] {
            entries.insert(key.to_owned(), crate::json::number(number));
        }
        for (key, value) in entries {
            match lists.entry(key).or_insert_with(|| json!([])) {
                Value::Array(list) => list.push(value),
                other => *other = value,
            }
        }
    }
    lists
}
