#!/usr/bin/env python3
"""Times penalty-fit beside scikit-learn, skglm and celer, on two threads, after checking that all find the same objective.

    python3 -m venv venv && venv/bin/pip install scikit-learn skglm celer
    cargo build --release -p penalty-fit --example speed
    venv/bin/python scripts/compare_fit.py FOLDER [CASE...]

FOLDER gets the data (1.5 GB for all cases). Cases: tall, wide, sparse, logistic, cv. Paths have 100 lambdas, fitted to a
relative duality gap of 1e-6. Each library fits twice, and the second time counts (the first one may compile).
"""
import os

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[threads] = "2"

import pathlib
import subprocess
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp

warnings.filterwarnings("ignore")
TOLERANCE, CHECKED = 1e-6, [50, 99]
SHAPES = {"tall": (10_000, 2_000, 1e-3), "wide": (200, 20_000, 1e-2), "sparse": (20_000, 50_000, 1e-2),
          "logistic": (10_000, 1_000, 1e-2)}


def make(folder, case):
    """Writes the data of a case: doubles, the design one column after the other."""
    rng = np.random.default_rng(0)
    n, p, ratio = SHAPES[case]
    files = {}
    if case == "sparse":
        x = sp.random(n, p, 0.001, format="csc", random_state=1, data_rvs=rng.standard_normal)
        x.sort_indices()
        files = {"x": x.data, "rows": x.indices, "starts": x.indptr}
    else:
        x = rng.standard_normal((n, p))
        files = {"x": x.ravel(order="F")}
    b = np.zeros(p)
    informative = 100 if case == "sparse" else 20
    b[rng.choice(p, informative, False)] = rng.standard_normal(informative) * 2
    eta = x @ b
    y = eta + 0.3 * eta.std() * rng.standard_normal(n)
    if case == "logistic":
        y = (rng.random(n) < 1 / (1 + np.exp(-eta / 2))).astype(float)
    largest = np.abs(x.T @ (y - y.mean()) - (x.sum(0) if case != "sparse" else 0) * (y - y.mean()).mean()).max() / n
    files |= {"y": y, "shape": [n, p], "lambdas": largest * ratio ** (np.arange(100) / 99)}
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


def contenders(case, x, y, lambdas):
    """Functions that fit a case, and give coefficients and intercepts at the checked lambdas (or the chosen lambda)."""
    from celer import celer_path
    from sklearn.linear_model import Lasso, LassoCV, LogisticRegression, lasso_path
    from skglm import Lasso as SkglmLasso, SparseLogisticRegression

    def warm(model, set_lambda):
        found = []
        for k, value in enumerate(lambdas):
            set_lambda(model, value)
            model.fit(x, y)
            if k in CHECKED:
                found.append((np.ravel(model.coef_).copy(), float(np.ravel(model.intercept_)[0])))
        return found

    def alpha(model, value):
        model.alpha = value

    def path(function, **more):
        mean = x.mean(0)
        centred = np.asfortranarray(x - mean)
        _, coefs, _ = function(centred, alphas=lambdas, tol=TOLERANCE, y=y - y.mean(), **more)
        return [(coefs[:, k], y.mean() - mean @ coefs[:, k]) for k in CHECKED]

    if case == "cv":
        return {"scikit-learn": lambda: LassoCV(alphas=lambdas, cv=5, tol=TOLERANCE, n_jobs=2).fit(x, y).alpha_}
    if case == "logistic":
        model = SparseLogisticRegression(tol=TOLERANCE, warm_start=True, max_iter=100)
        saga = LogisticRegression(penalty="l1", solver="saga", tol=1e-5, warm_start=True, max_iter=10_000)
        inverse = lambda model, value: setattr(model, "C", 1 / (len(y) * value))
        return {"skglm": lambda: warm(model, alpha), "scikit-learn (saga)": lambda: warm(saga, inverse)}
    skglm = SkglmLasso(tol=TOLERANCE, warm_start=True, max_iter=100)
    if case == "sparse":
        lasso = Lasso(tol=TOLERANCE, warm_start=True, max_iter=100_000)
        return {"scikit-learn": lambda: warm(lasso, alpha), "skglm": lambda: warm(skglm, alpha)}
    return {"scikit-learn": lambda: path(lasso_path, max_iter=100_000), "skglm": lambda: warm(skglm, alpha),
            "celer": lambda: path(celer_path, pb="lasso")}


def objective(case, x, y, w, b, value):
    eta = x @ w + b
    loss = np.logaddexp(0, eta) - y * eta if case == "logistic" else (y - eta) ** 2 / 2
    return loss.mean() + value * np.abs(w).sum()


def main():
    folder = pathlib.Path(sys.argv[1])
    speed = pathlib.Path(__file__).parents[1] / "target/release/examples/speed"
    for case in sys.argv[2:] or [*SHAPES, "cv"]:
        of = folder / ("tall" if case == "cv" else case)
        if not (of / "lambdas").exists():
            make(of, of.name)
        ours = subprocess.run([speed, case, of, str(TOLERANCE)], check=True, capture_output=True, text=True).stdout
        print(f"{case}: penalty-fit {ours.splitlines()[-1]}", flush=True)
        x, y, lambdas = read(of, case)
        for name, run in contenders(case, x, y, lambdas).items():
            for _ in range(2):
                start = time.time()
                found = run()
                seconds = time.time() - start
            if case == "cv":
                print(f"{case}: {name} {seconds:.3f} s, lambda_min {found}", flush=True)
                continue
            objectives = np.fromfile(of / "objectives", dtype="<f8")[CHECKED]
            theirs = [objective(case, x, y, w, b, lambdas[k]) for (w, b), k in zip(found, CHECKED)]
            above = max(b / a - 1 for a, b in zip(objectives, theirs))
            # Nobody may be below us by more than the tolerance.
            assert all(a <= b * (1 + TOLERANCE) for a, b in zip(objectives, theirs)), (objectives, theirs)
            print(f"{case}: {name} {seconds:.3f} s, objectives above ours by {above:.1e} at most", flush=True)


main()
