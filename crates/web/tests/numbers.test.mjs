// The numbers of the library in wasm beside those that the command prints. Needs target/release/penalty.
//
// Both run the same code, but not the same instructions: the command's libm is the system's, which rounds some powers,
// logarithms and sines otherwise than Rust's in wasm, and wasm has no fused multiply-add, which faer and gemm use natively.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../../../", import.meta.url));
const pkg = join(repository, "web/src/library/pkg");
// The package of wasm-bindgen is no package of node.
const glue = readFileSync(join(pkg, "penalty_web.js"), "utf8");
const wasm = await import(`data:text/javascript;base64,${Buffer.from(glue.replaceAll("import.meta.url", '"file:///"')).toString("base64")}`);
wasm.initSync({ module: readFileSync(join(pkg, "penalty_web_bg.wasm")) });

const folder = mkdtempSync(join(tmpdir(), "penalty-web-"));
const diabetes = join(repository, "crates/cli/data/diabetes.csv");
const penalty = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), "release/penalty");
const command = (...words) => JSON.parse(execFileSync(penalty, [...words, "--json"], { cwd: folder, encoding: "utf8" }));

/** How far numbers are apart, as a share of the largest one. Lists may be nested. */
function near(found, expected, what, tolerance) {
  const [a, b] = [found, expected].map((list) => [list].flat(Infinity));
  assert.equal(a.length, b.length, what);
  const apart = Math.max(...a.map((x, at) => Math.abs(x - b[at])));
  const share = apart / Math.max(...b.map(Math.abs), Number.MIN_VALUE);
  assert.ok(share <= tolerance, `${what}: ${share} apart`);
}

/** What a request that must fail says: one line. */
function refused(call) {
  let message;
  assert.throws(call, (error) => {
    message = error.message;
    return error instanceof Error && !message.includes("\n");
  });
  return message;
}

const PENALTIES = [
  [{ name: "l1" }, null],
  [{ name: "l2_squared" }, null],
  [{ name: "elastic_net", parameters: { alpha: 0.5 } }, "elastic-net:alpha=0.5"],
  [{ name: "group_lasso" }, "group-lasso"],
  [{ name: "mcp", parameters: { gamma: 3 } }, "mcp:gamma=3"],
  [{ name: "scad", parameters: { a: 3.7 } }, "scad:a=3.7"],
];
const asked = PENALTIES.flatMap(([, text]) => (text ? ["--penalty", text] : []));

/** The geometry of the penalties in both, and how near they must be. */
function compared(loss, lambdas, panels) {
  PENALTIES.forEach(([penalty], at) => {
    const { solution, ...picture } = wasm.geometry({ loss, penalty, lambda: lambdas(at) });
    const panel = panels[at];
    const what = `${panel.name}:`;
    near(picture.lambda, panel.lambda, `${what} λ`, 1e-13);
    near(picture.optimum, panel.optimum, `${what} optimum`, 1e-13);
    near(picture.radius, panel.radius, `${what} c`, 1e-12);
    near(solution.coef, panel.coef, `${what} coef`, 1e-12);
    assert.deepEqual(solution.coef.map((w) => w === 0), panel.coef.map((w) => w === 0), `${what} zeros`);
    near(solution.objective, panel.objective, `${what} objective`, 1e-14);
    assert.equal(solution.converged, panel.converged);
  });
}

test("geometry without options", () => {
  const { penalties } = command("geometry", "--out", "picture.svg", ...asked);
  const loss = wasm.planeData();
  const { lambda } = wasm.planeStart(loss);
  const touched = wasm.geometry({ loss, penalty: { name: "l1" }, lambda }).solution.loss;
  compared(loss, (at) => (at === 0 ? lambda : { loss: touched }), penalties);
});

test("geometry of other data, at a λ", () => {
  const columns = [[1, 2, 3, 4, 5, 6.5], [2, 1, 4, 3, 7, 5], [1.5, -2, 3, 0.25, 4, 9]];
  const rows = columns[0].map((_, row) => columns.map((column) => column[row]).join(","));
  writeFileSync(join(folder, "data.csv"), ["a,b,y", ...rows].join("\n"));
  const words = ["--data", "data.csv", "--target", "y", "--lambda", "0.7"];
  const { penalties } = command("geometry", "--out", "picture.svg", ...words, ...asked);
  const loss = { features: ["a", "b"], x: Float64Array.from([...columns[0], ...columns[1]]), y: Float64Array.from(columns[2]) };
  compared(loss, () => 0.7, penalties);
});

