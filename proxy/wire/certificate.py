"""Whether a server's certificate is for the host that was asked for, by libpq's rules.

https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-CERTIFICATES: the subject's alternative names are held
against the host; the common name counts only where no alternative name is of the host's own kind. A `*` stands for the
whole leftmost label, and never for an address.

It does not know who signed the certificate: that is settled in the handshake.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from proxy.wire.scram import server_end_point

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the proxy wants to know of a server's. `end_point`: SCRAM's channel binding, where it defines one."""

    names: tuple[str, ...] = ()
    addresses: tuple[_Address, ...] = ()
    common_name: str | None = None
    end_point: bytes | None = None

    @classmethod
    def decode(cls, der: bytes) -> Certificate:
        """Of the DER form. ValueError where it cannot be read."""
        from cryptography import x509

        try:
            return cls._of(der)
        except (x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType) as error:
            raise ValueError("a certificate that breaks its own rules") from error

    @classmethod
    def _of(cls, der: bytes) -> Certificate:
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        found = x509.load_der_x509_certificate(der)
        try:
            alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = tuple(alternatives.get_values_for_type(x509.DNSName))
            raw = alternatives.get_values_for_type(x509.IPAddress)
        except x509.ExtensionNotFound:
            names, raw = (), []
        common = [str(a.value) for a in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        return cls(
            names=names,
            addresses=tuple(a for a in raw if isinstance(a, _Address)),
            common_name=common[0] if common else None,
            end_point=server_end_point(der),
        )

    def is_for(self, host: str) -> bool:
        """Whether it is for this host: a name, or an address as text."""
        address = _address(host)
        if any(_name_matches(name, host, wild=address is None) for name in self.names):
            return True
        if address is not None and address in self.addresses:
            return True
        alike = self.names if address is None else self.addresses
        return (
            not alike and self.common_name is not None and _name_matches(self.common_name, host, wild=address is None)
        )


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _name_matches(pattern: str, host: str, *, wild: bool) -> bool:
    pattern, host = pattern.lower(), host.lower()
    if "\0" in pattern or not host:
        return False
    if pattern == host:
        return True
    if not wild or not pattern.startswith("*.") or len(pattern) < 3:  # noqa: PLR2004
        return False
    label, dot, parent = host.partition(".")
    return bool(label) and bool(dot) and parent == pattern[2:]
