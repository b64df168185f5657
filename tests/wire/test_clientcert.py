"""Whose certificate it is: names, subjects, maps; what is ambiguous is nobody's."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy.errors import ConfigError
from proxy.wire.clientcert import CertNames, NamePart, certificate_name, load_cert_map

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(*names: tuple[x509.ObjectIdentifier, str]) -> bytes:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    start = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start.replace(year=2035))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


ORG, CN = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME
ANA = certificate((ORG, "Shop, Inc."), (CN, "ana"))


def test_the_common_name_is_the_user() -> None:
    assert certificate_name(ANA, NamePart.CN) == "ana"
    assert CertNames().admits(ANA, "ana")
    for other in ("Ana", "ana ", "an", "eve", ""):
        assert not CertNames().admits(ANA, other)


def test_the_subject_as_rfc_4514_writes_it() -> None:
    assert certificate_name(ANA, NamePart.DN) == r"CN=ana,O=Shop\, Inc."
    assert not CertNames(NamePart.DN).admits(ANA, "ana")
    assert CertNames(NamePart.DN).admits(ANA, r"CN=ana,O=Shop\, Inc.")


@pytest.mark.parametrize("names", [(), ((ORG, "ana"),), ((CN, "ana"), (CN, "eve")), ((CN, "an\0a"),)])
def test_a_certificate_without_one_clear_name_is_nobodys(names: tuple[tuple[x509.ObjectIdentifier, str], ...]) -> None:
    der = certificate(*names)
    assert certificate_name(der, NamePart.CN) is None
    for user in ("ana", "eve", ""):
        assert not CertNames().admits(der, user)


def test_what_is_no_certificate_is_nobodys() -> None:
    unknown_version = ANA.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)
    assert unknown_version != ANA
    assert not CertNames().admits(unknown_version, "ana")
    assert not CertNames().admits(b"junk", "ana")
    assert not CertNames(NamePart.DN).admits(b"junk", "")


MAP = r'''
# who is who
ana           analyst
ana           "the ""boss"""    # may be two
"Eva Long"    eva
/(.*)@shop\.example  \1
/svc-[0-9]+   service
/(x)?y        admin\1
'''


@pytest.fixture
def names(tmp_path: Path) -> CertNames:
    path = tmp_path / "map"
    path.write_text(MAP)
    return CertNames(NamePart.CN, load_cert_map(path))


@pytest.mark.parametrize(
    ("name", "user", "admitted"),
    [
        ("ana", "analyst", True),
        ("ana", 'the "boss"', True),
        ("ana", "ana", False),
        ("Eva Long", "eva", True),
        ("bob@shop.example", "bob", True),
        ("bob@shop.example", "eve", False),
        ("bob@shop.example.org", "bob", False),
        ("bob@shopXexample", "bob", False),
        ("svc-12", "service", True),
        ("x-svc-12", "service", False),
        ("svc-12x", "service", False),
        ("/svc-1", "service", False),
        ("xy", "adminx", True),
        ("y", "admin", False),  # the group took no part
        ("ana\n", "analyst", False),
        ("svc-1\n", "service", False),
        (r"\1@shop.example", r"\1", True),
    ],
)
def test_a_map_says_who_is_who(name: str, user: str, admitted: bool, names: CertNames) -> None:
    assert names.admits(certificate((CN, name)), user) is admitted


def test_an_empty_map_admits_nobody() -> None:
    assert not CertNames(NamePart.CN, ()).admits(ANA, "ana")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ana all", "the user is not a name"),
        ("ana +staff", "the user is not a name"),
        ("ana /.*", "the user is not a name"),
        ("ana", "expected a certificate's name"),
        ("ana b c", "expected a certificate's name"),
        ('"" ana', "expected a certificate's name"),
        ('"ana b', "a quote is not closed"),
        ('an"a" b', "quotes stand around a whole word"),
        ('"an"a', "quotes stand around a whole word"),
        ("/(( ana", "regular expression cannot be used"),
        (r"/ana \1", "has no group"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(line: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_text(f"ana ana\n{line}\n")
    with pytest.raises(ConfigError, match=why) as caught:
        load_cert_map(path)
    assert caught.value.message.startswith(f"{path}:2: ")


def test_a_map_that_is_not_there_is_the_operators_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_cert_map(tmp_path / "map")
