"""penalty beside other libraries on this machine's processor: what `scripts/compare.sh` runs.

All contenders of an operation take turns, with a different one first in each round, so that a drift in the machine's speed is
fair to them. Before that, their answers are compared. Prints a table for each size, and writes JSON lines.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import operations

OPERATIONS = ["value", "value_and_gradient", "soft_threshold", "prox_step", "adam_step", "thousand_tensors",
              "l1_ball", "two_of_four", "top_k"]
# The arrays that an operation reads and writes at least.
MOVES = {"value": 1, "thousand_tensors": 1, "prox_step": 3, "adam_step": 7}
ROUNDS = 5
# A contender runs in each round for about this many seconds, but at least once and at most MOST times.
TURN = 0.05
MOST = 500
# Slower ones have fewer rounds.
SLOW = 2.0


class Rust:
    """The contenders in another process, which waits while others run."""

    def __init__(self, binary, instructions):
        self.process = subprocess.Popen([binary, instructions], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the Rust contenders ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def contenders(self, folder, operation):
        return [RustContender(self, name) for name in self.ask(load=folder, operation=operation)["contenders"]]


class RustContender:
    def __init__(self, rust, name):
        self.rust, self.name = rust, name

    def check(self):
        return self.rust.ask(check=self.name)["answer"]

    def times(self, runs):
        return self.rust.ask(time=self.name, runs=runs)["seconds"]


class PythonContender:
    def __init__(self, contender):
        self.contender, self.name = contender, contender.name

    def check(self):
        self.contender.restore()
        self.contender.run()
        return self.contender.answer()

    def times(self, runs):
        seconds = []
        for _ in range(runs):
            self.contender.restore()
            start = time.perf_counter()
            self.contender.run()
            seconds.append(time.perf_counter() - start)
        return seconds


def compare(operation, contenders):
    """Each contender's median seconds and how far its answer is from penalty's; or why it has none."""
    results, ready, reference, off = {}, [], None, {}
    for contender in contenders:
        try:
            answer = contender.check()
            # penalty is the first; the others are held against it, so a wrong penalty disagrees with all of them.
            reference = reference or answer
            off[contender.name] = operations.difference(answer, reference)
            if off[contender.name] == math.inf:
                raise RuntimeError(f"the answer {answer} differs from {reference}")
            once = statistics.median(contender.times(1))
            ready.append((contender, max(1, min(MOST, round(TURN / once))), 2 if once > SLOW else ROUNDS))
        except Exception as error:  # this contender has no row, the others go on
            results[contender.name] = " ".join(str(error).split())[:120]
    times = {contender.name: [] for contender, _, _ in ready}
    for round_ in range(ROUNDS):
        for turn in range(len(ready)):
            contender, runs, rounds = ready[(round_ + turn) % len(ready)]
            if round_ < rounds:
                # The threads of whoever ran before may still spin.
                time.sleep(0.01)
                times[contender.name] += contender.times(runs)
    return results | {name: (statistics.median(seconds), off[name]) for name, seconds in times.items()}


def inputs(n, folder):
    random = np.random.default_rng(n)
    arrays = []
    for name in ("theta", "gradient"):
        # From 1/64 to 1 in magnitude: none is zero, and few thresholds hit two of them.
        array = (random.random(n, dtype=np.float32) * np.float32(63 / 64) + np.float32(1 / 64))
        array *= random.choice(np.array([-1, 1], dtype=np.float32), n)
        array.tofile(os.path.join(folder, f"{name}.f32"))
        arrays.append(array)
    return arrays


def length(n, operation):
    """Multiples of what the operation needs."""
    return max(n // operations.TENSORS, 4) * operations.TENSORS if operation == "thousand_tensors" else max(n // 4, 3) * 4


def milliseconds(seconds):
    return f"{1e3 * seconds:.3g}" if seconds < 1e-1 else f"{1e3 * seconds:.0f}"


def facts(instructions):
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "") \
        if os.path.exists("/proc/cpuinfo") else platform.processor()
    torch = operations.torch
    return {"processor": model, "threads": len(os.sched_getaffinity(0)), "instructions": instructions, "numpy": np.__version__,
            "torch": torch.__version__ if torch else None, "torch_instructions": torch.backends.cpu.get_cpu_capability() if torch else None}


def size(text):
    return 1 << int(text[2:]) if text.startswith("2^") else int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--instructions", default="best", choices=["best", "avx2", "avx512"], help="penalty's")
    parser.add_argument("--sizes", default="2^10,2^20,2^26", type=lambda text: [size(part) for part in text.split(",")])
    parser.add_argument("--operations", default=OPERATIONS, type=lambda text: text.split(","))
    parser.add_argument("--out", required=True, help="the JSON lines, which are added to the file")
    args = parser.parse_args()
    rust, machine = Rust(args.binary, args.instructions), facts(args.instructions)
    print(json.dumps(machine))
    with tempfile.TemporaryDirectory() as folder, open(args.out, "a") as out:
        for n in args.sizes:
            print(f"\n{n} weights: milliseconds, and how many times penalty's", flush=True)
            for operation in args.operations:
                if operations.torch is not None:
                    operations.torch.compiler.reset()
                theta, gradient = inputs(length(n, operation), folder)
                contenders = rust.contenders(folder, operation)
                python = operations.contenders(operation, theta, gradient)
                contenders += [PythonContender(contender) for contender in python]
                results = compare(operation, contenders)
                ours = results["penalty"]
                print(operation)
                for name in [contender.name for contender in contenders]:
                    failed = isinstance(results[name], str)
                    seconds, off = (None, None) if failed else results[name]
                    moved = 4 * len(theta) * MOVES.get(operation, 2)
                    if failed:
                        print(f"  {name:30} {results[name]}", flush=True)
                    else:
                        ratio = "" if isinstance(ours, str) else f"{seconds / ours[0]:8.2f}"
                        # Sums of f32 in a long row lose digits.
                        print(f"  {name:30} {milliseconds(seconds):>10} {ratio}", f"  off by {off:.0e}" if off > 1e-6 else "", flush=True)
                    print(json.dumps(machine | {
                        "operation": operation, "weights": len(theta), "contender": name, "bytes": moved,
                        "microseconds": None if failed else 1e6 * seconds,
                        "gb_per_second": None if failed else moved / 1e9 / seconds, "off": off,
                        "error": results[name] if failed else None,
                    }), file=out, flush=True)
                del contenders, python


if __name__ == "__main__":
    main()
