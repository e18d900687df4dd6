// The plane of two coefficients: what the penalty allows, the contours of the loss, and the point where they touch.

import { ABOVE_AND_BELOW, MARGIN, SIDE, frame, type Frame } from "../chart/frame";
import { line, loop, type Point } from "../chart/lines";
import { svg } from "../dom";
import type { Geometry } from "../library";

/** Pairs of the flat list that the library gives. */
function pairs(flat: Float64Array): Point[] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at]!, flat[2 * at + 1]!] as const);
}

/** A square plane from −reach to reach. */
export function plane(
  width: number,
  reach: number,
  features: readonly [string, string],
  geometry: Geometry,
  title: string,
  second: boolean,
): Frame {
  const domain: [number, number] = [-reach, reach];
  const made = frame(
    title,
    { width, height: width - SIDE - MARGIN + ABOVE_AND_BELOW },
    { name: `coefficient of ${features[0]}`, domain },
    { name: `coefficient of ${features[1]}`, domain },
  );
  const { area, x, y } = made;
  area.append(
    line(made, [[-reach, 0], [reach, 0]], "zero"),
    line(made, [[0, -reach], [0, reach]], "zero"),
    loop(made, pairs(geometry.boundary), second ? "allowed second" : "allowed"),
  );
  geometry.contours.forEach(({ points }, at) => {
    const touching = at === geometry.contours.length - 1;
    area.append(loop(made, pairs(points), touching ? "contour touching" : "contour"));
  });
  const [u, v] = geometry.optimum;
  area.append(svg("path", { d: "M-6 0H6M0 -6V6", class: "handle-cross", transform: `translate(${x(u)} ${y(v)})` }));
  const [a, b] = [geometry.solution.coef[0]!, geometry.solution.coef[1]!];
  area.append(svg("circle", { cx: x(a), cy: y(b), r: 6, class: "touching-point" }));
  const zeros = features.filter((_, j) => geometry.solution.coef[j] === 0).map((name) => `${name} = 0`);
  const solution = zeros.length > 0 ? `solution: ${zeros.join(", ")}` : "solution";
  // A letter is 7 wide, more or less.
  const end = (name: string) => width - MARGIN - 7 * name.length;
  const least = x(u) + 17 > end("least error") ? { x: x(u) - 17, "text-anchor": "end" } : { x: x(u) + 17 };
  area.append(
    svg("text", { ...least, y: y(v), dy: "0.32em", class: "point-name" }, "least error"),
    svg("text", { x: Math.min(x(a) + 10, end(solution)), y: y(b) + 24, class: "point-name" }, solution),
  );
  return made;
}
