"""`python -m fuzz`: statements at random as masked users, and whether each answer is that of the masked data.

    python -m fuzz [--statements N] [--seed S] [--only CASE] [--proxy-every N] [--postgres VERSION]

Case S, S+1 and so on are made, run and judged; the exit status is 1 where one differs, or where a protected value gets
through. docs/fuzz.md says what is compared with what.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import structlog

from fuzz.cases import Case, make_case
from fuzz.minimise import minimised
from fuzz.oracle import Oracle
from fuzz.report import Tally, fault_lines
from fuzz.throughproxy import proxied
from fuzz.world import make_world
from proxy import localpg

STATEMENTS = 10_000
PROXY_EVERY = 10
MOST_SHOWN = 20
SAY_EVERY_S = 10.0


def main() -> int:
    options = _options()
    # Reading the catalogue is no news here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pgveil-fuzz-")))
        server = localpg.start(directory / "pg", version=options.postgres, durable=False)
        stack.callback(server.stop)
        world = make_world(server)
        through = stack.enter_context(proxied(world, directory)) if options.proxy_every else None
        oracle = Oracle(world, through)
        stack.callback(oracle.close)
        if options.only is not None:
            return _one(oracle, options.only)
        return _run(oracle, range(options.seed, options.seed + options.statements), options.proxy_every)


def _run(oracle: Oracle, numbers: range, proxy_every: int) -> int:
    tally = run(oracle, numbers, proxy_every)
    print(*tally.lines(), sep="\n")
    for case, verdict in tally.faults[:MOST_SHOWN]:
        print(*fault_lines(minimised(case, verdict, oracle.judge), verdict), sep="\n")
    if len(tally.faults) > MOST_SHOWN:
        print(f"and {len(tally.faults) - MOST_SHOWN} more")
    return int(tally.failed)


def run(oracle: Oracle, numbers: range, proxy_every: int = 0) -> Tally:
    """Every case of `numbers`, each `proxy_every`th through a proxy as well."""
    tally = Tally()
    shaped = oracle.shaped
    said = time.monotonic()
    for number in numbers:
        case = make_case(number, oracle.tables)
        through_proxy = bool(proxy_every) and number % proxy_every == 0
        tally.add(case, oracle.judge(case, through_proxy=through_proxy))
        tally.proxied += through_proxy
        tally.shaped = oracle.shaped - shaped
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            print(f"... {number - numbers.start + 1} of {len(numbers)}, {len(tally.faults)} faults", flush=True)
    return tally


def _one(oracle: Oracle, number: int) -> int:
    case: Case = make_case(number, oracle.tables)
    verdict = oracle.judge(case, through_proxy=True)
    print(*fault_lines(case, verdict), sep="\n")
    if not verdict.fault:
        return 0
    print("made smaller:")
    print(*fault_lines(minimised(case, verdict, oracle.judge), verdict), sep="\n")
    return 1


def _options() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m fuzz", description="Statements at random, as masked users.")
    reader.add_argument("--statements", type=int, default=STATEMENTS, help=f"how many (default: {STATEMENTS})")
    reader.add_argument("--seed", type=int, default=0, help="the number of the first case (default: 0)")
    reader.add_argument("--only", type=int, metavar="CASE", help="one case, with its smallest form")
    reader.add_argument(
        "--proxy-every", type=int, default=PROXY_EVERY, metavar="N", help=f"0: never (default: {PROXY_EVERY})"
    )
    reader.add_argument("--postgres", type=int, default=18, choices=localpg.versions(), help="its major version")
    options = reader.parse_args()
    if options.statements < 1 or options.proxy_every < 0:
        reader.error("at least one statement, and no fewer than none through a proxy")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
