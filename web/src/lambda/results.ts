// What a cross-validation found: the curve, the coefficients, and their numbers.

import { host } from "../chart/host";
import { table } from "../chart/table";
import { byId, html } from "../dom";
import { short } from "../format";
import type { CrossValidation, Cv, CvRequest, Point } from "../library";
import { commandOf } from "./command";
import { curve, path } from "./curve";

export interface Found {
  cv: Cv;
  request: CvRequest;
  /** What the loss measures. */
  measure: string;
  leftOut: { name: string; why: string }[];
}

export interface Results {
  show(found: Found): void;
  hide(): void;
}

export function results(): Results {
  const box = byId("c-results");
  const verdict = byId("c-verdict");
  let found: Found | undefined;

  const curveBox = html("div");
  const pathBox = html("div");
  const numbers = scroll("Errors by λ");
  const coefficients = scroll("Coefficients at λ_min and at λ_1se");
  const notes = html("p", { class: "quiet" });
  const command = html("code");
  const card = (title: string, text: string, ...rest: HTMLElement[]) =>
    html("article", { class: "card" }, html("h3", {}, title), html("p", { class: "quiet" }, text), ...rest);
  box.replaceChildren(
    card("The error on rows left out", "Its mean over the parts, and one standard error up and down.", curveBox),
    card("The numbers", "As the curve, from the strongest penalty down.", numbers),
    card("The coefficients", "Of standardized columns: as λ falls, they come in one by one.", pathBox),
    card("The two models", "λ_min to predict; λ_1se to say which columns matter.", coefficients),
    html("div", { class: "full" }, notes, html("p", { class: "quiet" }, "The same on the command line: ", command)),
  );
  const hosts = [
    host(curveBox, (width) => found && curve(width, best(found.cv), found.measure)),
    host(pathBox, (width) => found && path(width, found.cv)),
  ];

  return {
    show(next) {
      found = next;
      const { cv, request, measure, leftOut } = found;
      const choice = best(cv);
      numbers.replaceChildren(numbersOf(cv, choice, measure));
      coefficients.replaceChildren(coefficientsOf(cv, choice));
      verdict.textContent = verdictOf(cv, choice, measure);
      const noticed = new Set(twoModels(cv, choice).flatMap((point) => point.notes));
      const words = leftOut.map(({ name, why }) => `Left out: ${name} (${why}).`);
      if (!choice.converged) words.push("Some fits did not converge.");
      notes.textContent = [...words, ...[...noticed].map((note) => `Note: ${note}.`)].join(" ");
      command.textContent = commandOf(request, leftOut.map(({ name }) => name));
      box.hidden = false;
      for (const host of hosts) host.redraw();
    },
    hide() {
      box.hidden = true;
    },
  };
}

function best(cv: Cv): CrossValidation {
  return cv.all[cv.best]!;
}

/** The fits at λ_min and at λ_1se. */
function twoModels(cv: Cv, { lambdas, lambda_min, lambda_1se }: CrossValidation): Point[] {
  return [lambda_min, lambda_1se].map((lambda) => cv.points[lambdas.indexOf(lambda)]!);
}

/** A region that scrolls, so the keyboard must reach it. */
function scroll(label: string): HTMLElement {
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label });
}

function verdictOf(cv: Cv, { lambdas, lambda_min, lambda_1se, mean }: CrossValidation, measure: string): string {
  const [min, one] = [lambda_min, lambda_1se].map((lambda) => lambdas.indexOf(lambda)) as [number, number];
  const count = (at: number) => {
    const { nonzero, coef } = cv.points[at]!;
    return `${nonzero} of ${coef.length} coefficients`;
  };
  const least = `λ_min = ${short(lambda_min)} has the least ${measure}, ${short(mean[min]!)}, with ${count(min)}.`;
  return min === one ? `${least} It is λ_1se too.` : `${least} λ_1se = ${short(lambda_1se)} is about as good with ${count(one)}.`;
}

function numbersOf(cv: Cv, choice: CrossValidation, measure: string): HTMLTableElement {
  const rows = choice.lambdas.map((lambda, at) => {
    const marks = [lambda === choice.lambda_min ? "λ_min" : "", lambda === choice.lambda_1se ? "λ_1se" : ""];
    const mark = marks.filter(Boolean).join(" = ");
    const strong = mark !== "";
    const cells = [
      short(lambda),
      String(cv.points[at]!.nonzero),
      short(choice.mean[at]!),
      short(choice.standard_error[at]!),
      mark,
    ];
    return cells.map((text) => ({ text, strong }));
  });
  const caption = `${rows.length} values of λ, ${cv.rows} rows`;
  return table(caption, ["λ", "nonzero", measure, "± standard error", "choice"], rows);
}

function coefficientsOf(cv: Cv, choice: CrossValidation): HTMLTableElement {
  const points = twoModels(cv, choice);
  const outputs = points[0]!.outputs;
  const label = (output: number, name: string) => (outputs > 1 ? `${name}, ${cv.classes[output]}` : name);
  const rows = Array.from({ length: outputs }, (_, output) => [
    [label(output, "(intercept)"), ...points.map(({ intercept }) => short(intercept[output]!))],
    ...cv.features.map((name, j) => [
      label(output, name),
      ...points.map(({ coef }) => short(coef[output * cv.features.length + j]!)),
    ]),
  ]).flat();
  return table("Coefficients of standardized columns, fitted to all rows", ["column", "λ_min", "λ_1se"], rows);
}
