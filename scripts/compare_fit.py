#!/usr/bin/env python3
"""Times penalty-fit beside scikit-learn, skglm, celer, anofox-regression and linfa-elasticnet, on two threads.

    python3 -m venv venv && venv/bin/pip install 'scikit-learn>=1.8' skglm celer
    cargo build --release --manifest-path benches/fit_peers/Cargo.toml
    venv/bin/python scripts/compare_fit.py FOLDER [CASE...] [--out results.jsonl]

FOLDER gets the data (300 MB for all cases) and the answers. A path has 100 lambdas. Each contender is a process of its own, which
compiles on a small problem first. They take turns, with a different one first in each round. After the rounds, this program works
out how far every answer is above the best lower bound that follows from any of them, and says which do not count: those above
1e-6 of the loss without coefficients. That is the duality gap at which those end that know theirs. The others have a power of ten
with which they get there.
"""
import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(threads, "2")

import argparse
import json
import pathlib
import select
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp

warnings.filterwarnings("ignore")
TOLERANCE = 1e-6
# Rows, columns, those that the target needs, and the smallest lambda over the largest.
SHAPES = {"tall": (10_000, 2_000, 20, 1e-3), "wide": (200, 20_000, 20, 1e-2), "sparse": (20_000, 50_000, 100, 1e-2),
          "logistic": (10_000, 1_000, 20, 1e-2), "mcp": (200, 1_000, 10, 5e-2)}
# Cases that share the data of another.
DATA = {"cv": "tall", "scad": "mcp"}
GAMMA = {"mcp": 3.0, "scad": 3.7}
# The tolerances with which each contender reaches the gap: one that is a gap counts what its definition needs.
TOLERANCES = {
    # A gap relative to the squares of y, which are twice the loss.
    "scikit-learn": TOLERANCE / 2, "celer": TOLERANCE / 2, "linfa-elasticnet": TOLERANCE / 2,
    ("celer", "logistic"): TOLERANCE,
    # The change of coefficients.
    ("scikit-learn", "logistic"): 1e-4, "anofox-regression": 1e-9, ("anofox-regression", "logistic"): 1e-8,
    # The distance from a slope of the loss to the subdifferential.
    "skglm": 1e-4, ("skglm", "sparse"): 1e-8, ("skglm", "logistic"): 1e-6, ("skglm", "mcp"): 1e-9, ("skglm", "scad"): 1e-9,
    "penalty-fit": TOLERANCE, ("penalty-fit", "mcp"): 1e-12, ("penalty-fit", "scad"): 1e-12,
}
RUST = ["penalty-fit", "anofox-regression", "linfa-elasticnet"]
CONTENDERS = {
    "tall": ["penalty-fit", "scikit-learn", "skglm", "celer", "anofox-regression", "linfa-elasticnet"],
    "wide": ["penalty-fit", "scikit-learn", "skglm", "celer", "anofox-regression", "linfa-elasticnet"],
    "sparse": ["penalty-fit", "scikit-learn", "skglm", "celer"],
    "logistic": ["penalty-fit", "scikit-learn", "skglm", "celer", "anofox-regression"],
    "cv": ["penalty-fit", "scikit-learn", "celer", "anofox-regression"],
    "mcp": ["penalty-fit", "skglm"],
    "scad": ["penalty-fit", "skglm"],
}
# celer's logistic regression has no intercept, so its answers are those of another problem.
WITHOUT_INTERCEPT = lambda contender, case: (contender, case) == ("celer", "logistic")


def make(folder, case):
    """Writes the data of a case: doubles, the design one column after the other."""
    rng = np.random.default_rng(0)
    n, p, informative, ratio = SHAPES[case]
    files = {}
    if case == "sparse":
        x = sp.random(n, p, 0.001, format="csc", random_state=1, data_rvs=rng.standard_normal)
        x.sort_indices()
        files = {"x": x.data, "rows": x.indices, "starts": x.indptr}
    else:
        x = rng.standard_normal((n, p))
        if case == "mcp":
            # Neighbours are correlated, which is where the lasso takes columns that the target does not need.
            for column in range(1, p):
                x[:, column] = 0.7 * x[:, column - 1] + np.sqrt(1 - 0.49) * x[:, column]
        files = {"x": x.ravel(order="F")}
    b = np.zeros(p)
    b[rng.choice(p, informative, False)] = rng.standard_normal(informative) * 2
    if case == "mcp":
        b[b != 0] = np.resize([2.0, -2.0, 1.5], informative)
    eta = x @ b
    y = eta + 0.3 * eta.std() * rng.standard_normal(n)
    if case == "logistic":
        y = (rng.random(n) < 1 / (1 + np.exp(-eta / 2))).astype(float)
    centred = y - y.mean()
    largest = np.abs(x.T @ centred).max() / n
    files |= {"y": y, "shape": [n, p], "lambdas": largest * ratio ** (np.arange(100) / 99), "truth": b}
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in files.items():
        np.asarray(values, dtype="<f8").tofile(folder / name)


