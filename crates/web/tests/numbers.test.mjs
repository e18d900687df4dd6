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

/** The largest |a − b| of two nested lists of numbers, over the largest |b|. */
function difference(a, b) {
  const [found, expected] = [a, b].map((list) => [list].flat(Infinity));
  assert.equal(found.length, expected.length);
  const most = Math.max(...expected.map(Math.abs));
  const apart = found.map((x, at) => Math.abs(x - expected[at]));
  assert.ok(apart.every(Number.isFinite));
  return Math.max(...apart) / (most || 1);
}

function near(a, b, what, tolerance = 1e-9) {
  const found = difference(a, b);
  assert.ok(found <= tolerance, `${what}: ${found}`);
}
