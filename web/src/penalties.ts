// What the page calls penalties, and what their parameters begin with. Which there are, and their formulas, says the library.

import { html } from "./dom";
import type { PenaltyChoice, PenaltyKind } from "./library";

const NAMES: Record<string, string> = {
  l1: "Lasso (L1)",
  l2_squared: "Ridge (L2)",
  elastic_net: "Elastic net",
  l0: "Count (L0)",
  l_half: "L½",
  log_sum: "Log-sum",
  mcp: "MCP",
  scad: "SCAD",
  huber: "Huber",
  group_lasso: "Group lasso",
  l2_norm: "Norm (L2, not squared)",
  linf_norm: "Largest magnitude (L∞)",
  nonnegative_l1: "Nonnegative lasso",
  sparse_group_lasso: "Sparse group lasso",
};

/** Weights of size 1 to 50 are what the page draws. */
const PARAMETERS: Record<string, number> = { gamma: 3, a: 3.7, epsilon: 5, delta: 5 };

export function nameOf(penalty: string): string {
  return NAMES[penalty] ?? penalty.replaceAll("_", " ");
}

/** The choice of a kind, whose α the reader sets. */
export function choice(kind: PenaltyKind, alpha: number): PenaltyChoice {
  const parameters = kind.parameters.map((name) => [name, name === "alpha" ? alpha : (PARAMETERS[name] ?? 1)] as const);
  return { name: kind.name, parameters: Object.fromEntries(parameters) };
}

/** Whether the penalty has no corner at 0, so that no coefficient becomes 0 at any λ. */
export function isSmooth({ name, parameters }: PenaltyChoice): boolean {
  return name === "l2_squared" || name === "huber" || parameters?.["alpha"] === 0;
}

export function fillSelect(select: HTMLSelectElement, kinds: PenaltyKind[]): void {
  select.replaceChildren(...kinds.map(({ name }) => html("option", { value: name }, nameOf(name))));
}
