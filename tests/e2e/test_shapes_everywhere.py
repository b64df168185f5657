"""Plans of known shapes over real catalogues: what everyday clients, attackers and the fuzzer send, with other integers
in every place, is decided on as it is without shapes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import attack_cases
import everyday_cases
import policy_attack_world
from attack_world import read_catalog
from conftest import create_database

from fuzz import world as fuzz_world
from fuzz.cases import make_case
from fuzz.cells import USERS
from fuzz.scope import tables_for
from fuzz.shapes import TwoVeils
from proxy import localpg
from proxy.demo.load import schema_sql
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.policy.rules import Identity

FUZZED = 400


def two_veils(postgres: localpg.LocalPostgres, name: str, policy: Path, *scripts: str) -> TwoVeils:
    catalog = read_catalog(create_database(postgres, name, *scripts))
    return TwoVeils(Veil(load_policies(policy), catalog))


def identity(veils: TwoVeils, user: str) -> Identity:
    found = veils.policy.identify(user)
    assert found is not None
    return found


def vary(veils: TwoVeils, users: Iterable[str], texts: Iterable[str], search_path: tuple[str, ...]) -> None:
    who = [identity(veils, user) for user in users]
    for text in texts:
        for one in who:
            veils.vary(text, one, search_path, text)


def test_everyday_statements(postgres: localpg.LocalPostgres) -> None:
    folder = everyday_cases.FOLDER
    veils = two_veils(postgres, "shapes_everyday", folder / "policy.yaml", (folder / "schema.sql").read_text())
    texts = chain.from_iterable((case.sql, *case.statements) for case in everyday_cases.load_cases())
    vary(veils, ["analyst"], texts, ("shop", "public"))
    assert veils.shaped > 400


def test_attack_statements(postgres: localpg.LocalPostgres) -> None:
    folder = attack_cases.FOLDER
    veils = two_veils(postgres, "shapes_attacks", folder / "policy.yaml", attack_cases.schema())
    vary(veils, ["analyst"], [case.sql for case in attack_cases.load_cases()], ("hr", "shop", "public"))
    assert veils.shaped > 200


def test_statements_against_filters_limits_and_predicate_rules(postgres: localpg.LocalPostgres) -> None:
    folder = policy_attack_world.FOLDER
    veils = two_veils(postgres, "shapes_policy", folder / "policy.yaml", (folder / "schema.sql").read_text())
    cases = attack_cases.load_cases(sorted(folder.glob("[0-9]*.sql")))
    users = sorted({case.user for case in cases if case.user} | {policy_attack_world.USER})
    vary(veils, users, [case.sql for case in cases], ("ward", "public"))
    assert veils.shaped > 100


def test_statements_at_random(postgres: localpg.LocalPostgres) -> None:
    before, after = schema_sql()
    lab = (fuzz_world.HERE / "lab.sql").read_text()
    veils = two_veils(postgres, "shapes_fuzz", fuzz_world.POLICY, before, lab, after)
    who = {user: identity(veils, user) for user in USERS}
    tables = {user: tables_for(veils.cold, one) for user, one in who.items()}
    for number in range(FUZZED):
        case = make_case(number, tables)
        for step in case.steps:
            veils.vary(step, who[case.user], fuzz_world.SEARCH_PATH, number, times=3)
    assert veils.shaped > 200
