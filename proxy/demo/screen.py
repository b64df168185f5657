"""The demo on a terminal: headings, tables, SQL, and what clients printed.

On a terminal there are colours and progress bars; in a pipe, or where TERM is dumb, plain lines of the same text.
Characters that the output's encoding lacks become question marks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 100
_INDENT = 2


class Screen:
    """Prints the demo's parts, each whole before the next begins."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _standard_console()

    @property
    def _live(self) -> bool:
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def heading(self, text: str) -> None:
        self._console.print()
        self._console.rule(Text(text, style="bold"), align="left", characters="-")

    def say(self, text: str) -> None:
        self._console.print(Text(text))

    def sql(self, text: str) -> None:
        """SQL, indented; in colours on a terminal."""
        highlighted = Syntax("", "postgresql", theme="ansi_dark", background_color="default").highlight(text.strip())
        for line in highlighted.split("\n"):
            self._console.print(Text(" " * _INDENT) + line, soft_wrap=True)

    def output(self, text: str, style: str = "") -> None:
        """What a program printed, as it is: neither wrapped nor interpreted."""
        for line in text.rstrip("\n").split("\n"):
            self._console.print(Text(" " * _INDENT + line, style=style), soft_wrap=True)

    def side_by_side(self, heads: Sequence[str], groups: Sequence[Sequence[Sequence[str]]]) -> None:
        """A table; a line between the groups of rows."""
        table = Table(show_edge=False, pad_edge=False, header_style="bold")
        for number, head in enumerate(heads):
            table.add_column(head, style="dim" if number == 0 else "", overflow="fold")
        for group in groups:
            for row in group:
                table.add_row(*(Text(cell) for cell in row))
            table.add_section()
        self._console.print(Padding(table, (0, 0, 0, _INDENT), expand=False))

    @contextmanager
    def working(self, doing: str, done: str) -> Iterator[None]:
        """Shows `doing` while the block runs, then `done` with the time that it took."""
        started = time.monotonic()
        if self._live:
            with self._console.status(doing):
                yield
        else:
            self.say(f"{doing} ...")
            yield
        self.say(f"{done} ({time.monotonic() - started:.1f} s)")

    @contextmanager
    def counting(self, doing: str) -> Iterator[Counter]:
        """A bar that the block moves."""
        columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[what]}"))
        if not self._live:
            self.say(f"{doing} ...")
        with Progress(*columns, console=self._console, transient=True, disable=not self._live) as progress:
            yield Counter(progress)


class Counter:
    """Moves a progress bar; its form is what the loader calls."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, what="")

    def __call__(self, what: str, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total, what=what)


def _standard_console() -> Console:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(width=wide, highlight=False, emoji=False, markup=False)
