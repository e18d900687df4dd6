// The curve of cross-validation and the path of the coefficients, over the same λ.

import { frame, type Axis, type Frame } from "../chart/frame";
import { line, nameLines, room, series, type Point } from "../chart/lines";
import { svg } from "../dom";
import type { CrossValidation, Cv } from "../library";

/** How many lines get a name: more would not fit beside each other. */
const NAMED = 12;

function axis(lambdas: number[]): Axis {
  return { name: "λ: weaker ← → stronger", domain: [Math.min(...lambdas), Math.max(...lambdas)], log: 10 };
}

/** λ_min and λ_1se as lines from top to bottom. */
function marks(made: Frame, { lambda_min, lambda_1se }: CrossValidation): void {
  const [bottom, top] = made.y.range() as [number, number];
  const both = lambda_min === lambda_1se;
  const all = both ? [["λ_min = λ_1se", lambda_min]] as const : ([["λ_min", lambda_min], ["λ_1se", lambda_1se]] as const);
  for (const [name, lambda] of all) {
    const x = made.x(lambda);
    // λ_min is the smaller one, so its name goes to the left.
    const left = name !== "λ_1se" && x > 130;
    made.area.append(
      svg("line", { x1: x, x2: x, y1: bottom, y2: top, class: "mark" }),
      svg("text", { x: x + (left ? -6 : 6), y: top + 15, "text-anchor": left ? "end" : "start", class: "mark-name" }, name),
    );
  }
}

export function curve(width: number, cv: CrossValidation, measure: string): SVGSVGElement {
  const { lambdas, mean, standard_error } = cv;
  const low = Math.min(...mean.map((value, at) => value - standard_error[at]!));
  const high = Math.max(...mean.map((value, at) => value + standard_error[at]!));
  const margin = 0.1 * (high - low || 1);
  const made = frame(
    `${measure} by λ, with standard errors`,
    { width, height: 340 },
    axis(lambdas),
    { name: measure, domain: [low - 0.4 * margin, high + margin] },
  );
  lambdas.forEach((lambda, at) => {
    const [x, error] = [made.x(lambda), standard_error[at]!];
    made.area.append(
      svg("line", { x1: x, x2: x, y1: made.y(mean[at]! - error), y2: made.y(mean[at]! + error), class: "whisker" }),
    );
  });
  made.area.append(line(made, lambdas.map((lambda, at): Point => [lambda, mean[at]!]), "series series-0"));
  marks(made, cv);
  for (const lambda of new Set([cv.lambda_min, cv.lambda_1se])) {
    const at = lambdas.indexOf(lambda);
    made.area.append(svg("circle", { cx: made.x(lambda), cy: made.y(mean[at]!), r: 5, class: "touching-point" }));
  }
  return made.root;
}

export function path(width: number, cv: Cv): SVGSVGElement {
  const best = cv.all[cv.best]!;
  const outputs = cv.points[0]?.outputs ?? 1;
  const lines = Array.from({ length: outputs * cv.features.length }, (_, at) => {
    const feature = cv.features[at % cv.features.length]!;
    const name = outputs > 1 ? `${feature}, ${cv.classes[Math.floor(at / cv.features.length)]}` : feature;
    return { name, at, points: cv.points.map((point): Point => [point.lambda, point.coef[at]!]) };
  });
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const margin = 0.08 * (high - low || 1);
  const first = (points: Point[]) => points.reduce((a, b) => (b[0] < a[0] ? b : a))[1];
  const largest = (points: Point[]) => Math.max(...points.map(([, value]) => Math.abs(value)));
  const seen = lines.filter(({ points }) => largest(points) > 0);
  const named = seen.sort((a, b) => largest(b.points) - largest(a.points)).slice(0, NAMED);
  const made = frame(
    "Coefficients by λ",
    { width, height: 340, names: Math.min(room(named.map(({ name }) => name)), width / 3) },
    axis(best.lambdas),
    { name: "coefficient", domain: [low - margin, high + margin] },
  );
  made.area.append(line(made, [[best.lambdas[0]!, 0], [best.lambdas.at(-1)!, 0]], "zero"));
  for (const { points, at } of lines) made.area.append(line(made, points, series(at)));
  marks(made, best);
  nameLines(made, named.map(({ name, at, points }) => ({ name, at, y: first(points) })));
  return made.root;
}
