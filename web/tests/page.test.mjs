// The page as a whole: its policy, its size, its looks, and whether everybody can use it.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { cancel, ended, frame, screenshots, withPage } from "./support.mjs";

const assets = fileURLToPath(new URL("../dist/assets/", import.meta.url));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** All parts filled with results. */
async function fill(page) {
  await ended(page, "c");
  await page.click("#u-run");
  await page.locator("#u-rates tbody tr").nth(4).waitFor();
  await cancel(page, "u");
  await frame(page);
}

async function shoot(page, name) {
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
  for (const part of ["geometry", "lambda", "gpu"]) {
    await page.locator(`#${part}`).screenshot({ path: join(screenshots, `${name}-${part}.png`) });
  }
}

test("the compressed wasm is at most 3 MB", () => {
  const modules = readdirSync(assets).filter((name) => name.endsWith(".wasm"));
  assert.equal(modules.length, 1);
  const size = gzipSync(readFileSync(join(assets, modules[0])), { level: 9 }).length;
  assert.ok(size <= 3_000_000, `${size} bytes`);
});

test("the page may not connect to others", async () => {
  await withPage({ refused: true }, async (page) => {
    assert.equal(await page.evaluate(() => fetch("http://localhost:1/").then(() => true, () => false)), false);
  });
});

const LOOKS = {
  light: { colorScheme: "light", width: 1200 },
  dark: { colorScheme: "dark", width: 1200 },
  narrow: { colorScheme: "light", width: 360 },
  "narrow-dark": { colorScheme: "dark", width: 360 },
};

test("with all parts filled", async (all) => {
  await withPage({ reducedMotion: "reduce" }, async (page) => {
    await fill(page);
    for (const [name, { colorScheme, width }] of Object.entries(LOOKS)) {
      await all.test(`${name}: no rule of accessibility is broken, and nothing is wider than the page`, async () => {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 900 });
        await frame(page);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${wide} px too wide`);
        assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior), "auto");
        await shoot(page, name);
        const broken = await page.evaluate(`${axe}; axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join(" ")))`);
        assert.deepEqual(broken, []);
      });
    }
    await all.test("the keyboard reaches every control, shows where it is, and leaves the page", () => walk(page));
  });
});

/** Tab from the page's beginning to its end. */
async function walk(page) {
  await page.locator("nav a").first().focus();
  await page.keyboard.press("Shift+Tab");
  const reached = [];
  for (;;) {
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === document.body) return undefined;
      const handle = element.classList.contains("handle");
      const seen = handle ? element.querySelector(".handle-reach") : element.closest(".file") ?? element;
      const style = getComputedStyle(seen);
      return { name: element.id || element.className.baseVal || element.ariaLabel || element.textContent, shown: handle ? style.stroke !== "none" : style.outlineStyle === "solid" };
    });
    if (at === undefined) break;
    assert.ok(at.shown, `${at.name} shows no focus`);
    assert.ok(reached.length < 100, "the focus does not leave the page");
    reached.push(at.name);
    await page.keyboard.press("Tab");
  }
  const all = await page.locator("a, button:enabled, select, input, .handle, .scroll").evaluateAll((elements) => elements.filter((element) => element.checkVisibility()).length);
  assert.equal(reached.length, all, reached.join(", "));
  for (const name of ["Skip to the first picture", "g-penalty", "g-lambda", "handle", "g-x", "c-file", "c-run", "u-run", "u-copy"]) assert.ok(reached.includes(name), name);
}
