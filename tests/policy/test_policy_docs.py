"""docs/policies.md against the code: every key, kind of statement, mask and parameter is there, and no other."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING
from pathlib import Path

import pytest

from proxy.policy import load_rules
from proxy.policy.maskparts import LONGEST_JSON
from proxy.policy.masks import KEPT, LONGEST, MASKS, MAX_SHOWN, PLANNED_MASKS, parameters
from proxy.policy.rules import DEFAULT_STATEMENTS, Predicates, StatementKind

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text below a heading, up to the next heading of any level."""
    match = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no heading {title}"
    return match[1]


def rows(text: str) -> dict[str, list[str]]:
    """First cell of each table row, without backquotes, to the other cells."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.M)]
    return {cells[0].strip("`"): cells[1:] for cells in found if cells[0].startswith("`")}


def keys_in_code(reader: str) -> set[str]:
    """The keys that a section's reader gives to `fields`, wherever it spells them."""
    files = Path(load_rules.__file__).parent.glob("load_*.py")
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    functions = (n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    function = next(n for n in functions if n.name == reader)
    tuples = [n for n in ast.walk(function) if isinstance(n, ast.Tuple)]
    texts: list[list[str]] = [
        [e.value for e in t.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)] for t in tuples
    ]
    return set(sorted([[], *texts], key=len)[-1])


def test_every_section_is_documented() -> None:
    assert set(rows(section("Sections"))) == {"version", "enforce", *load_rules.SECTIONS}


@pytest.mark.parametrize("name", load_rules.SECTIONS)
def test_every_key_is_documented(name: str) -> None:
    assert set(rows(section(name))) == keys_in_code(f"read_{name}")


def test_every_key_of_an_exception_is_documented() -> None:
    assert set(rows(section("except"))) == keys_in_code("_exemption")


def test_every_sort_of_predicates_is_documented() -> None:
    assert set(rows(section("predicates"))) == {kind.value for kind in Predicates}


def test_every_kind_of_statement_is_documented() -> None:
    line = re.search(r"^Kinds of statement: (.*?)\. A kind", PAGE, re.MULTILINE | re.DOTALL)
    assert line is not None
    assert re.findall(r"`(\w+)`", line[1]) == [kind.value for kind in StatementKind]
    default = re.search(r"^  statements: \[(.*)\]$", PAGE, re.MULTILINE)
    assert default is not None
    assert set(default[1].split(", ")) == {kind.value for kind in DEFAULT_STATEMENTS}


def test_every_mask_is_documented() -> None:
    assert list(rows(section("Masks"))) == list(MASKS)


@pytest.mark.parametrize("name", MASKS)
def test_every_parameter_is_documented_with_its_default(name: str) -> None:
    found = parameters(MASKS[name])
    text = section(name)
    if not found:
        assert text.strip().startswith("Takes no parameters.")
        return
    documented = {key: cells[0].strip("`") for key, cells in rows(text).items()}
    words = {MISSING: "required", None: "NULL"}
    assert documented == {key: words.get(f.default, str(f.default)) for key, f in found.items()}


def test_every_planned_mask_is_documented() -> None:
    assert set(re.findall(r"`(\w+)`", section("Not implemented yet"))) == PLANNED_MASKS


def test_numbers_are_the_code_s() -> None:
    text = section("partial")
    assert f"the space and `{KEPT.strip()}`" in text
    assert f"{LONGEST:,} characters" in text
    assert f"0 to {MAX_SHOWN}" in text
    text = section("Arrays and parts of values")
    assert f"over {LONGEST:,} elements" in text
    assert f"over {LONGEST_JSON:,} characters" in text
