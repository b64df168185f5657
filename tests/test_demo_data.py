"""The demo database's rows: deterministic, complete, in four languages, with identifiers that pass their checks.

The checks are written here a second time, from the rules' own texts, so that one mistake cannot hide another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from random import Random

import pytest

from proxy.demo import identifiers
from proxy.demo.generate import generate
from proxy.demo.load import schema_sql
from proxy.demo.people import latin
from proxy.demo.shop import REGULARS
from proxy.demo.tables import TableData

AS_OF = date(2026, 11, 21)
Tables = Mapping[str, TableData]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return {table.qualified: table for table in generate(AS_OF)}


def column(tables: Tables, qualified: str) -> list[object]:
    """Every value of `schema.table.column`."""
    table, _, name = qualified.rpartition(".")
    index = tables[table].columns.index(name)
    return [row[index] for row in tables[table].rows]


def texts(tables: Tables, qualified: str) -> list[str]:
    """Those that are not NULL."""
    return [str(value) for value in column(tables, qualified) if value is not None]


# Identity numbers.

VERHOEFF = {
    # Wikipedia's worked example and UIDAI's published test numbers, check digit last
    "2363": True,
    "2364": False,
    "999941057058": True,
    "999971658847": True,
    "999941057085": False,
}
LUHN = {"79927398713": True, "79927398710": False, "4111111111111111": True, "4111111111111112": False}
GSTINS = {"27AAPFU0939F1ZV": True, "27AAPFU0939F1ZW": False}


@pytest.mark.parametrize(("number", "valid"), list(VERHOEFF.items()))
def test_verhoeff_digit_of_known_numbers(number: str, valid: bool) -> None:
    assert (identifiers.verhoeff_digit(number[:-1]) == number[-1]) is valid


@pytest.mark.parametrize(("number", "valid"), list(LUHN.items()))
def test_luhn_digit_of_known_numbers(number: str, valid: bool) -> None:
    assert (identifiers.luhn_digit(number[:-1]) == number[-1]) is valid


@pytest.mark.parametrize(("number", "valid"), list(GSTINS.items()))
def test_check_character_of_known_gstins(number: str, valid: bool) -> None:
    assert (identifiers.gstin_character(number[:-1]) == number[-1]) is valid


def test_npi_of_the_standard() -> None:
    assert identifiers.luhn_digit("80840" + "123456789") == "3", "the example of CMS's own text"


def luhn_passes(number: str) -> bool:
    total = 0
    for place, digit in enumerate(int(d) for d in reversed(number)):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def verhoeff_passes(number: str) -> bool:
    """By permuting and multiplying in D5, on pairs (rotation, reflection) instead of tables."""
    steps = {0: 1, 1: 5, 2: 7, 3: 6, 4: 2, 5: 8, 6: 3, 7: 0, 8: 9, 9: 4}
    rotation, turned = 0, False
    for place, written in enumerate(int(d) for d in reversed(number)):
        digit = written
        for _ in range(place):
            digit = steps[digit]
        rotation = (rotation - digit % 5) % 5 if turned else (rotation + digit % 5) % 5
        turned ^= digit >= 5
    return rotation == 0 and not turned


def test_every_aadhaar_passes(tables: Tables) -> None:
    found = texts(tables, "clinic.patients.aadhaar")
    assert len(found) > 1000
    for number in found:
        assert re.fullmatch(r"[2-9]\d{3} \d{4} \d{4}", number)
        assert verhoeff_passes(number.replace(" ", ""))


@pytest.mark.parametrize("where", ["clinic.patients.ssn", "shop.customers.ssn"])
def test_every_ssn_is_in_the_valid_ranges(tables: Tables, where: str) -> None:
    found = texts(tables, where)
    assert len(found) > 500
    for number in found:
        assert re.fullmatch(r"(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}", number)


def test_every_pan_has_its_form_and_the_name_s_initial(tables: Tables) -> None:
    pairs = zip(column(tables, "shop.customers.pan"), column(tables, "shop.customers.name"), strict=True)
    found = [(str(pan), str(name)) for pan, name in pairs if pan is not None]
    assert len(found) > 1000
    for pan, name in found:
        assert re.fullmatch(r"[A-Z]{3}P[A-Z]\d{4}[A-Z]", pan)
        assert pan[4] == latin(name.split()[-1])[0]


def test_every_card_number_passes(tables: Tables) -> None:
    found = texts(tables, "shop.payments.card_number")
    assert len(found) > 1000
    for number in found:
        assert re.fullmatch(r"[4-6]\d{3}( \d{4}){3}", number)
        assert luhn_passes(number.replace(" ", ""))


def test_every_npi_passes(tables: Tables) -> None:
    found = texts(tables, "clinic.doctors.npi")
    assert len(found) > 10
    assert all(re.fullmatch(r"[12]\d{9}", number) and luhn_passes("80840" + number) for number in found)


def test_every_gstin_has_its_form(tables: Tables) -> None:
    found = texts(tables, "shop.suppliers.gstin")
    assert len(found) > 10
    for number in found:
        assert re.fullmatch(r"\d\d[A-Z]{3}C[A-Z]\d{4}[A-Z][1-9]Z[0-9A-Z]", number)
        assert identifiers.gstin_character(number[:-1]) == number[-1]


def test_ssn_never_draws_area_666() -> None:
    rng = Random(7)
    areas = {identifiers.ssn(rng)[:3] for _ in range(20_000)}
    assert "666" not in areas
    assert {"001", "665", "667", "899"} <= areas


# The rows.


def test_the_same_seed_and_day_give_the_same_rows(tables: Tables) -> None:
    again = {table.qualified: table for table in generate(AS_OF)}
    assert again == tables


def test_another_seed_gives_other_people(tables: Tables) -> None:
    other = {table.qualified: table for table in generate(AS_OF, seed=1)}
    assert other["shop.customers"].rows[100:200] != tables["shop.customers"].rows[100:200]


def test_size(tables: Tables) -> None:
    assert len([name for name in tables if name.startswith("shop.")]) >= 5
    assert len([name for name in tables if name.startswith("clinic.")]) >= 5
    assert sum(len(table.rows) for table in tables.values()) >= 50_000
    assert all(len(row) == len(table.columns) for table in tables.values() for row in table.rows)


def references() -> Iterator[tuple[str, str, str]]:
    """Table, column and referred table of every foreign key in schema.sql."""
    for created in re.finditer(r"CREATE TABLE (\S+) \((.*?)\n\)", schema_sql()[0], re.DOTALL):
        for key in re.finditer(r"^\s+(\w+) integer.* REFERENCES ([\w.]+)", created[2], re.MULTILINE):
            yield created[1], key[1], key[2]


@pytest.mark.parametrize(("table", "name", "referred"), list(references()))
def test_every_reference_leads_somewhere(tables: Tables, table: str, name: str, referred: str) -> None:
    known = set(column(tables, f"{referred}.id"))
    assert set(column(tables, f"{table}.{name}")) - {None} <= known


def test_there_are_foreign_keys_in_both_schemas() -> None:
    found = list(references())
    assert len([table for table, _, _ in found if table.startswith("shop.")]) >= 10
    assert len([table for table, _, _ in found if table.startswith("clinic.")]) >= 7


SCRIPTS = {"English": r"[A-Za-z .']+", "Hindi": r"[\u0900-\u097f’ ]+", "Marathi": r"[\u0900-\u097f’ ]+"}
SCRIPTS["Tamil"] = r"[\u0b80-\u0bff ]+"


@pytest.mark.parametrize("where", ["shop.customers", "clinic.patients"])
@pytest.mark.parametrize("language", list(SCRIPTS))
def test_people_are_written_in_their_script(tables: Tables, where: str, language: str) -> None:
    people = zip(column(tables, f"{where}.name"), column(tables, f"{where}.language"), strict=True)
    names = [str(name) for name, spoken in people if spoken == language]
    assert len(names) >= 300
    assert [name for name in names if not re.fullmatch(SCRIPTS[language], name)] == []


@pytest.mark.parametrize("where", ["shop.tickets.message", "clinic.notes.body"])
def test_notes_mention_people_phones_addresses_and_numbers(tables: Tables, where: str) -> None:
    found = "\n".join(texts(tables, where))
    owners = "shop.customers" if where.startswith("shop") else "clinic.patients"
    for name in ("name", "phone", "email"):
        mentioned = [value for value in texts(tables, f"{owners}.{name}")[:1500] if value in found]
        assert len(mentioned) > 100, name
    for script in (r"[A-Za-z]{4}", r"[\u0900-\u097f]{4}", r"[\u0b80-\u0bff]{4}"):
        assert len(re.findall(script, found)) > 100, script


def test_addresses_and_numbers_reach_nobody(tables: Tables) -> None:
    emails = texts(tables, "shop.customers.email") + texts(tables, "clinic.patients.email")
    assert all(re.fullmatch(r"[a-z.]+\d+@([a-z]+\.)?example\.(com|org|net)", email) for email in emails)
    phones = texts(tables, "shop.customers.phone") + texts(tables, "clinic.patients.phone")
    assert all(re.fullmatch(r"\+91 [6-9]0000 \d{5}|\+1 \d{3}-555-01\d\d", phone) for phone in phones)


def test_rows_end_the_day_before(tables: Tables) -> None:
    days: list[date] = []
    for table in tables.values():
        for row in table.rows:
            days += [v.date() if isinstance(v, datetime) else v for v in row if isinstance(v, date)]
    assert max(days) == date(2026, 11, 20)
    assert len([day for day in column(tables, "shop.orders.order_date") if str(day) >= "2026-10"]) > 200


def test_customers_order_after_they_signed_up(tables: Tables) -> None:
    since = dict(zip(column(tables, "shop.customers.id"), column(tables, "shop.customers.created_at"), strict=True))
    orders = zip(column(tables, "shop.orders.customer_id"), column(tables, "shop.orders.order_date"), strict=True)
    early = [
        day
        for customer, day in orders
        if isinstance(day, date) and isinstance(signed := since[customer], datetime) and day < signed.date()
    ]
    assert early == []


def test_totals_are_the_sums_of_their_items(tables: Tables) -> None:
    sums: dict[object, object] = {}
    for _, order, _, quantity, price in tables["shop.order_items"].rows:
        sums[order] = sums.get(order, 0) + quantity * price  # type: ignore[operator]
    assert sums == dict(zip(column(tables, "shop.orders.id"), column(tables, "shop.orders.total"), strict=True))


def test_the_regulars_are_there_and_buy(tables: Tables) -> None:
    assert column(tables, "shop.customers.name")[: len(REGULARS)] == [" ".join(name) for name, *_ in REGULARS]
    buyers = column(tables, "shop.orders.customer_id")
    assert all(buyers.count(number) >= 3 for number in range(1, len(REGULARS) + 1))


LATIN = [("शर्मा", "Sharma"), ("आशा", "Asha"), ("कुलकर्णी", "Kulakarni"), ("மீனாட்சி", "Minatchi"), ("சசிகலா", "Sasikala")]


@pytest.mark.parametrize(("word", "spelled"), [*LATIN, ("Priya", "Priya"), ("D'Souza", "Dsouza")])
def test_names_in_latin_letters(word: str, spelled: str) -> None:
    assert latin(word) == spelled
