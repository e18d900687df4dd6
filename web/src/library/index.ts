// The library, for the page. Geometry is computed at once; all else in workers, which an AbortSignal ends.

import init, * as wasm from "./pkg/penalty_web.js";
import type { Answer, Call } from "./messages";
import type {
  BenchRequest,
  BenchRow,
  Coefficients,
  CoefficientsRequest,
  CompareRequest,
  Comparison,
  Cv,
  CvRequest,
  Geometry,
  GeometryRequest,
  GpuInfo,
  PenaltyKind,
  PlaneData,
  PlaneLoss,
  PlaneStart,
  Progress,
  Source,
  TableInfo,
  Watch,
} from "./types";

export type * from "./types";

/** A call that is not answered yet. */
interface Waiting {
  call: Call;
  answered: (answer: Answer) => void;
}

/** A worker that is started by the first call, and again after one was cancelled or broke. */
class Background {
  #worker: Worker | undefined;
  #last = 0;
  readonly #waiting = new Map<number, Waiting>();

  call<T, P = Progress>(name: string, request: unknown, watch: Watch<P> = {}): Promise<T> {
    const { signal, onProgress } = watch;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const call: Call = { id: ++this.#last, name, request };
    return new Promise<T>((resolve, reject) => {
      const settle = () => {
        signal?.removeEventListener("abort", abort);
        this.#waiting.delete(call.id);
      };
      const abort = () => {
        settle();
        reject(signal?.reason);
        // Only its end stops a worker that computes. What else it was asked begins again.
        this.#end();
        for (const { call } of this.#waiting.values()) this.#send(call);
      };
      const answered = (answer: Answer) => {
        if ("progress" in answer) return onProgress?.(answer.progress as P);
        settle();
        if ("error" in answer) reject(new Error(answer.error));
        else resolve(answer.result as T);
      };
      this.#waiting.set(call.id, { call, answered });
      signal?.addEventListener("abort", abort);
      this.#send(call);
    });
  }

  #send(call: Call): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(call);
  }

  #start(): Worker {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      this.#waiting.get(data.id)?.answered(data);
      // After a panic, or without memory, nothing in it can be trusted.
      if ("broken" in data) this.#fail(data.error);
    };
    worker.onerror = (event) => this.#fail(event.message || "the worker did not start");
    return worker;
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
  }

  #fail(error: string): void {
    this.#end();
    for (const { call, answered } of [...this.#waiting.values()]) answered({ id: call.id, error });
  }
}

export class Library {
  // A benchmark must not wait for a fit, nor the other way round.
  readonly #data = new Background();
  readonly #gpu = new Background();

  private constructor() {}

  /** Loads the library into the page. */
  static async load(): Promise<Library> {
    await init();
    return new Library();
  }

  // ---- Geometry: at once. These throw an Error of one line. ----

  /** The penalties that a plane of two coefficients can show. */
  penalties(): PenaltyKind[] {
    return wasm.penalties();
  }

  /** The columns that `penalty geometry` draws by default: bmi and bp of the diabetes data. */
  planeData(): PlaneData {
    return wasm.planeData();
  }

  planeStart(loss: PlaneLoss): PlaneStart {
    return wasm.planeStart(loss);
  }

  geometry(request: GeometryRequest): Geometry {
    return wasm.geometry(request);
  }

  coefficients(request: CoefficientsRequest): Coefficients {
    return wasm.coefficients(request);
  }

  // ---- Data: in a worker ----

  table(source: Source, watch?: Watch): Promise<TableInfo> {
    return this.#data.call("table", source, watch);
  }

  crossValidate(request: CvRequest, watch?: Watch): Promise<Cv> {
    return this.#data.call("crossValidate", request, watch);
  }

  // ---- GPU: in another worker ----

  /** Opens the GPU and checks it. Rejects if the browser offers none. */
  openGpu(watch?: Watch): Promise<GpuInfo> {
    return this.#gpu.call("openGpu", undefined, watch);
  }

  /** The same weights on the GPU and in wasm. */
  compare(request: CompareRequest, watch?: Watch): Promise<Comparison> {
    return this.#gpu.call("compare", request, watch);
  }

  /** Each length in turn; `onProgress` gets each row as it is measured. */
  benchmark(request: BenchRequest, watch?: Watch<BenchRow>): Promise<BenchRow[]> {
    return this.#gpu.call("benchmark", request, watch);
  }
}
