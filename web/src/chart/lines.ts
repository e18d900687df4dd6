// Lines that differ by colour and by dashes, and their names at their ends.

import { svg } from "../dom";
import type { Frame } from "./frame";

export type Point = readonly [number, number];

/** The classes of the stylesheet: of six colours and three kinds of dashes, no pair twice in 18 lines. */
export function series(at: number): string {
  return `series series-${at % 6} dash-${(at + Math.floor(at / 6)) % 3}`;
}

function pieces({ x, y }: Frame, points: readonly Point[]): string {
  let open = false;
  let path = "";
  for (const [a, b] of points) {
    const [u, v] = [x(a), y(b)];
    if (Number.isFinite(u) && Number.isFinite(v)) {
      path += `${open ? "L" : "M"}${u.toFixed(2)} ${v.toFixed(2)}`;
      open = true;
    } else {
      open = false;
    }
  }
  return path;
}

/** A line through the points, broken where one is not finite. */
export function line(frame: Frame, points: readonly Point[], name: string): SVGPathElement {
  return svg("path", { d: pieces(frame, points), class: name, fill: "none" });
}

/** The line back to its first point, filled or not as the class says. */
export function loop(frame: Frame, points: readonly Point[], name: string): SVGPathElement {
  return svg("path", { d: `${pieces(frame, points)}Z`, class: name });
}

export interface Named {
  name: string;
  /** Where the line begins. */
  y: number;
  /** Which line it is. */
  at: number;
}

/** The room that names take. */
export function room(names: string[]): number {
  return 14 + 7 * Math.max(0, ...names.map((name) => name.length));
}

/** Names left of where lines begin, moved apart where they would cover each other. */
export function nameLines(frame: Frame, ends: Named[]): void {
  const gap = 14;
  const [bottom, top] = frame.y.range() as [number, number];
  const sorted = ends.map((end) => ({ ...end, place: frame.y(end.y) })).sort((a, b) => a.place - b.place);
  let least = top + 4;
  for (const end of sorted) {
    end.place = Math.max(end.place, least);
    least = end.place + gap;
  }
  let most = bottom - 2;
  for (const end of sorted.reverse()) {
    end.place = Math.min(end.place, most);
    most = end.place - gap;
  }
  const x = frame.x.range()[0]! - 6;
  const texts = sorted.map(({ name, place, at }) =>
    svg("text", { x, y: place, dy: "0.32em", "text-anchor": "end", class: `line-name name-${at % 6}` }, name),
  );
  frame.over.append(svg("g", {}, ...texts));
}
