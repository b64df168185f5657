"""The audit trail: what a line holds, that nothing blocks, and that a digest cannot be guessed."""

from __future__ import annotations

import hashlib
import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.ops.audit import Audit, AuditRecord

SECRET = "123-45-6789"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def record(session: int = 1, **fields: Any) -> AuditRecord:
    return AuditRecord(session=session, user="analyst", roles=("analyst",), kind="select", outcome="plain", **fields)


def test_a_record_is_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with Audit(path) as audit:
        audit.record(record(sqlstate="42501", digest=audit.digest("SELECT 1"), masks=2))
    (line,) = read(path)
    assert line.pop("ts").endswith("+00:00")
    assert len(line.pop("digest")) == 32
    assert line == {
        "session": 1,
        "user": "analyst",
        "roles": ["analyst"],
        "kind": "select",
        "outcome": "plain",
        "sqlstate": "42501",
        "masks": 2,
        "policy": "",
        "raw_predicates": [],
    }


def test_a_record_names_the_policy_and_what_it_let_pass(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    shadow = {"policy": "0f", "change": "masks", "masks_added": ({"relation": "hr.emp", "column": "ssn"},)}
    with Audit(path) as audit:
        audit.record(record(policy="1a2b", raw_predicates=("hr.emp.ssn",), shadow=shadow))
    (line,) = read(path)
    assert (line["policy"], line["raw_predicates"]) == ("1a2b", ["hr.emp.ssn"])
    assert line["shadow"] == {**shadow, "masks_added": [{"relation": "hr.emp", "column": "ssn"}]}


def test_a_record_may_be_written_later_than_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with Audit(path) as audit:
        audit.record(record(), datetime(2026, 5, 1, 12, tzinfo=UTC))
    assert read(path)[0]["ts"] == "2026-05-01T12:00:00.000000+00:00"


def test_records_keep_their_order_and_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for start in (0, 500):
        with Audit(path) as audit:
            for number in range(start, start + 500):
                audit.record(record(number))
    assert [line["session"] for line in read(path)] == list(range(1000))


def test_a_digest_needs_the_key(tmp_path: Path) -> None:
    text = f"SELECT 1 WHERE ssn = '{SECRET}'"
    with Audit(tmp_path / "a.jsonl") as one, Audit(tmp_path / "b.jsonl") as two:
        digest = one.digest(text)
        assert digest == one.digest(text)
        assert digest != one.digest(text + " ")
        assert digest != two.digest(text)
        assert digest != hashlib.sha256(text.encode()).hexdigest()[:32]


def test_the_key_is_kept_for_the_next_start_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with Audit(path) as audit:
        before = audit.digest("SELECT 1")
    with Audit(path) as audit:
        assert audit.digest("SELECT 1") == before
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["audit.jsonl", "audit.jsonl.key"]


def test_a_text_that_is_not_unicode_has_a_digest(tmp_path: Path) -> None:
    with Audit(tmp_path / "audit.jsonl") as audit:
        assert audit.digest("\udcff") != audit.digest("?")


def test_no_path_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Audit(None) as audit:
        audit.record(record(digest=audit.digest("SELECT 1")))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened: No such file or directory") as caught:
        Audit(tmp_path / "nowhere" / "audit.jsonl")
    assert "audit.path" in str(caught.value.hint)


def test_a_broken_key_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match="is not 32 bytes"):
        Audit(tmp_path / "audit.jsonl")


def test_a_full_disk_counts_what_is_lost() -> None:
    lost: list[int] = []
    audit = Audit(Path("/dev/full"), on_lost=lambda: lost.append(1), key=b"k" * 32)
    for number in range(3):
        audit.record(record(number))
    audit.close()
    assert len(lost) == 3


def test_reopen_follows_a_file_that_was_moved(tmp_path: Path) -> None:
    path, moved = tmp_path / "audit.jsonl", tmp_path / "audit.1"
    with Audit(path) as audit:
        audit.record(record(1))
    with Audit(path) as audit:
        path.rename(moved)
        audit.reopen()
        audit.record(record(2))
    assert [line["session"] for line in read(moved)] == [1]
    assert [line["session"] for line in read(path)] == [2]


def test_closing_twice_does_nothing(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.close()
    audit.close()
    assert read(tmp_path / "audit.jsonl") == []
