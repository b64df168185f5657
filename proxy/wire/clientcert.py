"""Which user a client's certificate is for: PostgreSQL's `cert` authentication and its user name maps.

https://www.postgresql.org/docs/current/auth-cert.html: the certificate's common name has to be the user's name, or the
whole subject where that is what counts; a map (https://www.postgresql.org/docs/current/auth-username-maps.html) says
which names stand for which users instead.

Stricter than PostgreSQL: a subject with more than one common name is nobody's, and a regular expression has to match
the whole name.

It does not know TLS: whoever calls has verified the certificate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from proxy.errors import ConfigError

_WORD = re.compile(r'"((?:[^"]|"")*)"|([^\s"#]+)')
_GAP = re.compile(r"\s+")


class NamePart(StrEnum):
    """What of a certificate is its name."""

    CN = "cn"
    DN = "dn"


@dataclass(frozen=True, slots=True)
class MapLine:
    """One line of a map. `user` may hold `\\1`, what the pattern's first group has matched."""

    name: str | re.Pattern[str]
    user: str

    def admits(self, name: str, user: str) -> bool:
        if isinstance(self.name, str):
            return self.name == name and self.user == user
        match = self.name.fullmatch(name)
        if match is None:
            return False
        if r"\1" not in self.user:
            return user == self.user
        # A group that took no part in the match stands for nobody, as in PostgreSQL.
        return match[1] is not None and user == self.user.replace(r"\1", match[1])


@dataclass(frozen=True, slots=True)
class CertNames:
    """The rule that decides. Without a map, the certificate's name is the user's."""

    part: NamePart = NamePart.CN
    lines: tuple[MapLine, ...] | None = None

    def admits(self, certificate: bytes, user: str) -> bool:
        """Whether the DER certificate is one of `user`'s."""
        name = certificate_name(certificate, self.part)
        if name is None:
            return False
        if self.lines is None:
            return name == user
        return any(line.admits(name, user) for line in self.lines)


def certificate_name(certificate: bytes, part: NamePart) -> str | None:
    """The common name, or the subject as RFC 4514 writes it (`CN=ana,O=Shop`). None where there is none to go by."""
    # Loaded with the certificates already, where there are any.
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_der_x509_certificate(certificate).subject
        if part is NamePart.DN:
            found = subject.rfc4514_string()
        else:
            names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            found = str(names[0].value) if len(names) == 1 else ""
    except (ValueError, x509.InvalidVersion):
        return None
    return found if found and "\0" not in found else None


def load_cert_map(path: Path) -> tuple[MapLine, ...]:
    """Reads a map: on each line a certificate's name and a user, quoted where they have spaces; `#` begins a comment.

    A name that begins with `/` is a regular expression. Raises ConfigError with file:line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8") from None
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        words = list(_words(line, f"{path}:{number}"))
        if words:
            found.append(_map_line(words, f"{path}:{number}"))
    return tuple(found)


def _words(line: str, where: str) -> Iterator[str]:
    at = 0
    while at < len(line):
        gap = _GAP.match(line, at)
        if gap is not None:
            at = gap.end()
            continue
        if line[at] == "#":
            return
        word = _WORD.match(line, at)
        if word is None:
            raise ConfigError(f"{where}: a quote is not closed")
        yield word[2] if word[1] is None else word[1].replace('""', '"')
        at = word.end()
        if at < len(line) and line[at] != "#" and not line[at].isspace():
            raise ConfigError(f"{where}: quotes stand around a whole word")


def _map_line(words: list[str], where: str) -> MapLine:
    if len(words) != 2 or not all(words):  # noqa: PLR2004 - a name and a user
        raise ConfigError(f"{where}: expected a certificate's name and a user's", hint='For example: "ana@shop" ana')
    name, user = words
    if user == "all" or user.startswith(("/", "+")):
        hint = "PostgreSQL's maps have `all`, +role and regular expressions there; a map of pgveil's does not."
        raise ConfigError(f"{where}: the user is not a name", hint=hint)
    if not name.startswith("/"):
        return MapLine(name, user)
    try:
        pattern = re.compile(name[1:])
    except re.error:
        raise ConfigError(f"{where}: the regular expression cannot be used") from None
    if r"\1" in user and not pattern.groups:
        raise ConfigError(rf"{where}: the user has \1, and the regular expression has no group")
    return MapLine(pattern, user)
