#!/usr/bin/env python3
"""The model of docs/ranks.md: prints its table, and draws docs/figures/ranks.svg.

An all-reduce of n bytes on P ranks takes the least of what three algorithms take, with latency a and bandwidth b (Thakur,
Rabenseifner and Gropp 2005): recursive doubling ⌈log2 P⌉(a + n/b), Rabenseifner's 2⌈log2 P⌉a + 2(1 − 1/P)n/b, and a ring
2(P − 1)(a + n/(Pb)). A step has two: 384 bytes for each tensor, then 4.
"""

import math
import pathlib

NETWORKS = [("InfiniBand, 2 µs and 100 Gbit/s", 2e-6, 12.5e9), ("Ethernet, 15 µs and 25 Gbit/s", 15e-6, 3.125e9)]
TENSORS = [10, 100, 1000]
RANKS = [2, 4, 8, 16, 64, 256, 1024]


def all_reduce(ranks, size, latency, bandwidth):
    rounds = math.ceil(math.log2(ranks))
    doubling = rounds * (latency + size / bandwidth)
    rabenseifner = 2 * rounds * latency + 2 * (1 - 1 / ranks) * size / bandwidth
    ring = 2 * (ranks - 1) * (latency + size / ranks / bandwidth)
    return min(doubling, rabenseifner, ring)


def step(ranks, tensors, latency, bandwidth):
    """In µs."""
    return 1e6 * sum(all_reduce(ranks, size * tensors, latency, bandwidth) for size in (384, 4))


def table():
    print("| network | tensors | " + " | ".join(f"{ranks} ranks" for ranks in RANKS) + " |")
    print("| --- |" + " ---: |" * (len(RANKS) + 1))
    for name, *network in NETWORKS:
        for tensors in TENSORS:
            times = [f"{step(ranks, tensors, *network):.0f}" for ranks in RANKS]
            print(f"| {name} | {tensors} | " + " | ".join(times) + " |")


def figure():
    width, height, left, bottom = 640, 320, 60, 40
    x = lambda ranks: left + (width - left - 190) * (math.log2(ranks) - 1) / 9
    y = lambda time: height - bottom - (height - bottom - 20) * math.log10(time) / 3
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#7d8590">',
        "<title>Modelled time of a step's two messages</title>",
        f'<text x="{left}" y="14">µs for the two messages of a step (modelled)</text>',
    ]
    for time in (1, 10, 100, 1000):
        lines.append(f'<path d="M{left} {y(time):.1f}H{x(1024):.1f}" stroke="#8b949e40"/>')
        lines.append(f'<text x="{left - 6}" y="{y(time) + 4:.1f}" text-anchor="end">{time}</text>')
    for ranks in (2, 8, 32, 128, 1024):
        lines.append(f'<text x="{x(ranks):.1f}" y="{height - 22}" text-anchor="middle">{ranks}</text>')
    lines.append(f'<text x="{x(45):.1f}" y="{height - 6}" text-anchor="middle">ranks</text>')
    for (name, *network), colour in zip(NETWORKS, ("#3b8bd0", "#c9692f")):
        for tensors, dash in zip(TENSORS, ("2 3", "6 3", "none")):
            points = [f"{x(2**p):.1f},{y(step(2**p, tensors, *network)):.1f}" for p in range(1, 11)]
            lines.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dash}"/>'
            )
            label = f"{name.split(',')[0]}, {tensors} tensors"
            lines.append(
                f'<text x="{x(1024) + 6:.1f}" y="{y(step(1024, tensors, *network)) + 4:.1f}" fill="{colour}">{label}</text>'
            )
    lines.append("</svg>")
    root = pathlib.Path(__file__).resolve().parent.parent
    (root / "docs/figures/ranks.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


table()
figure()
