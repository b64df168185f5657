"""The settings that the server reports: which of them a masked session is told, and which must stay what they are.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
"""

from __future__ import annotations

from typing import Final

from proxy.conversation import READ_BY, Conversation
from proxy.errors import UpstreamError
from proxy.wire.messages import ParameterStatus

REPORTED: Final = frozenset(
    {
        "application_name",
        "client_encoding",
        "DateStyle",
        "default_transaction_read_only",
        "in_hot_standby",
        "integer_datetimes",
        "IntervalStyle",
        "is_superuser",
        "scram_iterations",
        "search_path",
        "server_encoding",
        "server_version",
        "session_authorization",
        "standard_conforming_strings",
        "TimeZone",
    }
)
"""The settings that PostgreSQL itself reports; an extension's may hold anything, and is kept from masked roles."""

FIXED: Final = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""What a masked session's SQL is read by. Another value means that it got past the veil."""


def reported(talk: Conversation, message: ParameterStatus) -> bool:
    """Takes what a masked session's server reports; whether it is for the client. Raises UpstreamError."""
    check_parameter(message)
    if message.name == "search_path":
        try:
            talk.path.reported(message.value)
        except ValueError:
            raise UpstreamError("the server's search_path cannot be read") from None
    if message.name in READ_BY:
        talk.settings[message.name] = message.value
    return message.name in REPORTED


def check_parameter(message: ParameterStatus) -> None:
    """Raises UpstreamError where a masked session's SQL would be read otherwise than the veil reads it."""
    if message.name in FIXED and message.value.lower() != FIXED[message.name].lower():
        raise UpstreamError(f"{message.name} has changed under a masked session, which is ended")
