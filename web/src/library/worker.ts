// Runs what takes longer than a frame, away from the page. The page ends this worker to cancel a call.

import init, * as wasm from "./pkg/penalty_web.js";
import type { Answer, Call } from "./messages";
import type { BenchRequest, BenchRow, CompareRequest, CvRequest, Progress, Source } from "./types";

const ready = init();
/** Opened by the first call that needs it, and again after a call failed: the device may be lost. */
let device: Promise<wasm.Device> | undefined;

function opened(): Promise<wasm.Device> {
  return (device ??= wasm.Device.open());
}

type Report = (progress: Progress | BenchRow) => void;

const calls: Record<string, (request: never, report: Report) => unknown> = {
  table: (source: Source) => wasm.table(source),
  crossValidate: (request: CvRequest, report) => wasm.crossValidate(request, report),
  openGpu: async () => {
    const info = (await opened()).info();
    // wgpu does not pass these on.
    const adapter = (await navigator.gpu.requestAdapter())?.info;
    const { vendor = "", architecture = "" } = adapter ?? {};
    return { ...info, adapter: { ...info.adapter, vendor, architecture } };
  },
  compare: async (request: CompareRequest) => (await opened()).compare(request),
  benchmark: async (request: BenchRequest, report) =>
    request.gpu ? (await opened()).benchmark(request, report) : wasm.benchmark(request, report),
};

const answer = (answer: Answer) => postMessage(answer);

addEventListener("message", async ({ data: { id, name, request } }: MessageEvent<Call>) => {
  try {
    await ready;
    const report: Report = (progress) => answer({ id, progress });
    answer({ id, result: await calls[name]!(request as never, report) });
  } catch (error) {
    device = undefined;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof WebAssembly.RuntimeError) {
      // Its memory was not enough, or the library has a mistake, which is on the console.
      answer({ id, error: `the library stopped, perhaps for want of memory: ${message}`, broken: true });
    } else {
      answer({ id, error: message });
    }
  }
});
