"""One table per kind of identifier: what is found, and what looks like one and is not."""

from __future__ import annotations

import pytest

from proxy.privacy import checksums
from proxy.privacy.detect import Detector
from proxy.privacy.spans import resolve


def found(detector: Detector, text: str) -> list[tuple[str, str]]:
    return [(s.type, text[s.start : s.end]) for s in resolve(text, detector.detect(text))]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("AADHAAR", "pay 2341 2341 2346 now", "2341 2341 2346"),
        ("AADHAAR", "pay 234123412346 now", "234123412346"),
        ("AADHAAR", "pay 2341-2341-2346 now", "2341-2341-2346"),
        ("AADHAAR", "आधार २३४१ २३४१ २३४६ है", "२३४१ २३४१ २३४६"),
        ("AADHAAR", "ஆதார் ௨௩௪௧௨௩௪௧௨௩௪௬", "௨௩௪௧௨௩௪௧௨௩௪௬"),
        ("AADHAAR", "aadhaar 2341 2341 2340 is mistyped", "2341 2341 2340"),
        ("AADHAAR", "pay 23\u200b4123\u200b412346 now", "23\u200b4123\u200b412346"),
        ("PAN", "for ABCPE1234F today", "ABCPE1234F"),
        ("PAN", "for abcpe1234f today", "abcpe1234f"),
        ("GSTIN", "bill 27AAPFU0939F1ZV", "27AAPFU0939F1ZV"),
        ("IFSC", "bank HDFC0001234", "HDFC0001234"),
        ("UPI", "paid by asha.rao@okhdfcbank", "asha.rao@okhdfcbank"),
        ("PHONE", "ring 9876543210", "9876543210"),
        ("PHONE", "ring +91-98765-43210", "+91-98765-43210"),
        ("PHONE", "ring 098765 43210", "098765 43210"),
        ("PHONE", "ring (415) 555-0132", "(415) 555-0132"),
        ("PHONE", "ring 415.555.0132", "415.555.0132"),
        ("PHONE", "ring +44 20 7946 0958", "+44 20 7946 0958"),
        ("PHONE", "phone 080 2345 6789", "080 2345 6789"),
        ("SSN", "is 123-45-6789 there", "123-45-6789"),
        ("SSN", "ssn 123456789", "123456789"),
        ("NPI", "npi 1234567893", "1234567893"),
        ("CARD", "card 4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("CARD", "with 378282246310005", "378282246310005"),
        ("IBAN", "to DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00"),
        ("EMAIL", "to asha.rao+x@mail.example.co.in.", "asha.rao+x@mail.example.co.in"),
        ("EMAIL", "to asha@corp.internal", "asha@corp.internal"),
        ("EMAIL", "to आशा@उदाहरण.भारत", "आशा@उदाहरण.भारत"),
        ("IP", "from 192.168.10.44", "192.168.10.44"),
        ("IP", "from 2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334"),
        ("MAC", "from 3c:22:fb:9a:10:0e", "3c:22:fb:9a:10:0e"),
        ("URL", "see https://example.com/u/asha?id=7", "https://example.com/u/asha?id=7"),
        ("PASSPORT", "passport J8369854", "J8369854"),
        ("VOTER", "voter id ABC1234567", "ABC1234567"),
        ("ACCOUNT", "account 123456789012345", "123456789012345"),
        ("VEHICLE", "car MH 12 AB 1234", "MH 12 AB 1234"),
        ("BIRTHDATE", "born on 14 March 1985", "14 March 1985"),
        ("BIRTHDATE", "dob: 14/03/1985", "14/03/1985"),
        ("BIRTHDATE", "date of birth is 1985-03-14", "1985-03-14"),
        ("BIRTHDATE", "जन्मतिथि १४/०३/१९८५", "१४/०३/१९८५"),
        ("ADDRESS", "at 12 MG Road, Bengaluru 560001", "12 MG Road, Bengaluru 560001"),
        ("ADDRESS", "at 221B Baker Street", "221B Baker Street"),
        ("ADDRESS", "at 12 gandhi nagar", "12 gandhi nagar"),
        ("ADDRESS", "at 28245 Puruntie 82 Apt. 595", "28245 Puruntie 82 Apt. 595"),
        ("ID", "mrn 00123456", "00123456"),
    ],
)
def test_found(detector: Detector, kind: str, text: str, value: str) -> None:
    assert (kind, value) in found(detector, text)


@pytest.mark.parametrize(
    "text",
    [
        "orders since 2024-01-15",
        "between 2024-01-01 and 2024-12-31 10:30:00",
        "order 10452 and invoice 2024001",
        "total over 1,25,000.50 rupees",
        "more than 123456789 units",
        "version 1.2.3 of the app",
        "sku AB-1234",
        "the year 2024 or 2025",
        "customers born after 1990",
        "visits before 2023-06-30",
        "patients born before 1990-01-01",
        "ratio 3:4 or 12:30",
        "5 pm to 6 pm on 03/04/2025",
        "2341 2341 2340 units",
        "top 10 of 500 products at 15%",
        "an example.com page",
        "top 10 patients seen by dr",
        "5 products in place",
        "10 orders by road",
        "3 patients in flat 4",
    ],
)
def test_left_alone(detector: Detector, text: str) -> None:
    assert found(detector, text) == []


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (checksums.verhoeff, "234123412346"),
        (checksums.luhn, "4111111111111111"),
        (checksums.npi, "1234567893"),
        (checksums.iban, "DE89370400440532013000"),
        (checksums.gstin, "27AAPFU0939F1ZV"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_single_wrong_character_breaks_the_check(check: object, good: str) -> None:
    assert callable(check)
    assert check(good)
    for place, character in enumerate(good):
        for other in "0123456789" if character.isdigit() else "ABCXYZ":
            if other != character:
                assert not check(good[:place] + other + good[place + 1 :])


@pytest.mark.parametrize("number", ["000123456", "666123456", "900123456", "123006789", "123450000"])
def test_social_security_numbers_that_are_never_issued(number: str) -> None:
    assert not checksums.ssn(number)
