"""The Python libraries' ways to each operation, for `compare.py`.

`contenders(operation, theta, gradient)` gives objects with `name`, `restore()`, which is not timed, `run()`, which is, and
`answer()`: a scalar, the sum of the result's magnitudes and how many of its numbers are not zero.
"""

import math
import sys

import numpy as np

# The same in `src/contender.rs`.
L1, L2, STEP = 0.05, 0.01, 0.1
THRESHOLD, SHRINK = STEP * L1, 1 / (1 + 2 * STEP * L2)
TENSORS, SHARE = 1000, 0.1
ADAM_STEP, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-8


class Contender:
    def __init__(self, name, run, restore=lambda: None):
        """`run` returns a scalar, an array, or both."""
        self.name, self.restore, self.call, self.result = name, restore, run, None

    def run(self):
        self.result = self.call()

    def answer(self):
        scalar, array = self.result if isinstance(self.result, tuple) else (self.result, None)
        if scalar is not None and getattr(scalar, "ndim", 0) > 0:
            scalar, array = None, scalar
        if array is None:
            return [float(scalar), 0.0, 0.0]
        array = np.asarray(array.detach() if hasattr(array, "detach") else array).reshape(-1)
        return [0.0 if scalar is None else float(scalar), float(np.abs(array).sum(dtype=np.float64)), int(np.count_nonzero(array))]


def imported(name):
    try:
        return __import__(name)
    except Exception as error:  # a library may fail in many ways
        print(f"{name} is left out: {error}", file=sys.stderr)


torch = imported("torch")


def contenders(operation, theta, gradient):
    found = [Contender("numpy", *call) for call in numpy_ways(operation, theta, gradient)]
    if torch is not None:
        found += torch_ways(operation, torch.from_numpy(theta), torch.from_numpy(gradient))
    return found


def numpy_ways(operation, theta, gradient):
    """The run, and what restores what it changed."""
    n, work, f = len(theta), None, np.float32

    def soft(x, threshold=THRESHOLD):
        return x - np.clip(x, f(-threshold), f(threshold))

    def l1_ball():
        radius = SHARE * norm
        sizes = np.sort(np.abs(theta))[::-1].astype(np.float64)
        thresholds = (np.cumsum(sizes) - radius) / np.arange(1, n + 1)
        return soft(theta, thresholds[np.nonzero(sizes > thresholds)[0][-1]])

    def two_of_four():
        groups = theta.reshape(-1, 4).copy()
        np.put_along_axis(groups, np.argpartition(np.abs(groups), 1, axis=1)[:, :2], 0, axis=1)
        return groups

    def top_k():
        result, kept = np.zeros_like(theta), int(SHARE * n)
        at = np.argpartition(np.abs(theta), n - kept)[n - kept:]
        result[at] = theta[at]
        return result

    def adam_step():
        x, m, v = work
        m *= f(BETA1)
        m += f(1 - BETA1) * gradient
        v *= f(BETA2)
        v += f(1 - BETA2) * gradient * gradient
        x -= f(ADAM_STEP) * (m / f(1 - BETA1)) / (np.sqrt(v / f(1 - BETA2)) + f(EPSILON))
        x -= np.clip(x, f(-ADAM_STEP * L1), f(ADAM_STEP * L1))
        return x

    def restore():
        work[0][:] = theta
        work[1][:] = 0
        work[2][:] = 0

    norm = np.abs(theta).sum(dtype=np.float64)
    if operation == "adam_step":
        work = [theta.copy(), np.zeros_like(theta), np.zeros_like(theta)]
        return [(adam_step, restore)]
    ways = {
        "value": lambda: np.abs(theta).sum(),
        "value_and_gradient": lambda: (
            L1 * np.abs(theta).sum() + L2 * np.dot(theta, theta), f(L1) * np.sign(theta) + f(2 * L2) * theta),
        "soft_threshold": lambda: soft(theta),
        "prox_step": lambda: soft(theta - f(STEP) * gradient) * f(SHRINK),
        "thousand_tensors": lambda: sum([np.abs(t).sum() for t in theta.reshape(TENSORS, -1)], 0.0),
        "l1_ball": l1_ball,
        "two_of_four": two_of_four,
        "top_k": top_k,
    }
    return [(ways[operation],)]


