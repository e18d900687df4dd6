// One piece of work at a time, with a button that cancels it, a bar, and its error in words.

import { byId } from "./dom";

export interface Run {
  signal: AbortSignal;
  /** From 0 to 1. */
  progress(share: number): void;
}

/**
 * The work of a part whose elements' ids begin with a letter. A new piece cancels the one before. The promise says whether
 * the work succeeded, so that what follows it neither hides its error nor cancels the piece that replaced it.
 */
export function runner(letter: string): (work: (run: Run) => Promise<void>) => Promise<boolean> {
  const cancel = byId<HTMLButtonElement>(`${letter}-cancel`);
  const bar = byId<HTMLProgressElement>(`${letter}-progress`);
  const verdict = byId(`${letter}-verdict`);
  const error = byId(`${letter}-error`);
  let current: AbortController | undefined;
  cancel.addEventListener("click", () => current?.abort());

  return async (work) => {
    current?.abort();
    const mine = new AbortController();
    current = mine;
    const active = () => current === mine;
    cancel.disabled = false;
    bar.hidden = false;
    bar.value = 0;
    error.hidden = true;
    verdict.textContent = "Computing …";
    try {
      await work({ signal: mine.signal, progress: (share) => active() && (bar.value = share) });
      return active();
    } catch (problem) {
      if (!active()) return false;
      if (mine.signal.aborted) {
        verdict.textContent = "Cancelled.";
      } else {
        verdict.textContent = "";
        error.textContent = problem instanceof Error ? problem.message : String(problem);
        error.hidden = false;
      }
      return false;
    } finally {
      if (active()) {
        current = undefined;
        bar.hidden = true;
        if (document.activeElement === cancel) byId(`${letter}-run`).focus();
        cancel.disabled = true;
      }
    }
  };
}
