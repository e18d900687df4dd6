//! Tables, paths and cross-validation, as the command computes them.

use js_sys::{Function, Reflect};
use penalty_fit::{
    CrossValidation, Folds, Grid, Logistic, Loss, Matrix, Multinomial, Options, Point, Poisson, Problem, Scaling,
    Squared, cross_validate_each,
};
use penalty_table::{Features, Kind, Table, Target};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::choice::Choice;
use crate::error::Result;
use crate::{object, progress};

/// The data that the page has.
const DIABETES: &str = include_str!("../../cli/data/diabetes.csv");
const TARGET: &str = "target";

/// The diabetes data and its target.
pub(crate) fn built_in() -> Result<(Table, Target)> {
    let table = Table::csv(DIABETES.as_bytes(), None)?;
    let target = table.target(TARGET, Kind::Number)?;
    Ok((table, target))
}

/// A CSV file's text, or the name of the data that the page has.
fn read(source: &JsValue, label: Option<&str>) -> Result<Table> {
    if source.is_string() {
        return Ok(Table::csv(DIABETES.as_bytes(), label)?);
    }
    let text = Reflect::get(source, &"text".into()).ok().and_then(|text| text.as_string()).unwrap_or_default();
    Ok(Table::csv(text.as_bytes(), label)?)
}

#[derive(Serialize)]
struct Info<'a> {
    rows: usize,
    columns: Vec<Column<'a>>,
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    fault: Option<String>,
}

/// What columns there are.
#[wasm_bindgen]
pub fn table(source: &JsValue) -> Result<JsValue> {
    let table = read(source, None)?;
    let columns = table.columns().iter().map(|column| Column {
        name: column.name(),
        fault: column.fault().map(|fault| format!("{}: {fault}", fault.place)),
    });
    object::to(&Info { rows: table.rows(), columns: columns.collect() })
}

/// What a cross-validation fits.
#[derive(Deserialize)]
struct Request {
    #[serde(with = "serde_wasm_bindgen::preserve")]
    data: JsValue,
    target: String,
    features: Option<Vec<String>>,
    loss: LossName,
    standardize: bool,
    grid: GridRequest,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum LossName {
    Squared,
    Logistic,
    Multinomial,
    Poisson,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GridRequest {
    Given { lambdas: Vec<f64> },
    Geometric { count: usize, ratio: f64 },
}

/// Columns and a target.
struct Task {
    features: Features,
    target: Target,
    request: Request,
}

impl Task {
    fn new(request: Request) -> Result<Task> {
        let kind = match request.loss {
            LossName::Squared | LossName::Poisson => Kind::Number,
            LossName::Logistic => Kind::TwoClasses,
            LossName::Multinomial => Kind::Classes,
        };
        let name = request.target.as_str();
        let table = read(&request.data, kind.is_class().then_some(name))?;
        let target = table.target(name, kind)?;
        let chosen = request.features.as_deref();
        for name in chosen.unwrap_or_default() {
            table.numbers(name)?;
        }
        let select = |name: &str| chosen.is_none_or(|chosen| chosen.iter().any(|of| of == name));
        let features = table.features(name, &target, select)?;
        Ok(Task { features, target, request })
    }

    fn problem(&self) -> Result<Problem<'_>> {
        let x = Matrix::dense(self.features.rows, self.features.names.len(), &self.features.values)?;
        Ok(Problem::new(x, &self.target.values)?.standardize(self.request.standardize))
    }

    fn loss(&self) -> &'static dyn Loss {
        match self.request.loss {
            LossName::Squared => &Squared,
            LossName::Logistic => &Logistic,
            LossName::Multinomial => &Multinomial,
            LossName::Poisson => &Poisson,
        }
    }

    fn grid(&self) -> Grid {
        match &self.request.grid {
            GridRequest::Given { lambdas } => Grid::Given(lambdas.clone()),
            GridRequest::Geometric { count, ratio } => Grid::Geometric { count: *count, ratio: *ratio },
        }
    }

    /// How many λ there are.
    fn count(&self) -> usize {
        match &self.request.grid {
            GridRequest::Given { lambdas } => lambdas.len(),
            GridRequest::Geometric { count, .. } => *count,
        }
    }

    fn options(&self) -> Options<'static> {
        Options { progress: Some(&progress::hear), ..Options::default() }
    }

    fn fits(self, points: Vec<Point>) -> Fits {
        Fits { features: self.features.names, classes: self.target.classes, rows: self.features.rows, points }
    }
}

#[derive(Serialize)]
struct Fits {
    features: Vec<String>,
    classes: Vec<String>,
    rows: usize,
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct CvRequest {
    penalties: Vec<Choice>,
    folds: usize,
    rows: Rows,
}

#[derive(Deserialize)]
#[serde(tag = "order", rename_all = "lowercase")]
enum Rows {
    Shuffled { seed: f64 },
    Stratified { seed: f64 },
}

#[derive(Serialize)]
struct Cv {
    #[serde(flatten)]
    fits: Fits,
    all: Vec<CrossValidation>,
    best: usize,
}

/// The fits along λ with the best of several penalties, and the curves that chose it and λ.
#[wasm_bindgen(js_name = crossValidate)]
pub fn cross_validate(request: JsValue, report: Function) -> Result<JsValue> {
    let cv: CvRequest = object::from(request.clone())?;
    let task = Task::new(object::from(request)?)?;
    let penalties = cv.penalties.iter().map(|choice| choice.penalty(1.0)).collect::<Result<Vec<_>>>()?;
    let rows = task.features.rows;
    let folds = match cv.rows {
        Rows::Shuffled { seed } => Folds::shuffled(rows, cv.folds, seed as u64),
        Rows::Stratified { seed } => Folds::stratified(&task.target.values, cv.folds, seed as u64),
    }?;
    progress::begin(report, (penalties.len() * cv.folds + 1) * task.count());
    let (problem, options) = (task.problem()?, task.options());
    let (loss, grid, scaling) = (task.loss(), task.grid(), Scaling::PerFold);
    let (best, all) = cross_validate_each(&problem, loss, &penalties, &grid, &folds, scaling, &options)?;
    let grid = Grid::Given(all[best].lambdas.clone());
    let fits = penalty_fit::path(&problem, loss, &penalties[best], &grid, &options)?;
    object::to(&Cv { fits: task.fits(fits.points), all, best })
}
