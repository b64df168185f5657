"""Figures as a page of Markdown, with the machine in general words: nothing in it says whose machine it was."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from bench.compare import Comparison, duration, table
from bench.measure import Figure


def page(figures: Sequence[Figure], comparisons: Sequence[Comparison], rounds: int) -> str:
    """The whole page."""
    lines = [
        "# What it costs",
        "",
        f"Written by `make bench`: {rounds} rounds, in which the rows take turns.",
        f"Machine: {machine()}.",
        "",
        "| what | median | min | max | target | |",
        "|---|---:|---:|---:|---|---|",
        *(_row(figure) for figure in figures),
    ]
    if comparisons:
        lines += ["", "## On the wire", "", *table(comparisons)]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Cores, architecture, kernel's family and Python."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def _row(figure: Figure) -> str:
    times = " | ".join(duration(t) for t in (figure.median, min(figure.seconds), max(figure.seconds)))
    target = "" if figure.case.target is None else f"≤ {duration(figure.case.target)}"
    verdict = {None: "", True: "kept", False: "**missed**"}[figure.within]
    return f"| {figure.case.name} | {times} | {target} | {verdict} |"
