"""What a client's startup packet may ask for, and what the upstream is asked for in its place.

A bypass identity's settings go through as they are; to replicate, it needs the policy's leave. A masked one may set
what it could SET later (`policy.settings_list`), wherever the packet carries it: as a parameter of its own or inside
`options`, which is read as PostgreSQL reads it. Its SQL is always UTF-8 with standard_conforming_strings on, because
that is how the veil reads it.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP,
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS

Pure. It does not know who the client is: that is settled before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxy.errors import PgveilError, PolicyError, UnsupportedError
from proxy.policy.plan import Refusal
from proxy.policy.rules import Identity
from proxy.policy.settings_list import may_set
from proxy.settings import UpstreamDsn
from proxy.wire.startup import StartupMessage

_NOT_SETTINGS = frozenset({"user", "database", "replication", "options"})
_OUR_ENCODINGS = frozenset({"utf8", "utf-8", "unicode", "sql_ascii", "auto"})
_MASKED = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}


class DatabaseError(PgveilError):
    """The client's: a database that this role does not reach through the proxy (SQLSTATE 3D000)."""

    sqlstate = "3D000"


def upstream_parameters(startup: StartupMessage, identity: Identity, dsn: UpstreamDsn) -> dict[str, str]:
    """The startup parameters for the upstream connection of this session.

    Raises PolicyError (42501), UnsupportedError (0A000) or DatabaseError (3D000) for what a masked role may not ask,
    and PolicyError for replication that the policy does not grant.
    """
    asked = {k: v for k, v in startup.parameters.items() if not k.startswith("_pq_.")}
    wanted = asked.get("database", "") or dsn.database
    settings = {k: v for k, v in asked.items() if k not in _NOT_SETTINGS}
    own = {"user": dsn.user, "database": wanted}
    if startup.replication and not identity.replicates:
        raise _no_replication(identity)
    if identity.bypass:
        options = " ".join(text for text in (dsn.options.get("options"), asked.get("options")) if text)
        extra = {"options": options} if options else {}
        replication = {"replication": asked["replication"]} if startup.replication else {}
        return {**dsn.options, **settings, **extra, **replication, **own}
    if wanted != dsn.database:
        raise DatabaseError(
            f'database "{wanted}" is not served by this proxy', hint=f"Connect to the database {dsn.database}."
        )
    settings |= dict(parse_options(asked.get("options", "")))
    return {**dsn.options, **_admitted(settings), **_MASKED, **own}


def _no_replication(identity: Identity) -> PolicyError:
    """The stream shows every table as it is, so it takes a bypass role, and the policy's word besides."""
    if identity.bypass:
        hint = "The policy can grant it: add replication to defaults.statements."
        return PolicyError("the policy does not grant replication", hint=hint)
    return PolicyError("a masked role may not start replication", hint="Connect as a role that bypasses the veil.")


def _admitted(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings, all of them allowed. Raises for the first that is not."""
    admitted = {}
    for name, value in settings.items():
        if name.lower() == "client_encoding":
            _check_encoding(value)
            continue
        refusal = may_set(name, value)
        if refusal is not None:
            raise _as_error(refusal)
        admitted[name] = value
    return admitted


def _check_encoding(value: str) -> None:
    if value.strip().strip("'\"").lower() not in _OUR_ENCODINGS:
        raise UnsupportedError(
            "a masked role's client_encoding is UTF8 and no other",
            hint="Set client_encoding (or PGCLIENTENCODING) to UTF8.",
        )


def _as_error(refusal: Refusal) -> PgveilError:
    kind = UnsupportedError if refusal.sqlstate == UnsupportedError.sqlstate else PolicyError
    return kind(refusal.message, hint=refusal.hint, detail=refusal.detail)


def parse_options(text: str) -> Iterator[tuple[str, str]]:
    """The settings in `options`: `-c name=value`, `-cname=value`, `--name=value`. UnsupportedError for other switches.

    Words end at white space; a backslash takes the next character as it is. As in PostgreSQL (pg_split_opts,
    ParseLongOption), a `-` in a name stands for `_`.
    """
    words = iter(_split(text))
    for word in words:
        if word == "-c":
            setting = next(words, "")
        elif word.startswith("--") or (word.startswith("-c") and len(word) > 2):  # noqa: PLR2004
            setting = word[2:]
        else:
            raise UnsupportedError(
                "a masked role's options may only set settings", hint="Use -c name=value or --name=value."
            )
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise UnsupportedError("a setting in options has no value", hint="Use -c name=value or --name=value.")
        yield name.replace("-", "_"), value


def _split(text: str) -> list[str]:
    words: list[str] = []
    word: list[str] | None = None
    characters = iter(text)
    for character in characters:
        if character in " \t\n\r\v\f":
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        word = [] if word is None else word
        word.append(next(characters, "") if character == "\\" else character)
    if word is not None:
        words.append("".join(word))
    return words
