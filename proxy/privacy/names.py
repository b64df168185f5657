"""People's names in a text: by the words around them and by lists of names, with a veto of ordinary words.

A name is a run of words. Words that stand behind a title ("Dr X", "श्री X", "திரு X") or a naming word ("named X") start
one, whatever they are. Elsewhere a run of capitalised unknown words and listed names counts only with evidence: a
listed name that is no ordinary word, a first name beside a last name, or a cue on either side ("X's email",
"prescribed by X", "X नाम का", "X என்பவரின்").

Capitals say nothing in a text that is all capitals or all title case; there only lists and cues speak. It does not
know every name: one that is in no list, in lower case and without a cue is left to the exact match with the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import regex

from proxy.privacy import cues, gazetteer
from proxy.privacy.spans import CUE, NAMES, Span
from proxy.privacy.tokens import Word, cut, is_shouted
from proxy.privacy.words import is_common, is_people, is_place, is_stop

MAX_WORDS = 4
"""Words in one name, initials apart."""

_JOIN = regex.compile(r"[ ]{1,3}|\.[ ]?|-|[ ]?[\"'(][ ]?")
_SENTENCE_END = regex.compile(r"[.?!:;\n]")
_QUOTED = regex.compile(
    r"(?P<cue>=|\b(?:is|was|equals?|named|called|by|of|for|like|name|to)\b|\b\p{L}+)[ ]*[:=]?[ ]*"
    r"(?:'(?P<a>[^'\n]{2,80})'|\"(?P<b>[^\"\n]{2,80})\")"
)


class NameFinder:
    """Finds names of people in folded text. Loads the lists of names once."""

    def __init__(self) -> None:
        self._names = gazetteer.load()

    def find(self, text: str, known: frozenset[str]) -> list[Span]:
        """Spans of people's names in folded `text`; `known` are the schema's words in lower case."""
        return list(_Reading(text, known, self._names).spans())

    def may_be_name(self, text: str, span: Span, known: frozenset[str]) -> bool:
        """The veto on what a model marks: some word of it is no ordinary word and none of the schema's."""
        words = [word.lower for word in cut(text[span.start : span.end])]
        return any(
            w not in known and not any(test(w) for test in (is_stop, is_common, is_place, is_people)) for w in words
        )


