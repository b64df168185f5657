"""What can go wrong, by whose fault it is.

Every error that a client sees is one of these, turned into an ErrorResponse in one place (the session's edge).
The class carries the SQLSTATE, so a caller never spells one. Texts name types, positions and identifiers;
they never carry a value from a row, a bind parameter or a question.

SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html; class VA is pgveil's own.
"""

from __future__ import annotations


class PgveilError(Exception):
    """An error with the fields of an ErrorResponse.

    `position` counts characters from 1 in the client's own text, as PostgreSQL's field P does.
    """

    sqlstate = "XX000"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        detail: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.position = position


class InternalError(PgveilError):
    """Ours: a state that the program does not know. The session ends."""


class ConfigError(PgveilError):
    """The operator's: settings or policies that cannot be used."""

    sqlstate = "F0000"


class ProtocolError(PgveilError):
    """The peer's: bytes that are not the protocol. The connection ends (SQLSTATE 08P01)."""

    sqlstate = "08P01"


class AuthenticationError(PgveilError):
    """The client's: it is not who it says it is (SQLSTATE 28P01)."""

    sqlstate = "28P01"


class AuthorizationError(AuthenticationError):
    """The client's: known, but in no role of the policy, or not admitted (SQLSTATE 28000)."""

    sqlstate = "28000"


class UpstreamError(PgveilError):
    """The upstream's: it is not there, or it ended the connection (SQLSTATE 08006)."""

    sqlstate = "08006"


class UpstreamUnavailableError(UpstreamError):
    """The upstream's: no connection could be made (SQLSTATE 08001)."""

    sqlstate = "08001"


class StoppedError(PgveilError):
    """The client's: it has asked for what it was waiting for to stop (SQLSTATE 57014)."""

    sqlstate = "57014"


class ShutdownError(PgveilError):
    """Ours, on purpose: the proxy is going down (SQLSTATE 57P01)."""

    sqlstate = "57P01"


class PolicyError(PgveilError):
    """The policy's: the role may not do this (SQLSTATE 42501)."""

    sqlstate = "42501"


class UnsupportedError(PgveilError):
    """The veil's: it cannot analyse this, so it refuses it (SQLSTATE 0A000)."""

    sqlstate = "0A000"


class AskError(PgveilError):
    """A question that failed (SQLSTATE class VA, `docs/errors.md`)."""

    sqlstate = "VA000"


class NotUnderstoodError(AskError):
    """The question is outside what the provider understands; DETAIL says which part."""

    sqlstate = "VA001"


class UnanswerableError(AskError):
    """The question was understood and this role's data cannot answer it."""

    sqlstate = "VA002"


class ModelUnavailableError(AskError):
    """The model's endpoint failed, timed out or gave no SQL."""

    sqlstate = "VA003"


class GeneratedSqlError(AskError):
    """The SQL that was written for the question was refused by a check, every try."""

    sqlstate = "VA004"


class PlaceholderError(AskError):
    """A placeholder stands where no value can stand, or is not one of this question's."""

    sqlstate = "VA005"


class TooCostlyError(AskError):
    """The SQL that was written for the question is over the cost ceiling."""

    sqlstate = "VA006"


class CarrierError(AskError):
    """The question's carrier is malformed: no literal, empty, or two meanings in one text."""

    sqlstate = "VA007"