def read(folder, case):
    numbers = lambda name: np.fromfile(folder / name, dtype="<f8")
    n, p = map(int, numbers("shape"))
    if case == "sparse":
        parts = numbers("x"), numbers("rows").astype(np.int32), numbers("starts").astype(np.int32)
        return sp.csc_matrix(parts, shape=(n, p)), numbers("y"), numbers("lambdas")
    return np.asfortranarray(numbers("x").reshape(p, n).T), numbers("y"), numbers("lambdas")


def tolerance(contender, case):
    return TOLERANCES.get((contender, case), TOLERANCES[contender])


def centred_path(path):
    """A function that fits a path of a lasso without intercept, given one without it."""
    def fit(x, y, lambdas):
        mean = np.asarray(x.mean(0)).ravel()
        if sp.issparse(x):
            _, coefs, _ = path(x, y - y.mean(), alphas=lambdas, X_offset=mean, X_scale=np.ones(len(mean)))
        else:
            _, coefs, _ = path(np.asfortranarray(x - mean), y - y.mean(), alphas=lambdas)
        return np.vstack([y.mean() - mean @ coefs, coefs]).T
    return fit


def python(contender, case):
    """What fits a case, and gives a row for each lambda: the intercept, then coefficients."""
    tol = tolerance(contender, case)
    if contender == "celer":
        from celer import celer_path
        path = lambda x, y, **more: celer_path(x, y, pb="lasso", tol=tol, max_iter=100, **more)

        def logistic(x, y, lambdas):
            _, coefs, _ = celer_path(x, 2 * y - 1, pb="logreg", alphas=len(y) * lambdas, tol=tol, use_PN=True, max_iter=100)
            return np.vstack([np.zeros(len(lambdas)), coefs]).T
    elif contender == "scikit-learn":
        from sklearn.linear_model import LassoCV, LogisticRegression, lasso_path
        path = lambda x, y, **more: lasso_path(x, y, tol=tol, max_iter=100_000, **more)

        def logistic(x, y, lambdas):
            found, until = [], time.time() + LIMIT
            model = LogisticRegression(penalty="l1", solver="saga", tol=tol, warm_start=True, max_iter=10_000)
            for value in lambdas:
                if time.time() > until:
                    break
                model.set_params(C=1 / (len(y) * value)).fit(x, y)
                found.append(np.r_[model.intercept_, model.coef_[0]])
            return np.array(found)
    else:
        from skglm.datafits import Logistic, Quadratic
        from skglm.penalties import L1, MCPenalty, SCAD
        from skglm.solvers import AndersonCD, ProxNewton
        from skglm.utils.jit_compilation import compiled_clone

        def skglm(x, y, lambdas):
            penalty = L1(1.0) if case not in GAMMA else (MCPenalty if case == "mcp" else SCAD)(1.0, GAMMA[case])
            solver = AndersonCD(tol=tol, fit_intercept=True, max_iter=100)
            if case == "logistic":
                solver = ProxNewton(tol=tol, fit_intercept=True, max_iter=100)
                y = 2 * y - 1
            datafit = Logistic() if case == "logistic" else Quadratic()
            datafit, penalty = compiled_clone(datafit), compiled_clone(penalty)
            if sp.issparse(x):
                datafit.initialize_sparse(x.data, x.indptr, x.indices, y)
            else:
                datafit.initialize(x, y)
            n, p = x.shape
            w, eta, found = np.zeros(p + 1), np.zeros(n), []
            for value in lambdas:
                penalty.alpha = value
                solver.p0 = max(10, np.count_nonzero(w[:p]))
                w = solver.solve(x, y, datafit, penalty, w, eta)[0].copy()
                eta = x @ w[:p] + w[p]
                found.append(np.r_[w[p], w[:p]])
            return np.array(found)
        return skglm
    if case == "logistic":
        return logistic
    fit = centred_path(path)
    if case != "cv":
        return fit

    def cv(x, y, lambdas):
        if contender == "scikit-learn":
            model = LassoCV(alphas=lambdas, cv=5, tol=tol, n_jobs=2, max_iter=100_000).fit(x, y)
            return np.r_[model.mse_path_.mean(1), model.intercept_, model.coef_]
        # celer's own cross-validation does not work with scikit-learn 1.9.
        from joblib import Parallel, delayed
        from sklearn.model_selection import KFold

        def errors(train, test):
            rows = fit(x[train], y[train], lambdas)
            return ((y[test, None] - x[test] @ rows[:, 1:].T - rows[:, 0]) ** 2).mean(0)
        curve = np.mean(Parallel(2)(delayed(errors)(*of) for of in KFold(5).split(x)), 0)
        best = np.argmin(curve)
        return np.r_[curve, fit(x, y, lambdas[:best + 1])[-1]]
    return cv


