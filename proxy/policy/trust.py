"""What code a masked role's statement may call: functions, operators and types, by name and catalogue.

PostgreSQL chooses an overload by argument types, which nobody knows before it analyses the statement. So a name is
judged with everything that it could mean: all of it may run, or it is pinned to pg_catalog, or it is refused.

It does not know expressions; `rewrite` calls it for every name that it meets.
https://www.postgresql.org/docs/current/typeconv-func.html
"""

from __future__ import annotations

from proxy.policy import functions
from proxy.policy.catalog import Catalog
from proxy.policy.model import Policy
from proxy.policy.refused import DUMP_HINT, Refused, denied, unsupported

FIRST_USER_OID = 16384
"""Types below it are made by initdb: https://www.postgresql.org/docs/current/system-catalog-initial-data.html"""


class Trust:
    """Judges names for one policy and catalogue."""

    def __init__(self, policy: Policy, catalog: Catalog) -> None:
        self._policy = policy
        self._catalog = catalog

    def unwritten_calls(self) -> None:
        """Raises Refused (0A000) where PostgreSQL could run a user's cast or sort order that nobody trusts.

        A cast may apply through a domain, an array, a row or a JSON function, and an order wherever something is
        sorted: which expression meets it is known only after PostgreSQL's own analysis. So every statement is refused.
        """
        for cast in self._catalog.casts:
            if not cast.harmless and not self._trusted(cast.function):
                raise unsupported(
                    f"the database may call {cast.function} by itself, for type {cast.target}",
                    hint="functions.trust in the policy opens it, by that signature",
                )

    def parameter(self, oid: int) -> None:
        """Raises Refused for a parameter's declared type that `type` would refuse by name; 0 is undeclared."""
        if oid >= FIRST_USER_OID and oid not in self._catalog.harmless_type_oids:
            raise denied(
                f"a parameter of type {oid} is not allowed for this role",
                hint="converting to it may run code of a user: built-in types, enums and ranges work",
            )

    def function(self, parts: list[str], arguments: int, location: int) -> list[str] | None:
        """None: it may run as it is written. A list: it may run under this name only. Else raises Refused."""
        name = parts[-1]
        schema = parts[-2] if len(parts) > 1 else None
        builtin = functions.may_call(name, arguments) or self._trusts_builtin(name)
        users = self._catalog.functions_by_name.get(name, ())
        # name(x) converts x where `name` is a type and no function fits x exactly.
        converts = schema is None and arguments == 1 and self._runs_code(name)
        if schema == "pg_catalog" or (schema is None and (converts or not users)):
            if builtin:
                return ["pg_catalog", name] if converts else None
            raise _untrusted_function(parts, location)
        if schema is not None:
            users = tuple(f for f in users if f.schema == schema)
            if users and all(self._trusted(f.signature) for f in users):
                return None
            raise _untrusted_function(parts, location)
        is_builtin = name in self._catalog.builtin_functions
        if (builtin or not is_builtin) and all(self._trusted(f.signature) or (builtin and f.harmless) for f in users):
            return None
        if builtin and is_builtin:
            return ["pg_catalog", name]
        raise _untrusted_function(parts, location)

    def operator(self, parts: list[str], location: int, *, qualifiable: bool) -> bool:
        """False: it may run as it is written. True: only as pg_catalog's. Else raises Refused.

        `qualifiable` says that the place has a syntax for OPERATOR(pg_catalog.=): IN, LIKE and BETWEEN do not.
        """
        users = self._catalog.operators_by_name.get(parts[-1], ())
        if len(parts) > 1:
            users = tuple(o for o in users if o.schema == parts[0])
            if parts[0] == "pg_catalog" or (users and all(self._trusted(o.function) for o in users)):
                return False
            raise _untrusted_operator(parts, location)
        if all(o.harmless or self._trusted(o.function) for o in users):
            return False
        if qualifiable:
            return True
        raise _untrusted_operator(parts, location)

    def type(self, parts: list[str], location: int) -> None:
        """Raises Refused for a type whose input or cast may run somebody's code: domains, composites, unknown ones."""
        schema = parts[-2] if len(parts) > 1 else None
        if schema in (None, "pg_catalog") and parts[-1] in self._catalog.builtin_types:
            return
        users = [t for t in self._catalog.types_by_name.get(parts[-1], ()) if schema in (None, t.schema)]
        if not users or not all(t.harmless for t in users):
            raise denied(
                f'type "{".".join(parts)}" is not allowed for this role',
                hint="converting to it may run code of a user: built-in types, enums and ranges work",
                location=location,
            )

    def attribute(self, name: str, location: int, *, rows_only: bool) -> None:
        """`x.name`, which PostgreSQL takes for a call of the function `name` on x where x has no such field.

        `rows_only`: x is a row (`alias.name`), so only functions over rows can be meant. Raises Refused.
        https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-USAGE
        """
        # current_setting may be called, for some settings: which one cannot be told here.
        if name == "current_setting" or (name in self._catalog.builtin_functions and not functions.may_call(name, 1)):
            raise _untrusted_function([name], location)
        # A type's name is a call too: it converts.
        if self._runs_code(name):
            raise _untrusted_function([name], location)
        for function in self._catalog.functions_by_name.get(name, ()):
            reachable = function.takes_row or (not rows_only and len(function.arguments) > 0)
            if reachable and not self._trusted(function.signature):
                raise _untrusted_function([name], location)

    def _runs_code(self, name: str) -> bool:
        """Whether converting to a type of that name may run somebody's code."""
        return any(not t.harmless for t in self._catalog.types_by_name.get(name, ()))

    def _trusted(self, signature: str) -> bool:
        # The information schema's helpers come with PostgreSQL and see their arguments only; pgjdbc calls one.
        return signature in self._policy.trusted_functions or signature.startswith("information_schema._pg_")

    def _trusts_builtin(self, name: str) -> bool:
        return any(signature.startswith(f"pg_catalog.{name}(") for signature in self._policy.trusted_functions)


def _untrusted_function(parts: list[str], location: int) -> Refused:
    hint = "built-in functions that see only their arguments work; functions.trust in the policy opens others"
    if parts == ["ask"]:
        hint = "a question stands in FROM: SELECT * FROM ask('...')"
    if parts[-1] == "set_config":
        hint = f"SET does the same for what may be set; {DUMP_HINT}"
    return denied(f"function {'.'.join(parts)} is not allowed for this role", hint=hint, location=location)


def _untrusted_operator(parts: list[str], location: int) -> Refused:
    return denied(
        f"operator {'.'.join(parts)} is not allowed for this role",
        hint="functions.trust in the policy opens it, by the signature of the function behind it",
        location=location,
    )
