//! Penalties by name, as `--penalty`, `--project` and `--keep` take them.

use std::fmt::Display;
use std::path::Path;

use penalty::{Named, Penalty};
use serde_json::{Map, Value, json};

use crate::checkpoint::Tensor;
use crate::error::Result;
use crate::groups::{self, Grouping};
use crate::json;

/// The penalties that are projections onto a set: their prox is the same at every step.
const PROJECTIONS: [&str; 4] = ["box", "l1_ball", "l2_ball", "simplex"];
/// The penalties that keep a number of weights unchanged: their prox, too, is the same at every step.
const KEEPS: [&str; 2] = ["top_k", N_OF_M];
/// Its groups must lie within rows, because sparse tensor cores need that.
const N_OF_M: &str = "n_of_m";

/// A penalty, its groups if the user gave any, and its JSON description.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) penalty: Penalty,
    groups: Option<Grouping>,
    /// n-of-m's m, which must divide the length of every tensor's rows; `None` for any other penalty.
    in_rows: Option<u64>,
    pub(crate) json: Value,
}

impl From<Penalty> for Asked {
    /// Describes a penalty by its factors of Σ|θ| and Σθ².
    fn from(penalty: Penalty) -> Asked {
        let json = json!({"l1": penalty.l1_factor(), "l2_squared": penalty.l2_squared_factor()});
        Asked { penalty, groups: None, in_rows: None, json }
    }
}

impl Asked {
    /// Adds the file of the element weights to the description, if there is one.
    pub(crate) fn weighted(self, weights: Option<&Path>) -> Asked {
        self.said("weights", weights.map(Path::display))
    }

    /// Sets the groups and adds them to the description, if there are any.
    pub(crate) fn over(self, groups: Option<Grouping>) -> Asked {
        Asked { groups, ..self.said("groups", groups) }
    }

    /// Adds one entry to the JSON description.
    pub(crate) fn said(mut self, key: &str, value: Option<impl Display>) -> Asked {
        if let (Some(value), Value::Object(json)) = (value, &mut self.json) {
            json.insert(key.to_owned(), json!(value.to_string()));
        }
        self
    }

    /// Rejects groups for a separable penalty, and for one whose parameters already define its groups.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.groups.is_none() || groups::are_open_in(&self.penalty) {
            Ok(())
        } else if groups::are_taken_by(&self.penalty) {
            Err("--groups says which weights form a group, and so does a parameter, group-size or n-of-m's m: give one \
                 of the two"
                .into())
        } else {
            Err("--groups is for group penalties, such as group-lasso, and this one is separable".into())
        }
    }

    /// The penalty for each of the tensors. Fails if the groups do not cover a tensor.
    pub(crate) fn penalties(&self, tensors: &[Tensor]) -> Result<Vec<Penalty>> {
        groups::of_tensors(&self.penalty, self.groups, self.in_rows, tensors)
    }
}

/// Parses the value of `--penalty`.
pub(crate) fn penalty(text: &str) -> Result<Asked, String> {
    parse(text, Penalty::all())
}

/// Parses the value of `--project`.
pub(crate) fn projection(text: &str) -> Result<Asked, String> {
    parse(text, among(&PROJECTIONS))
}

/// Parses the value of `--keep`.
pub(crate) fn keep(text: &str) -> Result<Asked, String> {
    parse(text, among(&KEEPS))
}

/// The help's list of the values of `--penalty`.
pub(crate) fn penalties_help() -> String {
    help("--penalty", Penalty::all())
}

/// The same for fits, where an option gives penalty factors, not a file element weights.
pub(crate) fn fitted_help() -> String {
    help("--penalty", Penalty::all().filter(|named| !named.name.starts_with("weighted")))
}

/// The help's list of the values of `--project`.
pub(crate) fn projections_help() -> String {
    help("--project", among(&PROJECTIONS))
}

/// The help's list of the values of `--keep`.
pub(crate) fn keeps_help() -> String {
    help("--keep", among(&KEEPS))
}

