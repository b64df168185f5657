"""What the demo prints where there is no terminal: plain lines, whole, without control characters."""

from __future__ import annotations

import io
import socket

import pytest
from rich.console import Console

from proxy.demo.child import check_free
from proxy.demo.screen import Screen
from proxy.errors import ConfigError
from proxy.settings.addresses import HostPort


def show(screen: Screen) -> None:
    """One of each."""
    screen.heading("1. Heading")
    screen.say("[not markup] :smile: 42")
    screen.sql("SELECT 1\nFROM shop.customers")
    screen.output("x" * 200 + "\n  kept\n")
    screen.side_by_side(("", "dba sees", "analyst sees"), [[("name", "Priya Sharma", "P**** ******")]])
    with screen.working("Working", "Worked"):
        pass
    with screen.counting("Counting") as count:
        count("rows", 1, 2)


def plain(encoding: str = "utf-8", term: str = "xterm") -> tuple[Screen, io.BytesIO]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", write_through=True)
    console = Console(file=file, width=100, highlight=False, emoji=False, markup=False, _environ={"TERM": term})
    return Screen(console), raw


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_pipe_gets_plain_lines(encoding: str) -> None:
    screen, raw = plain(encoding)
    show(screen)
    text = raw.getvalue().decode(encoding)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "[not markup] :smile: 42\n" in text
    assert "  SELECT 1" in text
    assert "x" * 200 + "\n    kept\n" in text, "a program's output is neither wrapped nor trimmed"
    assert "Working ...\nWorked (0.0 s)\n" in text
    assert "Counting ...\n" in text
    (row,) = [line for line in text.splitlines() if "Priya" in line]
    assert row.index("Priya Sharma") < row.index("P**** ******")


def test_a_dumb_terminal_gets_no_control_sequences() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    environment = {"TERM": "dumb"}
    show(Screen(Console(file=file, force_terminal=True, width=80, highlight=False, _environ=environment)))
    assert b"\x1b" not in raw.getvalue()
    assert b"Working ..." in raw.getvalue()


def test_what_an_encoding_lacks_is_replaced() -> None:
    screen, raw = plain("ascii")
    screen.say("राजेश")
    assert raw.getvalue() == b"?????\n"


def test_a_port_in_use_is_an_error_that_says_how_to_take_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = HostPort("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConfigError, match="address already in use") as caught:
            check_free(address, "PGVEIL_LISTEN")
    assert str(caught.value).startswith(f"cannot listen on 127.0.0.1:{address.port}")
    assert "PGVEIL_LISTEN=127.0.0.1:" in str(caught.value.hint)
    check_free(address, "PGVEIL_LISTEN")
