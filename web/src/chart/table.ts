// Tables of numbers: what a chart shows, for readers who do not see it, and for all who want the digits.

import { html } from "../dom";

export interface Cell {
  text: string;
  /** Marks the row. */
  strong?: boolean;
}

/** A table; the first cell of a row is its heading. */
export function table(caption: string, heads: string[], rows: (string | Cell)[][]): HTMLTableElement {
  const head = html("tr", {}, ...heads.map((text) => html("th", { scope: "col" }, text)));
  const body = rows.map((cells) => {
    const all = cells.map((cell) => (typeof cell === "string" ? { text: cell } : cell));
    const row = all.map(({ text }, at) => (at === 0 ? html("th", { scope: "row" }, text) : html("td", {}, text)));
    return html("tr", { class: all.some((cell) => cell.strong) ? "strong" : "" }, ...row);
  });
  return html("table", {}, html("caption", {}, caption), html("thead", {}, head), html("tbody", {}, ...body));
}