class _Reading:
    """One text while it is read."""

    def __init__(self, text: str, known: frozenset[str], names: gazetteer.Gazetteer) -> None:
        self.text = text
        self.known = known
        self.names = names
        self.words = cut(text)
        self.capitals_speak = not is_shouted(self.words)

    def spans(self) -> Iterator[Span]:
        yield from self._announced()
        yield from self._quoted()
        yield from self._runs()

    # --- what one word is

    def _refused(self, word: Word) -> bool:
        """Never part of a name found by a guess."""
        lower = word.lower
        return is_stop(lower) or lower in self.known or lower in cues.TITLES or lower in cues.NAMED_AFTER

    def _capital(self, word: Word) -> bool:
        return self.capitals_speak and word.text[0].isupper()

    def _ordinary(self, word: Word) -> bool:
        return is_common(word.lower) or is_place(word.lower) or is_people(word.lower)

    def _base(self, word: Word) -> str | None:
        return self.names.base(word.lower)

    def _listed(self, word: Word) -> bool:
        """A name of the lists that is nothing else."""
        return not self._refused(word) and not self._ordinary(word) and self._base(word) is not None

    def _unknown(self, word: Word) -> bool:
        """No ordinary word. One in capitals amid others that are not is an abbreviation."""
        if len(word.text) < 2 or (self.capitals_speak and word.text.isupper()):  # noqa: PLR2004
            return False
        return not self._refused(word) and not self._ordinary(word)

    # --- names that a word before them announces

    def _announced(self) -> Iterator[Span]:
        for index, word in enumerate(self.words):
            cue = word.lower
            after = index + 1
            if cue in cues.TITLES or (cue in cues.WEAK_TITLES and cue not in self.known):
                found = self._take(after, sure=cue in cues.TITLES)
            elif cue in cues.NAMING:
                found = self._take(self._behind_link(after), sure=False) if self._names_person(index) else None
            elif cue in cues.ROLES:
                found = self._take(after, sure=False)
            elif self._is_done_by(index) or self._is_belonging_of(index) or self._introduces(index):
                found = self._take(after, sure=False, lower=False)
            else:
                continue
            if found:
                yield self._span(*found, CUE, 0.8)

    def _behind_link(self, index: int) -> int:
        return index + 1 if index < len(self.words) and self.words[index].lower in cues.NAMING_LINKS else index

    def _names_person(self, index: int) -> bool:
        """Whether "named" or "name" at `index` is about a person: not "product named", and "name" only with a link."""
        before = self.words[index - 1].lower if index else ""
        if before in cues.THINGS or before.rstrip("s") in cues.THINGS:
            return False
        if self.words[index].lower != "name":
            return True
        after = self.words[index + 1] if index + 1 < len(self.words) else None
        return after is not None and (after.lower in cues.NAMING_LINKS or any(c in after.gap for c in "=:"))

    def _is_done_by(self, index: int) -> bool:
        return index > 0 and self.words[index].lower in {"by", "to"} and self.words[index - 1].lower in cues.DONE_BY

    def _is_belonging_of(self, index: int) -> bool:
        return (
            index > 0
            and self.words[index].lower in {"of", "for"}
            and self.words[index - 1].lower in cues.PRIVATE_BELONGINGS
        )

    def _introduces(self, index: int) -> bool:
        """ "I am X", "who is X", "this is X"."""
        pair = (self.words[index - 1].lower if index else "", self.words[index].lower)
        return pair in {("i", "am"), ("who", "is"), ("who", "was"), ("this", "is")} or pair[1] == "i'm"

    def _take(self, index: int, *, sure: bool, lower: bool = True) -> tuple[int, int] | None:
        """The name that starts at word `index`, as (first, last + 1), or None. Gaps must join words into one name.

        `sure`: the first word is a name unless questions are made of it. `lower`: a word in lower case may start it.
        """
        taken = index
        while taken < len(self.words) and taken - index < MAX_WORDS:
            word = self.words[taken]
            first = taken == index
            if not _JOIN.fullmatch(word.gap) and not (first and _is_link(word.gap)):
                break
            if not (self._starts(word, sure=sure, lower=lower) if first else self._continues(taken, sure=sure)):
                break
            taken += 1
            if word.possessive or word.honoured:
                break
        while taken > index and self.words[taken - 1].lower in cues.PARTICLES:
            taken -= 1
        return (index, taken) if taken > index else None

    def _starts(self, word: Word, *, sure: bool, lower: bool) -> bool:
        if word.is_initial:
            return True
        if word.lower in self.known or is_stop(word.lower):
            return sure and self._capital(word) and self._base(word) is not None
        if self._listed(word) or (sure and self._capital(word)):
            return True
        if sure:
            return not self._ordinary(word) or self._base(word) is not None
        if not self._unknown(word):
            return False
        return self._capital(word) or (lower and not (word.has_case and len(word.text) <= 2))  # noqa: PLR2004

    def _continues(self, index: int, *, sure: bool) -> bool:
        word = self.words[index]
        if word.is_initial:
            return True
        if word.lower in cues.PARTICLES and index + 1 < len(self.words):
            return word.gap == " " and self._capital(self.words[index + 1])
        if self._refused(word):
            return False
        if word.has_case:
            named = self._listed(word) or (self._capital(word) and self._base(word) is not None)
            return named or (self._capital(word) and self._unknown(word))
        return self._listed(word) or (self._unknown(word) and (sure or self._is_marked(index)))

    # --- names in quotes

    def _quoted(self) -> Iterator[Span]:
        for match in _QUOTED.finditer(self.text):
            group = "a" if match["a"] is not None else "b"
            start, end = match.span(group)
            cue = match["cue"].lower()
            inside = [w for w in self.words if start <= w.start and w.end <= end]
            if not inside or cue in cues.THINGS or not (cue in {"=", *cues.QUOTE_CUES} or cue in cues.ROLES):
                continue
            if self._thing_before(match.start()) or not any(self._unknown(w) for w in inside):
                continue
            person = all(self._unknown(w) or w.is_initial or self._base(w) for w in inside) and len(inside) <= MAX_WORDS
            yield Span(start, end, "PERSON" if person else "VALUE", 0.7, CUE)

    def _thing_before(self, position: int) -> bool:
        before = [w.lower for w in self.words if w.end <= position][-2:]
        return any(w in cues.THINGS for w in before)

    # --- names that speak for themselves, or with what stands around them

    def _runs(self) -> Iterator[Span]:
        index = 0
        while index < len(self.words):
            end = self._run_end(index)
            if end == index:
                index += 1
                continue
            start, end = self._in_lower_case(self._without_verb(index, end), end)
            source = self._evidence(start, end)
            if source is not None:
                yield self._span(start, end, source, 0.8 if source == CUE else 0.65)
            index = end

    def _run_end(self, index: int) -> int:
        end = index
        while end < len(self.words) and end - index < MAX_WORDS:
            word = self.words[end]
            if end > index and not _JOIN.fullmatch(word.gap):
                break
            if end > index and word.gap.startswith(".") and not self.words[end - 1].is_initial:
                break
            if not self._candidate(end, alone=end == index):
                break
            end += 1
            if word.possessive or word.honoured:
                break
        while end > index and self.words[end - 1].lower in cues.PARTICLES | {"a", "i"}:
            end -= 1
        return end

    def _candidate(self, index: int, *, alone: bool) -> bool:
        word = self.words[index]
        if word.is_initial:
            return word.lower not in {"a", "i"} or not alone
        if not alone and word.lower in cues.PARTICLES and index + 1 < len(self.words):
            return self._capital(self.words[index + 1]) and not self._refused(self.words[index + 1])
        if self._refused(word):
            return alone and self._leads_pair(index)
        if self._listed(word):
            return True
        if word.has_case:
            return self._capital(word) and (self._unknown(word) or self._base(word) is not None)
        return self._unknown(word) and self._is_marked(index)

    def _leads_pair(self, index: int) -> bool:
        """A question word that is a first name, inside a sentence and before a last name: "of Will Smith"."""
        word = self.words[index]
        follower = self.words[index + 1] if index + 1 < len(self.words) else None
        return (
            follower is not None
            and index > 0
            and follower.gap == " "
            and self._capital(word)
            and not _SENTENCE_END.search(word.gap)
            and word.lower in self.names.first
            and word.lower not in self.known
            and self._capital(follower)
            and follower.lower in self.names.last
            and not self._refused(follower)
        )

    def _without_verb(self, start: int, end: int) -> int:
        """The run without a capitalised word that only starts the sentence: "Reimburse Asha Rao"."""
        word = self.words[start]
        starts_sentence = start == 0 or _SENTENCE_END.search(word.gap) is not None
        follower = self.words[start + 1].lower if end - start > 1 else ""
        if starts_sentence and self._base(word) is None and follower in self.names.first:
            return start + 1
        return start

    def _in_lower_case(self, start: int, end: int) -> tuple[int, int]:
        """The run with an unknown word beside a listed one, where nothing is capitalised: "krisztian smith"."""
        if end - start != 1 or self._capital(self.words[start]) or not self.words[start].has_case:
            return start, end
        word = self.words[start]
        if word.lower in self.names.first:
            follows = end < len(self.words) and self.words[end].gap == " " and not word.possessive
            return start, end + 1 if follows and self._plain_unknown(end) else end
        before = start > 0 and word.gap == " " and self._plain_unknown(start - 1)
        return start - 1 if before else start, end

    def _plain_unknown(self, index: int) -> bool:
        word = self.words[index]
        return word.text.islower() and self._unknown(word) and len(word.text) > 3  # noqa: PLR2004

    def _is_marked(self, index: int) -> bool:
        """Devanagari and Tamil have no capitals: a postposition or an honorific behind the word says it is a noun."""
        after = self.words[index + 1] if index + 1 < len(self.words) else None
        return (
            after is not None
            and after.gap == " "
            and (after.lower in cues.POSTPOSITIONS or after.lower in cues.HONORIFICS or after.lower in cues.NAMED_AFTER)
        )

    def _evidence(self, start: int, end: int) -> str | None:
        run = self.words[start:end]
        if not run or all(word.is_initial for word in run):
            return None
        if self._cue_after(end) or self._cue_around(start, end):
            return CUE
        if any(self._listed(word) for word in run) or self._far_evidence(run):
            return NAMES
        pairs = pairwise(run)
        if any(a.lower in self.names.first and b.lower in self.names.last for a, b in pairs):
            return NAMES
        return None

    def _far_evidence(self, run: list[Word]) -> bool:
        """The far lists: a capitalised first name, or any of their names in a run of several words."""
        capitals = [word for word in run if self._capital(word) and self._unknown(word)]
        if len(run) == 1:
            return bool(capitals) and capitals[0].lower in self.names.far_first
        return any(self.names.is_far(word.lower) for word in capitals) or (
            not run[0].has_case and all(self.names.is_far(word.lower) for word in run)
        )

    def _cue_after(self, end: int) -> bool:
        word = self.words[end - 1]
        if word.honoured:
            return True
        if end >= len(self.words):
            return False
        after = self.words[end]
        if after.lower in cues.HONORIFICS or after.lower in cues.NAMED_AFTER:
            return after.gap in {" ", "-", ", "} and after.lower not in self.known
        if word.possessive:
            return any(w.lower in cues.BELONGINGS for w in self.words[end : end + 4])
        second = self.words[end + 1].lower if end + 1 < len(self.words) else ""
        return after.lower in {"का", "की", "के"} and second in cues.BELONGINGS

    def _cue_around(self, start: int, end: int) -> bool:
        """ "did X buy"."""
        before = self.words[start - 1].lower if start else ""
        after = self.words[end].lower if end < len(self.words) else ""
        return before in cues.AUXILIARIES and after in cues.DEEDS

    def _span(self, first: int, last: int, source: str, score: float) -> Span:
        words = self.words[first:last]
        start, end = words[0].start, words[-1].end
        base = self._base(words[-1])
        value = None
        if base is not None and base != words[-1].lower:
            value = self.text[start : words[-1].start] + base
        return Span(start, end, "PERSON", score, source, value=value)


def _is_link(gap: str) -> bool:
    """Whether what stands between a cue and a name is only a sign: "name = X", "patient: X", "Dr. X"."""
    return len(gap) <= 4 and not any(c.isalnum() for c in gap) and not set(gap) & set("?!;\n")  # noqa: PLR2004
