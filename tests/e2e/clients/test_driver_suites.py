"""The test suites of drivers: each of their tests ends as it does directly, down to the last skip.

Their sources are what `make test-clients` unpacked. Their tests have the server for themselves: they make roles, types
and databases, terminate connections, and expect the database `postgres` to be as it came.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import psycopg
import pytest
from client_kinds import Place
from conftest import Configuration, Serve
from installed import INSTALLED
from office_world import write_policy
from recorder import Recorder

from proxy import localpg

POLICY = """
version: 1
roles: {everybody: {users: ["*"], bypass: true}}
defaults: {tables: deny}
"""
SUITE_SECONDS = 900
UNSTABLE = {
    "test_executemany_server_failure_during_writes": "how much was sent before the failure is a matter of luck",
    "test_pool_config_persistence": "fails directly as well, now and then",
    "test_broken_pipe_read": "a closed connection or a reset one: which of them comes first is a matter of luck",
}
SUITES = {
    "asyncpg": ("tests",),
    "psycopg2": ("tests",),
    "pg8000": (
        "test",
        "--ignore-glob=test/*/auth",  # servers set up for each way to log in
        "--ignore=test/test_readme.py",  # which is not there
        "--ignore-glob=test/*/test_benchmarks.py",
        "--deselect=test/native/test_query.py::test_max_parameters",  # takes longer than all others together
    ),
}
"""What pytest is told to run of each."""


@dataclass(frozen=True)
class Grounds:
    """A server that nobody else uses, and the proxy before it; both on TCP."""

    direct: Place
    proxied: Place


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[Grounds]:
    # Not below pytest's own directory: each pytest that starts closes that to other users, and so to the server.
    with tempfile.TemporaryDirectory(prefix="pgveil-suites-") as directory, ExitStack() as stack:
        server = localpg.start(Path(directory) / "pg", durable=False)
        stack.callback(server.stop)
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("CREATE DATABASE psycopg2_test")
        policies = write_policy(tmp_path_factory.mktemp("suites-policy"), POLICY)
        proxy = serve(Configuration(upstream=server.dsn, policies=policies))
        with Recorder(Place(str(server.socket_dir), localpg.PORT, "postgres", "postgres")) as relay:
            yield Grounds(relay.place, Place(proxy.host, proxy.port, "postgres", "postgres"))
            proxy.stop()


def outcomes(suite: str, place: Place, directory: Path) -> dict[str, str]:
    """How each test of the suite ended."""
    report = directory / f"{suite}-{place.port}.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore",
        f"--junit-xml={report}",
        *SUITES[suite],
    ]
    variables = {
        "PGHOST": place.host,
        "PGPORT": str(place.port),
        "PGUSER": place.user,
        "PGDATABASE": place.database,
        "PGPASSWORD": "none",
        "PSYCOPG2_TESTDB": "psycopg2_test",
        "PYTHONPATH": str(INSTALLED / "python"),
    }
    subprocess.run(
        command,
        cwd=INSTALLED / "suites" / suite,
        env={**os.environ, **variables},
        capture_output=True,
        timeout=SUITE_SECONDS,
        check=False,
    )
    cases = ET.parse(report).iter("testcase")
    return {
        f"{case.get('classname')}.{case.get('name')}": next(
            (child.tag for child in case if "system" not in child.tag), "passed"
        )
        for case in cases
        if case.get("name") not in UNSTABLE
    }


@pytest.mark.parametrize(("suite", "at_least"), [("asyncpg", 290), ("psycopg2", 700), ("pg8000", 730)])
def test_a_driver_s_own_tests_cannot_tell_them_apart(
    suite: str, at_least: int, grounds: Grounds, tmp_path: Path
) -> None:
    direct = outcomes(suite, grounds.direct, tmp_path)
    proxied = outcomes(suite, grounds.proxied, tmp_path)
    different = {name: (direct.get(name), proxied.get(name)) for name in direct | proxied}
    assert {name: pair for name, pair in different.items() if pair[0] != pair[1]} == {}
    assert sum(outcome == "passed" for outcome in direct.values()) >= at_least
