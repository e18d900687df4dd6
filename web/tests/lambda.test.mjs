// Part 2: every control, and the numbers of `penalty cv`, run by the command that the page shows.

import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { cancel, cells, diabetes, ended, failure, folder, penalty, short, withPage } from "./support.mjs";

copyFileSync(diabetes, join(folder, "diabetes.csv"));

const NUMBERS = '[aria-label="Errors by λ"]';
const MODELS = '[aria-label="Coefficients at λ_min and at λ_1se"]';

/** The words of the command that the page shows. */
async function shown(page) {
  const text = await page.locator("#c-results code").innerText();
  return text.match(/'(?:[^'])*'|\S+/g).map((word) => word.replace(/^'|'$/g, "")).slice(1);
}

/** The page's tables are those of the numbers that its command prints. Gives the command's words. */
async function checkNumbers(page) {
  const words = await shown(page);
  const printed = penalty(...words).split("\n").map((line) => line.trim().split(/\s{2,}/));
  const rows = (await cells(page, NUMBERS)).map((row) => row.filter(Boolean));
  const expected = printed.slice(1, rows.length + 1);
  const same = words.includes("--loss") ? rounded : assert.deepEqual;
  same(rows, expected);
  const found = JSON.parse(penalty(...words, "--json"));
  const models = [found.lambda_min, found.lambda_1se].map((lambda) => found.lambda.indexOf(lambda));
  const multinomial = words.includes("multinomial");
  const lines = (multinomial ? found.classes : [undefined]).flatMap((name, output) => {
    const line = (label, of) => [name ? `${label}, ${name}` : label, ...models.map((at) => short(of(at)))];
    const coef = (at) => (multinomial ? found.coef[at][output] : found.coef[at]);
    return [
      line("(intercept)", (at) => (multinomial ? found.intercept[at][output] : found.intercept[at])),
      ...found.features.map((feature, j) => line(feature, (at) => coef(at)[j])),
    ];
  });
  same(await cells(page, MODELS), lines);
  return words;
}

/** A browser's exp is not the system's, so a sixth digit may be rounded otherwise. */
function rounded(rows, expected) {
  assert.deepEqual(rows.map((row) => row.length), expected.map((row) => row.length));
  const near = (a, b) => a === b || Math.abs(a - b) <= 1e-5 * Math.abs(b);
  rows.forEach((row, at) => row.forEach((cell, column) => assert.ok(near(cell, expected[at][column]), `${row} | ${expected[at]}`)));
}

async function run(page) {
  await page.click("#c-run");
  return ended(page, "c");
}

test("it begins with the diabetes data, and each control changes the command", async () => {
  await withPage({}, async (page) => {
    assert.match(await ended(page, "c"), /^λ_min = [\d.]+ has the least mean squared error/);
    assert.equal(await page.locator("#c-data").innerText(), "Diabetes data: 442 rows, 11 columns");
    const first = await checkNumbers(page);
    assert.equal(first.join(" "), "cv diabetes.csv --target target --standardize --penalty l1 --folds 5 --seed 1");

    const change = async (act, expected) => {
      await act();
      assert.match(await run(page), /^λ_min/);
      assert.match((await checkNumbers(page)).join(" "), expected);
    };
    await change(() => page.fill("#c-folds", "3"), /--folds 3/);
    await change(() => page.fill("#c-seed", "7"), /--seed 7/);
    await change(() => page.selectOption("#c-target", "s5"), /--target s5/);
    await change(() => page.selectOption("#c-penalty", "mcp"), /--penalty mcp:gamma=3/);
    assert.ok(await page.locator("#c-alpha-control").isHidden());
    await change(() => page.selectOption("#c-penalty", "l2_squared"), /--penalty l2-squared .*--lambdas 10,/);
    await change(async () => {
      await page.selectOption("#c-penalty", "elastic_net");
      await page.fill("#c-alpha", "0.25");
    }, /--penalty elastic-net:alpha=0.25/);
    await page.selectOption("#c-target", "sex");
    await change(() => page.selectOption("#c-loss", "logistic"), /--target sex .*--loss logistic.* --stratified/);
    await page.selectOption("#c-target", "s6");
    await change(() => page.selectOption("#c-loss", "poisson"), /--target s6 .*--loss poisson/);
  });
});

test("errors are the library's", async () => {
  await withPage({}, async (page) => {
    await ended(page, "c");
    const same = async (words) => {
      const text = await run(page);
      // The command may add what to type instead.
      assert.ok(failure("cv", "diabetes.csv", "--target", "target", "--standardize", ...words).includes(text), text);
      assert.ok(await page.locator("#c-error").isVisible());
    };
    await page.fill("#c-folds", "1");
    await same(["--folds", "1"]);
    await page.fill("#c-folds", "443");
    await same(["--folds", "443"]);
    await page.fill("#c-folds", "5");
    await page.selectOption("#c-loss", "logistic");
    await same(["--loss", "logistic", "--stratified"]);
    await page.selectOption("#c-loss", "squared");
    assert.match(await run(page), /^λ_min/);
    assert.ok(await page.locator("#c-error").isHidden());
  });
});

