"""Policy files that change while the proxy serves: taken within a second, whole or not at all, however they change."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Configuration, Pgveil, serving
from office_world import write_policy
from probes import CLEAR, DATABASE, POLICY, codes_of, eventually, ready, sample
from raw_client import RawClient, fields

GOOD = 'pgveil_policy_loads_total{outcome="ok"}'
LOOK = "SELECT code FROM people WHERE id = 1"


def masked_as(value: str) -> str:
    return POLICY.replace("value: hidden", f"value: {value}")


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return write_policy(tmp_path, POLICY)


@pytest.fixture
def proxy(plain_dsn: str, policies: Path, tmp_path: Path) -> Iterator[Pgveil]:
    with serving(Configuration(upstream=plain_dsn, policies=policies), tmp_path) as found:
        yield found


def connect(proxy: Pgveil, user: str = "analyst") -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(proxy.dsn(user, DATABASE), autocommit=True)


def shows(session: psycopg.Connection[tuple[object, ...]], value: str) -> Callable[[], bool]:
    return lambda: session.execute(LOOK).fetchone() == (value,)


def written(file: Path, text: str) -> None:
    file.write_text(text)


def replaced(file: Path, text: str) -> None:
    """As editors and deployments do it."""
    draft = file.with_name("draft")
    draft.write_text(text)
    draft.rename(file)


def test_a_change_is_in_force_within_a_second(proxy: Pgveil, policies: Path) -> None:
    taken = []
    with connect(proxy) as session:
        session.execute(LOOK, prepare=True)
        for number, write in enumerate((written, replaced, written)):
            started = time.monotonic()
            write(policies / "office.yaml", masked_as(f"v{number}"))
            eventually(shows(session, f"v{number}"), "the new mask is in force")
            taken.append(time.monotonic() - started)
    # Of three, so that a machine that is busy with something else for a moment is not taken for a slow program.
    assert min(taken) < 1


def test_the_statement_before_a_change_does_not_matter_to_the_next(proxy: Pgveil, policies: Path) -> None:
    with connect(proxy) as session:
        session.execute("SELECT code FROM people WHERE id = %s", (1,))
        before = sample(proxy, GOOD)
        written(policies / "office.yaml", masked_as("another"))
        eventually(lambda: sample(proxy, GOOD) > before, "the new policy is in force")
        assert session.execute("SELECT %s::int", (1,)).fetchone() == (1,)


def test_files_that_come_and_go(proxy: Pgveil, policies: Path) -> None:
    more = "version: 1\nmasks:\n  - {columns: [public.people.name], mask: constant, with: {value: x}, except: [dba]}\n"
    with connect(proxy) as session:
        name = "SELECT name FROM people WHERE id = 1"
        assert session.execute(name).fetchone() == ("person 1",)
        (policies / "more.yaml").write_text(more)
        eventually(lambda: session.execute(name).fetchone() == ("x",), "the new file is in force")
        (policies / "more.yaml").unlink()
        eventually(lambda: session.execute(name).fetchone() == ("person 1",), "it is gone again")
    assert sample(proxy, GOOD) == 3


def test_a_mounted_directory_is_swapped(plain_dsn: str, tmp_path: Path) -> None:
    """As Kubernetes does it: files are links through `..data`, which is renamed over."""
    mount = tmp_path / "policies"
    mount.mkdir()
    for version in ("first", "second"):
        (mount / f"..{version}").mkdir()
        (mount / f"..{version}" / "office.yaml").write_text(masked_as(version))
    (mount / "..data").symlink_to("..first")
    (mount / "office.yaml").symlink_to("..data/office.yaml")
    configuration = Configuration(upstream=plain_dsn, policies=mount)
    with serving(configuration, tmp_path) as proxy, connect(proxy) as session:
        assert shows(session, "first")()
        (mount / "..data_tmp").symlink_to("..second")
        (mount / "..data_tmp").rename(mount / "..data")
        shutil.rmtree(mount / "..first")
        eventually(shows(session, "second"), "the second version is in force")
        assert sample(proxy, 'pgveil_policy_loads_total{outcome="failed"}') == 0


def test_a_broken_policy_is_said_everywhere_and_once(proxy: Pgveil, policies: Path) -> None:
    file = policies / "office.yaml"
    version = ready(proxy)["checks"]["policy"]["detail"].removeprefix("version ")
    with connect(proxy) as session:
        file.write_text(POLICY.replace("mask: constant", "mask: nonsense").replace("value: hidden", "value: zq-4711"))
        eventually(lambda: sample(proxy, "pgveil_policy_broken") == 1, "the files are known to be broken")
        assert shows(session, "hidden")()
        found = ready(proxy)
        assert found["ready"]
        assert "the files on disk cannot be used" in found["checks"]["policy"]["detail"]
        assert f"version {version} stays in force" in found["checks"]["policy"]["detail"]
        # Touched, it is read again and is nothing new; asked, it is said again.
        failed = sample(proxy, 'pgveil_policy_loads_total{outcome="failed"}')
        file.touch()
        eventually(lambda: sample(proxy, 'pgveil_policy_loads_total{outcome="failed"}') > failed, "it is read again")
        assert len(complaints(proxy)) == 1
        proxy.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(complaints(proxy)) == 2, "it is said again")
        assert complaints(proxy)[0]["place"] == [f"{file}:10"]
        assert "4711" not in proxy.output()
        file.write_text(masked_as("mended"))
        eventually(shows(session, "mended"), "the mended policy is in force")
        assert sample(proxy, "pgveil_policy_broken") == 0
        assert ready(proxy)["checks"]["policy"]["detail"].startswith("version ")


def complaints(proxy: Pgveil) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in proxy.output().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"].startswith("the new policies cannot be used")]


def test_a_directory_that_vanishes_leaves_the_veil_on(proxy: Pgveil, policies: Path) -> None:
    away = policies.with_name("away")
    with connect(proxy) as session:
        policies.rename(away)
        eventually(lambda: sample(proxy, "pgveil_policy_broken") == 1, "it is noticed")
        assert shows(session, "hidden")()
        away.rename(policies)
        eventually(lambda: sample(proxy, "pgveil_policy_broken") == 0, "it is back")
    assert codes_of(proxy, "dba") == CLEAR


def test_a_session_whose_role_is_gone_is_ended_without_a_signal(proxy: Pgveil, policies: Path) -> None:
    with RawClient(proxy.host, proxy.port, "analyst", DATABASE) as client:
        replaced(policies / "office.yaml", POLICY.replace("users: [analyst]", "users: [somebody]"))
        assert [fields(body)["C"] for tag, body in client.messages() if tag == b"E"] == ["57P01"]
    with pytest.raises(psycopg.OperationalError, match="in no role of the policy"):
        connect(proxy)


def test_a_storm_of_signals_and_changes_ends_with_the_last_one(proxy: Pgveil, policies: Path) -> None:
    with connect(proxy) as session:
        for number in range(50):
            replaced(policies / "office.yaml", masked_as(f"v{number}"))
            proxy.process.send_signal(signal.SIGHUP)
        eventually(shows(session, "v49"), "the last one is in force")
    assert proxy.process.poll() is None
    assert sample(proxy, "pgveil_policy_broken") == 0
