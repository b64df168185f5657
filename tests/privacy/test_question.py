"""A question goes in, a masked question and its vault come out, or an error: never half of it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence

import pytest

from proxy.errors import AskError
from proxy.ops.log import configure_logging
from proxy.policy.private import PrivateColumn
from proxy.privacy.detect import Detector
from proxy.privacy.placeholders import check_character
from proxy.privacy.question import MAX_CHARACTERS, QuestionMasker
from proxy.privacy.scrub import Scrubber
from proxy.privacy.spans import Span
from proxy.privacy.values import compact

NAME = PrivateColumn("hr", "emp", "full_name", "text", readable=True)
OTHER = PrivateColumn("crm", "lead", "contact_name", "text", readable=True)


class Local:
    """The detector in this process."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    async def detect(self, text: str, schema_names: frozenset[str] = frozenset()) -> Sequence[Span]:
        return self.detector.detect(text, schema_names)


def holding(*rows: tuple[int, str]) -> object:
    async def fetch(sql: str, *args: list[str]) -> Sequence[Sequence[object]]:
        typed, forms = set(args[0]), set(args[1])
        return [(i, True, v) for i, v in rows if v.lower() in typed or compact(v) in forms]

    return fetch


def masker(detector: Detector, *rows: tuple[int, str]) -> QuestionMasker:
    fetch = holding(*rows)
    assert callable(fetch)
    return QuestionMasker(Local(detector), fetch)


async def test_a_value_of_the_database_carries_its_column(detector: Detector) -> None:
    masked = await masker(detector, (0, "Zorblax Quuxley")).mask("salary of zorblax quuxley", frozenset(), [NAME])
    (hint,) = masked.vault.hints()
    assert masked.text == f"salary of {hint.placeholder}"
    assert (hint.type, hint.column, hint.whole) == ("PERSON", NAME.key, True)
    secret = masked.vault.lookup(hint.placeholder)
    assert secret is not None
    assert (secret.value, secret.stored) == ("zorblax quuxley", "Zorblax Quuxley")


async def test_what_is_glued_to_a_value_goes_with_it(detector: Detector) -> None:
    masked = await masker(detector, (0, "O'Neill_100%")).mask("orders of O'Neill_100% in 2024", frozenset(), [NAME])
    (hint,) = masked.vault.hints()
    assert masked.text == f"orders of {hint.placeholder} in 2024"
    secret = masked.vault.lookup(hint.placeholder)
    assert secret is not None
    assert secret.value == "O'Neill_100%"


async def test_a_value_of_two_columns_carries_neither(detector: Detector) -> None:
    masked = await masker(detector, (0, "Zorblax"), (1, "zorblax")).mask("of zorblax", frozenset(), [NAME, OTHER])
    (hint,) = masked.vault.hints()
    assert hint.column is None


CARD_HOLDER = PrivateColumn("shop", "payments", "card_holder", "text", readable=True)
NOTE = PrivateColumn("shop", "tickets", "remark", "text", readable=True)
ACCOUNT = PrivateColumn("shop", "payments", "account", "text", readable=True)


@pytest.mark.parametrize("columns", [[NAME, CARD_HOLDER], [ACCOUNT, NAME], [NOTE, ACCOUNT, CARD_HOLDER]])
async def test_a_value_of_several_columns_is_a_person_where_one_of_them_holds_names(
    detector: Detector, columns: list[PrivateColumn]
) -> None:
    rows = [(index, "Priya Sharma") for index in range(len(columns))]
    masked = await masker(detector, *rows).mask("orders of the customer Priya Sharma", frozenset(), columns)
    assert [hint.type for hint in masked.vault.hints()] == ["PERSON"]


async def test_every_place_of_a_value_has_the_same_placeholder(detector: Detector) -> None:
    masked = await masker(detector).mask("did Dr. Kowalczyk call kowalczyk's patients? KOWALCZYK did")
    (hint,) = masked.vault.hints()
    assert masked.text.count(hint.placeholder) == 3


async def test_places_and_products_stay_readable(detector: Detector) -> None:
    question = "orders of Asha Rao for blue shirts in Mumbai since 2024"
    masked = await masker(detector).mask(question)
    (hint,) = masked.vault.hints()
    assert masked.text == question.replace("Asha Rao", hint.placeholder)


