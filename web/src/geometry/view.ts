// Part 1: the picture. What is drawn is computed by the library; here the controls are wired to it.

import { handle } from "../chart/handle";
import { byId, svg } from "../dom";
import { brief, short } from "../format";
import type { Library, PenaltyChoice, PlaneLoss } from "../library";
import { choice, fillSelect, isSmooth, nameOf } from "../penalties";
import { panel, said } from "./panel";

/** Where the slider begins, as a share of where it ends: as the picture of the coefficients. */
const LEAST = 1e-3;
/** Where it ends, as a multiple of the λ at which the lasso has no coefficient, if not at 1.2 times that. */
const MOST: Record<string, number> = { l0: 30, l_half: 4, l2_squared: 4, huber: 4 };

export function geometryView(library: Library): void {
  const kinds = library.penalties();
  const data = library.planeData();
  const start = library.planeStart(data);
  const features = data.features;
  const reach = 1.3 * Math.max(...start.optimum.map(Math.abs));
  let optimum: [number, number] = start.optimum;
  let lambda = start.lambda;

  const select = byId<HTMLSelectElement>("g-penalty");
  const lambdaInput = byId<HTMLInputElement>("g-lambda");
  const alphaInput = byId<HTMLInputElement>("g-alpha");
  const inputs = [byId<HTMLInputElement>("g-x"), byId<HTMLInputElement>("g-y")] as const;
  const problem = byId("g-error");
  /** That of the solution which is shown. */
  let error = 0;
  fillSelect(select, kinds);

  const most = () => start.lambda_max * (MOST[select.value] ?? 1.2);
  const least = () => LEAST * most();
  /** Three digits: a λ that can be told to others, or to the command. */
  const inReach = (value: number) => Number(Math.min(Math.max(value, least()), most()).toPrecision(3));
  const fromSlider = () => inReach(least() * (most() / least()) ** (Number(lambdaInput.value) / 1000));
  const toSlider = () => (1000 * Math.log(lambda / least())) / Math.log(most() / least());

  const kindOf = (name: string) => kinds.find((kind) => kind.name === name) ?? kinds[0]!;
  const chosen = (): PenaltyChoice => choice(kindOf(select.value), Number(alphaInput.value));

  const home = () => {
    optimum = start.optimum;
    later();
  };
  const point = handle(
    "The point of least error",
    (to) => {
      optimum = to;
      later();
    },
    home,
  );
  // Above the picture, which is drawn anew at each step, so that the focus and the pointer stay.
  const overlay = svg("svg", { class: "overlay" }, point.element);
  const main = panel(false, [overlay], (frame) => {
    overlay.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    point.place(frame, optimum, features.map((name, j) => `${name} ${brief(optimum[j]!)}`).join(", "));
  });
  const other = panel(true, [], () => {});
  byId("g-panels").replaceChildren(main.element, other.element);

  /** The patients' data themselves, or their loss moved to another optimum. */
  const loss = (): PlaneLoss => (optimum === start.optimum ? data : { optimum, hessian: start.hessian });

  function show(): void {
    const penalty = chosen();
    const compared: PenaltyChoice = { name: isSmooth(penalty) ? "l1" : "l2_squared" };
    byId("g-alpha-control").hidden = !kindOf(penalty.name).parameters.includes("alpha");
    byId("g-alpha-out").textContent = Number(alphaInput.value).toFixed(2);
    byId("g-lambda-out").textContent = short(lambda);
    lambdaInput.value = String(Math.round(toSlider()));
    lambdaInput.setAttribute("aria-valuetext", short(lambda));
    inputs.forEach((input, j) => {
      if (input !== document.activeElement) input.value = short(optimum[j]!);
    });
    try {
      const here = loss();
      const shownOf = (penalty: PenaltyChoice, at: number | { loss: number }) => ({
        name: nameOf(penalty.name),
        formula: kindOf(penalty.name).formula,
        geometry: library.geometry({ loss: here, penalty, lambda: at }),
        coefficients: library.coefficients({ loss: here, penalty, most: most() }),
        reach,
        features,
      });
      const first = shownOf(penalty, lambda);
      const second = shownOf(compared, { loss: first.geometry.solution.loss });
      error = first.geometry.solution.loss;
      main.show(first);
      other.show({ ...second, name: `${second.name}, at the same error` });
      const words = (name: string, coef: number[]) => `${name}: ${features.map((f, j) => said(f, coef[j]!)).join(", ")}.`;
      say(words(first.name, first.geometry.solution.coef));
      problem.hidden = true;
    } catch (thrown) {
      problem.textContent = thrown instanceof Error ? thrown.message : String(thrown);
      problem.hidden = false;
    }
  }

  /** Seen at once, and read out when the point or the slider rests. */
  let resting: ReturnType<typeof setTimeout> | undefined;
  function say(words: string): void {
    byId("g-verdict").textContent = words;
    clearTimeout(resting);
    resting = setTimeout(() => {
      byId("g-said").textContent = words;
    }, 500);
  }

  /** Once per frame, however many events there are. */
  let asked = false;
  function later(): void {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      show();
    });
  }

  /** Another penalty at the same error: its shape touches the same ring. */
  function another(): void {
    try {
      lambda = inReach(library.geometry({ loss: loss(), penalty: chosen(), lambda: { loss: error } }).lambda);
    } catch {
      lambda = inReach(lambda);
    }
    later();
  }

  select.addEventListener("change", another);
  lambdaInput.addEventListener("input", () => {
    lambda = fromSlider();
    later();
  });
  alphaInput.addEventListener("input", another);
  inputs.forEach((input, j) =>
    input.addEventListener("change", () => {
      const value = input.valueAsNumber;
      if (Number.isFinite(value)) optimum = j === 0 ? [value, optimum[1]] : [optimum[0], value];
      later();
    }),
  );
  byId("g-home").addEventListener("click", home);
  show();
}
