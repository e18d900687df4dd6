// Part 3: the reader's GPU beside wasm. Nothing touches the GPU before the button is pressed.

import { host } from "../chart/host";
import { table } from "../chart/table";
import { byId, html } from "../dom";
import type { BenchRow, Comparison, Determinism, GpuInfo, Library } from "../library";
import { runner } from "../run";
import { RANGE, bandwidth, legend } from "./chart";
import { COLUMNS, adapterOf, failures, length, markdown, rate, type Measured } from "./report";

/** An elastic net: its value needs both sums, and its prox has zeros. */
const PENALTY = { penalty: { name: "elastic_net", parameters: { alpha: 0.5 } }, lambda: 0.01 };
/** Some tiles more than one, and a last one that is not full. */
const COMPARED = { len: 2 ** 20 + 5, seed: 1 };

const LEVELS: Record<Determinism, string> = {
  gpu_to_gpu: "the same bits as the processor, and as every other GPU of this level",
  run_to_run: "the same bits in every run on this GPU, but not those of the processor",
  not_guaranteed: "two runs had different bits",
};

export function gpuView(library: Library): void {
  const run = runner("u");
  const support = byId("u-support");
  const box = byId("u-results");
  const verdict = byId("u-verdict");
  const hasGpu = "gpu" in navigator;
  support.textContent = hasGpu
    ? "This browser has WebGPU. The measurement takes up to a minute, and up to 1 GB of memory."
    : "This browser has no WebGPU, so the page measures WebAssembly alone. Chrome, Edge, Safari 26 and Firefox have it on most machines.";

  let measured: Measured = { info: undefined, comparison: undefined, rows: [] };
  const facts = html("div");
  const bits = html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Comparison of bits" });
  const rates = html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "GB/s by the number of weights" });
  const chartBox = html("div");
  const copy = html("button", { type: "button", id: "u-copy" }, "Copy as Markdown");
  const copied = html("span", { role: "status", class: "quiet" });
  const bitsCard = html("article", { class: "card full" }, html("h3", {}, "The bits"), bits);
  const speedCard = html("article", { class: "card full" }, html("h3", {}, "The speed"), legend(), chartBox);
  const tableCard = html("article", { class: "card full", id: "u-rates" }, html("h3", {}, "The numbers"), rates);
  const factsCard = html("article", { class: "card full" }, html("h3", {}, "The adapter"), facts);
  box.replaceChildren(
    html("div", { class: "pair" }, factsCard, bitsCard, speedCard, tableCard),
    html("p", { class: "buttons share" }, copy, copied),
  );
  const chart = host(chartBox, (width) => (measured.rows.length > 0 ? bandwidth(width, measured.rows) : undefined));

  const showRows = () => {
    rates.replaceChildren(ratesOf(measured.rows));
    chart.redraw();
  };

  byId("u-run").addEventListener("click", () =>
    run(async ({ signal, progress }) => {
      measured = { info: undefined, comparison: undefined, rows: [] };
      copied.textContent = "";
      if (hasGpu) {
        try {
          measured.info = await library.openGpu({ signal });
        } catch (problem) {
          if (signal.aborted) throw problem;
          const words = problem instanceof Error ? problem.message : String(problem);
          support.textContent = `No GPU: ${words}. The page continues with WebAssembly.`;
        }
      }
      factsCard.hidden = bitsCard.hidden = !measured.info;
      showRows();
      box.hidden = false;
      if (measured.info) {
        facts.replaceChildren(factsOf(measured.info));
        bits.replaceChildren();
        measured.comparison = await library.compare({ ...PENALTY, ...COMPARED }, { signal });
        bits.replaceChildren(bitsOf(measured.comparison));
      }
      const said = bitsSaid(measured);
      verdict.textContent = `${said} Measuring speed …`;
      const gpu = measured.info !== undefined;
      const onProgress = (row: BenchRow) => {
        measured.rows.push(row);
        progress(measured.rows.length / (RANGE.to - RANGE.from + 1));
        showRows();
      };
      try {
        await library.benchmark({ ...PENALTY, ...RANGE, gpu }, { signal, onProgress });
      } catch (problem) {
        // What was measured before stays.
        if (!signal.aborted || measured.rows.length === 0) throw problem;
      }
      const rest = signal.aborted ? " The rest was cancelled." : "";
      verdict.textContent = `${said} ${speedSaid(measured.rows)}${rest}`.trim();
    }),
  );

  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(markdown(measured));
      copied.textContent = "Copied.";
    } catch {
      copied.textContent = "The browser does not let the page copy.";
    }
  });
}

function bitsSaid(measured: Measured): string {
  if (!measured.comparison) return "";
  const failed = failures(measured);
  return failed.length === 0
    ? "All bits are equal."
    : `Bits differ from those of wasm: ${failed.join(", ")}.`;
}

function speedSaid(rows: BenchRow[]): string {
  const most = (keys: readonly (typeof COLUMNS)[number]["key"][]) =>
    Math.max(...rows.flatMap((row) => keys.map((key) => row[key] ?? 0)));
  const words = [
    { name: "the GPU", value: most(["gpu_evaluate", "gpu_prox"]) },
    { name: "wasm", value: most(["wasm_evaluate", "wasm_prox"]) },
  ];
  const measured = words.filter(({ value }) => value > 0).map(({ name, value }) => `${name} ${rate(value)} GB/s`);
  return measured.length > 0 ? `At most: ${measured.join(", ")}.` : "";
}

function factsOf(info: GpuInfo): HTMLElement {
  const facts = html("dl");
  const fact = (name: string, text: string) => facts.append(html("div", {}, html("dt", {}, name), html("dd", {}, text)));
  fact("adapter", adapterOf(info));
  fact("determinism", `${info.determinism}: ${LEVELS[info.determinism]}`);
  const failed = info.checks.filter(({ equals_cpu, repeats }) => !equals_cpu || !repeats);
  const words = failed.map(({ name, repeats }) => `${name} ${repeats ? "differs from the processor" : "differs between runs"}`);
  fact("self-check", failed.length === 0 ? `all ${info.checks.length} parts passed` : words.join("; "));
  return facts;
}

function bitsOf({ len, rows }: Comparison): HTMLTableElement {
  const caption = `${len.toLocaleString("en")} weights, on the GPU and in wasm`;
  const cells = rows.map(({ what, count, different, gpu, wasm }) => [
    what,
    different === 0 ? (count === 1 ? "same bits" : `same bits, all ${count.toLocaleString("en")}`) : `${different.toLocaleString("en")} of ${count.toLocaleString("en")} differ`,
    different === 0 ? gpu : `GPU ${gpu}, wasm ${wasm}`,
  ]);
  return table(caption, ["what", "bits", "number"], cells);
}

function ratesOf(rows: BenchRow[]): HTMLTableElement {
  const cells = rows.map((row) => [length(row), ...COLUMNS.map(({ key }) => rate(row[key])), row.error ?? ""]);
  return table("GB/s, read and written", ["weights", ...COLUMNS.map(({ name }) => name), "note"], cells);
}
