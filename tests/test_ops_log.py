"""Logs: what they keep, and that no planted secret gets into one, whoever writes it and however."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.ops.log import DROPPED, SAFE_KEYS, configure_logging, get_logger

SECRET = "123-45-6789"


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    configure_logging(stream=io.StringIO())
    logging.captureWarnings(capture=False)
    logging.root.handlers[:], logging.root.level = handlers, level


@pytest.fixture
def out() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    return stream


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_the_event_its_keys_and_a_time(out: io.StringIO) -> None:
    get_logger("session").info("session opened", session=7, user="analyst", roles=("a", "b"), seconds=0.5)
    (line,) = lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "component": "session",
        "event": "session opened",
        "level": "info",
        "session": 7,
        "user": "analyst",
        "roles": ["a", "b"],
        "seconds": 0.5,
    }


def test_a_line_is_written_in_one_piece() -> None:
    """Several workers write to one file, and their lines must not end up inside each other."""
    written: list[str] = []

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return super().write(text)

    configure_logging(style="json", stream=Out())
    get_logger("session").info("session opened", session=1)
    get_logger("session").info("session closed", session=1)
    assert [text.count("\n") for text in written] == [1, 1]
    assert all(text.endswith("}\n") for text in written)


def test_an_unknown_key_is_dropped_and_counted(out: io.StringIO) -> None:
    before = DROPPED.count
    get_logger("x").info("statement", sql=f"SELECT '{SECRET}'", row=(SECRET,), kind="select")
    (line,) = lines(out)
    assert SECRET not in out.getvalue()
    assert line["dropped_keys"] == 2
    assert line["kind"] == "select"
    assert DROPPED.count == before + 2


def test_bound_keys_meet_the_same_rule(out: io.StringIO) -> None:
    get_logger("x").bind(session=1, password=SECRET).warning("login refused")
    (line,) = lines(out)
    assert line["session"] == 1
    assert SECRET not in out.getvalue()


class Holder:
    def __repr__(self) -> str:
        return SECRET


@pytest.mark.parametrize("value", [Holder(), [Holder()], {"a": SECRET}, SECRET.encode()])
def test_an_object_is_logged_as_its_type(out: io.StringIO, value: object) -> None:
    get_logger("x").info("statement", reason=value)
    assert SECRET not in out.getvalue()
    assert "reason" in lines(out)[0]


def test_an_exception_is_its_type_and_frames(out: io.StringIO) -> None:
    try:
        try:
            int(SECRET)
        except ValueError as error:
            raise ExceptionGroup(SECRET, [error, KeyError(SECRET)]) from error
    except ExceptionGroup:
        get_logger("x").error("session ended", exc_info=True)
    (line,) = lines(out)
    assert SECRET not in out.getvalue()
    trace = "\n".join(line["trace"])
    assert "builtins.ExceptionGroup" in trace
    assert "| builtins.KeyError" in trace
    assert "builtins.ValueError" in trace
    assert "test_ops_log.py" in trace
    assert "test_an_exception_is_its_type_and_frames" in trace


def test_an_exception_that_causes_itself_ends(out: io.StringIO) -> None:
    one, two = ValueError(SECRET), KeyError(SECRET)
    one.__cause__, two.__cause__ = two, one
    get_logger("x").error("session ended", exc_info=one)
    assert lines(out)[0]["trace"] == ["builtins.ValueError", "builtins.KeyError"]


def test_libraries_log_places_and_no_texts(out: io.StringIO) -> None:
    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("somelib").exception("failed for %s", SECRET)
    (line,) = lines(out)
    assert line["component"] == "somelib"
    assert line["level"] == "error"
    assert "test_ops_log.py" in line["place"]
    assert SECRET not in out.getvalue()


def test_warnings_log_no_texts(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(SECRET, stacklevel=1)
    assert lines(out)[0]["component"] == "py.warnings"
    assert SECRET not in out.getvalue()


async def test_a_task_that_nobody_awaited_logs_no_text(out: io.StringIO) -> None:
    async def fail() -> None:
        raise ValueError(SECRET)

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    assert any("builtins.ValueError" in line.get("trace", []) for line in lines(out))
    assert SECRET not in out.getvalue()


def test_control_characters_cannot_forge_a_line() -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)
    get_logger("x").info("login refused", user="eve\n2026 [info] session opened\x1b[2K")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_a_long_text_is_cut(out: io.StringIO) -> None:
    get_logger("x").info("login refused", user="x" * 100_000)
    assert len(out.getvalue()) < 1000


def test_level_and_style(out: io.StringIO) -> None:
    configure_logging("warning", "auto", out)
    get_logger("x").info("quiet")
    get_logger("x").warning("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]


def test_the_list_of_keys_has_no_key_for_data() -> None:
    assert not SAFE_KEYS & {"sql", "query", "question", "row", "value", "values", "params", "message", "error", "text"}
