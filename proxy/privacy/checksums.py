"""Check digits of identifiers, as pure functions on strings of ASCII digits and capitals without separators.

Each returns whether the check digit is right; none says that the identifier was ever issued.
"""

from __future__ import annotations

import string

_DIHEDRAL = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
"""Multiplication in the dihedral group D5 (J. Verhoeff, Error Detecting Decimal Codes, 1969)."""

_PERMUTATION = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)

_BASE36 = string.digits + string.ascii_uppercase


def verhoeff(digits: str) -> bool:
    """Aadhaar's check (UIDAI: the 12th digit is Verhoeff's)."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _DIHEDRAL[check][_PERMUTATION[place % 8][int(digit)]]
    return check == 0


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: payment cards."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 * (doubled > 9)  # noqa: PLR2004
    return total % 10 == 0


def npi(digits: str) -> bool:
    """US National Provider Identifier: Luhn over the number with the prefix 80840 (45 CFR 162.406)."""
    return luhn("80840" + digits)


def iban(compact: str) -> bool:
    """ISO 13616: the first four characters moved behind, letters as two digits, remainder 1 by 97."""
    rearranged = compact[4:] + compact[:4]
    return int("".join(str(_BASE36.index(c)) for c in rearranged)) % 97 == 1


def gstin(compact: str) -> bool:
    """India's GST number: the 15th character, by Luhn's scheme in base 36 over the first 14."""
    total = 0
    for place, character in enumerate(compact[:14]):
        product = _BASE36.index(character) * (1 + place % 2)
        total += product // 36 + product % 36
    return _BASE36[(36 - total % 36) % 36] == compact[14]


def ssn(digits: str) -> bool:
    """US Social Security number: areas 000, 666 and 9xx, group 00 and serial 0000 are never issued (20 CFR 422)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"
