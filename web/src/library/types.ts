// What the library takes and gives, as plain objects. The names of numbers are those of the command's JSON.

/** A penalty by its name and parameters, without λ: {name: "elastic_net", parameters: {alpha: 0.5}}. */
export interface PenaltyChoice {
  name: string;
  parameters?: Record<string, number>;
}

/** A penalty that can be chosen. */
export interface PenaltyKind {
  name: string;
  /** The formula, as text, with λ in it. */
  formula: string;
  /** The names of the parameters besides λ. */
  parameters: string[];
}

/** How far work is, from 0 to total. */
export interface Progress {
  done: number;
  total: number;
}

/** For work that takes longer than a frame. An aborted call rejects with the signal's reason. */
export interface Watch<P = Progress> {
  signal?: AbortSignal;
  onProgress?: (progress: P) => void;
}

// ---- Geometry: two coefficients ----

/** A quadratic loss ½(w − optimum)ᵀ hessian (w − optimum). */
export interface Quadratic {
  optimum: [number, number];
  /** Its first row, then its second one: symmetric, and positive definite. */
  hessian: [[number, number], [number, number]];
}

/** The squared loss of a model of two columns of data, which are standardized. */
export interface PlaneData {
  features: [string, string];
  /** The first column, then the second one. */
  x: Float64Array;
  y: Float64Array;
}

export type PlaneLoss = Quadratic | PlaneData;

/** What a picture of a loss starts with. */
export interface PlaneStart extends Quadratic {
  /** The least λ at which L1 has no coefficient. */
  lambda_max: number;
  /** A λ at which L1 has one coefficient: what `penalty geometry` takes if it is given none. */
  lambda: number;
}

export interface GeometryRequest {
  loss: PlaneLoss;
  penalty: PenaltyChoice;
  /** λ, or the loss that the solution is to have, so that several penalties touch the same contour. */
  lambda: number | { loss: number };
}

export interface Solution {
  lambda: number;
  /** 1, or the number of classes of the multinomial loss. */
  outputs: number;
  /** The coefficients (on standardized columns, if they are), output after output. */
  coef: number[];
  intercept: number[];
  coef_raw: number[];
  intercept_raw: number[];
  objective: number;
  loss: number;
  nonzero: number;
  iterations: number;
  converged: boolean;
  gap: number | null;
  residual: number;
  notes: string[];
}

export interface Geometry extends Quadratic {
  lambda: number;
  /** Its `coef` is the touching point. A coefficient that the penalty removed is exactly 0. */
  solution: Solution;
  /** c: the penalty's value over λ. */
  radius: number;
  /** The boundary of {R(w) ≤ c} as x, y, x, y, …, closed, in the order of the angle. Where the set has none, points are
   *  1000 times as far away as the optimum. */
  boundary: Float64Array;
  least_loss: number;
  contours: { loss: number; points: Float64Array }[];
}

export interface CoefficientsRequest {
  loss: PlaneLoss;
  penalty: PenaltyChoice;
  /** The largest λ; the last one is a thousandth of it. */
  most: number;
}

/** Both coefficients along λ. */
export interface Coefficients {
  lambda: Float64Array;
  coef: [Float64Array, Float64Array];
}

// ---- Data: tables and cross-validation ----

/** A CSV file's text, or the diabetes data that the page has. */
export type Source = { name: string; text: string } | "diabetes";

export interface Column {
  name: string;
  /** Why the column is no column of numbers, with the line: only a class, not a feature, may be text. */
  fault: string | null;
}

export interface TableInfo {
  rows: number;
  columns: Column[];
}

export type LossName = "squared" | "logistic" | "multinomial" | "poisson";

export interface CvRequest {
  data: Source;
  target: string;
  /** All columns but the target, unless given. */
  features?: string[];
  loss: LossName;
  standardize: boolean;
  grid: { count: number; ratio: number } | { lambdas: number[] };
  /** Several, such as elastic nets of several α, to choose among; or one. */
  penalties: PenaltyChoice[];
  folds: number;
  rows: { order: "shuffled" | "stratified"; seed: number };
}

/** The fit at one λ. */
export interface Point extends Solution {
  deviance_explained: number;
  degrees_of_freedom: number;
  /** Whether the degrees of freedom are approximate. */
  approximate: boolean;
  aic: number;
  bic: number;
  ebic: number;
}

export interface CrossValidation {
  lambdas: number[];
  /** For each λ, that of each fold: the mean squared error, or the mean deviance. */
  losses: number[][];
  mean: number[];
  standard_error: number[];
  lambda_min: number;
  lambda_1se: number;
  converged: boolean;
}

/** All rows fitted with the best penalty, and what led to the choice. */
export interface Cv {
  features: string[];
  /** The labels of the classes; empty if the target is a number. */
  classes: string[];
  rows: number;
  points: Point[];
  /** Of each penalty. */
  all: CrossValidation[];
  /** Which of the penalties has the least mean. */
  best: number;
}

// ---- GPU ----

export type Determinism = "gpu_to_gpu" | "run_to_run" | "not_guaranteed";

export interface GpuInfo {
  /** As far as the browser tells. */
  adapter: { description: string; vendor: string; architecture: string; is_software: boolean };
  determinism: Determinism;
  /** The self-check, part by part. */
  checks: { name: string; equals_cpu: boolean; repeats: boolean }[];
}

export interface CompareRequest {
  penalty: PenaltyChoice;
  lambda: number;
  /** How many weights, at most 2^26. They are made from the seed. */
  len: number;
  seed: number;
}

/** One thing that the GPU and wasm both computed. */
export interface Compared {
  what: string;
  /** How many numbers there are, and how many of them have other bits. */
  count: number;
  different: number;
  /** The numbers (the first ones that differ, if any do) and their bits. */
  gpu: string;
  wasm: string;
}

export interface Comparison {
  len: number;
  rows: Compared[];
}

export interface BenchRequest {
  penalty: PenaltyChoice;
  lambda: number;
  /** The exponents of the lengths: 10 to 26. */
  from: number;
  to: number;
  /** Without a GPU, only wasm is measured. */
  gpu: boolean;
}

/** Bytes read and written per second, in 10^9. Null: not measured, or `error` says why not. */
export interface BenchRow {
  log2: number;
  len: number;
  gpu_evaluate: number | null;
  gpu_prox: number | null;
  wasm_evaluate: number | null;
  wasm_prox: number | null;
  error: string | null;
}
