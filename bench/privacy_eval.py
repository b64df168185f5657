"""How much of the private data in labelled documents the detector masks, and how much else.

    python bench/privacy_eval.py DATA [--misses N] [--type TYPE] [--extras N]

DATA is a .jsonl of {"text", "spans": [{"start", "end", "type"}]} or a .conll of word, tab, BIO label. No database is
asked: this is the floor. For each type of label: how many there are, and how many are masked whole (every letter and
digit). For what the detector masks: how many of its spans touch a label of any type ("right"), and how many of the
documents without a private label it leaves alone. Organisations, places, dates, titles, ages and nationalities are
not private to this detector; a span on one of those counts as neither right nor wrong.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from proxy.privacy.detect import Detector
from proxy.privacy.question import settle
from proxy.privacy.spans import Span

NOT_PRIVATE = frozenset(
    {
        *("GPE", "ORGANIZATION", "DATE_TIME", "TITLE", "AGE", "NRP", "ZIP_CODE", "DOMAIN_NAME"),
        *("LOCATION", "CORPORATION", "GROUP", "CREATIVE-WORK", "PRODUCT"),
    }
)


@dataclass
class Document:
    text: str
    labels: list[tuple[int, int, str]]


@dataclass
class Tally:
    labels: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)
    right: int = 0
    wrong: int = 0
    clean: int = 0
    flagged: int = 0
    misses: list[tuple[str, str, str]] = field(default_factory=list)
    extras: list[tuple[str, str, str]] = field(default_factory=list)


def read(path: Path) -> Iterator[Document]:
    if path.suffix == ".jsonl":
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            yield Document(row["text"], [(s["start"], s["end"], s["type"]) for s in row["spans"]])
        return
    for block in path.read_text("utf-8").split("\n\n"):
        words = [line.split("\t") for line in block.splitlines() if "\t" in line]
        if words:
            yield from_bio(words)


def from_bio(words: list[list[str]]) -> Document:
    """A sentence of words with BIO labels, joined by single spaces."""
    text = ""
    labels: list[tuple[int, int, str]] = []
    for word, label in words:
        start = len(text) + 1 if text else 0
        text = f"{text} {word}" if text else word
        if label.startswith("B-"):
            labels.append((start, len(text), label[2:].upper()))
        elif label.startswith("I-") and labels:
            labels[-1] = (labels[-1][0], len(text), labels[-1][2])
    return Document(text, labels)


def score(document: Document, spans: tuple[Span, ...], tally: Tally) -> None:
    text = document.text
    covered = {i for span in spans for i in range(span.start, span.end)}
    for start, end, kind in document.labels:
        tally.labels[kind] += 1
        if all(i in covered or not text[i].isalnum() for i in range(start, end)):
            tally.whole[kind] += 1
        else:
            tally.misses.append((kind, text[start:end], text))
    for span in spans:
        kinds = {kind for start, end, kind in document.labels if span.start < end and start < span.end}
        if kinds - NOT_PRIVATE:
            tally.right += 1
        elif not kinds:
            tally.wrong += 1
            tally.extras.append((f"{span.type}/{span.source}", text[span.start : span.end], text))
    if not any(kind not in NOT_PRIVATE for _, _, kind in document.labels):
        tally.clean += 1
        tally.flagged += bool(spans)


def report(tally: Tally, documents: int, seconds: float) -> None:
    for kind, count in tally.labels.most_common():
        note = "  (not private here)" if kind in NOT_PRIVATE else ""
        print(f"{kind:20} {count:5}  masked whole {tally.whole[kind]:5}  {tally.whole[kind] / count:6.1%}{note}")
    judged = tally.right + tally.wrong
    print(f"spans right {tally.right} of {judged} ({tally.right / max(judged, 1):.1%})")
    print(f"documents without private labels: {tally.clean}, flagged {tally.flagged / max(tally.clean, 1):.1%}")
    print(f"{documents} documents, {1000 * seconds / max(documents, 1):.1f} ms each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--misses", type=int, default=0, help="show this many labels that were not masked whole")
    parser.add_argument("--extras", type=int, default=0, help="show this many spans that touch no label")
    parser.add_argument("--type", default=None, help="only misses of this type")
    options = parser.parse_args()
    detector = Detector()
    tally = Tally()
    documents = list(read(options.data))
    started = time.perf_counter()
    for document in documents:
        score(document, settle(document.text, detector.detect(document.text)), tally)
    report(tally, len(documents), time.perf_counter() - started)
    misses = [miss for miss in tally.misses if options.type in {None, miss[0]}]
    for kind, value, text in misses[: options.misses] + tally.extras[: options.extras]:
        print(f"{kind:16} {value!r} in {text[:160]!r}")


if __name__ == "__main__":
    main()
