"""`python -m bench`: every benchmark, as a table on the terminal and in bench/results/latest.md.

    python -m bench [NAME ...] [--rounds N] [--profile] [--output FILE]

A benchmark is a module of this directory with a function `cases`; MODULES names them. With --profile nothing is
written: the modules that have a function `profile` say where their time goes. The exit status is 1 where a median is
above its target.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType

from bench import plan, report
from bench.measure import ROUNDS, measure, noise

MODULES: dict[str, ModuleType] = {"plan": plan}
LATEST = Path(__file__).with_name("results") / "latest.md"
FEWEST_ROUNDS = 5


def main() -> int:
    options = _options()
    modules = [MODULES[name] for name in options.names or MODULES]
    if options.profile:
        for module in modules:
            print(module.profile() if hasattr(module, "profile") else f"{module.__name__} has no profile")
        return 0
    figures = measure([*(case for module in modules for case in module.cases()), noise()], options.rounds)
    text = report.page(figures, options.rounds)
    print(text)
    if not options.names:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    return int(any(figure.within is False for figure in figures))


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
