//! `penalty predict`.

use serde_json::{Map, json};

use super::data;
use super::model::Model;
use crate::args::fit as args;
use crate::error::{Error, Result};
use crate::output;

pub(crate) fn run(args: &args::Predict) -> Result<()> {
    let model = Model::read(&args.model)?;
    let features = data::open(&args.data, None)?.named(model.features.clone());
    let features = features.map_err(|error| data::failed(&args.data, &error))?;
    let outputs: Vec<Vec<f64>> = model
        .outputs()
        .map(|(coef, intercept)| {
            let mut eta = vec![intercept; features.rows];
            for (w, column) in coef.iter().zip(features.columns()) {
                eta.iter_mut().zip(column).for_each(|(eta, x)| *eta += w * x);
            }
            eta
        })
        .collect();
    let row = |row: usize| outputs.iter().map(move |eta| eta[row]);
    let mut out = output::stdout();
    let mut object = Map::new();
    match (model.loss.as_str(), outputs.len(), model.classes.len()) {
        ("squared" | "poisson", 1, _) => {
            let mean = |eta: f64| if model.loss == "poisson" { eta.exp() } else { eta };
            let predicted: Vec<f64> = outputs[0].iter().map(|eta| mean(*eta)).collect();
            if !args.json {
                out.row("prediction")?;
                predicted.iter().try_for_each(|mean| out.row(&mean.to_string()))?;
            }
            object.insert("prediction".to_owned(), predicted.iter().map(|mean| crate::json::number(*mean)).collect());
        }
        (loss, count, classes)
            if (loss, count, classes) == ("logistic", 1, 2) || (loss == "multinomial" && count == classes) =>
        {
            // The logistic model is the multinomial one whose first class has the predictor 0.
            let probabilities = |at: usize| {
                let eta: Vec<f64> =
                    if model.loss == "logistic" { vec![0.0, outputs[0][at]] } else { row(at).collect() };
                let most = eta.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let e: Vec<f64> = eta.iter().map(|eta| (eta - most).exp()).collect();
                let sum: f64 = e.iter().sum();
                e.into_iter().map(|e| e / sum).collect::<Vec<f64>>()
            };
            let all: Vec<Vec<f64>> = (0..features.rows).map(probabilities).collect();
            let likeliest = |of: &Vec<f64>| {
                let most = (0..of.len()).max_by(|a, b| of[*a].total_cmp(&of[*b]).then(b.cmp(a)));
                model.classes[most.unwrap_or_default()].clone()
            };
            let classes: Vec<String> = all.iter().map(likeliest).collect();
            if !args.json {
                let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
                let cell = |text: &str| if text.contains([',', '"', ' ']) { quoted(text) } else { text.to_owned() };
                let heads = model.classes.iter().map(|class| cell(&format!("p({class})")));
                out.row(&std::iter::once("class".to_owned()).chain(heads).collect::<Vec<_>>().join(","))?;
                for (class, of) in classes.iter().zip(&all) {
                    let numbers = of.iter().map(f64::to_string);
                    out.row(&std::iter::once(cell(class)).chain(numbers).collect::<Vec<_>>().join(","))?;
                }
            }
            object.insert("class".to_owned(), json!(classes));
            object.insert("classes".to_owned(), json!(model.classes));
            object.insert("probability".to_owned(), json!(all));
        }
        (loss, count, classes) => {
            let reason = format!(
                "expected a model of squared, logistic, multinomial or poisson, found {loss:?} with {count} outputs and {classes} classes"
            );
            return Err(Error::file(&args.model, reason));
        }
    }
    if args.json {
        out.json(object)?;
    }
    Ok(out.flush()?)
}
