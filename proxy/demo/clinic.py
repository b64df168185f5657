"""The rows of the schema `clinic`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from proxy.demo import catalogue, identifiers, phrases
from proxy.demo.people import People, Person
from proxy.demo.places import AMERICAN_PLACES, INDIA, INDIAN_PLACES
from proxy.demo.tables import Distinct, TableData, Timeline, existing, money, table

DOCTORS, PATIENTS, VISITS = 90, 5_000, 11_000
_NOTES_SHARE = 0.5
_BLOOD_GROUPS = ("O+", "O+", "O+", "B+", "B+", "A+", "A+", "AB+", "O-", "A-", "B-", "AB-")
_KINDS = ("consultation", "follow-up", "emergency", "vaccination", "check-up")


@dataclass(frozen=True, slots=True)
class _Patient:
    id: int
    person: Person
    email: str
    phone: str
    identity_number: str


class Clinic:
    """Makes the clinic's tables, in an order that foreign keys allow."""

    def __init__(self, rng: Random, people: People, timeline: Timeline) -> None:
        self._rng = rng
        self._people = people
        self._timeline = timeline
        self._distinct = Distinct()
        self._doctors: dict[str, list[tuple[int, str]]] = {}
        """By country: number and department."""
        self._patients: list[_Patient] = []
        self._since: list[date] = []

    def tables(self) -> Iterator[TableData]:
        yield self._departments()
        yield self._doctors_table()
        yield self._patients_table()
        yield self._medicines()
        yield from self._visits()

    def _departments(self) -> TableData:
        rows = [(number, name, number % 5) for number, name in enumerate(catalogue.DEPARTMENTS, start=1)]
        return table("clinic.departments", "id name floor", rows)

    def _doctors_table(self) -> TableData:
        rows = [self._doctor(number) for number in range(1, DOCTORS + 1)]
        columns = "id department_id name npi registration_number email phone city country joined_on"
        return table("clinic.doctors", columns, rows)

    def _doctor(self, number: int) -> tuple[object, ...]:
        """Every department has doctors in both countries."""
        department = (number - 1) % len(catalogue.DEPARTMENTS)
        place = self._rng.choice(AMERICAN_PLACES if number <= DOCTORS // 3 else INDIAN_PLACES)
        person = self._people.person(place)
        self._doctors.setdefault(place.country, []).append((number, catalogue.DEPARTMENTS[department]))
        indian = place.country == INDIA
        licence = self._distinct.of(
            lambda: identifiers.registration_number(self._rng, place.state) if indian else identifiers.npi(self._rng)
        )
        npi, registration = (None, licence) if indian else (licence, None)
        email = f"{'.'.join(person.latin_name.lower().split())}{number}@clinic.example.com"
        phone = self._people.phone(place)
        joined = self._timeline.start - timedelta(days=self._rng.randrange(30, 4000))
        name = f"Dr. {person.name}" if person.name.isascii() else person.name
        return number, department + 1, name, npi, registration, email, phone, place.city, place.country, joined

    def _patients_table(self) -> TableData:
        self._since = self._timeline.early_days(PATIENTS)
        rows = [self._patient(number, day) for number, day in enumerate(self._since, start=1)]
        columns = (
            "id name gender birth_date blood_group email phone city state country language"
            " aadhaar ssn emergency_contact registered_on"
        )
        return table("clinic.patients", columns, rows)

    def _patient(self, number: int, day: date) -> tuple[object, ...]:
        person = self._people.person()
        place = person.place
        indian = place.country == INDIA
        draw = identifiers.aadhaar if indian else identifiers.ssn
        identity = self._distinct.of(lambda: draw(self._rng))
        email, phone = self._people.email(person, number), self._people.phone(place)
        self._patients.append(_Patient(number, person, email, phone, identity))
        aadhaar, ssn = (identity, None) if indian else (None, identity)
        born = min(self._timeline.birth_date(1, 95), day)
        contact = f"{self._people.name_like(person)}, {self._people.phone(place)}"
        living = (place.city, place.state, place.country, person.language)
        blood = self._rng.choice(_BLOOD_GROUPS)
        return number, person.name, person.gender, born, blood, email, phone, *living, aadhaar, ssn, contact, day

    def _medicines(self) -> TableData:
        rows = [
            (number, name, form, money(int(price.replace(".", ""))))
            for number, (name, form, price) in enumerate(catalogue.MEDICINES, start=1)
        ]
        return table("clinic.medicines", "id name form price", rows)

    def _visits(self) -> Iterator[TableData]:
        visits: list[tuple[object, ...]] = []
        diagnoses: list[tuple[object, ...]] = []
        prescriptions: list[tuple[object, ...]] = []
        notes: list[tuple[object, ...]] = []
        for number, day in enumerate(self._timeline.days(VISITS), start=1):
            patient = existing(self._rng, self._patients, self._since, day)
            doctor, department = self._rng.choice(self._doctors[patient.person.place.country])
            moment = self._timeline.moment(day)
            kind = self._rng.choices(_KINDS, weights=(45, 25, 8, 8, 14))[0]
            visits.append((number, patient.id, doctor, moment, kind, money(self._rng.randrange(8, 160) * 100)))
            diagnoses.append(self._diagnosis(len(diagnoses) + 1, number, department))
            for _ in range(self._rng.choice((0, 1, 1, 2))):
                prescriptions.append(self._prescription(len(prescriptions) + 1, number))
            if self._rng.random() < _NOTES_SHARE:
                notes.append((len(notes) + 1, number, doctor, moment, self._note(patient)))
        yield table("clinic.visits", "id patient_id doctor_id visited_at kind fee", visits)
        yield table("clinic.diagnoses", "id visit_id code description severity", diagnoses)
        columns = "id visit_id medicine_id doses_per_day days"
        yield table("clinic.prescriptions", columns, prescriptions)
        yield table("clinic.notes", "id visit_id doctor_id written_at body", notes)

    def _diagnosis(self, number: int, visit: int, department: str) -> tuple[object, ...]:
        code, description = self._rng.choice(catalogue.DIAGNOSES[department])
        severity = self._rng.choices(("mild", "moderate", "severe"), weights=(60, 30, 10))[0]
        return number, visit, code, description, severity

    def _prescription(self, number: int, visit: int) -> tuple[object, ...]:
        medicine = self._rng.randrange(1, len(catalogue.MEDICINES) + 1)
        return number, visit, medicine, self._rng.randrange(1, 4), self._rng.choice((3, 5, 7, 10, 14, 30))

    def _note(self, patient: _Patient) -> str:
        template = self._rng.choice(phrases.NOTES[patient.person.language])
        return template.format(
            name=patient.person.name,
            other=self._people.name_like(patient.person),
            phone=patient.phone,
            email=patient.email,
            number=patient.identity_number,
        )
