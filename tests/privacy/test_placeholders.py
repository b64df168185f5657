"""The vault: equal values, one placeholder; exact look-up; nothing that only resembles one is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import PlaceholderError
from proxy.privacy.placeholders import ALPHABET, Secret, Vault, check_character, is_wellformed
from proxy.privacy.spans import EXACT, TYPES, Span

KEY = b"k" * 32
COLUMN = ("hr", "emp", "name")


def vault_with(*values: str, kind: str = "PERSON") -> tuple[Vault, list[str]]:
    vault = Vault(KEY)
    return vault, [vault.add(Secret(value, kind)) for value in values]


def test_equal_values_have_one_placeholder_and_others_have_their_own() -> None:
    vault, tokens = vault_with("Asha Rao", "asha  rao", "Ravi")
    assert tokens[0] == tokens[1] != tokens[2]
    assert len(vault) == 2


def test_two_vaults_have_nothing_in_common() -> None:
    tokens = {Vault().add(Secret("Asha Rao", "PERSON")) for _ in range(20)}
    assert len(tokens) == 20


def test_no_repr_shows_a_value() -> None:
    vault, _ = vault_with("Asha Rao")
    secret = Secret("Asha Rao", "PERSON", COLUMN, stored="ASHA RAO")
    span = Span(0, 4, "PERSON", 1.0, EXACT, COLUMN, "Asha Rao", "ASHA RAO")
    for shown in (repr(vault), repr(secret), str(secret), repr(span), repr(vault.hints())):
        assert "asha" not in shown.lower()


@pytest.mark.parametrize(
    "write",
    [
        str.lower,
        str.title,
        lambda t: t.replace("_", " "),
        lambda t: t.replace("_", "-"),
        lambda t: t.replace("_", "\u2013").lower(),
        lambda t: t.replace("_", "\\_"),
        lambda t: t.replace("_", ""),
        lambda t: f"  {t} ",
    ],
)
def test_look_up_forgives_case_and_separators(write: object) -> None:
    vault, (token,) = vault_with("Asha Rao")
    assert callable(write)
    found = vault.lookup(write(token))
    assert found is not None
    assert found.value == "Asha Rao"


def test_look_up_forgives_no_wrong_character_and_no_other_type() -> None:
    vault, (token,) = vault_with("Asha Rao")
    kind, tag = token.split("_")
    for place, right in enumerate(tag):
        for other in ALPHABET.replace(right, ""):
            wrong = f"{kind}_{tag[:place]}{other}{tag[place + 1 :]}"
            assert vault.lookup(wrong) is None
            assert vault.find(wrong) == []
            assert vault.suspicious(wrong) == [(0, len(wrong))]
    assert vault.lookup(f"EMAIL_{tag}") is None
    assert vault.lookup(token + "2") is None
    assert vault.lookup("PERSON_1") is None


def test_find_gives_the_places_and_not_parts_of_words() -> None:
    vault, (a, b) = vault_with("Asha Rao", "Ravi")
    text = f"{a.lower()}'s and ({b}), not x{a} or {a}x"
    assert [(text[s:e].upper(), t) for s, e, t in vault.find(text)] == [(a, a), (b, b)]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("WHERE name = 'PERSON_1'", "PERSON_1"),
        ("orders of PERSON_" + "ABC2" + check_character("PERSON", "ABC2"), None),
        ("email-abc2" + check_character("EMAIL", "ABC2").lower(), None),
        ("CARD_9ZZZZ", None),
    ],
)
def test_what_looks_like_a_placeholder_is_reported(text: str, part: str | None) -> None:
    spans = Vault(KEY).suspicious(text)
    assert spans
    if part is not None:
        assert part in [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT address_line1, address_line2, phone_number, person_id, id_no FROM t",
        "SELECT email_hash, card_last4, url_text, value_usd, ip_range FROM t",
        "the phone works and the person likes the card value",
        "order id 10452 and id A1234",
        "pan 12345 ssn 67890",
    ],
)
def test_names_of_columns_and_ordinary_words_are_not(text: str) -> None:
    vault, _ = vault_with("Asha Rao", "Ravi")
    assert vault.suspicious(text) == []


def test_a_name_of_the_schema_is_not_suspicious_however_it_looks() -> None:
    assert Vault(KEY).suspicious("SELECT PERSON_1", frozenset({"person_1"})) == []


def test_masking_covers_every_span_and_the_users_own_lookalikes() -> None:
    vault = Vault(KEY)
    forged = "PERSON_ABC2" + check_character("PERSON", "ABC2")
    text = f"orders of Asha Rao and {forged}"
    masked = vault.mask(text, [Span(10, 18, "PERSON", 1.0, EXACT, COLUMN)])
    assert "Asha" not in masked
    assert forged not in masked
    kinds = [secret.type for secret in map(vault.lookup, masked.replace("orders of ", "").split(" and ")) if secret]
    assert kinds == ["PERSON", "TEXT"]


def test_hints_tell_type_and_column() -> None:
    vault = Vault(KEY)
    vault.mask("Asha", [Span(0, 4, "PERSON", 1.0, EXACT, COLUMN)])
    (hint,) = vault.hints()
    assert (hint.type, hint.column, hint.whole) == ("PERSON", COLUMN, True)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(PlaceholderError):
        Vault(KEY).add(Secret("x", "NOPE"))


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.sampled_from(sorted(TYPES))), max_size=30))
def test_no_placeholder_contains_another_and_each_leads_back(pairs: list[tuple[str, str]]) -> None:
    vault = Vault()
    tokens = {vault.add(Secret(value, kind)) for value, kind in pairs}
    assert not any(a != b and a in b for a in tokens for b in tokens)
    for value, kind in pairs:
        secret = vault.lookup(vault.add(Secret(value, kind)))
        assert secret is not None
        assert secret.type == kind
        assert secret.value.casefold().split() == value.casefold().split()


def test_every_type_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
    assert [kind for kind in sorted(TYPES) if f"`{kind}`" not in page] == []


def test_no_type_ends_with_another() -> None:
    assert not any(a != b and a.endswith(b) for a in TYPES for b in TYPES)


@given(st.text(ALPHABET, min_size=4, max_size=4), st.sampled_from(sorted(TYPES)), st.integers(0, 3))
def test_the_check_character_sees_swapped_neighbours(tag: str, kind: str, place: int) -> None:
    whole = tag + check_character(kind, tag)
    swapped = whole[:place] + whole[place + 1] + whole[place] + whole[place + 2 :]
    assert is_wellformed(kind, whole)
    assert is_wellformed(kind, swapped) == (swapped == whole)
