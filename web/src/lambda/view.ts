// Part 2: choosing λ on the diabetes data, or on a file that the reader drops.

import { byId, html } from "../dom";
import type { CvRequest, Library, LossName, Source, TableInfo } from "../library";
import { choice, fillSelect, isSmooth } from "../penalties";
import { runner } from "../run";
import { results } from "./results";

const LOSSES: Record<LossName, { name: string; measure: string }> = {
  squared: { name: "Squared (number)", measure: "mean squared error" },
  logistic: { name: "Logistic (2 classes)", measure: "deviance" },
  multinomial: { name: "Multinomial (classes)", measure: "deviance" },
  poisson: { name: "Poisson (counts)", measure: "deviance" },
};
/** As the command's default. */
const GRID = { count: 100, ratio: 1e-3 };
/** Where no λ makes all coefficients 0, there is no largest one to begin with. */
const SMOOTH_GRID = { lambdas: Array.from({ length: 31 }, (_, at) => Number((10 ** (1 - at / 6)).toPrecision(3))) };

export function lambdaView(library: Library): void {
  const kinds = library.penalties();
  const target = byId<HTMLSelectElement>("c-target");
  const loss = byId<HTMLSelectElement>("c-loss");
  const penalty = byId<HTMLSelectElement>("c-penalty");
  const alpha = byId<HTMLInputElement>("c-alpha");
  const folds = byId<HTMLInputElement>("c-folds");
  const seed = byId<HTMLInputElement>("c-seed");
  const drop = byId("c-drop");
  const file = byId<HTMLInputElement>("c-file");
  const run = runner("c");
  let data: Source = "diabetes";
  let info: TableInfo = { rows: 0, columns: [] };

  fillSelect(penalty, kinds);
  loss.replaceChildren(...Object.entries(LOSSES).map(([value, { name }]) => html("option", { value }, name)));

  const kind = () => kinds.find(({ name }) => name === penalty.value) ?? kinds[0]!;
  const showAlpha = () => {
    byId("c-alpha-control").hidden = !kind().parameters.includes("alpha");
  };

  function request(): CvRequest {
    const chosen = choice(kind(), alpha.valueAsNumber);
    const classes = loss.value === "logistic" || loss.value === "multinomial";
    return {
      data,
      target: target.value,
      features: info.columns.filter(({ name, fault }) => name !== target.value && fault === null).map(({ name }) => name),
      loss: loss.value as LossName,
      standardize: true,
      penalties: [chosen],
      grid: isSmooth(chosen) ? SMOOTH_GRID : GRID,
      folds: folds.valueAsNumber,
      rows: { order: classes ? "stratified" : "shuffled", seed: seed.valueAsNumber },
    };
  }

  const found = results();

  async function crossValidate(): Promise<void> {
    await run(async ({ signal, progress }) => {
      const asked = request();
      const onProgress = ({ done, total }: { done: number; total: number }) => progress(done / total);
      const cv = await library.crossValidate(asked, { signal, onProgress });
      const leftOut = info.columns.flatMap(({ name, fault }) =>
        fault === null || name === asked.target ? [] : [{ name, why: fault }],
      );
      found.show({ cv, request: asked, measure: LOSSES[asked.loss].measure, leftOut });
    });
  }

  async function open(next: "diabetes" | File): Promise<void> {
    const opened = await run(async ({ signal }) => {
      const source = next === "diabetes" ? next : { name: next.name, text: await next.text() };
      [data, info] = [source, await library.table(source, { signal })];
      const name = next === "diabetes" ? "Diabetes data" : next.name;
      byId("c-data").textContent = `${name}: ${info.rows} rows, ${info.columns.length} columns`;
      target.replaceChildren(...info.columns.map(({ name }) => html("option", { value: name }, name)));
      const numeric = info.columns.filter(({ fault }) => fault === null);
      target.value = (numeric.find(({ name }) => name === "target") ?? numeric.at(-1) ?? info.columns.at(-1))?.name ?? "";
      loss.value = "squared";
      found.hide();
      byId("c-verdict").textContent = "";
    });
    if (opened) await crossValidate();
  }

  const openFile = (chosen: File | null | undefined) => chosen && void open(chosen);

  penalty.addEventListener("change", showAlpha);
  byId("c-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void crossValidate();
  });
  byId("c-builtin").addEventListener("click", () => void open("diabetes"));
  file.addEventListener("change", () => {
    openFile(file.files?.[0]);
    file.value = "";
  });
  // A file that misses the box must not replace the page.
  for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    openFile(event.dataTransfer?.files[0]);
  });
  showAlpha();
  void open("diabetes");
}
