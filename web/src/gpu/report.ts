// What was found about a GPU, as Markdown to share.

import { bytes, powerOfTwo } from "../format";
import type { BenchRow, Comparison, GpuInfo } from "../library";

export interface Measured {
  /** None without WebGPU. */
  info: GpuInfo | undefined;
  comparison: Comparison | undefined;
  rows: BenchRow[];
}

/** What the columns of a row are called. */
export const COLUMNS = [
  { key: "gpu_evaluate", name: "GPU, value" },
  { key: "gpu_prox", name: "GPU, prox" },
  { key: "wasm_evaluate", name: "wasm, value" },
  { key: "wasm_prox", name: "wasm, prox" },
] as const;

export function rate(value: number | null): string {
  return value === null ? "" : value.toPrecision(3);
}

/** 4 bytes per weight. */
export function length({ log2, len }: BenchRow): string {
  return `${powerOfTwo(log2)} (${bytes(4 * len)})`;
}

export function adapterOf({ adapter: { description, vendor, architecture, is_software } }: GpuInfo): string {
  const name = description || [vendor, architecture].filter(Boolean).join(" ") || "an adapter that the browser does not name";
  return is_software ? `${name} (software)` : name;
}

/** The checks that failed, in words. */
export function failures({ info, comparison }: Measured): string[] {
  const checks = (info?.checks ?? []).filter(({ equals_cpu }) => !equals_cpu).map(({ name }) => `self-check “${name}”`);
  const bits = (comparison?.rows ?? []).filter(({ different }) => different > 0).map(({ what }) => what);
  return [...checks, ...bits];
}

export function markdown(measured: Measured): string {
  const { info, comparison, rows } = measured;
  const lines = ["### penalty in the browser", ""];
  lines.push(`- browser: ${navigator.userAgent}`);
  lines.push(info ? `- adapter: ${adapterOf(info)}` : "- no WebGPU, wasm only");
  if (info) lines.push(`- determinism: ${info.determinism}`);
  if (comparison) {
    const failed = failures(measured);
    lines.push(`- bits: ${failed.length === 0 ? "all equal" : `these differ: ${failed.join(", ")}`}`);
    lines.push("", `| ${comparison.len} weights | numbers | other bits | GPU | wasm |`, "| --- | --: | --: | --- | --- |");
    for (const { what, count, different, gpu, wasm } of comparison.rows) {
      lines.push(`| ${[what, count, different, gpu, wasm].map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`);
    }
  }
  if (rows.length > 0) {
    lines.push("", `| GB/s, by weights | ${COLUMNS.map(({ name }) => name).join(" | ")} |`, `| --- |${" --: |".repeat(COLUMNS.length)}`);
    for (const row of rows) lines.push(`| ${length(row)} | ${COLUMNS.map(({ key }) => rate(row[key])).join(" | ")} |`);
  }
  return `${lines.join("\n")}\n`;
}
