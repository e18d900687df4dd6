// Part 1: every control, and the numbers of `penalty geometry`.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { diabetes, folder, frame, penalty, short, slide, withPage } from "./support.mjs";

const geometry = (...words) => JSON.parse(penalty("geometry", "--out", "picture.svg", "--json", ...words)).penalties;

/** The lines of numbers under the planes. */
const numbers = (page) => page.locator("#g-panels .numbers").allInnerTexts();

/** What the page says of the command's numbers. */
function said({ lambda, coef, radius }) {
  const [bmi, bp] = coef.map((w) => (w === 0 ? "exactly 0" : short(w)));
  return `λ = ${short(lambda)}: bmi is ${bmi}, bp is ${bp}. Size of the shape, R/λ: ${short(radius)}.`;
}

test("it begins with what the command draws", async () => {
  await withPage({}, async (page) => {
    const [l1, l2] = geometry();
    assert.deepEqual(await numbers(page), [said(l1), said(l2)]);
    assert.equal(await page.locator("#g-verdict").innerText(), said(l1).replace(/^.*?: /, "Lasso (L1): ").replace(/ Size.*/, ""));
    assert.deepEqual(await page.locator("#g-panels .formula").allInnerTexts(), ["R(θ) = λΣ|θ|", "R(θ) = λΣθ²"]);
  });
});

test("what is drawn is where the numbers are", async () => {
  await withPage({}, async (page) => {
    const [{ coef, optimum, radius }] = geometry();
    const plane = page.locator(".plane").first();
    const numbersOf = (text) => text.match(/-?[\d.]+/g).map(Number);
    const paths = (selector) => plane.locator(selector).evaluateAll((all) => all.map((element) => element.getAttribute("d")));
    // The axes cross at 0, and the handle is at the optimum: that is the scale.
    const [[, y0], [x0]] = (await paths(".zero")).map(numbersOf);
    const [hx, hy] = numbersOf(await page.locator(".handle").getAttribute("transform"));
    const place = ([u, v]) => [x0 + ((hx - x0) * u) / optimum[0], y0 + ((hy - y0) * v) / optimum[1]];
    const near = ([a, b], [c, d]) => assert.ok(Math.hypot(a - c, b - d) < 0.2, `${[a, b]} ${[c, d]}`);
    const [cx, cy] = await plane.locator(".touching-point").evaluate((circle) => ["cx", "cy"].map((name) => Number(circle.getAttribute(name))));
    near([cx, cy], place(coef));
    const corners = numbersOf((await paths(".allowed"))[0]);
    near(corners.slice(0, 2), place([radius, 0]));
    // Some point of the contour is within a degree of the corner, and none is inside the diamond.
    const contour = numbersOf((await paths(".contour.touching"))[0]);
    const points = Array.from({ length: contour.length / 2 }, (_, at) => contour.slice(2 * at, 2 * at + 2));
    const size = hx - x0;
    assert.ok(Math.min(...points.map(([x, y]) => Math.hypot(x - cx, y - cy))) < 0.05 * size);
    const [rx] = place([radius, 0]);
    for (const [x, y] of points) assert.ok(Math.abs(x - x0) + Math.abs(y - y0) > rx - x0 - 0.5, `${x} ${y}`);
    assert.equal(await plane.locator(".point-name").nth(1).textContent(), "solution: bp = 0");
  });
});

test("each penalty at a λ of the slider has the command's numbers", async () => {
  await withPage({}, async (page) => {
    const kinds = await page.locator("#g-penalty option").evaluateAll((options) => options.map(({ value }) => value));
    assert.ok(["l1", "l2_squared", "elastic_net", "mcp", "scad"].every((name) => kinds.includes(name)), String(kinds));
    const parameters = { elastic_net: ":alpha=0.3", sparse_group_lasso: ":alpha=0.3", mcp: ":gamma=3", scad: ":a=3.7", log_sum: ":epsilon=5", huber: ":delta=5" };
    for (const kind of kinds) {
      await page.selectOption("#g-penalty", kind);
      await frame(page);
      assert.equal(await page.locator("#g-alpha-control").isVisible(), parameters[kind]?.includes("alpha") ?? false);
      if (await page.locator("#g-alpha").isVisible()) await slide(page, "#g-alpha", 0.3);
      await slide(page, "#g-lambda", 600);
      const lambda = await page.locator("#g-lambda-out").innerText();
      const asked = kind.replaceAll("_", "-") + (parameters[kind] ?? "");
      const all = geometry("--lambda", lambda, "--penalty", asked);
      assert.equal((await numbers(page))[0], said(all[2]), kind);
      assert.ok(await page.locator("#g-error").isHidden());
    }
  });
});

