"""Policy files on disk: what counts as a change, when a change is read, and that no half of one ever is."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy import policyfiles
from proxy.policy.load import PolicyProblems, load_policies
from proxy.policy.model import Policy
from proxy.policyfiles import (
    POLL_SECONDS,
    RESTLESS,
    RESTLESS_SECONDS,
    STILL_SECONDS,
    Broken,
    PolicyWatch,
    Reading,
    Rest,
    Settling,
    first_reading,
    read,
    signature,
)

POLICY = """
version: 1
roles:
  dba: {users: [root], bypass: true}
  support: {users: [sam]}
"""
MASKS = 'masks:\n  - {columns: ["shop.users.email"], mask: email}\n'
PATIENCE = 30


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "policies"
    directory.mkdir()
    (directory / "shop.yaml").write_text(POLICY)
    return directory


# What counts as a change.


def changes(files: Path) -> Iterator[tuple[str, Path]]:
    yield "written in place", files
    (files / "shop.yaml").write_text(POLICY + MASKS)
    yield "of the same size and mtime", files
    before = (files / "shop.yaml").stat()
    (files / "shop.yaml").write_text((POLICY + MASKS).replace("email}", "emall}"))
    os.utime(files / "shop.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    yield "replaced", files
    (files / "new").write_text(POLICY)
    (files / "new").rename(files / "shop.yaml")
    yield "added", files
    (files / "more.yml").write_text("version: 1\n" + MASKS)
    yield "renamed", files
    (files / "more.yml").rename(files / "again.yml")
    yield "removed", files
    (files / "again.yml").unlink()
    yield "gone altogether", files
    files.rename(files.with_name("elsewhere"))


def test_every_way_to_change_a_file_is_seen(files: Path) -> None:
    steps = changes(files)
    what, _ = next(steps)
    while True:
        before = signature(files)
        following = next(steps, None)
        assert signature(files) != before, what
        if following is None:
            break
        what = following[0]


def test_a_directory_behind_a_link_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """As a ConfigMap is mounted: the files are links through `..data`, which is replaced."""
    mount = tmp_path / "mounted"
    mount.mkdir()
    for name in ("..1", "..2"):
        (mount / name).mkdir()
        (mount / name / "shop.yaml").write_text(POLICY)
    (mount / "..data").symlink_to("..1")
    (mount / "shop.yaml").symlink_to("..data/shop.yaml")
    (tmp_path / "link").symlink_to(mount)
    before = signature(mount), signature(tmp_path / "link")
    (mount / "..data.tmp").symlink_to("..2")
    (mount / "..data.tmp").rename(mount / "..data")
    assert signature(mount) != before[0]
    assert signature(tmp_path / "link") != before[1]
    (mount / "..2" / "shop.yaml").unlink()  # a link to nothing is a state too
    assert signature(mount) != before[0]


def test_what_is_no_policy_changes_nothing(files: Path) -> None:
    before = signature(files)
    for name in ("audit.jsonl", ".shop.yaml.swp", ".hidden.yaml", "shop.yaml~", "notes.txt"):
        (files / name).write_text("anything")
    assert signature(files) == before


def test_one_file_is_a_policy_too(files: Path) -> None:
    file = files / "shop.yaml"
    before = signature(file)
    (files / "other.yaml").write_text("version: 1\n")
    assert signature(file) == before
    file.write_text(POLICY + MASKS)
    assert signature(file) != before


# When a change is read.


def test_files_are_read_once_they_stand_still() -> None:
    settling = Settling((("a", 1),))
    assert settling.look((("a", 1),), 0.0) is Rest.NOTHING
    assert settling.look((("a", 2),), 1.0) is Rest.NOTHING
    assert settling.look((("a", 3),), 1.2) is Rest.NOTHING  # still being written
    assert settling.look((("a", 3),), 1.2 + STILL_SECONDS - 0.01) is Rest.NOTHING
    assert settling.look((("a", 3),), 1.2 + STILL_SECONDS) is Rest.READ
    settling.was_read((("a", 3),))
    assert settling.look((("a", 3),), 9.0) is Rest.NOTHING


def test_one_change_is_read_within_a_second() -> None:
    assert 2 * POLL_SECONDS + STILL_SECONDS < 0.7  # and the rest is for the loader


def test_files_that_never_rest_are_said_once_and_not_read() -> None:
    settling = Settling(())
    moments = [n * POLL_SECONDS for n in range(int(3 * RESTLESS_SECONDS / POLL_SECONDS))]
    found = [settling.look((("a", n),), moment) for n, moment in enumerate(moments)]
    assert found.count(Rest.RESTLESS) == 1
    assert Rest.READ not in found
    # Once they rest they are read, also where they have become again what they were.
    assert settling.look((), 100.0) is Rest.NOTHING
    assert settling.look((), 101.0) is Rest.READ
    settling.was_read(())
    assert settling.look((), 102.0) is Rest.NOTHING


def test_files_that_change_while_they_are_read_were_not_read(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(path: Path) -> Policy:
        found = load_policies(path)
        (files / "more.yaml").write_text("version: 1\n" + MASKS)
        return found

    monkeypatch.setattr(policyfiles, "load_policies", slow)
    assert read(files)[0] is None
    # The second time it finds the same bytes, and they count.
    monkeypatch.undo()
    found, _ = read(files)
    assert found is not None
    assert isinstance(found.policy, Policy)
    assert found.policy.masks


def test_what_cannot_be_read_is_described_without_its_text(files: Path) -> None:
    (files / "shop.yaml").write_text(POLICY.replace("bypass", "bypas") + "masks:\n  - {tag: x, mask: secret-4711}\n")
    found, _ = read(files)
    assert found is not None
    assert isinstance(found.policy, Broken)
    assert found.policy.error_type == "PolicyProblems"
    assert found.policy.problems >= 2
    assert all(":" in place for place in found.policy.places)
    assert "4711" not in repr(found)


def test_a_loader_that_breaks_is_a_policy_that_cannot_be_used(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> Policy:
        raise RecursionError("secret-4711")

    monkeypatch.setattr(policyfiles, "load_policies", fail)
    found, _ = read(files)
    assert found == Reading(Broken("RecursionError"))


def test_the_program_does_not_start_without_a_policy(files: Path) -> None:
    (files / "shop.yaml").write_text("version: 2\n")
    with pytest.raises(PolicyProblems):
        first_reading(files)


# The thread.


class Told:
    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self._more = asyncio.Event()

    def __call__(self, reading: Reading) -> None:
        self.readings.append(reading)
        self._more.set()

    async def next(self) -> Reading:
        async with asyncio.timeout(PATIENCE):
            await self._more.wait()
        self._more.clear()
        return self.readings[-1]


@asynccontextmanager
async def watching(files: Path) -> AsyncIterator[tuple[PolicyWatch, Told]]:
    told = Told()
    with PolicyWatch(files, signature(files), told) as watch:
        yield watch, told
    for thread in threading.enumerate():
        if thread.name == "pgveil-policies":
            await asyncio.to_thread(thread.join, PATIENCE)
            assert not thread.is_alive()


async def test_a_change_is_told(files: Path) -> None:
    async with watching(files) as (_, told):
        (files / "shop.yaml").write_text(POLICY + MASKS)
        found = await told.next()
        assert isinstance(found.policy, Policy)
        assert found.policy.masks
        assert not found.asked
    assert len(told.readings) == 1


async def test_a_file_that_is_written_slowly_is_told_whole(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part of it is a policy that loads, and the mask comes last."""
    monkeypatch.setattr(policyfiles, "STILL_SECONDS", 1.5)  # the machine may be slow too
    lines = [*POLICY.splitlines(keepends=True), *MASKS.splitlines(keepends=True)]
    async with watching(files) as (_, told):

        def write() -> None:
            with (files / "shop.yaml").open("w") as file:
                for line in lines:
                    file.write(line)
                    file.flush()
                    time.sleep(POLL_SECONDS / 2)

        await asyncio.to_thread(write)
        found = await told.next()
        assert isinstance(found.policy, Policy)
        assert found.policy.masks
    assert len(told.readings) == 1


