"""Policy files: what they become, and every complaint with its place.

The files stand in `load/`: `accepted/` are policies, `refused/NAME.yaml` has its complaints in `NAME.problems`, one
per line, `line:column: message (hint)`.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ConfigError
from proxy.policy.load import PolicyProblems, load_policies, load_shadow, load_shadow_with_places, load_with_places
from proxy.policy.load_patterns import meet, read_column
from proxy.policy.load_signatures import normalised
from proxy.policy.masks import MASKS
from proxy.policy.model import Policy
from proxy.policy.patterns import ColumnPath, Step
from proxy.policy.rules import Exemption, Limits, Predicates, StatementKind

FILES = Path(__file__).parent / "load"
REFUSED = sorted((FILES / "refused").glob("*.yaml"))


def problems_of(path: Path) -> list[str]:
    with pytest.raises(PolicyProblems) as caught:
        load_policies(path)
    return [str(problem) for problem in caught.value.problems]


def written(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text, encoding="utf-8")
    return directory


@pytest.mark.parametrize("path", REFUSED, ids=lambda p: p.stem)
def test_refused(path: Path) -> None:
    expected = path.with_suffix(".problems").read_text(encoding="utf-8").splitlines()
    found = [text.replace(f"{path}:", "") for text in problems_of(path)]
    assert found == expected
    assert expected


def test_every_file_of_expectations_has_its_policy() -> None:
    assert {p.stem for p in (FILES / "refused").glob("*.problems")} == {p.stem for p in REFUSED}


@pytest.fixture(scope="module")
def whole() -> Policy:
    return load_policies(FILES / "accepted" / "whole.yaml")


def test_roles(whole: Policy) -> None:
    assert list(whole.roles) == ["dba", "analyst", "eu_desk"]
    assert whole.roles["dba"].bypass
    assert not whole.roles["analyst"].bypass
    assert whole.roles["analyst"].users == ("analyst", "bi_*")
    assert whole.roles["eu_desk"].attributes == {
        "region": "EU",
        "level": 3,
        "share": 0.5,
        "remote": True,
        "code": "007",
    }


def test_defaults_and_tables(whole: Policy) -> None:
    assert whole.statements == {StatementKind.SELECT, StatementKind.EXPLAIN, StatementKind.INSERT}
    assert not whole.allow_unnamed_tables
    analyst, desk = whole.identify("bi_one"), whole.identify("eva")
    assert analyst is not None
    assert desk is not None
    readable = [("shop", "orders"), ("hr", "emp"), ("hr", "dept"), ("hr", "departments"), ("clinic", "visits")]
    assert [whole.may_read(analyst, t) for t in readable] == [True, True, True, False, False]
    assert [whole.may_read(desk, t) for t in readable] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("column", "mask"),
    [
        ("hr.emp.ssn", MASKS["partial"]()),
        ("hr.emp.salary", MASKS["null"]()),
        ("hr.emp.born", MASKS["year"]()),
        ("hr.emp.grade", MASKS["constant"]("1.50")),  # type: ignore[call-arg]
        ("hr.emp.email", MASKS["email"]()),
        ("any.thing.email", MASKS["email"]()),
        ("hr.log.note", MASKS["redact"]("[hidden]")),  # type: ignore[call-arg]
        ("shop.orders.note", None),
        ("shop.items.note", MASKS["redact"]("[hidden]")),  # type: ignore[call-arg]
        ("hr.emp.id", None),
    ],
)
def test_masks(whole: Policy, column: str, mask: object) -> None:
    schema, table, name = column.split(".")
    analyst = whole.identify("analyst")
    assert analyst is not None
    rule = whole.mask_for(analyst, (schema, table), name)
    assert (rule.mask if rule else None) == mask


def test_except_frees_its_roles(whole: Policy) -> None:
    desk = whole.identify("eva")
    assert desk is not None
    assert whole.mask_for(desk, ("hr", "emp"), "ssn") is None
    assert whole.mask_for(desk, ("hr", "emp"), "salary") is not None


def test_functions_and_tests(whole: Policy) -> None:
    assert whole.trusted_functions == {
        "public.distance(point, point)",
        "public.f(integer, character varying, timestamp with time zone[])",
    }
    first, second = whole.tests
    assert (first.user, first.rows, first.refused) == (
        "analyst",
        (("***-**-6789", 1, 1.5, None, True, "2024-01-01"),),
        False,
    )
    assert (second.user, second.rows, second.refused) == ("bi_tool", None, True)


def test_rules_know_where_they_stand(whole: Policy) -> None:
    path = FILES / "accepted" / "whole.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    for rule in whole.masks:
        assert rule.where.file == str(path)
        assert lines[rule.where.line - 1][rule.where.column - 1 :].startswith("{")
        assert rule.mask.name in lines[rule.where.line - 1]


@pytest.fixture(scope="module")
def rules() -> Policy:
    return load_policies(FILES / "accepted" / "rules.yaml")


def test_lists_are_attributes_of_one_type(rules: Policy) -> None:
    assert rules.roles["desk"].attributes == {
        "region": "EU",
        "teams": ("blue", "7"),
        "levels": (1, 2),
        "shares": (0.5,),
        "flags": (True, False),
        "none": (),
    }


def test_an_attribute_that_two_roles_set_differently_is_none(rules: Policy) -> None:
    dan = rules.identify("dan")
    assert dan is not None
    assert dan.attribute("region") is None
    assert dan.attribute("level") == 2
    assert (dan.attribute("name"), dan.attribute("roles")) == ("dan", ("desk", "support"))


@pytest.mark.parametrize(
    ("column", "mask"),
    [
        ("hr.emp.email", "redact"),  # email inherits from contact
        ("hr.emp.ssn", "null"),  # national_id from pii
        ("hr.emp.note", "redact"),  # its own tag is nearer than the one that national_id inherits from
        ("hr.emp.other", "null"),  # no rule names it
        ("hr.emp.home", None),  # a part of it is named
    ],
)
def test_inherited_masks_and_drift(rules: Policy, column: str, mask: str | None) -> None:
    schema, table, name = column.split(".")
    eva = rules.identify("eva")
    assert eva is not None
    rule = rules.mask_for(eva, (schema, table), name)
    assert (rule.mask.name if rule else None) == mask


def test_parts_of_columns(rules: Policy) -> None:
    eva = rules.identify("eva")
    assert eva is not None
    found = rules.paths_for(eva, ("shop", "orders"), "payload")
    assert [(path, rule.mask.name) for path, rule in found] == [
        ((Step("buyer", json=True), Step("e.mail", json=True)), "redact"),
        ((Step("phone", json=True),), "redact"),
    ]
    banks = next(rule for rule in rules.masks if "hr.emp.iban" in rule.columns)
    assert banks.paths == (ColumnPath("hr.emp.bank", (Step("bic", json=False),)),)
    assert [str(path) for tag in rules.tags for path in tag.paths][-1] == "a.b.c.field->key"


def test_conditions_and_predicates(rules: Policy) -> None:
    by_column = {rule.columns[0]: rule for rule in rules.masks if rule.columns}
    when = by_column["hr.emp.pay"].when
    assert when is not None
    assert when.attributes == ("region",)
    assert when.columns == {"dept", "id"}
    card = by_column["hr.emp.card"]
    assert (card.predicates, card.reason) == (Predicates.RAW, "fraud desk compares cards")
    assert by_column["hr.emp.tax"].predicates is Predicates.DENY
    assert by_column["hr.emp.pay"].predicates is Predicates.MASKED


def test_exceptions_end(rules: Policy) -> None:
    moment = datetime(2026, 12, 31, 18, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    rule = next(rule for rule in rules.masks if rule.tag == "text")
    assert rule.exemptions == (Exemption("dba"), Exemption("support", moment, "leave cover", "anna"))
    assert rules.changes_at() == moment
    sue = rules.identify("sue")
    assert sue is not None
    note = (("hr", "emp"), "note")
    assert rules.at(moment - timedelta(seconds=1)).mask_for(sue, *note) is None
    assert rules.at(moment).mask_for(sue, *note) is not None


def test_row_filters(rules: Policy) -> None:
    eva, sue = rules.identify("eva"), rules.identify("sue")
    assert eva is not None
    assert sue is not None
    found = rules.filters_of(eva, ("shop", "orders"))
    assert [rule.condition.attributes for rule in found] == [("region", "teams"), ("name",)]
    assert [rule.condition.attributes for rule in rules.filters_of(sue, ("shop", "orders"))] == [("name",)]
    assert rules.filters_of(eva, ("hr", "dept")) == ()


def test_limits(rules: Policy) -> None:
    eva, sue = rules.identify("eva"), rules.identify("sue")
    assert eva is not None
    assert sue is not None
    assert rules.limits_for(eva) == Limits(100_000, 1_000_000, 30, 1e6, 4)
    assert rules.limits_for(sue) == Limits(100_000, 1_000_000, 0.5, 1e6, 4)


def test_what_tables_grant(rules: Policy) -> None:
    eva = rules.identify("eva")
    assert eva is not None
    assert all(rules.may_write(eva, ("shop", "orders"), StatementKind(k)) for k in ("insert", "update", "merge"))
    assert rules.revealed(eva, ("shop", "orders")) == {"email_key"}


def test_names_and_sqlstates_of_tests(rules: Policy) -> None:
    assert [(t.name, t.refused, t.sqlstate) for t in rules.tests] == [
        ("no ssn", False, None),
        (None, True, "42501"),
        (None, True, "0A000"),
        (None, True, None),
    ]


SHADOW = FILES / "accepted" / "shadow"


def test_the_shadow_is_a_policy_of_its_own() -> None:
    policy, shadow = load_policies(SHADOW), load_shadow(SHADOW)
    assert shadow is not None
    assert [rule.mask.name for rule in policy.masks] == ["partial"]
    assert [rule.mask.name for rule in shadow.masks] == ["null"]
    assert (policy.identify("bi_one"), policy.digest) != (shadow.identify("bi_one"), shadow.digest)
    assert load_with_places(SHADOW)[0] == policy
    found = load_shadow_with_places(SHADOW)
    assert found is not None
    assert found[0] == shadow
    assert load_shadow(FILES / "accepted" / "whole.yaml") is None


def test_the_shadow_s_problems_are_its_own(tmp_path: Path) -> None:
    good = "version: 1\nroles: {analyst: {users: [analyst]}}\n"
    written(tmp_path, a=good, b="version: 1\nenforce: false\nrolls: {}\n")
    expected = f"{tmp_path}/b.yaml:3:1: unknown key 'rolls' in a policy; did you mean roles?"
    digest = load_policies(tmp_path).digest
    for load in (load_shadow, load_with_places):
        with pytest.raises(PolicyProblems) as caught:
            load(tmp_path)
        assert [str(problem) for problem in caught.value.problems] == [expected]
    written(tmp_path, b="version: 1\nenforce: false\n")
    assert load_policies(tmp_path).digest == digest
    with pytest.raises(PolicyProblems, match="the policy has no role"):
        load_shadow(tmp_path)
    # And the other way round.
    written(tmp_path, a="version: 1\nrolls: {}\n", b=f"{good}enforce: false\n")
    assert load_shadow(tmp_path) is not None
    with pytest.raises(PolicyProblems, match="rolls"):
        load_policies(tmp_path)


def test_shadows_alone_enforce_nothing(tmp_path: Path) -> None:
    written(tmp_path, a="version: 1\nenforce: false\nroles: {analyst: {users: [analyst]}}\n")
    hint = "A shadow needs a policy that is enforced beside it."
    assert problems_of(tmp_path) == [
        f"{tmp_path}:1:1: every file says `enforce: false`: nothing would be enforced ({hint})"
    ]
    assert load_shadow(tmp_path) is not None


@pytest.mark.parametrize(
    ("text", "pattern", "steps"),
    [
        ("a.b.c", "a.b.c", ""),
        ("*.*.c->k", "*.*.c", "->k"),
        ("a.b.c.d.e", "a.b.c", ".d.e"),
        ("a.b.c.d->first-name->k2", "a.b.c", ".d->first-name->k2"),
        ('a.b.c->"x->y"->"q""t"', "a.b.c", '->x->y->q"t'),
        ("a.b.c->名前", "a.b.c", "->名前"),
    ],
)
def test_paths(text: str, pattern: str, steps: str) -> None:
    found, path = read_column(text)
    assert (found, "".join(map(str, path))) == (pattern, steps)


def test_a_directory_is_one_policy() -> None:
    policy = load_policies(FILES / "accepted" / "directory")
    assert list(policy.roles) == ["dba", "analyst"]
    assert policy.allow_unnamed_tables
    assert policy.statements == {StatementKind.SELECT}
    analyst = policy.identify("analyst")
    assert analyst is not None
    rule = policy.mask_for(analyst, ("shop", "customers"), "phone")
    assert rule is not None
    assert str(rule.where).endswith("20_shop.yml:6")


def test_aliases() -> None:
    roles = load_policies(FILES / "accepted" / "aliases.yaml").roles
    assert {name: role.users for name, role in roles.items()} == dict.fromkeys(
        ("analyst", "clerk", "desk"), ("analyst", "bi_*")
    )
    assert roles["clerk"].attributes == {"region": "US"}


def test_overlaps_that_are_settled() -> None:
    policy = load_policies(FILES / "accepted" / "resolved.yaml")
    analyst = policy.identify("analyst")
    assert analyst is not None
    rule = policy.mask_for(analyst, ("hr", "emp"), "email")
    assert rule is not None
    assert rule.mask.name == "redact"


def test_files_of_a_directory_conflict(tmp_path: Path) -> None:
    role = "roles: {analyst: {users: [analyst]}}\n"
    written(
        tmp_path,
        a=f"version: 1\n{role}defaults: {{tables: deny}}\nmasks:\n- {{columns: [a.b.c], mask: email}}\n",
        b=f"version: 1\n{role}defaults: {{tables: deny}}\nmasks:\n- {{columns: [a.b.c], mask: email}}\n",
    )
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    assert problems_of(tmp_path) == [
        f"{b}:2:9: the role analyst is defined twice (First at {a}:2.)",
        f"{b}:3:20: defaults.tables is set twice (First at {a}:3.)",
        f"{b}:5:14: a second mask for the column a.b.c; the first is at {a}:5 (Keep one of the two.)",
    ]


def test_one_bad_file_does_not_hide_the_problems_of_another(tmp_path: Path) -> None:
    written(tmp_path, a="version: 1\nroles: [", b="version: 1\nrules: 1\n")
    assert [text.split(": ", 1)[0] for text in problems_of(tmp_path)] == [
        f"{tmp_path}/a.yaml:3:1",
        f"{tmp_path}/b.yaml:2:1",
    ]


def test_what_is_no_policy(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("version: 1\n")
    (tmp_path / ".hidden.yaml").write_text("version: 1\n")
    assert problems_of(tmp_path) == [
        f"{tmp_path}:1:1: the directory holds no policy (Policies are files named *.yaml or *.yml.)"
    ]
    assert problems_of(tmp_path / "absent.yaml") == [
        f"{tmp_path}/absent.yaml:1:1: cannot be read: No such file or directory"
    ]


def test_what_has_a_policy_s_name_and_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """Without it the policy would have its rules no longer, and load."""
    written(tmp_path, a="version: 1\nroles: {analyst: {users: [analyst]}}\n")
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "folder.yml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    assert problems_of(tmp_path) == [
        f"{tmp_path}/folder.yml:1:1: cannot be read: it is no regular file",
        f"{tmp_path}/gone.yaml:1:1: cannot be read: No such file or directory",
        f"{tmp_path}/pipe.yaml:1:1: cannot be read: it is no regular file",
    ]


def test_a_link_to_a_policy_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    written(tmp_path / "data", a="version: 1\nroles: {analyst: {users: [analyst]}}\n")
    (tmp_path / "a.yaml").symlink_to("data/a.yaml")
    assert list(load_policies(tmp_path).roles) == ["analyst"]


@pytest.mark.parametrize(
    "name", [r"x\nDROP TABLE t; --", r"a\tb", r"nul\0", r"r\u2028x", r"turn\u202exyz", "", r"\x85"]
)
def test_names_of_roles_and_tags_are_on_one_line(tmp_path: Path, name: str) -> None:
    """They go into logs, reports and the comments of SQL."""
    role = f'version: 1\nroles: {{"{name}": {{users: [u]}}}}\n'
    tag = f'version: 1\nroles: {{r: {{users: [u]}}}}\ncolumns: [{{columns: [a.b.c], tag: "{name}"}}]\n'
    parent = f'version: 1\nroles: {{r: {{users: [u]}}}}\ntags: {{"{name}": pii}}\n'
    for text in (role, tag, parent):
        problems = problems_of(written(tmp_path, p=text))
        assert any("control character" in p or "no name" in p or "is empty" in p for p in problems), problems
        assert all(p.isprintable() for p in problems)


def test_names_in_any_script_are_names(tmp_path: Path) -> None:
    name = "\u0bae\u0bb0\u0bc1\u0ba4\u0bcd\u0ba4\u0bc1\u0bb5\u0bb0\u0bcd \u0915\u094d\u200d\u0937 q\"uo'te"
    policy = load_policies(written(tmp_path, p=f"version: 1\nroles: {{{json.dumps(name)}: {{users: [u]}}}}\n"))
    assert list(policy.roles) == [name]


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    written(tmp_path, a="version: 1\n" + "# comment\n" * 110_000)
    assert problems_of(tmp_path) == [
        f"{tmp_path}/a.yaml:1:1: the file has over 1048576 bytes (Split it into several files.)"
    ]


def test_the_error_says_everything_at_once() -> None:
    path = FILES / "refused" / "masks.yaml"
    with pytest.raises(ConfigError) as caught:
        load_policies(path)
    assert caught.value.message == f"the policies have {len(problems_of(path))} problems"
    assert str(caught.value).splitlines()[1:] == problems_of(path)


def test_the_digest_follows_names_and_bytes(tmp_path: Path) -> None:
    text = "version: 1\nroles: {analyst: {users: [analyst]}}\n"
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = written(tmp_path / "one", a=text), written(tmp_path / "two", a=text)
    assert load_policies(one).digest == load_policies(two).digest == load_policies(one / "a.yaml").digest
    written(two, a=text + "# a comment\n")
    assert load_policies(one).digest != load_policies(two).digest
    (one / "a.yaml").rename(one / "b.yaml")
    written(two, a=text)
    assert load_policies(one).digest != load_policies(two).digest


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a.b.c", "a.b.c", True),
        ("a.b.c", "a.b.d", False),
        ("*.*.email", "hr.*.*", True),
        ("*.*.email", "hr.emp.ssn", False),
        ("a.*x.c", "a.y*.c", True),
        ("a.x*.c", "a.y*.c", False),
        ("a.?.c", "a.??.c", False),
        ("a.?*.c", "a.*??.c", True),
        ("a.*a*b*.c", "a.*b*a*.c", True),
        ("a.ab*ba.c", "a.aba.c", False),
        ("a.[abc].c", "a.b.c", True),
        ("a.[abc].c", "a.d.c", False),
        ("a.[!abc].c", "a.b.c", False),
        ("a.[]x].c", "a.].c", True),
        ("a.[abc].c", "a.[xyz].c", True),
        ("a.B.c", "a.b.c", False),
    ],
)
def test_meet(first: str, second: str, expected: bool) -> None:
    assert meet(first, second) is expected
    assert meet(second, first) is expected


PARTS = st.text(alphabet="ab*?", max_size=5)
NAMES = ["".join(name) for length in range(9) for name in itertools.product("abc", repeat=length)][:4000]


@given(PARTS, PARTS)
def test_meet_agrees_with_matching(first: str, second: str) -> None:
    """Of patterns without [...], two meet where some name matches both; the names tried here are long enough."""
    both = any(fnmatch.fnmatchcase(n, first) and fnmatch.fnmatchcase(n, second) for n in NAMES)
    if both:
        assert meet(first, second)
    elif first.count("*") + second.count("*") < 2:
        assert not meet(first, second)


@pytest.mark.parametrize(
    ("written_as", "expected"),
    [
        ("public.f()", "public.f()"),
        ("public.f( )", "public.f()"),
        ("public.distance(point,point)", "public.distance(point, point)"),
        ("public.f(int, int4, int2, int8)", "public.f(integer, integer, smallint, bigint)"),
        ("public.f(FLOAT, float4, bool)", "public.f(double precision, real, boolean)"),
        ("public.f(varchar(10), char, bpchar)", "public.f(character varying, character, character)"),
        ("public.f(decimal(10, 2), numeric)", "public.f(numeric, numeric)"),
        ("public.f(timestamptz, timestamp(3))", "public.f(timestamp with time zone, timestamp without time zone)"),
        ("public.f(timestamp(3) with time zone)", "public.f(timestamp with time zone)"),
        ("public.f(time, timetz)", "public.f(time without time zone, time with time zone)"),
        ("public.f(pg_catalog.int4, pg_catalog.text)", "public.f(integer, text)"),
        ("public.f(int[], text[][], int [ ])", "public.f(integer[], text[], integer[])"),
        ("public.f(VARIADIC int[])", "public.f(integer[])"),
        ("public.f(shop.money, \"Shop\".\"my type\"[])", "public.f(shop.money, \"Shop\".\"my type\"[])"),
        ("public.f(\"char\", \"text\")", "public.f(\"char\", text)"),
        ("public.f(double  precision,\n  bit varying)", "public.f(double precision, bit varying)"),
        ("Public.F(INTEGER)", "Public.F(integer)"),
    ],
)  # fmt: skip
def test_signatures(written_as: str, expected: str) -> None:
    assert normalised(written_as) == expected


@pytest.mark.parametrize(
    "text",
    ["f(int)", "public.f", "public.f(int", "public.f(int))", "public.f(,)", "public.f(int,)", "a.b.c(int)", "",
     "public.f(a.b.c)", "public.f('int')", "public.f(int) returns int", "pub*.f(int)", 'public.f("int)'],
)  # fmt: skip
def test_what_is_no_signature(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not schema|no type|is a pattern"):
        normalised(text)


def test_a_tag_need_not_make_its_columns_private(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nroles: {ann: {users: [ann]}}\ndefaults: {columns: mask}\n"
        "columns:\n  - {columns: [shop.item.label], tag: known, private: false}\n"
        "  - {columns: [shop.item.word], tag: word}\n"
    )
    policy = load_policies(tmp_path)
    private = {name: policy.is_private(("shop", "item"), name) for name in ("label", "word", "unnamed")}
    assert private == {"label": False, "word": True, "unnamed": True}
