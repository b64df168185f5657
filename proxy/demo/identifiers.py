"""Identity numbers of India and the United States that pass their own checks. Made up: nobody's on purpose.

Sources: Aadhaar, 12 digits, the last by Verhoeff, the first not 0 or 1 (UIDAI); PAN, AAAAA9999A, fourth letter
the kind of holder, fifth the first letter of the name (Income Tax Department); GSTIN, state code, PAN, entity,
Z and a check character in base 36 (GSTN); SSN, no area 000, 666 or 9xx, no group 00, no serial 0000 (Social
Security Administration); card numbers, Luhn (ISO/IEC 7812); NPI, Luhn over 80840 and the number (45 CFR 162.406).
"""

from __future__ import annotations

from random import Random
from string import ascii_uppercase, digits

BASE36 = digits + ascii_uppercase
NPI_PREFIX = "80840"
"""Health applications (80) in the United States (840), ISO/IEC 7812."""

_VERHOEFF_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_CARD_PREFIXES = ("4", "51", "53", "55", "6521", "6522")
"""Visa, Mastercard, RuPay: all of 16 digits."""
_NOT_AN_AREA = 666


def _dihedral(a: int, b: int) -> int:
    """The product of two elements of the dihedral group of order ten."""
    turned = (a + b) if a < 5 else (a - b)  # noqa: PLR2004
    return turned % 5 + (5 if (a < 5) != (b < 5) else 0)  # noqa: PLR2004


def _permuted(digit: int, position: int) -> int:
    for _ in range(position % 8):
        digit = _VERHOEFF_STEP[digit]
    return digit


_PRODUCT = tuple(tuple(_dihedral(a, b) for b in range(10)) for a in range(10))
_PERMUTATION = tuple(tuple(_permuted(digit, position) for digit in range(10)) for position in range(8))


def verhoeff_digit(number: str) -> str:
    """The check digit to put behind `number`."""
    check = 0
    for position, digit in enumerate(reversed(number), start=1):
        check = _PRODUCT[check][_PERMUTATION[position % 8][int(digit)]]
    return str(_PRODUCT[check].index(0))


def luhn_digit(number: str) -> str:
    """The check digit to put behind `number`."""
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(number))]
    return str(-sum(d // 10 + d % 10 for d in doubled) % 10)


def gstin_character(number: str) -> str:
    """The check character to put behind the first 14 of a GSTIN."""
    products = [BASE36.index(c) * (1 + i % 2) for i, c in enumerate(number)]
    return BASE36[-sum(p // 36 + p % 36 for p in products) % 36]


def _number(rng: Random, length: int) -> str:
    return f"{rng.randrange(10**length):0{length}}"


def aadhaar(rng: Random) -> str:
    """`dddd dddd dddd`."""
    number = str(rng.randrange(2, 10)) + _number(rng, 10)
    number += verhoeff_digit(number)
    return f"{number[:4]} {number[4:8]} {number[8:]}"


def pan(rng: Random, name: str, holder: str = "P") -> str:
    """`AAAPS9999A`. `name` is a surname or a company's name in Latin letters; `holder` is P (person) or C."""
    letters = "".join(rng.choices(ascii_uppercase, k=3))
    return f"{letters}{holder}{name[0].upper()}{_number(rng, 4)}{rng.choice(ascii_uppercase)}"


def gstin(rng: Random, state_code: str, company: str) -> str:
    """15 characters. `state_code` is the state's two digits in the GST."""
    number = f"{state_code}{pan(rng, company, 'C')}{rng.randrange(1, 10)}Z"
    return number + gstin_character(number)


def ssn(rng: Random) -> str:
    """`ddd-dd-dddd`."""
    area = rng.randrange(1, 899)
    area += area >= _NOT_AN_AREA
    return f"{area:03}-{rng.randrange(1, 100):02}-{rng.randrange(1, 10000):04}"


def card_number(rng: Random) -> str:
    """16 digits in fours."""
    prefix = rng.choice(_CARD_PREFIXES)
    number = prefix + _number(rng, 15 - len(prefix))
    number += luhn_digit(number)
    return " ".join(number[i : i + 4] for i in range(0, 16, 4))


def npi(rng: Random) -> str:
    """10 digits, the first 1."""
    number = "1" + _number(rng, 8)
    return number + luhn_digit(NPI_PREFIX + number)


def registration_number(rng: Random, state: str) -> str:
    """A state medical council's number: initials of the state, year, serial. It has no check digit."""
    initials = "".join(word[0] for word in state.split()) + "MC"
    return f"{initials}/{rng.randrange(1990, 2021)}/{_number(rng, 5)}"
