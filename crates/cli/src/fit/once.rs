//! `penalty fit`.

use penalty_fit::fit;

use super::model;
use super::task::{Task, usage};
use crate::args::fit::{self as args, of_coefficients};
use crate::error::Result;
use crate::output;

pub(crate) fn run(args: &args::Fit) -> Result<()> {
    args.out.check()?;
    let asked = args.penalty.asked()?;
    let penalty = of_coefficients(&asked).map_err(usage)?;
    let task = Task::new(&args.data, &args.model)?;
    let solution = fit(&task.problem()?, task.loss(), &penalty, &task.options())?;
    let mut object = task.head(&asked);
    object.extend(model::entries(&solution));
    model::write(&args.out, &object)?;
    let mut out = output::stdout();
    if args.json {
        out.json(object)?;
    } else {
        model::print(&task, &solution, &mut out)?;
    }
    Ok(out.flush()?)
}
