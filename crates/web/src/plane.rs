//! The geometry of two coefficients.

use js_sys::{Float64Array, Reflect};
use penalty::Penalty;
use penalty_fit::{Matrix, Options, Problem, Solution, Squared, lambda_at_loss, lambda_max};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::choice::Choice;
use crate::data;
use crate::error::{Error, Result};
use crate::object::{self, array, arrays, points};

/// The columns of the diabetes data that `penalty geometry` draws.
const COLUMNS: [&str; 2] = ["bmi", "bp"];
/// The contours that it draws: their heights above the least loss, as multiples of that of the touching one.
const CONTOURS: [f64; 3] = [0.1, 0.4, 1.0];

/// A loss of two coefficients, as the squared loss of some rows.
struct Plane {
    x: Vec<f64>,
    y: Vec<f64>,
    is_data: bool,
}

#[derive(Serialize, Deserialize)]
struct Data {
    features: [String; 2],
    #[serde(with = "serde_wasm_bindgen::preserve")]
    x: Float64Array,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    y: Float64Array,
}

#[derive(Deserialize)]
struct Quadratic {
    optimum: [f64; 2],
    hessian: [[f64; 2]; 2],
}

impl Plane {
    fn new(loss: JsValue) -> Result<Plane> {
        if Reflect::has(&loss, &"x".into()).unwrap_or(false) {
            let data: Data = object::from(loss)?;
            return Ok(Plane { x: data.x.to_vec(), y: data.y.to_vec(), is_data: true });
        }
        Plane::of(object::from(loss)?)
    }

    /// Four rows, whose number has an exact root: 2Lᵀ of the curvature LLᵀ, and zeros.
    fn of(Quadratic { optimum: [u, v], hessian: [[a, b], [_, d]] }: Quadratic) -> Result<Plane> {
        let rest = d - b * b / a;
        if !(a > 0.0 && rest > 0.0 && (a + d + u + v).is_finite()) {
            let found = format!("the optimum ({u}, {v}) and the hessian ({a}, {b}; {b}, {d})");
            return Err(Error::new(format!("a loss must be finite and positive definite, found {found}")));
        }
        let (l00, l10, l11) = (a.sqrt(), b / a.sqrt(), rest.sqrt());
        let x = vec![2.0 * l00, 0.0, 0.0, 0.0, 2.0 * l10, 2.0 * l11, 0.0, 0.0];
        let y = (0..4).map(|row| x[row] * u + x[4 + row] * v).collect();
        Ok(Plane { x, y, is_data: false })
    }

    fn problem(&self) -> Result<Problem<'_>> {
        let problem = Problem::new(Matrix::dense(self.y.len(), 2, &self.x)?, &self.y)?;
        Ok(problem.intercept(self.is_data).standardize(self.is_data))
    }
}

/// What `penalty geometry` draws if it is given no data.
#[wasm_bindgen(js_name = planeData)]
pub fn plane_data() -> Result<JsValue> {
    let (table, target) = data::built_in()?;
    let features = COLUMNS.map(str::to_owned);
    let x = table.named(features.to_vec())?.values;
    object::to(&Data { features, x: x[..].into(), y: target.values[..].into() })
}

#[derive(Serialize)]
struct Start {
    optimum: [f64; 2],
    hessian: [[f64; 2]; 2],
    lambda_max: f64,
    lambda: f64,
}

/// What a picture of a loss starts with.
#[wasm_bindgen(js_name = planeStart)]
pub fn plane_start(loss: JsValue) -> Result<JsValue> {
    let (plane, options, l1) = (Plane::new(loss)?, Options::default(), Penalty::l1(1.0)?);
    let problem = plane.problem()?;
    let lambda = penalty_fit::picture_lambda(&problem, &options)?;
    let geometry = penalty_fit::geometry(&problem, &l1, lambda, &options)?;
    object::to(&Start {
        optimum: geometry.optimum,
        hessian: geometry.curvature,
        lambda_max: lambda_max(&problem, &Squared, &l1, &options)?,
        lambda,
    })
}

#[derive(Deserialize)]
struct GeometryRequest {
    #[serde(with = "serde_wasm_bindgen::preserve")]
    loss: JsValue,
    penalty: Choice,
    lambda: Lambda,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Lambda {
    At(f64),
    Touching { loss: f64 },
}

#[derive(Serialize)]
struct Geometry {
    lambda: f64,
    optimum: [f64; 2],
    hessian: [[f64; 2]; 2],
    solution: Solution,
    radius: f64,
    #[serde(serialize_with = "points")]
    boundary: Vec<[f64; 2]>,
    least_loss: f64,
    contours: [Contour; CONTOURS.len()],
}

#[derive(Serialize)]
struct Contour {
    loss: f64,
    #[serde(serialize_with = "points")]
    points: Vec<[f64; 2]>,
}

/// The set, the contours and the touching point.
#[wasm_bindgen]
pub fn geometry(request: JsValue) -> Result<JsValue> {
    let GeometryRequest { loss, penalty, lambda } = object::from(request)?;
    let (plane, penalty, options) = (Plane::new(loss)?, penalty.penalty(1.0)?, Options::default());
    let problem = plane.problem()?;
    let lambda = match lambda {
        Lambda::At(lambda) => lambda,
        Lambda::Touching { loss } => lambda_at_loss(&problem, &penalty, loss, &options)?,
    };
    let geometry = penalty_fit::geometry(&problem, &penalty, lambda, &options)?;
    let height = geometry.solution.loss - geometry.least_loss();
    let contour = |share: f64| {
        let loss = geometry.least_loss() + share * height;
        Contour { loss, points: geometry.contour(loss) }
    };
    object::to(&Geometry {
        lambda,
        optimum: geometry.optimum,
        hessian: geometry.curvature,
        radius: geometry.radius,
        least_loss: geometry.least_loss(),
        contours: CONTOURS.map(contour),
        boundary: geometry.boundary,
        solution: geometry.solution,
    })
}

#[derive(Deserialize)]
struct CoefficientsRequest {
    #[serde(with = "serde_wasm_bindgen::preserve")]
    loss: JsValue,
    penalty: Choice,
    most: f64,
}

#[derive(Serialize)]
struct Coefficients {
    #[serde(serialize_with = "array")]
    lambda: Vec<f64>,
    #[serde(serialize_with = "arrays")]
    coef: [Vec<f64>; 2],
}

/// Both coefficients as λ grows.
#[wasm_bindgen]
pub fn coefficients(request: JsValue) -> Result<JsValue> {
    let CoefficientsRequest { loss, penalty, most } = object::from(request)?;
    let (plane, penalty, options) = (Plane::new(loss)?, penalty.penalty(1.0)?, Options::default());
    let problem = plane.problem()?;
    let fits = penalty_fit::path(&problem, &Squared, &penalty, &penalty_fit::picture_grid(most), &options)?;
    let solutions = || fits.points.iter().map(|point| &point.solution);
    object::to(&Coefficients {
        lambda: solutions().map(|solution| solution.lambda).collect(),
        coef: [0, 1].map(|j| solutions().map(|solution| solution.coef[j]).collect()),
    })
}