test("a loss that is dragged is that of the data, as long as it is not moved", () => {
  const data = wasm.planeData();
  const { optimum, hessian, lambda, lambda_max } = wasm.planeStart(data);
  for (const [penalty] of PENALTIES) {
    const [moved, fixed] = [{ optimum, hessian }, data].map((loss) => wasm.geometry({ loss, penalty, lambda }));
    near(moved.solution.coef, fixed.solution.coef, `${penalty.name}: coef`, 1e-5);
    near(moved.optimum, optimum, "optimum", 1e-13);
    near(moved.hessian, hessian, "hessian", 1e-13);
    assert.equal(moved.boundary.length, 720);
    assert.deepEqual(moved.contours.map(({ points }) => points.length), [720, 720, 720]);
    const most = 1.2 * lambda_max;
    const { lambda: lambdas, coef } = wasm.coefficients({ loss: { optimum, hessian }, penalty, most });
    assert.deepEqual([lambdas.length, coef[0].length, coef[1].length], [120, 120, 120]);
    assert.equal(lambdas[0], most);
    near(lambdas[119], 1e-3 * most, "the last λ", 1e-15);
  }
  const none = wasm.geometry({ loss: { optimum, hessian }, penalty: { name: "l1" }, lambda: 2 * lambda_max });
  assert.deepEqual([...none.solution.coef, none.radius], [0, 0, 0]);
});

/** The lists of a cross-validation's fits. */
function fits({ points }, lists, what) {
  const of = (key) => points.map((point) => point[key]);
  near(of("lambda"), lists.lambda, `${what} λ`, 1e-15);
  for (const key of ["coef", "coef_raw"]) near(of(key), lists[key], `${what} ${key}`, 1e-9);
  near(of("intercept"), lists.intercept, `${what} intercept`, 1e-12);
  near(of("objective"), lists.objective, `${what} objective`, 1e-13);
  for (const key of ["deviance_explained", "degrees_of_freedom", "aic", "bic", "ebic"]) near(of(key), lists[key], `${what} ${key}`, 1e-10);
  for (const key of ["nonzero", "converged"]) assert.deepEqual(of(key), lists[key], `${what} ${key}`);
}

const FITS = [
  ["the lasso", { name: "elastic_net", parameters: { alpha: 1 } }, []],
  ["the elastic net", { name: "elastic_net", parameters: { alpha: 0.5 } }, ["--alpha", "0.5"]],
  ["MCP", { name: "mcp", parameters: { gamma: 3 } }, ["--penalty", "mcp:gamma=3"]],
];
const squared = { data: "diabetes", target: "target", loss: "squared", standardize: true, grid: { count: 60, ratio: 1e-3 } };
const words = [diabetes, "--target", "target", "--standardize", "--count", "60"];

/** A cross-validation beside the command's. */
function curves(cv, object, key, what) {
  const best = cv.all[cv.best];
  fits(cv, object, what);
  near(best.losses, object[key], `${what} ${key}`, 1e-10);
  near(best.mean, object.mean, `${what} mean`, 1e-10);
  near(best.standard_error, object.standard_error, `${what} standard error`, 1e-10);
  for (const key of ["lambda_min", "lambda_1se"]) near(best[key], object[key], `${what} ${key}`, 1e-15);
}

test("cross-validation", () => {
  const rows = { order: "shuffled", seed: 3 };
  for (const [what, penalty, options] of FITS) {
    let heard = 0;
    const cv = wasm.crossValidate({ ...squared, penalties: [penalty], folds: 5, rows }, ({ done, total }) => {
      heard += 1;
      // Each of the five parts, and all rows.
      assert.ok(done <= total && total === 6 * 60);
    });
    assert.ok(heard > 0, "no progress");
    curves(cv, command("cv", ...words, "--seed", "3", ...options), "mse", what);
  }
  const penalties = [1, 0.7, 0.3].map((alpha) => ({ name: "elastic_net", parameters: { alpha } }));
  const cv = wasm.crossValidate({ ...squared, penalties, folds: 4, rows }, () => {});
  const options = ["--seed", "3", "--folds", "4", "--alpha", "1,0.7,0.3"];
  curves(cv, command("cv", ...words, ...options), "mse", "several α");
});