def serve(folder, contender, case):
    """Fits once for each line that it reads, as the Rust ones do."""
    of = folder / DATA.get(case, case)
    x, y, lambdas = read(of, case)
    fit = python(contender, case)
    # What compiles does so now.
    fit(x[:100, :60] if case != "sparse" else x[:100].tocsc()[:, :60], y[:100], lambdas[:3])
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.time()
        found = fit(x, y, lambdas)
        print(time.time() - start, len(lambdas) if case == "cv" else len(found), flush=True)
    np.asarray(found, dtype="<f8").tofile(of / f"{contender}.{case}")


class Contender:
    def __init__(self, name, case, folder):
        self.name, self.seconds, self.fitted, self.over = name, [], 0, False
        of = folder / DATA.get(case, case)
        self.answers = of / f"{name}.{case}"
        self.answers.unlink(missing_ok=True)
        if name in RUST:
            binary = pathlib.Path(__file__).parents[1] / "benches/fit_peers/target/release/penalty-fit-peers"
            command = [binary, name, case, of, repr(tolerance(name, case)), str(LIMIT)]
        else:
            command = [sys.executable, __file__, folder, case, "--serve", name, "--limit", str(LIMIT)]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if name not in RUST and not self.process.stdout.readline():
            raise RuntimeError(f"{name} cannot start")

    def turn(self):
        print(file=self.process.stdin, flush=True)
        # One that does not stop itself is stopped.
        if not select.select([self.process.stdout], [], [], 1.5 * LIMIT)[0]:
            self.process.kill()
            self.over = True
            return
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}")
        seconds, fitted = line.split()
        self.fitted = int(fitted)
        self.seconds.append(float(seconds))
        self.over = self.fitted < 100

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def gaps(case, x, y, lambdas, rows, intercept):
    """The objectives of answers, lower bounds of them that follow from the answers' slopes, and the loss without coefficients."""
    n, w = len(y), rows[:, 1:].T
    eta = np.asarray(x @ w) + rows[:, 0]
    l1, lambdas = np.abs(w).sum(0), lambdas[:len(rows)]
    if case == "logistic":
        y = y[:, None]
        if intercept:
            for _ in range(20):
                probability = 1 / (1 + np.exp(-eta))
                eta = eta - (probability - y).mean(0) / (probability * (1 - probability)).mean(0)
        u = 1 / (1 + np.exp(-eta)) - y
        loss = (np.logaddexp(0, eta) - y * eta).mean(0)
        s = np.minimum(1, lambdas / np.abs(x.T @ u / n).max(0))
        t = np.clip(s * u + y, 1e-300, 1)
        dual = -(t * np.log(t) + np.where(t < 1, (1 - t) * np.log1p(-np.minimum(t, 1 - 1e-16)), 0)).mean(0)
        share = y.mean() if intercept else 0.5
        null = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    else:
        residual = y[:, None] - eta
        residual -= residual.mean(0)
        centred = y - y.mean()
        loss = (residual ** 2).mean(0) / 2
        slopes = np.abs(x.T @ residual / n).max(0)
        s = np.minimum(1, lambdas / slopes)
        dual = s * (residual * centred[:, None]).mean(0) - s ** 2 * loss
        null = (centred ** 2).mean() / 2
    return loss + lambdas * l1, dual, null


