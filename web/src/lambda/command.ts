// The command that prints the same numbers.

import type { CvRequest } from "../library";

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w.,:=/+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** `left_out` are columns that are no features. */
export function commandOf(request: CvRequest, left_out: string[]): string {
  const { data, target, loss, penalties, grid, folds, rows } = request;
  const { name, parameters = {} } = penalties[0]!;
  const settings = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
  const penalty = name.replaceAll("_", "-") + (settings.length > 0 ? `:${settings.join(",")}` : "");
  const words = ["penalty", "cv", data === "diabetes" ? "diabetes.csv" : data.name, "--target", target, "--standardize"];
  for (const column of left_out) words.push("--exclude", `^${column.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}$`);
  if (loss !== "squared") words.push("--loss", loss);
  words.push("--penalty", penalty, "--folds", String(folds));
  if (rows.order === "stratified") words.push("--stratified");
  words.push("--seed", String(rows.seed));
  if ("lambdas" in grid) words.push("--lambdas", grid.lambdas.join(","));
  return words.map(quoted).join(" ");
}