test("the point of least error moves by pointer, keys and numbers", async () => {
  // Data with the same columns, whose least error is at a point of the test's choice.
  const [, ...rows] = readFileSync(diabetes, "utf8").trim().split("\n").map((line) => line.split(","));
  const columns = [2, 3].map((at) => rows.map((row) => Number(row[at])));
  const standard = columns.map((column) => {
    const mean = column.reduce((sum, x) => sum + x, 0) / column.length;
    const deviation = Math.sqrt(column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / column.length);
    return column.map((x) => (x - mean) / deviation);
  });
  const expected = ([u, v], lambda) => {
    const lines = rows.map((_, i) => [columns[0][i], columns[1][i], u * standard[0][i] + v * standard[1][i]].join(","));
    writeFileSync(join(folder, "moved.csv"), ["bmi,bp,y", ...lines].join("\n"));
    return geometry("--data", "moved.csv", "--target", "y", "--lambda", lambda)[0];
  };
  await withPage({}, async (page) => {
    await slide(page, "#g-lambda", 700);
    const lambda = await page.locator("#g-lambda-out").innerText();
    const check = async (point) => {
      await frame(page);
      assert.equal((await numbers(page))[0], said(expected(point, lambda)));
    };
    const inputs = ["#g-x", "#g-y"];
    const point = () => Promise.all(inputs.map(async (input) => Number(await page.locator(input).inputValue())));
    const begin = await point();

    await page.fill("#g-x", "-20");
    await page.fill("#g-y", "31.5");
    await page.press("#g-y", "Enter");
    await check([-20, 31.5]);

    const handle = page.locator(".handle");
    await handle.focus();
    await handle.press("ArrowRight");
    await handle.press("ArrowDown");
    await frame(page);
    const [right, down] = await point();
    assert.ok(right > -20 && right < -19 && down < 31.5 && down > 30.5, `${right} ${down}`);
    await handle.press("Shift+ArrowLeft");
    await frame(page);
    const [left] = await point();
    assert.ok(left < right - 3 && left > right - 7, `${left}`);
    assert.match(await handle.getAttribute("aria-valuetext"), /^bmi −2\d\.\d, bp 3\d\.\d$/);
    await handle.press("Home");
    await frame(page);
    assert.deepEqual(await point(), begin);

    // Dragged to the left edge of the plane, and beyond: it stays inside.
    const from = await handle.boundingBox();
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(from.x - 40, from.y + 60, { steps: 4 });
    await frame(page);
    const dragged = await point();
    assert.ok(dragged[0] < begin[0] && dragged[1] < begin[1], String(dragged));
    await page.mouse.move(0, from.y, { steps: 4 });
    await frame(page);
    const edge = await point();
    await page.mouse.move(5, from.y);
    await page.mouse.up();
    await frame(page);
    assert.deepEqual(await point(), edge);

    await page.click("#g-home");
    await frame(page);
    assert.deepEqual(await point(), begin);
    assert.equal((await numbers(page))[0], said(geometry("--lambda", lambda)[0]));
  });
});

test("another penalty or α keeps the error, so that its shape touches the same ring", async () => {
  await withPage({}, async (page) => {
    const check = async (penalty) => {
      await frame(page);
      const lambda = await page.locator("#g-lambda-out").innerText();
      const all = geometry("--lambda", lambda, "--penalty", penalty);
      assert.equal((await numbers(page))[0], said(all[2]));
      return all[2].objective - all[2].lambda * all[2].radius;
    };
    await slide(page, "#g-lambda", 800);
    const error = await check("l1");
    const near = (loss) => assert.ok(Math.abs(loss / error - 1) < 0.01, `${loss} ${error}`);
    await page.selectOption("#g-penalty", "elastic_net");
    near(await check("elastic-net:alpha=0.5"));
    for (const alpha of [0, 0.8, 1]) {
      await slide(page, "#g-alpha", alpha);
      near(await check(`elastic-net:alpha=${alpha}`));
      assert.equal(await page.locator("#g-alpha-out").innerText(), alpha.toFixed(2));
      assert.equal(await page.locator("#g-panels h3").nth(1).innerText(), alpha === 0 ? "Lasso (L1), at the same error" : "Ridge (L2), at the same error");
    }
  });
});

test("a corner of the diamond touches, and the λ slider ends where all is zero", async () => {
  await withPage({}, async (page) => {
    await slide(page, "#g-lambda", 1000);
    assert.match(await page.locator("#g-verdict").innerText(), /bmi is exactly 0, bp is exactly 0/);
    await slide(page, "#g-lambda", 0);
    assert.doesNotMatch(await page.locator("#g-verdict").innerText(), /exactly/);
  });
});
