"""What asking needs from its neighbours, and the values that travel through the graph.

The privacy layer, the veil, the database and the metrics come in through the protocols here, so that this package
can be read and tested without them. Nothing that holds a question or a value shows it in a repr.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from proxy.nl.schema import SchemaView, VeilView
from proxy.policy.catalog import Catalog
from proxy.policy.model import Policy
from proxy.policy.plan import Plan, Refusal
from proxy.policy.private import PrivateColumn
from proxy.policy.rules import Identity

ColumnKey = tuple[str, str, str]
"""(schema, table, column), as in the catalogue."""

ExplainCost = Callable[[str], Awaitable[float]]
"""The planner's total cost of a statement. Raises what the database raises; `sqlstate` on it is read."""

Observe = Callable[[str, float, int], None]
"""A question ended: `answered` or a SQLSTATE, seconds, repairs."""

Fetch = Callable[..., Awaitable[Sequence[Sequence[object]]]]
"""Rows of a read-only statement under the service account: `await fetch(sql, *parameters)`."""


class Secret(Protocol):
    """What a placeholder stands for.

    `stored` is the database's own spelling, set where the asking role may read the column. `whole`: the column holds
    exactly this value, not a longer one with this in it.
    """

    @property
    def value(self) -> str: ...

    @property
    def stored(self) -> str | None: ...

    @property
    def whole(self) -> bool: ...

    @property
    def type(self) -> str: ...

    @property
    def column(self) -> ColumnKey | None: ...


class Vault(Protocol):
    """The placeholders of one question."""

    def lookup(self, token: str) -> Secret | None:
        """The secret of a text that is one placeholder and nothing else (case and separators apart), or None."""
        ...

    def find(self, text: str) -> Sequence[tuple[int, int, str]]:
        """Every placeholder of this vault inside the text: start, end, token."""
        ...

    def suspicious(self, text: str, known: frozenset[str] = frozenset()) -> Sequence[tuple[int, int]]:
        """Where the text holds something in a placeholder's form that is none of this vault's.

        `known` are names of the schema in lower case, which are never meant.
        """
        ...


class Masked(Protocol):
    """A question without private values."""

    @property
    def text(self) -> str: ...

    @property
    def vault(self) -> Vault: ...


class Masker(Protocol):
    """Masks a question on this machine."""

    async def mask(
        self, text: str, schema_names: frozenset[str], private_columns: tuple[PrivateColumn, ...]
    ) -> Masked: ...


class TextScrubber(Protocol):
    """Takes private values out of texts that are not questions: comments of tables and columns."""

    async def scrub(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """The texts, position by position, with what is private redacted."""
        ...


class VeilAccess(VeilView, Protocol):
    """The policy's `Veil`, as far as asking needs it."""

    @property
    def policy(self) -> Policy: ...

    @property
    def catalog(self) -> Catalog: ...

    def decide_generated(self, sql: str, identity: Identity, search_path: tuple[str, ...]) -> Plan | Refusal: ...


@dataclass(frozen=True, slots=True)
class AskContext:
    """Who asks, and over what. `today` is the session's date; `max_rows` lowers the setting of that name."""

    identity: Identity
    search_path: tuple[str, ...]
    veil: VeilAccess
    today: date
    max_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """What a provider may know of a placeholder: its type, and the column that has it, if the identity sees its values.

    `whole`: that column holds exactly this value, not a longer one with this in it.
    """

    token: str
    type: str
    column: ColumnKey | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a placeholder of a question stands for: the user's own words, and the value that it is restored to."""

    words: str = field(repr=False)
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """What a provider is given. `question` is masked; `error` says what was wrong with `previous_sql`.

    `open_columns` are the text columns of `schema` that are private for nobody: a provider that runs on this machine
    may look values up in them. `said` has the question's placeholders for such a provider, and is empty for any other:
    to look them up, in the open columns and in `own_columns` (private, and seen unmasked by this role), and to name
    them in an error; its SQL has the placeholders.
    """

    question: str = field(repr=False)
    schema: SchemaView = field(repr=False)
    hints: tuple[Hint, ...]
    today: date
    search_path: tuple[str, ...] = ()
    error: str | None = None
    previous_sql: str | None = field(default=None, repr=False)
    open_columns: frozenset[ColumnKey] = frozenset()
    own_columns: frozenset[ColumnKey] = frozenset()
    said: Mapping[str, Said] = field(default_factory=dict, repr=False)


class Provider(Protocol):
    """Writes SQL for a masked question.

    `repairs`: whether asking again with an error can give another answer. `local`: nothing of the request leaves this
    machine. Then values of columns that the role cannot read are not looked for in the question, since what is found
    would show in the answer.
    """

    @property
    def name(self) -> str: ...

    @property
    def repairs(self) -> bool: ...

    @property
    def local(self) -> bool: ...

    async def close(self) -> None:
        """Gives back what it holds open."""

    async def generate(self, request: GenerateRequest) -> str:
        """One SELECT, possibly in a code fence, or `CANNOT: reason`.

        Raises:
            AskError: the question is not understood, cannot be answered, or the provider failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation with a model."""

    role: str
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The SQL for one question.

    `sql` is what runs (before the veil rewrites it), with the question's values in it: for the client and the server.
    `shown_sql` is the same with placeholders: for records. `cost` is the planner's.
    """

    sql: str = field(repr=False)
    shown_sql: str = field(repr=False)
    masked_question: str = field(repr=False)
    prompt_digest: str
    provider: str
    repairs: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a model would be sent for a question: nothing else leaves this machine."""

    masked_question: str = field(repr=False)
    messages: tuple[Message, ...] = field(repr=False)
    hints: tuple[Hint, ...]
    provider: str
