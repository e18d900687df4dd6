// The frame of a chart: axes with ticks, grid lines, names, and a clipped area for what is drawn.

import { scaleLinear, scaleLog, type ScaleContinuousNumeric } from "d3-scale";
import { svg } from "../dom";
import { tick } from "../format";

export type Scale = ScaleContinuousNumeric<number, number>;

export interface Axis {
  name: string;
  domain: [number, number];
  log?: 2 | 10;
  /** How many ticks to aim at. */
  ticks?: number;
  format?: (value: number) => string;
}

export interface Frame {
  root: SVGSVGElement;
  /** What is drawn here is cut off at the axes. */
  area: SVGGElement;
  /** What is drawn here is not. */
  over: SVGGElement;
  x: Scale;
  y: Scale;
  width: number;
  height: number;
}

export interface Size {
  width: number;
  height: number;
  /** The room left of the area for the names of lines that begin there; the numbers are then at the right. */
  names?: number;
}

/** The room beside the area, with numbers and without. */
export const SIDE = 54;
export const MARGIN = 14;
export const ABOVE_AND_BELOW = 58;
const TOP = 12;
const BOTTOM = 46;

let clips = 0;

function scale({ domain, log }: Axis, range: [number, number]): Scale {
  return log ? scaleLog(domain, range).base(log) : scaleLinear(domain, range);
}

/** The ticks of an axis. On a logarithmic one, powers of its base, or more where there are few of them. */
function ticks(scale: Scale, { ticks = 5, log, domain }: Axis): number[] {
  if (!log) return scale.ticks(ticks);
  const [low, high] = [Math.min(...domain), Math.max(...domain)];
  const powers = (from: number[]) => {
    const first = Math.floor(Math.log(low) / Math.log(log));
    const last = Math.ceil(Math.log(high) / Math.log(log));
    const all = Array.from({ length: last - first + 1 }, (_, at) => log ** (first + at));
    return all.flatMap((power) => from.map((factor) => factor * power)).filter((at) => at >= low && at <= high);
  };
  const found = log === 10 ? [[1], [1, 3], [1, 2, 5]].map(powers).find((some) => some.length >= 4) ?? powers([1, 2, 5]) : powers([1]);
  const every = Math.ceil(found.length / (ticks + 3));
  return found.filter((_, at) => at % every === 0);
}

/** A frame whose picture is described by `label`; the numbers are in a table elsewhere. */
export function frame(label: string, size: Size, xAxis: Axis, yAxis: Axis): Frame {
  const { width, height, names } = size;
  const left = names ?? SIDE;
  const right = width - (names === undefined ? MARGIN : SIDE);
  const x = scale(xAxis, [left, right]);
  const y = scale(yAxis, [height - BOTTOM, TOP]);
  const clip = `clip-${clips++}`;
  const area = svg("g", { "clip-path": `url(#${clip})` });
  const over = svg("g");
  const lines = svg("g", { class: "grid" });
  const texts = svg("g", { class: "ticks" });
  for (const at of ticks(x, xAxis)) {
    lines.append(svg("line", { x1: x(at), x2: x(at), y1: TOP, y2: height - BOTTOM }));
    texts.append(svg("text", { x: x(at), y: height - BOTTOM + 18, "text-anchor": "middle" }, (xAxis.format ?? tick)(at)));
  }
  for (const at of ticks(y, yAxis)) {
    lines.append(svg("line", { x1: left, x2: right, y1: y(at), y2: y(at) }));
    const place = names === undefined ? { x: left - 8, "text-anchor": "end" } : { x: right + 8 };
    texts.append(svg("text", { ...place, y: y(at), dy: "0.32em" }, (yAxis.format ?? tick)(at)));
  }
  const middle = (TOP + height - BOTTOM) / 2;
  const edge = names === undefined ? 13 : width - 4;
  const axisNames = svg(
    "g",
    { class: "axis-names" },
    svg("text", { x: (left + right) / 2, y: height - 6, "text-anchor": "middle" }, xAxis.name),
    svg("text", { x: edge, y: middle, "text-anchor": "middle", transform: `rotate(-90 ${edge} ${middle})` }, yAxis.name),
  );
  const box = { x: left, y: TOP, width: right - left, height: height - BOTTOM - TOP };
  const root = svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    svg("clipPath", { id: clip }, svg("rect", box)),
    lines,
    svg("rect", { ...box, class: "edge" }),
    texts,
    axisNames,
    area,
    over,
  );
  return { root, area, over, x, y, width, height };
}
