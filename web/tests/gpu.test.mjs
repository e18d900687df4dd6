// Part 3: bits, speed and sharing on SwiftShader, and the page without a GPU.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_GPU, cancel, cells, ended, withPage } from "./support.mjs";

const BITS = '[aria-label="Comparison of bits"]';

/** Until so many lengths are measured; then cancels the rest. */
async function measure(page, rows) {
  await page.click("#u-run");
  await page.locator("#u-rates tbody tr").nth(rows - 1).waitFor();
  return cancel(page, "u");
}

test("SwiftShader has the bits of wasm, and the table can be shared", async () => {
  await withPage({}, async (page) => {
    // Nothing touches the GPU before the button: only the worker of part 2 runs.
    await ended(page, "c");
    assert.equal(page.workers().length, 1);
    assert.match(await page.locator("#u-support").innerText(), /^This browser has WebGPU/);
    assert.ok(await page.locator("#u-results").isHidden());
    await measure(page, 4);
    const facts = await page.locator("#u-results dl").innerText();
    assert.match(facts, /google swiftshader \(software\)/);
    assert.match(facts, /gpu_to_gpu: the same bits/);
    assert.match(facts, /all \d+ parts passed/);
    const bits = await cells(page, BITS);
    for (const what of ["value", "gradient", "prox"]) assert.ok(bits.some(([name]) => name.includes(what)), what);
    assert.ok(bits.length >= 5);
    for (const [what, verdict] of bits) assert.match(verdict, /^same bits/, what);
    const rates = await cells(page, "#u-rates");
    assert.match(rates[0][0], /^2¹⁰ \(4 KiB\)$/);
    for (const row of rates) for (const rate of row.slice(1, 5)) assert.ok(Number(rate) > 0, row.join(" | "));

    await page.click("#u-copy");
    await page.getByText("Copied.").waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /adapter: google swiftshader \(software\)/);
    assert.match(copied, /determinism: gpu_to_gpu/);
    assert.match(copied, /bits: all equal/);
    for (const row of rates) assert.ok(copied.includes(`| ${row.slice(0, 5).join(" | ")} |`), copied);
  });
});

test("where bits differ, it says which", async () => {
  // As a GPU would answer whose compiler reorders sums.
  const before = () => {
    const { set } = Object.getOwnPropertyDescriptor(Worker.prototype, "onmessage");
    Object.defineProperty(Worker.prototype, "onmessage", {
      set(listener) {
        set.call(this, (event) => {
          const { result } = event.data;
          if (result?.checks) Object.assign(result, { determinism: "run_to_run" }).checks[0].equals_cpu = false;
          if (result?.rows && result.len) result.rows[0].different = 1;
          listener.call(this, event);
        });
      },
    });
  };
  await withPage({ before }, async (page) => {
    await page.click("#u-run");
    await page.locator(`${BITS} tbody tr`).first().waitFor();
    const [[what, verdict]] = await cells(page, BITS);
    assert.equal(verdict, "1 of 1 differ");
    await page.locator("#u-verdict", { hasText: "Bits differ from those of wasm" }).waitFor();
    const said = await page.locator("#u-verdict").innerText();
    assert.ok(said.includes(what) && said.includes("self-check"), said);
    assert.match(await page.locator("#u-results dl").innerText(), /run_to_run.*not those of the processor[^]*differs from the processor/);
    await cancel(page, "u");
  });
});

test("more weights than there may be are an error in words", async () => {
  const before = () => {
    const { postMessage } = Worker.prototype;
    Worker.prototype.postMessage = function (call) {
      if (call.name === "compare") call.request.len = 2 ** 26 + 1;
      postMessage.call(this, call);
    };
  };
  await withPage({ before }, async (page) => {
    await page.click("#u-run");
    assert.equal(await ended(page, "u"), "the number of weights must be at most 2^26, found 67108865");
  });
});

for (const [name, options] of [
  ["a browser without WebGPU", { before: () => delete Navigator.prototype.gpu }],
  ["a browser without an adapter", { args: NO_GPU }],
]) {
  test(`${name} measures wasm alone, and says so`, async () => {
    await withPage(options, async (page) => {
      await measure(page, 3);
      assert.match(await page.locator("#u-support").innerText(), /no WebGPU|No GPU: .*continues with WebAssembly/);
      assert.ok(await page.locator(BITS).isHidden());
      for (const row of await cells(page, "#u-rates")) {
        assert.deepEqual(row.slice(1, 3), ["", ""]);
        assert.ok(Number(row[3]) > 0 && Number(row[4]) > 0, row.join(" | "));
      }
    });
  });
}