test("classes", () => {
  const columns = readFileSync(diabetes, "utf8").trim().split("\n").map((line) => line.split(","));
  const lines = columns.map((cells, at) => [...cells.slice(0, 4), at === 0 ? "kind" : Number(cells.at(-1)) > 200 ? "high" : Number(cells.at(-1)) > 100 ? "middle" : "low"].join(","));
  for (const [loss, keep] of [["multinomial", () => true], ["logistic", (line) => !line.endsWith("middle")]]) {
    const text = lines.filter(keep).join("\n");
    writeFileSync(join(folder, `${loss}.csv`), text);
    const request = { data: { name: `${loss}.csv`, text }, target: "kind", loss, standardize: true, grid: { count: 20, ratio: 0.01 } };
    const penalty = { name: "elastic_net", parameters: { alpha: 1 } };
    const cv = wasm.crossValidate({ ...request, penalties: [penalty], folds: 3, rows: { order: "stratified", seed: 0 } }, () => {});
    const object = command("cv", `${loss}.csv`, "--target", "kind", "--loss", loss, "--standardize", "--count", "20", "--ratio", "0.01", "--folds", "3", "--stratified");
    assert.deepEqual(cv.classes, object.classes);
    curves(cv, object, "deviance", loss);
  }
});

test("what is wrong is said in one line, with the place", () => {
  const csv = (text) => ({ name: "data.csv", text });
  assert.equal(refused(() => wasm.table(csv("a,b\n1,2\n3\n"))), "line 3: expected 2 cells, as in the first line, found 1");
  assert.equal(refused(() => wasm.table(csv(""))), "expected rows of data, found none");
  assert.deepEqual(wasm.table(csv("a,b\n1,2\n3,x\n")).columns, [
    { name: "a", fault: null },
    { name: "b", fault: 'line 3: expected a finite number, found "x"' },
  ]);
  const cv = { ...squared, target: "y", penalties: [{ name: "l1" }], folds: 2, rows: { order: "shuffled", seed: 1 } };
  const fit = (text, more = {}) => () => wasm.crossValidate({ ...cv, data: csv(text), ...more }, () => {});
  assert.equal(refused(fit("x,y\n1,2\n,3\n")), 'line 3, column "x": expected a finite number, found an empty cell');
  assert.equal(refused(fit("x,z\n1,2\n2,3\n")), 'has no column "y"; its columns are x, z');
  assert.equal(refused(fit("x,y\n1,1\n2,2\n")), 'column "x" is the target "y" itself');
  assert.equal(refused(fit("x,y\n1,a\n2,a\n", { loss: "logistic" })), 'column "y": expected at least two classes, found only a');
  assert.match(refused(fit("x,y\n1,3\n2,4\n", { penalties: [{ name: "l7" }] })), /^the penalty must be one of l1, /);
  assert.match(refused(fit("x,y\n1,3\n2,4\n", { grid: { count: 0, ratio: 0.1 } })), /^the grid must be of 1 to 2\^20 λ/);
  const hessian = [[1, 2], [2, 1]];
  assert.match(refused(() => wasm.planeStart({ optimum: [1, 1], hessian })), /positive definite/);
  const plane = { loss: wasm.planeData(), penalty: { name: "l1" } };
  assert.match(refused(() => wasm.coefficients({ ...plane, most: -1 })), /^the λ of a grid must be /);
});

test("only lengths of 2^10 to 2^26 are measured", async () => {
  for (const [from, to] of [[9, 11], [12, 11], [26, 27]]) {
    const message = `the lengths must be from 2^10 to 2^26, found 2^${from} to 2^${to}`;
    await assert.rejects(wasm.benchmark({ penalty: { name: "l1" }, lambda: 0.1, from, to }, assert.fail), { message });
  }
});

test("wasm's rate is measured without a GPU", async () => {
  const heard = [];
  const rows = await wasm.benchmark({ penalty: { name: "l1" }, lambda: 0.1, from: 10, to: 11 }, (row) => heard.push(row));
  assert.deepEqual(heard, rows);
  assert.deepEqual(rows.map(({ len, error }) => [len, error]), [[1024, null], [2048, null]]);
  assert.ok(rows.every((row) => row.wasm_evaluate > 0 && row.wasm_prox > 0 && row.gpu_evaluate === null));
});