def nonconvex(case, x, y, lambdas, rows):
    w, gamma = np.abs(rows[:, 1:].T), GAMMA[case]
    residual = y[:, None] - x @ rows[:, 1:].T
    residual -= residual.mean(0)
    if case == "mcp":
        value = np.where(w <= gamma * lambdas, lambdas * w - w ** 2 / (2 * gamma), gamma * lambdas ** 2 / 2)
    else:
        middle = (2 * gamma * lambdas * w - w ** 2 - lambdas ** 2) / (2 * (gamma - 1))
        value = np.where(w <= lambdas, lambdas * w, np.where(w <= gamma * lambdas, middle, lambdas ** 2 * (gamma + 1) / 2))
    return (residual ** 2).mean(0) / 2 + value.sum(0)


def checked(contender, case, x, y, lambdas, truth):
    """What there is to say of a contender's answers, and for gaps: which lambdas, objectives, and lower bounds."""
    values = np.fromfile(contender.answers, dtype="<f8")
    if case == "cv":
        curve, values = values[:100], values[None, 100:]
        at = int(np.argmin(curve))
        return {"lambda_min": float(lambdas[at])}, [at], *gaps(case, x, y, lambdas[[at]], values, True), curve
    values = values.reshape(-1, x.shape[1] + 1)
    at = list(range(len(values)))
    if case in GAMMA:
        supports = int(((values[:, 1:] != 0) == truth).all(1).sum())
        return {"supports_found": supports}, at, nonconvex(case, x, y, lambdas, values), None, None, None
    return {}, at, *gaps(case, x, y, lambdas, values, not WITHOUT_INTERCEPT(contender.name, case)), None


def compare(folder, case, rounds, only):
    of = folder / DATA.get(case, case)
    if not (of / "truth").exists():
        make(of, of.name)
    names = [name for name in CONTENDERS[case] if name == "penalty-fit" or not only or name in only]
    all_of = [Contender(name, case, folder) for name in names]
    for turn in range(rounds):
        for contender in all_of[turn % len(all_of):] + all_of[:turn % len(all_of)]:
            # One that takes long has one turn.
            if not contender.over and not (contender.seconds and contender.seconds[-1] > LIMIT / 4):
                contender.turn()
    for contender in all_of:
        contender.end()
    x, y, lambdas = read(of, case)
    truth = np.fromfile(of / "truth", dtype="<f8") != 0
    rows, found, bounds, curve, null = [], {}, {}, None, None
    for contender in all_of:
        row = {"case": case, "contender": contender.name, "fitted": contender.fitted, "turns": len(contender.seconds),
               "seconds": statistics.median(contender.seconds) if contender.seconds else None}
        rows.append(row)
        if not contender.answers.exists():
            continue
        said, at, objectives, duals, of_null, own_curve = checked(contender, case, x, y, lambdas, truth)
        row |= said
        if own_curve is not None:
            curve = own_curve if curve is None else curve
            row["curve_off"] = float(np.abs(own_curve / curve - 1).max())
        alone = WITHOUT_INTERCEPT(contender.name, case)
        found[contender.name] = at, objectives
        if duals is not None:
            null = of_null if null is None else null
            for k, dual in zip(at, duals):
                bounds[alone, k] = max(dual, bounds.get((alone, k), -np.inf))
    for row in rows:
        name = row["contender"]
        if name not in found:
            continue
        at, objectives = found[name]
        if case in GAMMA:
            off = objectives / found["penalty-fit"][1] - 1
            row |= {"above_ours": float(off.max()), "below_ours": float(-off.min())}
            continue
        alone = WITHOUT_INTERCEPT(name, case)
        row["gap"] = float(max(value - bounds[alone, k] for k, value in zip(at, objectives)) / null)
        row["counts"] = row["gap"] <= TOLERANCE and row.get("curve_off", 0.0) < 1e-3
    if case in GAMMA:
        from sklearn.linear_model import lasso_path
        _, coefs, _ = lasso_path(x - x.mean(0), y - y.mean(), alphas=lambdas, tol=1e-9, max_iter=100_000)
        rows.append({"case": case, "contender": "the lasso", "supports_found": int(((coefs != 0) == truth[:, None]).all(0).sum())})
    return rows


def main():
    global LIMIT
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("cases", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--contenders", type=lambda names: names.split(","), help="only these, and penalty-fit")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=15.0, help="seconds of a turn; who takes longer is stopped")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_intermixed_args()
    LIMIT = arguments.limit
    if arguments.serve:
        return serve(arguments.folder, arguments.serve, arguments.cases[0])
    for case in arguments.cases:
        for row in compare(arguments.folder, case, arguments.rounds, arguments.contenders):
            print(json.dumps(row), flush=True)
            if arguments.out:
                with arguments.out.open("a") as out:
                    print(json.dumps(row), file=out)


main()