const PEOPLE = ["name;height;weight;kind", ..."abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz".split("").map((letter, at) =>
  [`"${letter}${at}"`, 150 + (at * 7) % 40, 50 + (at * 11) % 37 + 0.5 * ((at * 7) % 40), ["cat", "dog", "eel"][(at * 5 + (at >> 2)) % 3]].join(";"))].join("\n");

test("a CSV file is read by the button and by dropping it, and nothing is sent", async () => {
  writeFileSync(join(folder, "people.csv"), PEOPLE);
  await withPage({}, async (page) => {
    await ended(page, "c");
    const requests = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.setInputFiles("#c-file", join(folder, "people.csv"));
    await page.getByText("people.csv: 52 rows, 4 columns").waitFor();
    // It begins with the last column of numbers.
    assert.match(await ended(page, "c"), /^λ_min/);
    const words = await checkNumbers(page);
    assert.deepEqual(words.slice(0, 9), ["cv", "people.csv", "--target", "weight", "--standardize", "--exclude", "^name$", "--exclude", "^kind$"]);
    assert.match(await page.locator("#c-results").innerText(), /Left out: name \(.*Left out: kind \(/);

    await page.selectOption("#c-target", "kind");
    assert.equal(await run(page), 'line 2, column "kind": expected a finite number, found "cat"');
    await page.selectOption("#c-loss", "multinomial");
    assert.match(await run(page), /deviance/);
    await checkNumbers(page);

    await page.click("#c-builtin");
    await page.getByText("Diabetes data: 442 rows").waitFor();
    await ended(page, "c");
    const dropped = await page.evaluateHandle((text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], "people.csv", { type: "text/csv" }));
      return transfer;
    }, PEOPLE);
    await page.dispatchEvent("#c-drop", "drop", { dataTransfer: dropped });
    await page.getByText("people.csv: 52 rows, 4 columns").waitFor();
    assert.deepEqual(requests, []);
  });
});

test("a file that is no table is an error in words", async () => {
  writeFileSync(join(folder, "broken.csv"), "a,b\n1,2\n3\n");
  writeFileSync(join(folder, "people.csv"), PEOPLE);
  await withPage({}, async (page) => {
    const refused = async (shown) => {
      await page.setInputFiles("#c-file", join(folder, "broken.csv"));
      const text = await ended(page, "c");
      assert.ok(text && failure("cv", "broken.csv", "--target", "b").endsWith(text), text);
      assert.ok(await page.locator("#c-error").isVisible());
      assert.equal(await page.locator("#c-data").innerText(), shown);
    };
    await ended(page, "c");
    await refused("Diabetes data: 442 rows, 11 columns");
    // The file that is open is not fitted again, which would hide the error.
    await page.setInputFiles("#c-file", join(folder, "people.csv"));
    assert.match(await ended(page, "c"), /^λ_min/);
    await refused("people.csv: 52 rows, 4 columns");
  });
});

test("a file is opened, and Cancel cancels, while the page still opens its own data", async () => {
  writeFileSync(join(folder, "people.csv"), PEOPLE);
  // Its own data never come.
  const before = () => {
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (call) {
      if (call.request !== "diabetes") postMessage.call(this, call);
    };
  };
  await withPage({ before }, async (page) => {
    await page.setInputFiles("#c-file", join(folder, "people.csv"));
    assert.match(await ended(page, "c"), /^λ_min/);
    assert.equal(await page.locator("#c-data").innerText(), "people.csv: 52 rows, 4 columns");
  });
  await withPage({ before }, async (page) => {
    assert.equal(await cancel(page, "c"), "Cancelled.");
    assert.ok(await page.locator("#c-results").isHidden());
  });
});

test("it shows progress and can be cancelled", async () => {
  const columns = 60;
  const number = (i, j) => Math.sin(i * 12.9898 + j * 78.233 + i * j) * 10;
  const rows = Array.from({ length: 4000 }, (_, i) => Array.from({ length: columns }, (_, j) => number(i, j).toFixed(4)).join(",") + `,${i % 4}`);
  const text = [[...Array(columns).keys()].map((j) => `x${j}`).join(",") + ",class", ...rows].join("\n");
  writeFileSync(join(folder, "large.csv"), text);
  await withPage({}, async (page) => {
    await ended(page, "c");
    await page.setInputFiles("#c-file", join(folder, "large.csv"));
    await page.getByText("large.csv: 4000 rows, 61 columns").waitFor();
    await ended(page, "c");
    await page.selectOption("#c-loss", "multinomial");
    await page.fill("#c-folds", "40");
    await page.click("#c-run");
    await page.waitForFunction(() => document.querySelector("#c-progress").value > 0);
    assert.ok(await page.locator("#c-progress").isVisible());
    assert.equal(await cancel(page, "c"), "Cancelled.");
    assert.ok(await page.locator("#c-progress").isHidden());
    await page.click("#c-builtin");
    await page.getByText("Diabetes data: 442 rows").waitFor();
    assert.match(await ended(page, "c"), /^λ_min/);
  });
});