async def test_a_directory_that_goes_and_comes_back_is_told(files: Path) -> None:
    away = files.with_name("away")
    async with watching(files) as (_, told):
        await asyncio.to_thread(files.rename, away)
        gone = (await told.next()).policy
        assert isinstance(gone, Broken)
        await asyncio.to_thread(away.rename, files)
        assert isinstance((await told.next()).policy, Policy)


async def test_whoever_asks_gets_a_reading_at_once_and_each_of_a_storm_counts_once(files: Path) -> None:
    async with watching(files) as (watch, told):
        watch.read_now()
        first = await told.next()
        assert first.asked
        assert isinstance(first.policy, Policy)
        for _ in range(100):
            watch.read_now()
        (files / "shop.yaml").write_text(POLICY + MASKS)
        watch.read_now()
        while not (isinstance(found := (await told.next()).policy, Policy) and found.masks):
            pass
    assert len(told.readings) < 100


async def test_whoever_asks_in_the_middle_of_changes_is_told_so(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(10**6))
    monkeypatch.setattr(policyfiles, "signature", lambda _: (("x", next(numbers)),))
    async with watching(files) as (watch, told):
        watch.read_now()
        found = await told.next()
        assert (found.policy, found.asked) == (RESTLESS, True)


async def test_a_fault_of_ours_does_not_end_the_watch(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ValueError("x"), ValueError("y")]
    real = policyfiles.signature

    def sometimes(path: Path) -> policyfiles.Signature:
        if failures:
            raise failures.pop()
        return real(path)

    async with watching(files) as (_, told):
        monkeypatch.setattr(policyfiles, "signature", sometimes)
        (files / "shop.yaml").write_text(POLICY + MASKS)
        assert isinstance((await told.next()).policy, Policy)
