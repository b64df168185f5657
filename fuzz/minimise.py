"""The smallest statement that still goes wrong: pieces are cut out of its text for as long as the fault stays.

It does not know SQL beyond words, quotes and parentheses: what a cut breaks, the judge finds broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from fuzz.cases import Case
from fuzz.oracle import Verdict

_WORD = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*(?:/\*.*?\*/|.)*?\*/|\w+|::|\s+|.""", re.DOTALL)

MOST_TRIALS = 1500
"""Each runs a statement; what is left then is small enough."""


def minimised(case: Case, wanted: Verdict, judge: Callable[[Case], Verdict]) -> Case:
    """The case with its longest text made shorter, for which `judge` still finds what it found."""
    at = max(range(len(case.steps)), key=lambda i: len(case.steps[i]))
    trials = 0

    def fails(words: list[str]) -> bool:
        nonlocal trials
        trials += 1
        return trials <= MOST_TRIALS and _alike(judge(_with(case, at, words)), wanted)

    words = [" " if word.isspace() or _is_comment(word) else word for word in _WORD.findall(case.steps[at])]
    if not fails(words):
        words = _WORD.findall(case.steps[at])
        if not fails(words):
            return case
    shorter = True
    while shorter and trials <= MOST_TRIALS:
        shorter = False
        for candidate in _shorter(words):
            if fails(candidate):
                words, shorter = candidate, True
                break
    return _with(case, at, words)


def _is_comment(word: str) -> bool:
    return word.startswith(("--", "/*"))


def _alike(found: Verdict, wanted: Verdict) -> bool:
    return (found.outcome, _gist(found)) == (wanted.outcome, _gist(wanted))


def _gist(verdict: Verdict) -> str:
    """The detail without names and numbers."""
    return re.sub(r'\([^()]*\)|"[^"]*"|\[[^\]]*\]|\d+', "", verdict.detail)


def _with(case: Case, at: int, words: list[str]) -> Case:
    text = "".join(words).strip()
    if "--" not in text:  # such a comment ends with its line
        text = re.sub(r"\s+", " ", text)
    return replace(case, steps=(*case.steps[:at], text, *case.steps[at + 1 :]))


def _shorter(words: list[str]) -> Iterator[list[str]]:
    """What is left without one piece, large ones first; in place of parentheses what stands in them, or a constant."""
    for start, end in sorted(_groups(words), key=lambda group: group[0] - group[1]):
        for instead in ([], ["1"], ["NULL"], words[start + 1 : end]):
            yield words[:start] + instead + words[end + 1 :]
    size = len(words) // 2
    while size > 0:
        for start in range(0, len(words), size):
            yield words[:start] + words[start + size :]
        size //= 2


def _groups(words: list[str]) -> list[tuple[int, int]]:
    found, opened = [], []
    for at, word in enumerate(words):
        if word == "(":
            opened.append(at)
        elif word == ")" and opened:
            found.append((opened.pop(), at))
    return found