async def test_several_kinds_in_one_question(detector: Detector) -> None:
    masked = await masker(detector).mask("orders of asha rao, +91 98765 43210, asha@x.in, aadhaar 2341 2341 2346")
    assert [hint.type for hint in masked.vault.hints()] == ["PERSON", "PHONE", "EMAIL", "AADHAAR"]
    assert not any(secret in masked.text for secret in ("asha", "98765", "2341"))


async def test_the_users_own_placeholder_is_no_placeholder(detector: Detector) -> None:
    forged = "PERSON_ABC2" + check_character("PERSON", "ABC2")
    masked = await masker(detector).mask(f"orders of {forged.lower()}")
    (hint,) = masked.vault.hints()
    assert hint.type == "TEXT"
    assert masked.text == f"orders of {hint.placeholder}"


async def test_a_name_of_the_schema_that_looks_like_a_placeholder_stays(detector: Detector) -> None:
    question = "average PERSON_1 per city"
    masked = await masker(detector).mask(question, frozenset({"person_1"}))
    assert masked.text == question


class GoneError(Exception):
    """As a driver raises it."""

    sqlstate = "57P01"


async def test_a_failing_look_up_fails_the_question(detector: Detector) -> None:
    async def broken(sql: str, *args: object) -> Sequence[Sequence[object]]:
        raise GoneError("SELECT ... 'asha'")

    log = io.StringIO()
    configure_logging("info", "json", log)
    with pytest.raises(AskError) as caught:
        await QuestionMasker(Local(detector), broken).mask("of asha", frozenset(), [NAME])
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["component"], line["error_type"], line["sqlstate"]) == ("privacy", "GoneError", "57P01")
    assert "asha" not in log.getvalue()
    assert "asha" not in f"{caught.value.message}{caught.value.detail}{caught.value.hint}"


async def test_a_slow_look_up_fails_the_question(detector: Detector) -> None:
    async def slow(sql: str, *args: object) -> Sequence[Sequence[object]]:
        await asyncio.sleep(60)
        return []

    with pytest.raises(AskError):
        await QuestionMasker(Local(detector), slow, lookup_seconds=0.05).mask("of asha", frozenset(), [NAME])


async def test_a_failing_detector_fails_the_question() -> None:
    class Broken:
        async def detect(self, text: str, schema_names: frozenset[str] = frozenset()) -> Sequence[Span]:
            raise AskError("no")

    async def fetch(sql: str, *args: object) -> Sequence[Sequence[object]]:
        return []

    with pytest.raises(AskError):
        await QuestionMasker(Broken(), fetch).mask("of asha")


async def test_a_question_that_is_too_long_is_refused_not_cut(detector: Detector) -> None:
    with pytest.raises(AskError, match="too long"):
        await masker(detector).mask("x" * (MAX_CHARACTERS + 1))


async def test_masking_shows_no_value_in_its_repr(detector: Detector) -> None:
    masked = await masker(detector).mask("orders of Asha Rao")
    assert "Asha" not in repr(masked)


async def test_comments_are_scrubbed_for_good(detector: Detector) -> None:
    texts = ("Ask Dr. Kowalczyk (asha@x.in) before use", "when the order was placed, UTC")
    assert await Scrubber(Local(detector)).scrub(texts) == (
        "Ask Dr. [redacted] ([redacted]) before use",
        "when the order was placed, UTC",
    )


@pytest.mark.parametrize(
    "comment",
    [
        "Language of the customer: English, Hindi, Marathi or Tamil",
        "The employee's manager, empty for the managing director",
        "Nationality of the patient: Indian, American, French, Polish or Irish",
        "Country of residence: India, Jordan, Chad, Georgia or Israel",
        "Weekday of the visit: Monday, Wednesday; month: April, May, June or August",
        "ग्राहक की भाषा: हिंदी, मराठी या अंग्रेज़ी",
    ],
)
async def test_comments_about_nobody_stay_whole(detector: Detector, comment: str) -> None:
    assert await Scrubber(Local(detector)).scrub((comment,)) == (comment,)


@pytest.mark.parametrize("comment", ["seen by Dr. French", "Ask Jordan Smith first", "Chad's phone number"])
async def test_people_who_are_called_like_a_country_are_still_people(detector: Detector, comment: str) -> None:
    assert "[redacted]" in (await Scrubber(Local(detector)).scrub((comment,)))[0]
