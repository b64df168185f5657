"""`python -m bench`: every benchmark, as a table on the terminal and in bench/results/latest.md.

    python -m bench [NAME ...] [--rounds N] [--profile] [--output FILE]

A benchmark is a module of this directory with a function `cases`, for times of our own, or `compare`, for figures held
against a peer's; MODULES names them. With --profile nothing is written: the modules that have a function `profile` say
where their time goes. The exit status is 1 where a row does not reach what it has to.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

from bench import plan, report, wire
from bench.compare import Comparison
from bench.measure import ROUNDS, Figure, measure, noise

MODULES: dict[str, ModuleType] = {"plan": plan, "wire": wire}
LATEST = Path(__file__).with_name("results") / "latest.md"
FEWEST_ROUNDS = 5


def main() -> int:
    options = _options()
    modules = [MODULES[name] for name in options.names or MODULES]
    if options.profile:
        for module in modules:
            print(module.profile() if hasattr(module, "profile") else f"{module.__name__} has no profile")
        return 0
    figures, comparisons = _run(modules, options.rounds)
    text = report.page(figures, comparisons, options.rounds)
    print(text)
    if not options.names:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    kept = [*(figure.within for figure in figures), *(row.within for row in comparisons)]
    return int(False in kept)


def _run(modules: list[ModuleType], rounds: int) -> tuple[list[Figure], list[Comparison]]:
    cases = [case for module in modules if hasattr(module, "cases") for case in module.cases()]
    figures = measure([*cases, noise()], rounds)
    return figures, [row for module in modules if hasattr(module, "compare") for row in module.compare(rounds)]


def _options() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m bench", description="What the parts of pgveil cost.")
    reader.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MODULES)}; none: all of them")
    reader.add_argument("--rounds", type=int, default=ROUNDS, help=f"at least {FEWEST_ROUNDS} (default: {ROUNDS})")
    reader.add_argument("--profile", action="store_true", help="where the time goes, instead of how much there is")
    reader.add_argument("--output", type=Path, default=LATEST, help="written when every benchmark ran")
    options = reader.parse_args()
    unknown = [name for name in options.names if name not in MODULES]
    if unknown:
        reader.error(f"no benchmark {unknown[0]}; there is: {', '.join(MODULES)}")
    if options.rounds < FEWEST_ROUNDS:
        reader.error(f"a median of fewer than {FEWEST_ROUNDS} rounds says little")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
