"""The rows of the fuzzer's database: small tables, with every mask and filter of policy.yaml written out by hand.

It does not know SQL or servers: `world` puts the rows there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from fuzz.cells import (
    DIGITS,
    HIDDEN_MARK,
    MARK,
    OTHERS,
    SUPPORT,
    Open,
    Row,
    Secret,
    Table,
    birthday,
    day,
    email,
    identity,
    moment,
    name,
    number,
    other_text,
    partial,
    phone,
    stars,
    stored,
    text,
)

CITIES = ("Pune", "Nagpur", "Boston", "Austin")
COUNTRIES = ("India", "India", "United States", "United States")


def place(i: int) -> Row:
    return {"city": CITIES[i % 4], "state": "State " + CITIES[i % 4][0], "country": COUNTRIES[i % 4]}


# The shop


def shop() -> Iterator[Table]:
    def cancelled(row: Row, roles: frozenset[str]) -> bool:
        return bool(roles & SUPPORT) and row["status"] == "cancelled"

    def elsewhere(row: Row, roles: frozenset[str]) -> bool:
        return bool(roles & SUPPORT) and (row["employee_id"] is None or _store_of(row["employee_id"]) >= 4)

    statuses = ("placed", "paid", "shipped", "delivered", "returned", "cancelled")
    yield Table(
        "shop.categories", [{"id": i, "name": f"Kind {i}", "description": f"Of kind {i % 2}"} for i in range(1, 6)]
    )
    yield Table("shop.suppliers", [_supplier(i) for i in range(1, 7)])
    yield Table("shop.products", [_product(i) for i in range(1, 16)])
    yield Table("shop.stores", [_store(i) for i in range(1, 7)])
    yield Table("shop.employees", [_employee(i) for i in range(1, 16)])
    yield Table("shop.customers", [_customer(i) for i in range(1, 31)])
    yield Table("shop.orders", [_order(i, statuses[i % 6]) for i in range(1, 41)], cancelled)
    yield Table(
        "shop.order_items",
        [
            {
                "id": i,
                "order_id": 1 + i % 38,
                "product_id": 1 + i % 14,
                "quantity": 1 + i % 4,
                "unit_price": Decimal(i % 9 + 1),
            }
            for i in range(1, 61)
        ],
    )
    yield Table("shop.payments", [_payment(i) for i in range(1, 31)])
    yield Table("shop.reviews", [_review(i) for i in range(1, 26)])
    yield Table("shop.tickets", [_ticket(i) for i in range(1, 26)], elsewhere)


def _supplier(i: int) -> Row:
    row: Row = {"id": i, "name": f"Supplier {i}", "gstin": text(f"{MARK}{i}", "G0"), "contact_name": name(i)}
    return {**row, "email": email(i), "phone": phone(i), **place(i)}


def _product(i: int) -> Row:
    row: Row = {"id": i, "category_id": 1 + i % 5, "supplier_id": 1 + i % 6, "name": f"Product {i % 12}"}
    return {
        **row,
        "price": Decimal(i * 7 % 50 + 1) / 4,
        "stock": number(i, int(DIGITS[:3]) * 1000_000),
        "launched_on": day(i),
    }


def _store(i: int) -> Row:
    plain = COUNTRIES[i % 4] == "India"
    return {"id": i, "name": f"Store {i}" if plain else text(f"{MARK} {i}", "***"), **place(i), "opened_on": day(i)}


def _store_of(employee: object) -> int:
    return 1 + int(str(employee)) % 6


def _employee(i: int) -> Row:
    salary = Secret(Decimal(f"{DIGITS}{i}.50"), Decimal(f"{DIGITS}{90 - i}.25"), None)
    row: Row = {"id": i, "store_id": _store_of(i), "manager_id": None if i < 3 else i // 2, "name": f"Person {i}"}
    row |= {"title": ("clerk", "cook", "boss")[i % 3], "email": email(i), "phone": phone(i)}
    return {**row, "birth_date": birthday(i), "hired_on": day(i), "salary": salary}


def _customer(i: int) -> Row:
    row: Row = {
        "id": i,
        "name": name(i),
        "email": email(i),
        "phone": phone(i),
        **place(i),
        "language": "en" if i % 3 else "hi",
    }
    row |= {"birth_date": birthday(i), "pan": identity(i, 2), "ssn": identity(i, 3)}
    return {**row, "loyalty_points": i * 13 % 7, "created_at": moment(i)}


def _order(i: int, status: str) -> Row:
    total = Open(Decimal(f"6519{i:02}.75"), Decimal(f"100{i:02}.5")) if status == "cancelled" else Decimal(i * 17 % 90)
    row: Row = {"id": i, "customer_id": 1 + i % 28, "store_id": 1 + i % 6, "order_date": day(i)}
    return {**row, "status": status, "total": total}


def _payment(i: int) -> Row:
    by_card = i % 3 == 0
    row: Row = {"id": i, "order_id": 1 + i % 38, "paid_on": day(i), "method": "card" if by_card else "upi"}
    row |= {"amount": Decimal(i * 11 % 60)}
    return {**row, "card_number": identity(i) if by_card else None, "card_holder": name(i) if by_card else None}


def _review(i: int) -> Row:
    row: Row = {"id": i, "product_id": 1 + i % 14, "customer_id": 1 + i % 28, "rating": 1 + i % 5}
    return {**row, "body": text(f"I am {MARK} and {i}", "***"), "created_at": moment(i)}


def _ticket(i: int) -> Row:
    row: Row = {"id": i, "customer_id": 1 + i % 28, "employee_id": None if i % 5 == 0 else 1 + i % 14}
    subject = f"About {HIDDEN_MARK if row['employee_id'] is None or _store_of(row['employee_id']) >= 4 else 'it'}"
    row |= {
        "opened_at": moment(i),
        "status": ("open", "waiting", "closed")[i % 3],
        "subject": Open(subject, other_text(subject)),
    }
    return {**row, "message": text(f"Call {MARK} {i}", "gone", SUPPORT)}


# The clinic


def clinic() -> Iterator[Table]:
    yield Table("clinic.departments", [{"id": i, "name": f"Ward {i}", "floor": i % 3} for i in range(1, 5)])
    yield Table("clinic.doctors", [_doctor(i) for i in range(1, 9)])
    yield Table("clinic.patients", [_patient(i) for i in range(1, 26)])
    yield Table("clinic.visits", [_visit(i) for i in range(1, 41)])
    severities = ("mild", "moderate", "severe")
    yield Table(
        "clinic.diagnoses",
        [
            {
                "id": i,
                "visit_id": 1 + i % 38,
                "code": f"A{i % 9}",
                "description": f"Illness {i % 9}",
                "severity": severities[i % 3],
            }
            for i in range(1, 31)
        ],
    )
    yield Table(
        "clinic.medicines",
        [
            {"id": i, "name": f"Cure {i}", "form": "pill" if i % 2 else "syrup", "price": Decimal(i * 3) / 2}
            for i in range(1, 9)
        ],
    )
    yield Table(
        "clinic.prescriptions",
        [
            {"id": i, "visit_id": 1 + i % 38, "medicine_id": 1 + i % 8, "doses_per_day": 1 + i % 3, "days": i % 11 + 1}
            for i in range(1, 31)
        ],
    )
    body = Open(f"{HIDDEN_MARK} {MARK}", other_text(f"{HIDDEN_MARK} {MARK}"))
    yield Table(
        "clinic.notes",
        [{"id": i, "visit_id": i, "doctor_id": 1 + i % 8, "written_at": moment(i), "body": body} for i in range(1, 11)],
        lambda row, roles: True,  # noqa: ARG005 - no masked role may read it at all
    )


def _doctor(i: int) -> Row:
    npi = f"{MARK}{'9' * (i % 4)}{i}"
    row: Row = {"id": i, "department_id": 1 + i % 4, "name": f"Dr. Doctor {i}"}
    row |= {"npi": text(npi, f"npi {len(npi)}") if i % 2 else None, "registration_number": None if i % 2 else f"R{i}"}
    return {
        **row,
        "email": email(i),
        "phone": phone(i),
        "city": CITIES[i % 4],
        "country": COUNTRIES[i % 4],
        "joined_on": day(i),
    }


def _patient(i: int) -> Row:
    row: Row = {"id": i, "name": name(i), "gender": "female" if i % 2 else "male", "birth_date": birthday(i)}
    row |= {
        "blood_group": ("O+", "A-", "AB+")[i % 3],
        "email": email(i),
        "phone": phone(i),
        **place(i),
        "language": "English",
    }
    row |= {"aadhaar": identity(i, 2), "ssn": identity(i, 3), "emergency_contact": text(f"{MARK} {i}", "***")}
    return {**row, "registered_on": day(i)}


def _visit(i: int) -> Row:
    month = 7 if i % 2 else 3
    first, second = (datetime(2024, month, 23 - at, 11, i, tzinfo=UTC) for at in range(2))
    visited = Secret(first, second, datetime(2024, month, 1, tzinfo=UTC))
    row: Row = {"id": i, "patient_id": 1 + i % 24, "doctor_id": 1 + i % 8, "visited_at": visited}
    return {**row, "kind": "emergency" if i % 4 == 0 else "check-up", "fee": Decimal(i * 19 % 70)}


# The laboratory


REGIONS = {"north": True, "south": False, "east": True}
GRADES = {1: 10, 2: 10, 3: 30, 4: 30}


def lab() -> Iterator[Table]:
    def of_level(row: Row, roles: frozenset[str]) -> bool:
        return bool(roles & SUPPORT) and stored(row["level"]) not in ("low", "mid")

    def of_ledger(row: Row, roles: frozenset[str]) -> bool:
        amount = Decimal(str(row["amount"]))
        of_support = "support" in roles and (row["region"] != "north" or amount >= 400)
        return of_support or ("analyst" in roles and amount < 20)

    yield Table("lab.grades", [{"grade": grade, "shown": shown} for grade, shown in GRADES.items()])
    yield Table("lab.regions", [{"name": name, "open": is_open} for name, is_open in REGIONS.items()])
    yield Table("lab.docs", [_document(i) for i in range(1, 26)], of_level)
    yield Table('lab."Odd Names"', [_odd(i) for i in range(1, 13)])
    yield Table("lab.tree", [_node(i) for i in range(1, 21)])
    yield Table("lab.base", [{"id": i, "secret": text(f"{MARK}{i}", "***"), "kind": f"k{i % 3}"} for i in range(1, 9)])
    yield Table("lab.child", [_child(i) for i in range(101, 107)])
    yield Table("lab.sums", [_sum(i) for i in range(1, 13)])
    yield Table("lab.ledger", [_entry(i) for i in range(1, 31)], of_ledger)


def _document(i: int) -> Row:
    if i % 12 == 0:
        empty = ("doc", "raw", "tags", "home", "code", "photo", "ref", "digest", "span", "grade", "nick", "level")
        return {"id": i, **dict.fromkeys(empty), "score": i / 4, "at": moment(i).replace(tzinfo=None)}
    score, level = i / 4, ("low", "mid", "high")[i % 3]
    others = {"low": "mid", "mid": "low", "high": "high"}
    doc = _json(i)
    tags = [f"a{MARK}{i % 3}", None, f"b{i % 4}{MARK}c"]
    digest = f"{MARK}{i}"
    row: Row = {"id": i, "doc": doc, "raw": text(json.dumps({"pin": MARK, "n": i}), '"***"')}
    row["tags"] = Secret(tags, [t and other_text(t) for t in tags], [t and stars(t, 1, 1) for t in tags])
    row["home"] = text(f'("{MARK} street",Pune)', "(***,Pune)")
    row |= {"level": Secret(level, others[level], None) if score > 5 else level, "score": score}
    row["code"] = Secret(f"{DIGITS}00-0000-4000-8000-{i:012}", f"55577100-0000-4000-8000-{90 - i:012}", None)
    row["photo"] = Secret(MARK.encode(), OTHERS[MARK].encode(), None)
    row["ref"] = number(i, int(DIGITS[:3]) * 1000_000)
    # A hash says which values are equal: there is no other one.
    row["digest"] = Secret(digest, digest, hashlib.sha256(digest.encode()).hexdigest()[:12])
    row["span"] = Secret(f"[{DIGITS},{int(DIGITS) + i})", f"[1,{i + 1})", None)
    grade = i % 6
    row["grade"] = Secret(grade, {1: 2, 2: 1, 3: 4, 4: 3}.get(grade, 77), GRADES.get(grade))
    return {**row, "nick": text(f"{MARK}{i}", "***"), "at": moment(i).replace(tzinfo=None)}


def _json(i: int) -> Secret:
    def made(mail: str, body: str) -> str:
        person = {"email": mail, "age": i % 50}
        return json.dumps({"person": person, "notes": [{"body": body, "n": i % 4}, {"n": 2}], "plain": f"p{i % 3}"})

    other = OTHERS[MARK]
    return Secret(
        made(f"ann{MARK}@corp.test", f"{MARK} {i}"),
        made(f"ann{other}@corp.test", f"{other} {i}"),
        made("a***@***.test", "***"),
    )


def _odd(i: int) -> Row:
    row: Row = {"Id": i, "Select": text(f"{MARK}{i}", "***"), "a.b": text(f"{MARK}.{i}", "***")}
    return {**row, "from": number(i, 7), "ÜBER": day(i), 'it\'s "so"': f"so {i % 3}"}


def _node(i: int) -> Row:
    return {"id": i, "parent_id": i // 2 or None, "name": partial(f"N{i % 3}{MARK}", first=2), "weight": i * 7 % 10}


def _child(i: int) -> Row:
    row: Row = {"id": i, "secret": text(f"{MARK}{i}", "***"), "kind": "child"}
    return {**row, "extra": text(f"{MARK} more", None)}


def _sum(i: int) -> Row:
    price = Secret(Decimal(f"{DIGITS}.{i:02}"), Decimal(f"1.{i:02}"), None)
    return {"id": i, "price": price, "quantity": i % 4}


def _entry(i: int) -> Row:
    region = (*REGIONS, None)[i % 4]
    amount = Decimal(i * 41 % 500)
    owner = f"{MARK} {i % 6}"
    note = f"{MARK} {i}"
    masked = amount > 250 or region is None
    row: Row = {"id": i, "region": region, "amount": amount, "booked": day(i)}
    row["owner"] = text(owner, None) if masked else f"owner {i % 6}"
    row["note"] = text(note, "***") if region is not None and not REGIONS[region] else f"note {i % 5}"
    return row


def all_tables() -> list[Table]:
    """Every table with its rows, in an order that foreign keys allow."""
    return [*shop(), *clinic(), *lab()]
