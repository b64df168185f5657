"""The policy templates on databases made from their schemas: their own tests by the command that users run."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import psycopg
import pytest
from conftest import create_database

from proxy import cli, localpg
from proxy.feed import Feed
from proxy.policy.catalog import Catalog
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.plan import Plan

FOLDER = Path(__file__).parents[2] / "policies" / "templates"
TEMPLATES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
UNNAMED = {
    "gdpr": {"privacy.pseudonyms", "crm.customers.shoe_size"},
    "hipaa": {"clinic.patients.nickname"},
    "pci": {"pay.keys", "pay.customers.loyalty_code"},
}
"""What the samples have that no rule names, to show what becomes of it: `check` says so."""


@pytest.fixture(scope="module", params=TEMPLATES)
def sample(request: pytest.FixtureRequest, postgres: localpg.LocalPostgres) -> tuple[str, str]:
    """A template's name, and the DSN of its sample database."""
    name = str(request.param)
    script = (FOLDER / "schemas" / f"{name}.sql").read_text(encoding="utf-8")
    return name, create_database(postgres, f"template_{name}", script)


def command(name: str, dsn: str, *arguments: str) -> int:
    return cli.run([arguments[0], "--policies", str(FOLDER / f"{name}.yaml"), "--upstream", dsn, *arguments[1:]])


def test_all_its_tests_pass(sample: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    name, dsn = sample
    status = command(name, dsn, "test")
    lines = capsys.readouterr().out.splitlines()
    assert (status, [line for line in lines if line.startswith("FAILED")]) == (0, [])
    assert sum(line.startswith("ok ") for line in lines) == len(load_policies(FOLDER / f"{name}.yaml").tests) >= 10


def test_check_finds_nothing_but_what_is_left_out_on_purpose(
    sample: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    name, dsn = sample
    assert command(name, dsn, "check", "--json") == 0
    said = " ".join(finding["message"] for finding in json.loads(capsys.readouterr().out))
    assert {word.strip(",") for word in said.split() if "." in word and word != "defaults.columns:"} == UNNAMED.get(
        name, set()
    )


async def read(dsn: str) -> Catalog:
    async with Feed(dsn) as feed:
        return feed.catalog


def test_every_mask_of_it_is_tried(sample: tuple[str, str]) -> None:
    name, dsn = sample
    policy = load_policies(FOLDER / f"{name}.yaml")
    veil = Veil(policy, asyncio.run(read(dsn)))
    tried = set()
    for test in policy.tests:
        identity = policy.identify(test.user)
        assert identity is not None
        decision = veil.decide(test.sql, identity, ("public",))
        tried |= {mask.where for mask in decision.masks} if isinstance(decision, Plan) else set()
    assert {str(rule.where) for rule in policy.masks if rule.where not in tried} == set()


def test_the_answers_differ_from_the_stored_values(sample: tuple[str, str]) -> None:
    """Every test that some mask has a part in would fail without the veil, unless it is about who sees the rest."""
    name, dsn = sample
    policy = load_policies(FOLDER / f"{name}.yaml")
    same = 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        answers = [test for test in policy.tests if not test.refused]
        for test in answers:
            rows = connection.execute(test.sql.encode()).fetchall()
            same += list(test.rows or ()) == rows
    assert same <= len(answers) // 3
