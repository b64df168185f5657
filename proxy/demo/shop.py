"""The rows of the schema `shop`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from proxy.demo import catalogue, identifiers, phrases
from proxy.demo.people import People, Person, make_person
from proxy.demo.places import AMERICAN_PLACES, ENGLISH, HINDI, INDIA, INDIAN_PLACES, MARATHI, TAMIL, Place
from proxy.demo.tables import Distinct, TableData, Timeline, existing, money, table

STORES, SUPPLIERS, EMPLOYEES = 24, 40, 260
CUSTOMERS, ORDERS, REVIEWS, TICKETS = 6_000, 13_000, 4_000, 2_500

REGULARS = (
    (("Priya", "Sharma"), "female", ENGLISH, "Pune"),
    (("Grace", "Miller"), "female", ENGLISH, "Boston"),
    (("राजेश", "शर्मा"), "male", HINDI, "Jaipur"),
    (("आशा", "कुलकर्णी"), "female", MARATHI, "Nashik"),
    (("மீனாட்சி", "சுந்தரம்"), "female", TAMIL, "Madurai"),
)
"""The first customers, the same for every seed: documentation and the tour ask about them."""
_REGULARS_SHARE = 0.004
_RECENT_DAYS = 14


@dataclass(frozen=True, slots=True)
class _Customer:
    id: int
    person: Person
    email: str
    phone: str
    tax_number: str
    since: date


class Shop:
    """Makes the shop's tables, in an order that foreign keys allow."""

    def __init__(self, rng: Random, people: People, timeline: Timeline) -> None:
        self._rng = rng
        self._people = people
        self._timeline = timeline
        self._stores = [rng.choice(INDIAN_PLACES if i % 3 else AMERICAN_PLACES) for i in range(STORES)]
        self._product_days = sorted(
            timeline.start - timedelta(days=rng.randrange(900)) for _ in range(_product_count())
        )
        self._distinct = Distinct()
        self._prices: list[int] = []
        self._product_names: list[str] = []
        self._customers: list[_Customer] = []
        self._since: list[date] = []

    def tables(self) -> Iterator[TableData]:
        yield self._categories()
        yield self._suppliers()
        yield self._products()
        yield self._stores_table()
        yield self._employees()
        yield self._customers_table()
        yield from self._orders()
        yield self._reviews()
        yield self._tickets()

    def _categories(self) -> TableData:
        rows = [(i, name, kind[0]) for i, (name, kind) in enumerate(catalogue.CATEGORIES.items(), start=1)]
        return table("shop.categories", "id name description", rows)

    def _suppliers(self) -> TableData:
        columns = "id name gstin contact_name email phone city state country"
        return table("shop.suppliers", columns, [self._supplier(i) for i in range(1, SUPPLIERS + 1)])

    def _supplier(self, number: int) -> tuple[object, ...]:
        rng = self._rng
        contact = self._people.person()
        place = contact.place
        name = f"{rng.choice(catalogue.COMPANY_WORDS)} {rng.choice(catalogue.COMPANY_KINDS)}"
        gstin = identifiers.gstin(rng, place.code, name) if place.country == INDIA else None
        email = self._people.email(contact, number)
        phone = self._people.phone(place)
        return number, name, gstin, contact.name, email, phone, place.city, place.state, place.country

    def _products(self) -> TableData:
        rows: list[tuple[object, ...]] = []
        named = [
            (category, f"{noun} {edition}".strip(), prices)
            for category, (_, nouns, prices) in enumerate(catalogue.CATEGORIES.values(), start=1)
            for noun in nouns
            for edition in catalogue.EDITIONS
        ]
        self._rng.shuffle(named)
        for number, (category, name, (low, high)) in enumerate(named, start=1):
            cents = self._rng.randrange(low, high) * 100 + self._rng.choice((0, 49, 90, 99))
            self._prices.append(cents)
            self._product_names.append(name)
            supplier = self._rng.randrange(1, SUPPLIERS + 1)
            launched = self._product_days[number - 1]
            rows.append((number, category, supplier, name, money(cents), self._rng.randrange(400), launched))
        columns = "id category_id supplier_id name price stock launched_on"
        return table("shop.products", columns, rows)

    def _stores_table(self) -> TableData:
        seen: dict[str, int] = {}
        rows = [
            (number, _store_name(place, seen), place.city, place.state, place.country, self._opening_day())
            for number, place in enumerate(self._stores, start=1)
        ]
        return table("shop.stores", "id name city state country opened_on", rows)

    def _opening_day(self) -> date:
        return self._timeline.start - timedelta(days=self._rng.randrange(30, 3000))

    def _employees(self) -> TableData:
        rows = [self._employee(number) for number in range(1, EMPLOYEES + 1)]
        columns = "id store_id manager_id name title email phone birth_date hired_on salary"
        return table("shop.employees", columns, rows)

    def _employee(self, number: int) -> tuple[object, ...]:
        """Number 1 directs the shop, the next ones manage one store each, the others work in one."""
        store, manager, title, salary = self._position(number)
        place = self._stores[store - 1]
        person = self._people.person(place)
        email = f"{'.'.join(person.latin_name.lower().split())}{number}@shop.example.com"
        born = self._timeline.birth_date(21, 62)
        hired = self._timeline.later(self._timeline.start - timedelta(days=1500), 2400)
        phone = self._people.phone(place)
        return number, store, manager, person.name, title, email, phone, born, hired, money(salary * 100)

    def _position(self, number: int) -> tuple[int, int | None, str, int]:
        """Store, manager, title, salary per year in dollars."""
        if number == 1:
            return 1, None, "Managing director", catalogue.DIRECTOR_SALARY
        if number <= STORES + 1:
            return number - 1, 1, "Store manager", self._rng.randrange(*catalogue.MANAGER_SALARY, 100)
        store = self._rng.randrange(1, STORES + 1)
        title, salaries = self._rng.choice(list(catalogue.TITLES.items()))
        return store, store + 1, title, self._rng.randrange(*salaries, 100)

    def _customers_table(self) -> TableData:
        self._since = self._timeline.early_days(CUSTOMERS)
        rows = [self._customer(number, day) for number, day in enumerate(self._since, start=1)]
        columns = "id name email phone city state country language birth_date pan ssn loyalty_points created_at"
        return table("shop.customers", columns, rows)

    def _customer(self, number: int, day: date) -> tuple[object, ...]:
        rng = self._rng
        person = _regular(number) if number <= len(REGULARS) else self._people.person()
        place = person.place
        indian = place.country == INDIA
        family = person.latin_name.split()[-1]
        tax_number = self._distinct.of(lambda: identifiers.pan(rng, family) if indian else identifiers.ssn(rng))
        email, phone = self._people.email(person, number), self._people.phone(place)
        self._customers.append(_Customer(number, person, email, phone, tax_number, day))
        born = self._timeline.birth_date(18, 85)
        pan, ssn = (tax_number, None) if indian else (None, tax_number)
        living = (place.city, place.state, place.country, person.language)
        points = int(rng.expovariate(1 / 300))
        return number, person.name, email, phone, *living, born, pan, ssn, points, self._timeline.moment(day)

    def _orders(self) -> Iterator[TableData]:
        orders: list[tuple[object, ...]] = []
        items: list[tuple[object, ...]] = []
        payments: list[tuple[object, ...]] = []
        for number, day in enumerate(self._timeline.days(ORDERS), start=1):
            customer = self._buyer(day)
            cents = 0
            for _ in range(min(1 + int(self._rng.expovariate(0.8)), 8)):
                item, amount = self._item(len(items) + 1, number, day)
                items.append(item)
                cents += amount
            status = self._status(day)
            orders.append((number, customer.id, self._rng.randrange(1, STORES + 1), day, status, money(cents)))
            if status not in {"placed", "cancelled"}:
                payments.append(self._payment(len(payments) + 1, number, customer, (day, cents)))
        columns = "id customer_id store_id order_date status total"
        yield table("shop.orders", columns, orders)
        yield table("shop.order_items", "id order_id product_id quantity unit_price", items)
        columns = "id order_id paid_on method amount card_number card_holder"
        yield table("shop.payments", columns, payments)

    def _buyer(self, day: date) -> _Customer:
        if self._rng.random() < _REGULARS_SHARE:
            return self._customers[self._rng.randrange(len(REGULARS))]
        return existing(self._rng, self._customers, self._since, day)

    def _item(self, number: int, order: int, day: date) -> tuple[tuple[object, ...], int]:
        """The row, and its amount in cents."""
        product = existing(self._rng, range(len(self._prices)), self._product_days, day)
        quantity = self._rng.choice((1, 1, 1, 1, 2, 2, 3, 5))
        price = self._prices[product]
        return (number, order, product + 1, quantity, money(price)), quantity * price

    def _status(self, day: date) -> str:
        age = (self._timeline.as_of - day).days
        if age < _RECENT_DAYS:
            return self._rng.choice(("placed", "paid", "shipped", "shipped", "delivered", "cancelled"))
        return self._rng.choices(("delivered", "returned", "cancelled"), weights=(88, 7, 5))[0]

    def _payment(self, number: int, order: int, customer: _Customer, bought: tuple[date, int]) -> tuple[object, ...]:
        day, cents = bought
        indian = customer.person.place.country == INDIA
        weights = (35, 45, 15, 5) if indian else (80, 0, 12, 8)
        method = self._rng.choices(("card", "upi", "cash", "bank transfer"), weights=weights)[0]
        card = identifiers.card_number(self._rng) if method == "card" else None
        holder = customer.person.latin_name.upper() if card else None
        return number, order, self._timeline.later(day, 3), method, money(cents), card, holder

    def _reviews(self) -> TableData:
        rows: list[tuple[object, ...]] = []
        for number, day in enumerate(self._timeline.days(REVIEWS), start=1):
            customer = existing(self._rng, self._customers, self._since, day)
            product = existing(self._rng, range(len(self._prices)), self._product_days, day)
            rating = self._rng.choices((1, 2, 3, 4, 5), weights=(7, 8, 15, 32, 38))[0]
            templates = (phrases.GOOD_REVIEWS if rating > 3 else phrases.BAD_REVIEWS)[customer.person.language]  # noqa: PLR2004
            body = self._text(self._rng.choice(templates), customer, self._product_names[product])
            rows.append((number, product + 1, customer.id, rating, body, self._timeline.moment(day)))
        columns = "id product_id customer_id rating body created_at"
        return table("shop.reviews", columns, rows)

    def _tickets(self) -> TableData:
        rows: list[tuple[object, ...]] = []
        for number, day in enumerate(self._timeline.days(TICKETS), start=1):
            customer = existing(self._rng, self._customers, self._since, day)
            recent = (self._timeline.as_of - day).days < _RECENT_DAYS
            status = self._rng.choice(("open", "waiting", "closed")) if recent else "closed"
            employee = None if status == "open" else self._rng.randrange(STORES + 2, EMPLOYEES + 1)
            template = self._rng.choice(phrases.TICKETS[customer.person.language])
            message = self._text(template, customer, self._rng.choice(self._product_names))
            subject = self._rng.choice(phrases.TICKET_SUBJECTS)
            rows.append((number, customer.id, employee, self._timeline.moment(day), status, subject, message))
        columns = "id customer_id employee_id opened_at status subject message"
        return table("shop.tickets", columns, rows)

    def _text(self, template: str, customer: _Customer, product: str) -> str:
        return template.format(
            name=customer.person.name,
            other=self._people.name_like(customer.person),
            phone=customer.phone,
            email=customer.email,
            number=customer.tax_number,
            product=product.lower(),
        )


def _product_count() -> int:
    return len(catalogue.EDITIONS) * sum(len(nouns) for _, nouns, _ in catalogue.CATEGORIES.values())


def _store_name(place: Place, seen: dict[str, int]) -> str:
    seen[place.city] = seen.get(place.city, -1) + 1
    return f"{place.city} {catalogue.STORE_NAMES[seen[place.city] % len(catalogue.STORE_NAMES)]}"


def _regular(number: int) -> Person:
    name, gender, language, city = REGULARS[number - 1]
    place = next(p for p in (*INDIAN_PLACES, *AMERICAN_PLACES) if p.city == city)
    return make_person(name, gender, language, place)
