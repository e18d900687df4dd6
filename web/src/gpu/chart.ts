// GB/s against the number of weights.

import { frame } from "../chart/frame";
import { line, type Point } from "../chart/lines";
import { html, svg } from "../dom";
import { powerOfTwo } from "../format";
import type { BenchRow } from "../library";
import { COLUMNS } from "./report";

export const RANGE = { from: 10, to: 26 };

export function bandwidth(width: number, rows: BenchRow[]): SVGSVGElement {
  const rates = rows.flatMap((row) => COLUMNS.map(({ key }) => row[key] ?? 0)).filter((value) => value > 0);
  const [low, high] = [Math.min(...rates, 1), Math.max(...rates, 10)];
  const made = frame(
    "GB/s by the number of weights",
    { width, height: 360 },
    { name: "weights", domain: [2 ** RANGE.from, 2 ** RANGE.to], log: 2, ticks: width < 500 ? 3 : 6, format: (len) => powerOfTwo(Math.log2(len)) },
    { name: "GB/s", domain: [low / 1.3, high * 1.3], log: 10 },
  );
  COLUMNS.forEach(({ key }, at) => {
    const points = rows.map((row): Point => [row.len, row[key] ?? NaN]);
    made.area.append(line(made, points, `series series-${at} dash-${at % 3}`));
    for (const [len, value] of points) {
      if (value > 0) made.area.append(svg("circle", { cx: made.x(len), cy: made.y(value), r: 3, class: `dot dot-${at}` }));
    }
  });
  return made.root;
}

/** What each line stands for, with its dashes. */
export function legend(): HTMLElement {
  const entries = COLUMNS.map(({ name }, at) =>
    html(
      "li",
      {},
      svg("svg", { viewBox: "0 0 34 10", width: 34, height: 10, "aria-hidden": "true" }, svg("path", { d: "M0 5H34", class: `series series-${at} dash-${at % 3}` })),
      name,
    ),
  );
  return html("ul", { class: "legend" }, ...entries);
}
