// One penalty's card: its plane, its numbers and its coefficients as λ grows.

import { frame, type Frame } from "../chart/frame";
import { host } from "../chart/host";
import { line, nameLines, room, type Point } from "../chart/lines";
import { html, svg } from "../dom";
import { brief, short } from "../format";
import type { Coefficients, Geometry } from "../library";
import { plane } from "./plane";

export interface Shown {
  name: string;
  formula: string;
  geometry: Geometry;
  coefficients: Coefficients;
  reach: number;
  features: readonly [string, string];
}

export interface Panel {
  element: HTMLElement;
  show(shown: Shown): void;
}

/** Words for a coefficient: exact zeros are said to be exact. */
export function said(name: string, value: number): string {
  return value === 0 ? `${name} is exactly 0` : `${name} is ${short(value)}`;
}

/** `drawn` gets each new plane, to put what moves on it. */
export function panel(second: boolean, over: Node[], drawn: (frame: Frame) => void): Panel {
  let shown: Shown | undefined;
  const title = html("h3");
  const formula = html("p", { class: "formula" });
  const numbers = html("p", { class: "numbers quiet" });
  const planeBox = html("div", { class: "plane" }, ...over);
  const pathBox = html("div", { class: "path" });
  const element = html("article", { class: "card" }, title, formula, planeBox, numbers, pathBox);

  const planeHost = host(planeBox, (width) => {
    if (!shown) return undefined;
    const { geometry, features, reach, name } = shown;
    const label = `${name}: the plane of the coefficients of ${features[0]} and ${features[1]}`;
    const made = plane(width, reach, features, geometry, label, second);
    drawn(made);
    return made.root;
  });
  const pathHost = host(pathBox, (width) => (shown ? paths(width, shown) : undefined));

  return {
    element,
    show(next) {
      shown = next;
      const { name, geometry, features } = next;
      const { coef } = geometry.solution;
      title.textContent = name;
      formula.textContent = `R(θ) = ${next.formula}`;
      numbers.textContent = `λ = ${short(geometry.lambda)}: ${features.map((feature, j) => said(feature, coef[j]!)).join(", ")}. Size of the shape, R/λ: ${short(geometry.radius)}.`;
      planeHost.redraw();
      pathHost.redraw();
    },
  };
}

function paths(width: number, { name, geometry, coefficients, features }: Shown): SVGSVGElement {
  const lambdas = [...coefficients.lambda];
  const values = coefficients.coef.flatMap((some) => [...some]);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const margin = 0.08 * (high - low || 1);
  const made = frame(
    `${name}: both coefficients as λ grows`,
    { width, height: 230, names: room([...features]) },
    { name: "λ: weaker ← → stronger", domain: [Math.min(...lambdas), Math.max(...lambdas)], log: 10 },
    { name: "coefficient", domain: [low - margin, high + margin], ticks: 4 },
  );
  made.area.append(line(made, [[lambdas[0]!, 0], [lambdas.at(-1)!, 0]], "zero"));
  const ends = features.map((feature, j) => {
    const points = lambdas.map((lambda, at): Point => [lambda, coefficients.coef[j]![at]!]);
    made.area.append(line(made, points, `series series-${2 * j} dash-${j}`));
    const first = points.reduce((a, b) => (b[0] < a[0] ? b : a));
    return { name: feature, y: first[1], at: 2 * j };
  });
  nameLines(made, ends);
  const [first, last] = made.x.domain() as [number, number];
  if (geometry.lambda >= first && geometry.lambda <= last) {
    const at = made.x(geometry.lambda);
    const [bottom, top] = made.y.range() as [number, number];
    made.area.append(
      svg("line", { x1: at, x2: at, y1: bottom, y2: top, class: "mark" }),
      ...features.map((_, j) => svg("circle", { cx: at, cy: made.y(geometry.solution.coef[j]!), r: 4, class: "touching-point" })),
    );
    const left = at > width / 2;
    const attributes = { x: at + (left ? -6 : 6), y: top + 14, "text-anchor": left ? "end" : "start", class: "mark-name" };
    made.area.append(svg("text", attributes, `λ = ${brief(geometry.lambda)}`));
  }
  return made.root;
}