fn among(names: &[&str]) -> impl Iterator<Item = &'static Named> {
    Penalty::all().filter(|named| names.contains(&named.name))
}

fn parse<'a>(text: &'a str, known: impl Iterator<Item = &'static Named>) -> Result<Asked, String> {
    let known: Vec<&Named> = known.collect();
    let (name, parameters) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
    let name = name.trim();
    let stem = name.replace('-', "_");
    // One name can have several parameter lists.
    let forms: Vec<&Named> = known.iter().copied().filter(|named| named.name == stem).collect();
    if forms.is_empty() {
        let mut names: Vec<String> = known.iter().map(|named| shown(named.name)).collect();
        names.dedup();
        return Err(format!("expected one of {}; found {name:?}", names.join(", ")));
    }
    let pair = |pair: &'a str| pair.split_once('=').map(|(key, value)| (key.trim(), value));
    let pairs = parameters.and_then(|list| list.split(',').map(pair).collect::<Option<Vec<_>>>());
    let usages = || forms.iter().map(|form| usage(form)).collect::<Vec<_>>().join(" or ");
    let pairs = pairs.ok_or_else(|| format!("expected {}, found {text:?}", usages()))?;
    let value = |(key, text): (&str, &str)| {
        let value = number(text).map_err(|error| format!("{key}: {error}"))?;
        Ok::<_, String>((key.replace('-', "_"), value))
    };
    let values: Vec<(String, f64)> = pairs.into_iter().map(value).collect::<Result<_, _>>()?;
    let given: Vec<(&str, f64)> = values.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let penalty = Penalty::named(&stem, &given).map_err(|error| match faults(&forms, &given) {
        faults if faults.is_empty() => error.to_string(),
        faults => format!("{error}: {}", faults.join(", ")),
    })?;

    // A combination of L1 and L2² is described by its factors, whatever name it was requested by.
    let factors = Penalty::keras(penalty.l1_factor(), penalty.l2_squared_factor());
    if factors.is_ok_and(|factors| factors == penalty) {
        return Ok(Asked::from(penalty));
    }
    let keys = forms.iter().filter(|form| form.parameters.len() == given.len()).flat_map(|form| form.parameters);
    let in_order = keys.filter_map(|&name| given.iter().find(|(key, _)| *key == name));
    let parameters: Map<String, Value> = in_order.map(|&(key, x)| (key.to_owned(), json::number(x))).collect();
    let m = given.iter().find(|(key, _)| stem == N_OF_M && *key == "m");
    let in_rows = m.map(|&(_, m)| m as u64);
    Ok(Asked { penalty, groups: None, in_rows, json: json!({"name": stem, "parameters": parameters}) })
}

/// The faults in the given parameter names, compared with the form that fits best.
fn faults(forms: &[&Named], given: &[(&str, f64)]) -> Vec<String> {
    let count = |name: &str| given.iter().filter(|(key, _)| *key == name).count();
    let faults = |form: &&Named| {
        let is_first = |at: usize| given[..at].iter().all(|(key, _)| *key != given[at].0);
        let keys = given.iter().enumerate().filter(|(at, _)| is_first(*at)).map(|(_, (key, _))| *key);
        let of_key = |key| match form.parameters.contains(&key) {
            false => Some(format!("{} is unknown", shown(key))),
            true => (count(key) > 1).then(|| format!("{} is given {} times", shown(key), count(key))),
        };
        let missing = form.parameters.iter().filter(|name| count(name) == 0);
        keys.filter_map(of_key).chain(missing.map(|name| format!("{} is missing", shown(name)))).collect::<Vec<_>>()
    };
    forms.iter().map(faults).min_by_key(Vec::len).unwrap_or_default()
}

/// A name as written on the command line.
fn shown(name: &str) -> String {
    name.replace('_', "-")
}

/// The form of a penalty on the command line, such as `mcp:lambda=…,gamma=…`.
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

pub(crate) fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("expected a number, found {text:?}"))
}
