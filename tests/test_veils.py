"""The holder of the veil in force: what it counts and says, which policy holds, and that time ends exceptions."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.clock import Clock
from proxy.ops.log import configure_logging
from proxy.ops.metrics import Metrics
from proxy.policy.catalog import Catalog
from proxy.policy.load import load_policies
from proxy.policy.model import Policy
from proxy.policy.rules import Exemption, Identity
from proxy.policyfiles import Broken
from proxy.veils import VeilHolder

POLICY = """
version: 1
roles:
  dba: {users: [root], bypass: true}
  support: {users: [sam]}
columns:
  - {columns: ["*.*.email"], tag: email}
masks:
  - {tag: email, mask: email}
"""
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SAM = Identity("sam", ("support",))
TABLE, COLUMN = ("shop", "users"), "email"
BROKEN = Broken("PolicyProblems", 2, ("shop.yaml:3", "shop.yaml:9"))


@dataclass
class Time:
    """Two clocks that a test sets."""

    wall: float = NOON.timestamp()
    steady: float = 100.0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@dataclass
class Log:
    out: io.StringIO = field(default_factory=io.StringIO)

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.out.getvalue().splitlines()]

    def last(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.out.getvalue().splitlines()[-1])
        return found


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    configure_logging("info", "json", log.out)
    yield log
    configure_logging(stream=io.StringIO())


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "p.yaml").write_text(POLICY)
    return load_policies(tmp_path)


def value(metrics: Metrics, series: str) -> float:
    found = [line for line in metrics.render().decode().splitlines() if line.startswith(f"{series} ")]
    return float(found[0].split()[-1]) if found else 0


def loads(metrics: Metrics, outcome: str) -> float:
    return value(metrics, f'pgveil_policy_loads_total{{outcome="{outcome}"}}')


def excepting(policy: Policy, *exemptions: Exemption) -> Policy:
    (rule,) = policy.masks
    return replace(policy, masks=(replace(rule, exemptions=exemptions),))


def catalog() -> Catalog:
    return Catalog(1, {})


def masked(holder: VeilHolder) -> bool:
    return holder.veil.policy.mask_for(SAM, TABLE, COLUMN) is not None


def nothing() -> None:
    pass


# Files that were read again.


def test_every_load_of_the_policy_is_counted_from_the_first_one(policy: Policy) -> None:
    metrics = Metrics()
    holder = VeilHolder(policy, metrics)
    assert (loads(metrics, "ok"), loads(metrics, "failed")) == (1, 0)
    holder.take(BROKEN, nothing)
    assert value(metrics, "pgveil_policy_broken") == 1
    holder.take(policy, nothing)
    assert value(metrics, "pgveil_policy_broken") == 0
    assert (loads(metrics, "ok"), loads(metrics, "failed")) == (2, 1)


def test_a_new_policy_is_a_new_generation_and_the_same_one_is_not(policy: Policy) -> None:
    holder, told = VeilHolder(policy, Metrics()), []
    before = holder.generation
    holder.take(replace(policy), lambda: told.append(1))
    assert (holder.generation, told) == (before, [])
    holder.take(replace(policy, digest="new"), lambda: told.append(1))
    assert (holder.generation, told) == (before + 1, [1])
    assert holder.status() == "version new"


def test_a_broken_policy_is_said_with_its_places_and_once(policy: Policy, log: Log) -> None:
    holder = VeilHolder(policy, Metrics())
    for _ in range(3):
        holder.take(BROKEN, nothing)
    assert log.events() == ["the new policies cannot be used; the old ones stay in force"]
    assert log.last()["place"] == ["shop.yaml:3", "shop.yaml:9"]
    assert log.last()["problems"] == 2
    assert holder.policy is policy
    version = policy.digest[:12]
    assert holder.status() == (
        f"the files on disk cannot be used (PolicyProblems, 2 problems); version {version} stays in force"
    )
    # Another problem is another line, and whoever asks is told.
    holder.take(replace(BROKEN, problems=3), nothing)
    holder.take(replace(BROKEN, problems=3), nothing, asked=True)
    assert len(log.events()) == 3


def test_a_policy_that_was_mended_to_what_is_in_force_says_so(policy: Policy, log: Log) -> None:
    holder = VeilHolder(policy, Metrics())
    holder.take(BROKEN, nothing)
    holder.take(policy, nothing)
    assert log.events()[-1] == "policies loaded"
    assert holder.status() == f"version {policy.digest[:12]}"


# Time.


def test_an_exception_ends_at_its_second_whoever_looks(policy: Policy, log: Log) -> None:
    time = Time()
    exemption = Exemption("support", NOON + timedelta(seconds=3), "ticket 7 of Ann Lee", "kim")
    holder = VeilHolder(excepting(policy, exemption), Metrics(), time.clock())
    holder.catalog_changed(catalog())
    before = holder.generation
    time.go(2.999)
    assert not masked(holder)
    assert holder.generation == before
    time.go(0.001)
    assert holder.generation == before + 1
    assert masked(holder)
    time.go(100)
    assert holder.generation == before + 1
    line = log.last()
    assert log.events() == ["an exception from a mask has ended"]
    assert (line["roles"], line["approved_by"]) == (["support"], "kim")
    assert str(line["place"]).endswith("p.yaml:9")
    assert "Ann Lee" not in log.out.getvalue()


def test_the_veil_itself_looks_at_the_clock(policy: Policy) -> None:
    time = Time()
    holder = VeilHolder(excepting(policy, Exemption("support", NOON + timedelta(seconds=3))), Metrics(), time.clock())
    holder.catalog_changed(catalog())
    time.go(3)
    assert masked(holder)  # nobody asked for the generation


def test_exceptions_end_one_by_one(policy: Policy) -> None:
    time = Time()
    ends = [Exemption(role, NOON + timedelta(seconds=n)) for n, role in enumerate(("support", "dba"), start=1)]
    holder = VeilHolder(excepting(policy, *ends, Exemption("support")), Metrics(), time.clock())
    holder.catalog_changed(catalog())
    start = holder.generation
    found = []
    for _ in range(4):
        time.go(0.5)
        found.append((holder.generation - start, len(holder.veil.policy.masks[0].exemptions)))
    assert found == [(0, 3), (1, 2), (1, 2), (2, 1)]
    assert not masked(holder)  # the one without an end holds


@pytest.mark.parametrize("jump", [-3600, -1])
def test_a_clock_that_is_set_back_gives_no_more_time(policy: Policy, jump: float) -> None:
    time = Time()
    holder = VeilHolder(excepting(policy, Exemption("support", NOON + timedelta(seconds=3))), Metrics(), time.clock())
    holder.catalog_changed(catalog())
    time.go(1)
    assert not masked(holder)
    time.wall += jump
    time.go(2)
    assert masked(holder)


def test_an_exception_that_has_ended_stays_ended(policy: Policy) -> None:
    time = Time()
    over = excepting(policy, Exemption("support", NOON + timedelta(seconds=3)))
    holder = VeilHolder(over, Metrics(), time.clock())
    holder.catalog_changed(catalog())
    time.wall += 10_000  # a jump forward counts
    assert masked(holder)
    time.wall -= 10_000
    assert masked(holder)
    holder.take(replace(over, digest="again"), nothing)
    assert masked(holder)


def test_a_policy_loaded_after_the_end_never_shows(policy: Policy, log: Log) -> None:
    time = Time()
    holder = VeilHolder(policy, Metrics(), time.clock())
    holder.catalog_changed(catalog())
    holder.take(excepting(replace(policy, digest="new"), Exemption("support", NOON)), nothing)
    assert masked(holder)
    assert log.events() == ["policies loaded"]


def test_no_thread_gets_an_old_veil_under_a_new_number(policy: Policy) -> None:
    """Decisions are kept by the number that was read before the veil."""
    time, wrong = Time(), list[int]()
    exemptions = [Exemption("support", NOON + timedelta(seconds=n)) for n in range(1, 200)]
    holder = VeilHolder(excepting(policy, *exemptions), Metrics(), time.clock())
    holder.catalog_changed(catalog())
    first, ended = holder.generation, threading.Event()

    def look() -> None:
        while not ended.is_set():
            passed = holder.generation - first
            if len(holder.veil.policy.masks[0].exemptions) > 199 - passed:
                wrong.append(passed)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(199):
        time.go(1)
        assert holder.generation > first
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert masked(holder)


def test_the_clock_goes_on_and_never_back() -> None:
    time = Time()
    clock = time.clock()
    start = clock.seconds()
    time.go(5)
    assert clock.seconds() == start + 5
    time.wall -= 100
    assert clock.seconds() == start + 5
    time.go(1)
    assert clock.seconds() == start + 6
    time.wall += 1000
    assert clock.seconds() == start + 906
    assert clock.moment() == datetime.fromtimestamp(start + 906, UTC)