def torch_ways(operation, theta, gradient):
    shrink = torch.nn.functional.softshrink
    n, kept = len(theta), int(SHARE * len(theta))
    radius = SHARE * theta.double().abs().sum().item()
    out, work = torch.empty_like(theta), theta.clone()

    def compiled(function, *arguments):
        """Compiled in its first run, which is not timed."""
        made = torch.compile(function)
        return lambda: made(*arguments)

    def value_and_gradient(x, _=None):
        return L1 * x.abs().sum() + L2 * x.square().sum(), L1 * x.sign() + 2 * L2 * x

    def autograd():
        x = theta.detach().requires_grad_()
        value = L1 * x.abs().sum() + L2 * x.square().sum()
        value.backward()
        return value.detach(), x.grad

    def prox_step(x, g):
        return shrink(x - STEP * g, THRESHOLD) * SHRINK

    def in_place():
        work.add_(gradient, alpha=-STEP)
        torch._C._nn.softshrink(work, THRESHOLD, out=out)
        return out.mul_(SHRINK)

    def l1_ball():
        sizes = theta.abs().sort(descending=True).values.double()
        thresholds = (sizes.cumsum(0) - radius) / torch.arange(1, n + 1)
        threshold = thresholds[(sizes > thresholds).nonzero()[-1, 0]].item()
        return shrink(theta, threshold)

    def two_of_four():
        groups = theta.view(-1, 4)
        at = groups.abs().topk(2, dim=1, sorted=False).indices
        return torch.zeros_like(groups).scatter_(1, at, groups.gather(1, at))

    def top_k():
        at = theta.abs().topk(kept, sorted=False).indices
        return torch.zeros_like(theta).scatter_(0, at, theta[at])

    restore = lambda: work.copy_(theta)
    if operation == "adam_step":
        parameter = torch.nn.Parameter(work)
        parameter.grad = gradient.clone()
        adam = torch.optim.Adam([parameter], lr=ADAM_STEP, betas=(BETA1, BETA2), eps=EPSILON, fused=True)

        def step():
            adam.step()
            with torch.no_grad():
                return parameter.copy_(shrink(parameter, ADAM_STEP * L1))

        def anew():
            with torch.no_grad():
                work.copy_(theta)
                for state in adam.state.values():
                    for tensor in state.values():
                        tensor.zero_()

        return [Contender("torch Adam fused, softshrink", step, anew)]
    tensors = list(theta.view(TENSORS, -1)) if operation == "thousand_tensors" else []
    total = lambda norms: float(torch.stack(norms).double().sum())
    # A list of results is a contender's work; their sum only makes them comparable.
    ways = {
        "value": [
            ("torch abs().sum()", lambda: theta.abs().sum()),
            ("torch vector_norm", lambda: torch.linalg.vector_norm(theta, 1)),
            ("torch.compile", compiled(lambda x: x.abs().sum(), theta)),
        ],
        "value_and_gradient": [
            ("torch eager", lambda: value_and_gradient(theta)),
            ("torch autograd", autograd),
            ("torch.compile", compiled(value_and_gradient, theta)),
        ],
        "soft_threshold": [
            ("torch softshrink", lambda: shrink(theta, THRESHOLD)),
            ("torch softshrink(out=)", lambda: torch._C._nn.softshrink(theta, THRESHOLD, out=out)),
            ("torch.compile", compiled(lambda x: shrink(x, THRESHOLD), theta)),
        ],
        "prox_step": [
            ("torch eager", lambda: prox_step(theta, gradient)),
            ("torch in place", in_place, restore),
            ("torch.compile", compiled(prox_step, theta, gradient)),
        ],
        "thousand_tensors": [
            ("torch vector_norm, each", lambda: total([torch.linalg.vector_norm(t, 1) for t in tensors])),
            ("torch _foreach_norm", lambda: total(torch._foreach_norm(tensors, 1))),
        ],
        "l1_ball": [("torch sort", l1_ball)],
        "two_of_four": [("torch topk(2)", two_of_four)],
        "top_k": [("torch topk", top_k)],
    }
    return [Contender(*way) for way in ways[operation]]


def difference(answer, reference):
    """How far the sums of an answer are from the reference's, relatively. Infinite if the answer is wrong: off by a
    hundredth, or with other non-zeros, a tie or two apart."""
    if abs(answer[2] - reference[2]) > 2 + 1e-6 * reference[2]:
        return math.inf
    off = max(abs(x - y) / max(abs(y), 1e-6) for x, y in zip(answer[:2], reference[:2]))
    return off if off < 1e-2 else math.inf
