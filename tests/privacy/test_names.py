"""Names in questions: what is found by cue and by list, and what the vetoes leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import regex

from proxy.privacy.detect import Detector
from proxy.privacy.question import settle
from proxy.privacy.spans import CUE, Span

HERE = Path(__file__).parent


def lines(name: str) -> list[str]:
    text = (HERE / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


SCHEMA = frozenset(lines("schema_names.txt"))
HARMLESS = lines("harmless_questions.txt")
PRIVATE = lines("private_questions.txt")


def test_the_tables_are_as_long_as_they_should_be() -> None:
    assert len(HARMLESS) >= 60
    assert len(PRIVATE) >= 60


def test_at_most_one_harmless_question_in_forty_is_touched(detector: Detector) -> None:
    touched = [question for question in HARMLESS if detector.detect(question, SCHEMA)]
    assert len(touched) <= len(HARMLESS) / 40, touched


@pytest.mark.parametrize("marked", PRIVATE)
def test_private_data_is_masked_whole(detector: Detector, marked: str) -> None:
    secrets = regex.findall(r"\[\[(.*?)\]\]", marked)
    question = marked.replace("[[", "").replace("]]", "")
    left = list(question)
    for span in settle(question, detector.detect(question, SCHEMA)):
        left[span.start : span.end] = ["\0"] * span.length
    remaining = "".join(left)
    for secret in secrets:
        for word in regex.findall(r"[\p{L}\p{M}\p{N}]{2,}", secret):
            assert not regex.search(rf"(?<![\p{{L}}\p{{M}}]){word}(?![\p{{L}}\p{{M}}])", remaining)


@pytest.mark.parametrize(
    "question",
    [
        "orders for product named Zorblax",
        "customers in the city named Jalandhar",
        "products where category = 'Electronics'",
        "orders where status = 'pending'",
        "PATIENTS BY WARD AND DOCTOR",
        "Orders By Customer Segment",
        "the price of brown rice",
        "sales in may and june",
        "rose soap and mark pens sold in Austin",
        "Dr. visits per day",
        "customers of this month",
        "did revenue grow",
    ],
)
def test_ordinary_words_places_and_things_are_nobody(detector: Detector, question: str) -> None:
    assert detector.detect(question, SCHEMA) == ()


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("ரமேஷின் ஆர்டர்", "ரமேஷ்"),
        ("स्नेहाचे ऑर्डर", "स्नेहा"),
        ("अमित जाधवला फोन", "अमित जाधव"),
    ],
)
def test_a_case_ending_is_masked_but_not_part_of_the_value(detector: Detector, question: str, value: str) -> None:
    assert value in [span.value for span in detector.detect(question)]


def test_names_of_the_schema_are_never_private(detector: Detector) -> None:
    question = "average of Asha per Sharma"
    assert detector.detect(question)
    assert detector.detect(question, frozenset({"asha", "sharma"})) == ()


class _Model:
    """A stand-in for a trained recogniser that marks every word."""

    def find(self, text: str) -> list[Span]:
        return [Span(m.start(), m.end(), "PERSON", 0.9, CUE) for m in regex.finditer(r"\w+", text)]


def test_what_a_model_marks_is_vetoed_like_everything_else() -> None:
    question = "show the orders of Quillfeather"
    spans = Detector(models=(_Model(),)).detect(question, SCHEMA)
    assert {question[s.start : s.end] for s in spans} == {"Quillfeather"}
