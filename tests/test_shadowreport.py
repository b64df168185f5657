"""`pgveil shadow`: what it counts, and that a trail that is torn, old or hostile is read for what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy import cli
from proxy.shadowreport import Line, report

SSN = {"relation": "hr.emp", "column": "ssn", "mask": "partial"}


def line(change: str = "same", *, policy: str = "0f0f", digest: str | None = "d1", **fields: Any) -> str:
    shadow: dict[str, Any] = {
        "policy": policy,
        "change": change,
        "outcome": "plain",
        "sqlstate": None,
        "masks_added": [],
    }
    shadow |= {"masks_removed": []} | {key: fields.pop(key) for key in list(fields) if key not in ("user", "roles")}
    return json.dumps({"user": "ana", "roles": ["analyst"], "digest": digest, "shadow": shadow, **fields})


def test_it_counts_by_change_user_role_and_column() -> None:
    found = report(
        [
            line(),
            line("masks", masks_added=[SSN]),
            line("masks", masks_added=[SSN], digest="d2"),
            line("masks", masks_added=[SSN], masks_removed=[{**SSN, "mask": "email"}]),
            line("refused", sqlstate="42501", user="eva"),
            line("login", sqlstate="28000", user="bob", roles=["a", "b"], digest=None),
        ]
    )
    assert (found.statements, found.changed) == (6, 5)
    assert [(item, dict(digests)) for item, digests in found.sorted()] == [
        (Line("login", "bob", ("a", "b"), "28000"), {"-": 1}),
        (Line("refused", "eva", ("analyst",), "42501"), {"d1": 1}),
        (Line("masks", "ana", ("analyst",), "+ hr.emp.ssn partial"), {"d1": 2, "d2": 1}),
        (Line("masks", "ana", ("analyst",), "- hr.emp.ssn email"), {"d1": 1}),
    ]


def test_only_the_version_that_was_tried_last_is_reported() -> None:
    found = report([line("masks", policy="old", masks_added=[SSN]), line("refused", sqlstate="42501", policy="new")])
    assert (found.policy, found.statements, found.older) == ("new", 1, 1)
    assert "statements held against other versions: 1" in found.text()


def test_what_is_no_record_is_counted_and_passed_over() -> None:
    torn = [line()[:40], "", "null", "[]", '{"shadow": {}}', '{"shadow": 7}', '{"shadow": {"policy": "x"}}', "\x00"]
    found = report([*torn, line()])
    assert (found.statements, found.unread) == (1, len(torn))
    without = json.dumps({"user": "ana", "roles": [], "digest": "d"})
    assert (report([without]).statements, report([without]).unread) == (0, 0)


def test_an_empty_trail_says_so() -> None:
    assert report([]).text() == "no statement in the trail was held against a shadow policy"


def test_a_users_name_does_not_move_the_terminal() -> None:
    text = report([line("login", user="bi_\x1b[2J\nx")]).text()
    assert "bi_?[2J?x" in text
    assert text.count("\n") == 3


def run(tmp_path: Path, *arguments: str) -> int:
    return cli.run(["shadow", "--audit", str(tmp_path / "audit.jsonl"), *arguments])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trail = tmp_path / "audit.jsonl"
    trail.write_text(line() + "\n")
    assert run(tmp_path) == 0
    assert capsys.readouterr().out == "shadow policy 0f0f: 0 of 1 statements would change\n"
    trail.write_text("".join(f"{line('masks', masks_added=[SSN], digest=d)}\n" for d in "abcde"))
    assert run(tmp_path) == 1
    head, empty, title, row = capsys.readouterr().out.splitlines()
    assert head == "shadow policy 0f0f: 5 of 5 statements would change"
    assert title.split() == ["CHANGE", "USER", "ROLES", "WHAT", "COUNT", "STATEMENTS"]
    assert row.split("  ")[0] == "masks"
    assert row.endswith("+ hr.emp.ssn partial  5      a b c and 2 more")
    assert empty == ""
    assert run(tmp_path, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["policy"], found["statements"], found["changed"]) == ("0f0f", 5, 5)
    assert found["changes"] == {"masks": 5}
    assert found["lines"][0]["what"] == "+ hr.emp.ssn partial"
    assert found["lines"][0]["digests"] == dict.fromkeys("abcde", 1)


def test_a_trail_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path) == 2
    assert "cannot be read" in capsys.readouterr().err
