//! `penalty fit`.

use penalty_fit::fit;

use super::model;
use super::task::Task;
use crate::args::fit as args;
use crate::error::Result;
use crate::output;

pub(crate) fn run(args: &args::Fit) -> Result<()> {
    args.out.check()?;
    let asked = args.formula.asked()?;
    args.coefficients.check(std::slice::from_ref(&asked))?;
    let asked = args.coefficients.described(asked);
    let task = Task::new(&args.data, &args.model, &args.coefficients)?;
    let penalty = args.coefficients.penalty(&asked, &task.features.names)?;
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
