// A browser with WebGPU on SwiftShader, the page in it, and the command that prints the same numbers.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serve } from "./server.mjs";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(repository, "target");
export const screenshots = join(target, "web-screenshots");
mkdirSync(screenshots, { recursive: true });

/** A folder for files of the tests, where the command runs. */
export const folder = mkdtempSync(join(tmpdir(), "page-"));
export const diabetes = join(repository, "crates/cli/data/diabetes.csv");

/** What the command prints. */
export function penalty(...words) {
  return execFileSync(join(target, "release/penalty"), words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** What it says when it fails. */
export function failure(...words) {
  try {
    penalty(...words);
  } catch (error) {
    return String(error.stderr).trim();
  }
  assert.fail(`it did not fail: penalty ${words.join(" ")}`);
}

/** A number as the command prints it. */
export function short(x) {
  const magnitude = Math.abs(x);
  if (x === 0) return "0";
  if (magnitude < 1e-4 || magnitude >= 1e9) return x.toExponential(5).replace("e+", "e");
  return x.toFixed(Math.max(5 - Math.floor(Math.log10(magnitude)), 0));
}

export const SWIFTSHADER = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
export const NO_GPU = ["--disable-gpu", "--disable-features=WebGPU"];

/**
 * Runs a test's body on the page, opened at `url` in a fresh browser. All requests must be GETs of the page's own server,
 * and no error may be on the console but that the page's policy has refused something, which the test then must have asked for.
 */
export async function withPage(options, body) {
  const { args = SWIFTSHADER, before, refused, ...context } = options;
  const server = await serve();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
  try {
    const opened = await browser.newContext({ viewport: { width: 1200, height: 900 }, permissions: ["clipboard-read", "clipboard-write"], ...context });
    // A busy machine is slow, but not wrong.
    opened.setDefaultTimeout(300_000);
    const page = await opened.newPage();
    const problems = [];
    opened.on("request", (request) => {
      if (!request.url().startsWith(server.url) || request.method() !== "GET") problems.push(`${request.method()} ${request.url()}`);
    });
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    if (before) await page.addInitScript(before);
    await page.goto(server.url);
    await page.waitForSelector("html[data-ready]", { state: "attached" });
    await body(page);
    const policy = problems.filter((problem) => refused && problem.includes("Content Security Policy"));
    if (refused) assert.notEqual(policy.length, 0);
    assert.deepEqual(problems.filter((problem) => !policy.includes(problem)), []);
  } finally {
    await browser.close();
    server.close();
  }
}

/** Sets a slider as an assistive tool does. */
export async function slide(page, selector, value) {
  await page.locator(selector).fill(String(value));
  await frame(page);
}

/** Until what was asked for is drawn: the picture follows in the next frame. */
export async function frame(page) {
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** Until a part's work has ended, and then what it says. */
export async function ended(page, letter) {
  await page.locator(`#${letter}-cancel:disabled`).waitFor();
  const error = page.locator(`#${letter}-error`);
  return (await error.isVisible()) ? error.innerText() : page.locator(`#${letter}-verdict`).innerText();
}

/** Cancels a part's work at once, unless it has ended, and gives what the part then says. */
export async function cancel(page, letter) {
  await page.locator(`#${letter}-cancel`).evaluate((button) => button.click());
  return ended(page, letter);
}

/** The cells of a table's body, row by row. */
export async function cells(page, selector) {
  const rows = await page.locator(`${selector} tbody tr`).all();
  return Promise.all(rows.map((row) => row.locator("th, td").allInnerTexts()));
}
