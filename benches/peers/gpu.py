"""What PyTorch, CuPy and JAX take on an NVIDIA card for the work that `penalty bench` times.

    python3 gpu.py --sizes 2^28,2^20    prints one JSON object a line, as soon as it is measured
    python3 gpu.py --table FOLDER       prints the rows of FOLDER/rows.jsonl and FOLDER/peers.jsonl as tables

A library that is missing is left out, and standard error says so. Times are the card's, by its own clock. With `graph`, the
calls of a turn are captured once and replayed, so that the host's part does not count.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys

TURNS = 7
# A turn repeats its call for about this many microseconds, but at most MOST times.
TURN = 20_000
MOST = 200
# The datasheet's bandwidth in GB/s, by a part of the card's name.
DATASHEETS = {"H200": 4800, "H100 PCIe": 2000, "H100": 3350, "A100": 2039}


def imported(name):
    try:
        return importlib.import_module(name)
    except Exception as error:  # a library may fail in many ways when its driver is missing
        print(f"{name} is left out: {error}", file=sys.stderr)


def row(peer, operation, weights, tensors, moved, times):
    """Prints a row; `times` are microseconds."""
    times = sorted(times)
    spread = {"minimum": times[0], "median": statistics.median(times), "maximum": times[-1]}
    print(json.dumps({
        "peer": peer, "operation": operation, "type": "F32", "tensors": tensors, "weights": weights, "bytes": moved,
        "microseconds": spread, "gb_per_second": moved / 1e3 / spread["median"], "error": None,
    }), flush=True)


def tried(peer, operation, weights, tensors, moved, measure):
    """A row of what `measure` returns, or of its error."""
    try:
        times = measure()
    except Exception as error:  # the row is lost, not the run
        print(json.dumps({
            "peer": peer, "operation": operation, "type": "F32", "tensors": tensors, "weights": weights, "bytes": moved,
            "microseconds": None, "gb_per_second": None, "error": " ".join(str(error).split())[:200],
        }), flush=True)
    else:
        row(peer, operation, weights, tensors, moved, times)


def turns(once, timed):
    """The times of a call in several turns; `timed(n)` gives the microseconds of n calls."""
    once()
    repeats = max(1, min(MOST, round(TURN / max(timed(1), 0.1))))
    return [timed(repeats) / repeats for _ in range(TURNS)]


def torch_peers(torch, sizes):
    def events(call):
        def timed(repeats):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(repeats):
                call()
            end.record()
            torch.cuda.synchronize()
            return 1e3 * start.elapsed_time(end)

        return turns(call, timed)

    def graph(call):
        call()
        torch.cuda.synchronize()
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            call()
        return events(captured.replay)

    def both(peer, operation, weights, tensors, moved, call):
        tried(peer, operation, weights, tensors, moved, lambda: events(call))
        tried(peer + " graph", operation, weights, tensors, moved, lambda: graph(call))

    for n in sizes:
        theta = torch.rand(n, device="cuda") - 0.5
        other = torch.empty_like(theta)
        expected = theta.double().abs().sum().item()
        found = torch.linalg.vector_norm(theta, 1).item()
        assert abs(found / expected - 1) < 1e-5, (found, expected)
        both("torch.sum", "sum", n, 1, 4 * n, lambda: torch.sum(theta))
        both("torch vector_norm", "l1", n, 1, 4 * n, lambda: torch.linalg.vector_norm(theta, 1))
        both("torch abs().sum()", "l1", n, 1, 4 * n, lambda: theta.abs().sum())
        both("torch copy_", "copy", n, 1, 8 * n, lambda: other.copy_(theta))
        both("torch mul_", "scale", n, 1, 8 * n, lambda: other.mul_(-1.0))
        both("torch softshrink", "prox", n, 1, 8 * n, lambda: torch.nn.functional.softshrink(theta, 1e-9))
        if n >= 1 << 20:
            parameter = torch.nn.Parameter(theta)
            parameter.grad = other
            adam = torch.optim.Adam([parameter], lr=1e-8, fused=True, capturable=True)
            tried("torch Adam fused", "adam without prox", n, 1, 28 * n, lambda: events(adam.step))
            del parameter, adam
        del theta, other
        torch.cuda.empty_cache()
    for tensors, n in ((1000, 65_536), (10_000, 16)):
        all_of_them = list(torch.rand(tensors, n, device="cuda"))
        for order in (1, 2):
            both(f"torch _foreach_norm {order}", f"l{order}", n, tensors, 4 * n * tensors,
                 lambda: torch._foreach_norm(all_of_them, order))


def cupy_peers(cupy, sizes):
    def events(call):
        def timed(repeats):
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            for _ in range(repeats):
                call()
            end.record()
            end.synchronize()
            return 1e3 * cupy.cuda.get_elapsed_time(start, end)

        return turns(call, timed)

    for n in sizes:
        theta = cupy.random.rand(n, dtype=cupy.float32) - cupy.float32(0.5)
        tried("CUB by CuPy", "sum", n, 1, 4 * n, lambda: events(lambda: theta.sum()))
        norm = cupy.ReductionKernel("float32 x", "float32 y", "abs(x)", "a + b", "y = a", "0", "l1")
        tried("CuPy reduction kernel", "l1", n, 1, 4 * n, lambda: events(lambda: norm(theta)))
        del theta
        cupy.get_default_memory_pool().free_all_blocks()


def jax_peers(jax, sizes):
    import time

    jnp = jax.numpy
    norm = jax.jit(lambda x: jnp.abs(x).sum())

    def clocked(call):
        def timed(repeats):
            start = time.perf_counter()
            for _ in range(repeats):
                result = call()
            result.block_until_ready()
            return 1e6 * (time.perf_counter() - start)

        return turns(lambda: call().block_until_ready(), timed)

    for n in sizes:
        theta = jax.random.uniform(jax.random.PRNGKey(0), (n,), jnp.float32) - 0.5
        tried("JAX jit, host's clock", "l1", n, 1, 4 * n, lambda: clocked(lambda: norm(theta)))
        del theta


def size(text):
    return 1 << int(text[2:]) if text.startswith("2^") else int(text)


def lines(path):
    """The objects in a file of JSON lines. The last one may be cut off, where a time-out ended the program."""
    if not os.path.exists(path):
        return
    with open(path) as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                print(f"{path}: cut off: {line[:60]!r}", file=sys.stderr)


def datasheet():
    try:
        name = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True).stdout
    except OSError:
        return None
    return next((rate for part, rate in DATASHEETS.items() if part in name), None)


def table(folder):
    rate = datasheet()
    share = lambda gb: f"{100 * gb / rate:6.1f} %" if rate and gb else ""
    median = lambda spread: f"{spread['median']:11.1f}" if spread else f"{'-':>11}"
    ratio = lambda x: f"{x:6.2f}" if x else ""
    print(f"\n{'penalty':13} {'type':4} {'weights':>12} zeros {'measure':9} {'host µs':>11} {'card µs':>11} {'machine µs':>11}"
          f" {'GB/s':>8}  ratio  of {rate or '?'} GB/s")
    for r in lines(f"{folder}/rows.jsonl"):
        weights = str(r["weights"]) if r["tensors"] == 1 else f"{r['tensors']}x{r['weights']}"
        head = f"{r['operation']:13} {r['type']:4} {weights:>12} {r['zeros']:5} {r['measure']:9}"
        if r["error"]:
            print(head, r["error"])
            continue
        machine = r["machine_device_microseconds"] or r["machine_microseconds"]
        gb = r["gb_per_second"]
        print(head, median(r["microseconds"]), median(r["device_microseconds"]), median(machine),
              f"{gb:8.1f}" if gb else " " * 8, ratio(r["ratio"]), share(gb))
    print(f"\n{'peer':28} {'operation':18} {'weights':>12} {'card µs':>11} {'GB/s':>8}")
    for r in lines(f"{folder}/peers.jsonl"):
        weights = str(r["weights"]) if r["tensors"] == 1 else f"{r['tensors']}x{r['weights']}"
        head = f"{r['peer']:28} {r['operation']:18} {weights:>12}"
        print(head, r["error"] or f"{median(r['microseconds'])} {r['gb_per_second']:8.1f} {share(r['gb_per_second'])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sizes", type=lambda text: [size(part) for part in text.split(",")])
    what.add_argument("--table", metavar="FOLDER")
    args = parser.parse_args()
    if args.table:
        return table(args.table)
    # JAX would otherwise take most of the card's memory, and CuPy reduce without CUB.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("CUPY_ACCELERATORS", "cub")
    for name, peers in (("torch", torch_peers), ("cupy", cupy_peers), ("jax", jax_peers)):
        library = imported(name)
        if library is None:
            continue
        try:
            peers(library, args.sizes)
        except Exception as error:  # the other libraries are measured all the same
            print(f"{name} failed: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
