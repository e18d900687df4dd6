//! Penalties by their names, as `--penalty` and `--project` take them.

use std::path::Path;

use penalty::{Named, Penalty};
use serde_json::{Map, Value, json};

use crate::{args, report};

/// Those of the names that are projections onto a set: their prox is the same at every step.
const PROJECTIONS: [&str; 1] = ["box"];

/// A penalty, and what JSON calls it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) penalty: Penalty,
    pub(crate) json: Value,
}

impl From<Penalty> for Asked {
    /// Of a penalty that is its factors of Σ|θ| and Σθ².
    fn from(penalty: Penalty) -> Asked {
        let json = json!({"l1": penalty.l1_weight(), "l2_squared": penalty.l2_squared_weight()});
        Asked { penalty, json }
    }
}

impl Asked {
    /// The same with the file of what it weighs elements with, if there is one.
    pub(crate) fn weighted(mut self, weights: Option<&Path>) -> Asked {
        if let (Some(weights), Value::Object(json)) = (weights, &mut self.json) {
            json.insert("weights".to_owned(), json!(weights.display().to_string()));
        }
        self
    }
}

/// Parses what `--penalty` is given.
pub(crate) fn penalty(text: &str) -> Result<Asked, String> {
    parse(text, Penalty::all())
}

/// Parses what `--project` is given.
pub(crate) fn projection(text: &str) -> Result<Asked, String> {
    parse(text, projections())
}

/// The help's list of what `--penalty` takes.
pub(crate) fn penalties_help() -> String {
    help("--penalty", Penalty::all())
}

/// The help's list of what `--project` takes.
pub(crate) fn projections_help() -> String {
    help("--project", projections())
}

fn projections() -> impl Iterator<Item = &'static Named> {
    Penalty::all().filter(|named| PROJECTIONS.contains(&named.name))
}

fn parse(text: &str, known: impl Iterator<Item = &'static Named>) -> Result<Asked, String> {
    let known: Vec<&Named> = known.collect();
    let (name, parameters) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
    let stem = name.replace('-', "_");
    // One name can have several lists of parameters.
    let forms: Vec<&Named> = known.iter().copied().filter(|named| named.name == stem).collect();
    if forms.is_empty() {
        let mut names: Vec<String> = known.iter().map(|named| shown(named.name)).collect();
        names.dedup();
        return Err(format!("expected one of {}; found {name:?}", names.join(", ")));
    }
    let pairs =
        parameters.and_then(|list| list.split(',').map(|pair| pair.split_once('=')).collect::<Option<Vec<_>>>());
    let usages = || forms.iter().map(|form| usage(form)).collect::<Vec<_>>().join(" or ");
    let pairs = pairs.ok_or_else(|| format!("expected {}, found {text:?}", usages()))?;
    let value = |(key, text): (&str, &str)| {
        let value = args::number(text).map_err(|error| format!("{key}: {error}"))?;
        Ok::<_, String>((key.replace('-', "_"), value))
    };
    let values: Vec<(String, f64)> = pairs.into_iter().map(value).collect::<Result<_, _>>()?;
    let given: Vec<(&str, f64)> = values.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let penalty = Penalty::named(&stem, &given).map_err(|error| error.to_string())?;

    // One of L1 and L2² alone is called by its factors, however it was asked for.
    let factors = Penalty::keras(penalty.l1_weight(), penalty.l2_squared_weight());
    if factors.is_ok_and(|factors| factors == penalty) {
        return Ok(Asked::from(penalty));
    }
    let keys = forms.iter().filter(|form| form.parameters.len() == given.len()).flat_map(|form| form.parameters);
    let in_order = keys.filter_map(|&name| given.iter().find(|(key, _)| *key == name));
    let parameters: Map<String, Value> = in_order.map(|&(key, x)| (key.to_owned(), report::number(x))).collect();
    Ok(Asked { penalty, json: json!({"name": stem, "parameters": parameters}) })
}

/// A name as a command line writes it.
fn shown(name: &str) -> String {
    name.replace('_', "-")
}

/// How a penalty is asked for, such as `mcp:lambda=…,gamma=…`.
fn usage(named: &Named) -> String {
    let parameters: Vec<String> = named.parameters.iter().map(|key| format!("{}=…", shown(key))).collect();
    format!("{}:{}", shown(named.name), parameters.join(","))
}

fn help(option: &str, known: impl Iterator<Item = &'static Named>) -> String {
    let rows: Vec<(String, &str)> = known.map(|named| (usage(named), named.formula)).collect();
    let width = rows.iter().map(|(usage, _)| usage.chars().count()).max().unwrap_or(0);
    let lines: String = rows.iter().map(|(usage, formula)| format!("  {usage:<width$}  {formula}\n")).collect();
    format!("{option} takes:\n{lines}")
}
