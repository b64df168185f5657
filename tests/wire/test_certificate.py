"""Names in certificates, by libpq's rules."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy.wire.certificate import Certificate


def certificate(names: str = "", addresses: str = "", common_name: str | None = None) -> Certificate:
    return Certificate(tuple(names.split()), tuple(map(ip_address, addresses.split())), common_name)


@pytest.mark.parametrize(
    ("given", "host"),
    [
        (certificate("db.example"), "db.example"),
        (certificate("DB.Example"), "db.EXAMPLE"),
        (certificate("other db.example"), "db.example"),
        (certificate("*.example"), "db.example"),
        (certificate(common_name="db.example"), "db.example"),
        (certificate(common_name="*.example"), "db.example"),
        (certificate(addresses="10.0.0.1"), "10.0.0.1"),
        (certificate(addresses="2001:db8::1"), "2001:0db8:0::1"),
        (certificate("10.0.0.1"), "10.0.0.1"),
        (certificate("db.example", common_name="10.0.0.1"), "10.0.0.1"),
        (certificate(addresses="10.0.0.1", common_name="db.example"), "db.example"),
    ],
)
def test_a_certificate_of_the_host(given: Certificate, host: str) -> None:
    assert given.is_for(host)


@pytest.mark.parametrize(
    ("given", "host"),
    [
        (certificate(), "db.example"),
        (certificate("db.example"), "db.example.org"),
        (certificate("db.example"), "db"),
        (certificate("*.example"), "example"),
        (certificate("*.example"), ".example"),
        (certificate("*.example"), "a.b.example"),
        (certificate("*"), "db"),
        (certificate("*."), "db."),
        (certificate("d*.example"), "db.example"),
        (certificate("a.*.example"), "a.b.example"),
        (certificate("other.example", common_name="db.example"), "db.example"),
        (certificate(addresses="10.0.0.2", common_name="10.0.0.1"), "10.0.0.1"),
        (certificate(addresses="10.0.0.1"), "10.0.0.2"),
        (certificate("*.0.0.1"), "10.0.0.1"),
        (certificate(common_name="*.0.0.1"), "10.0.0.1"),
        (certificate(addresses="10.0.0.1"), "::ffff:10.0.0.1"),
        (Certificate(names=("db.example\0.evil",)), "db.example"),
        (Certificate(names=("db.example\0",)), "db.example\0"),
    ],
)
def test_a_certificate_of_another(given: Certificate, host: str) -> None:
    assert not given.is_for(host)


def test_what_is_no_certificate() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of the library
        Certificate.decode(b"0\x03\x02\x01\x01")


@pytest.mark.parametrize("broken", ["twice", "version"])
def test_one_that_breaks_its_own_rules_cannot_be_read(broken: str) -> None:
    """Any server may send such a one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "db.example")])
    start = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start.replace(year=2035))
    for oid in ("1.2.3.4", "1.2.3.5"):
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=False)
    der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    assert Certificate.decode(der).common_name == "db.example"
    old, new = {
        "twice": (b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04"),
        "version": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"),
    }[broken]
    assert old in der
    with pytest.raises(ValueError, match="breaks its own rules"):
        Certificate.decode(der.replace(old, new, 1))
