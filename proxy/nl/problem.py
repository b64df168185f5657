"""What is wrong with SQL that a provider wrote: said to the provider, and, if it stays wrong, to the client.

`report` is all that a model is told. It is written here, from the SQL with placeholders and from SQLSTATEs: it holds
no text of an error that the database raised, and no value.
"""

from __future__ import annotations

from proxy.errors import AskError, GeneratedSqlError

HINT = "Ask again in other words, or write the SQL yourself."


class SqlProblem(Exception):  # noqa: N818 - a finding about a text, not a fault of the program
    """The SQL cannot run as it is. `error` is what the client sees when no repair helped."""

    def __init__(self, report: str, error: AskError | None = None) -> None:
        super().__init__(report)
        self.report = report
        self.error = error or GeneratedSqlError(
            "the SQL that was written for the question cannot run", detail=report, hint=HINT
        )


_BY_SQLSTATE = {
    "42601": "PostgreSQL finds a syntax error",
    "42703": "a column does not exist, or is not visible where it is used",
    "42P01": "a table does not exist, or is not visible where it is used",
    "42P02": "a parameter such as $1 is used; write a value",
    "42702": "a column name is ambiguous; qualify it with its table's alias",
    "42712": "a table alias is used twice",
    "42883": "a function or operator does not exist for these argument types; cast the arguments",
    "42804": "a value has the wrong type for where it stands; cast it",
    "42803": "a column must be in GROUP BY or inside an aggregate, or an aggregate stands where none may",
    "42846": "a value cannot be cast to this type",
    "42P10": "a column reference in GROUP BY, ORDER BY or DISTINCT ON is invalid",
    "42P18": "the type of a value cannot be determined; cast it",
    "42725": "a function or operator is ambiguous for these argument types; cast the arguments",
    "42P20": "a window function is used where none may stand",
    "42704": "a type or another object does not exist",
    "42501": "a table, column or function may not be read",
    "21000": "a subquery that must give one row may give several",
    "22P02": "a constant is not a valid value of its type",
    "22007": "a constant is not a valid date or time",
    "22008": "a date or time is out of range",
    "22003": "a number is out of range",
    "22012": "there is a division by zero",
    "2201B": "a regular expression is invalid",
    "54001": "the statement is too deep; write it with fewer levels",
    "57014": "planning the statement takes too long; write a simpler one",
}
_BY_CLASS = {
    "22": "a constant is not valid for its type",
    "42": "a name, type or clause is used in a way that PostgreSQL refuses",
    "0A": "it uses a feature that PostgreSQL does not have here",
    "54": "the statement is too complex; write a simpler one",
}


def from_sqlstate(sqlstate: str) -> SqlProblem | None:
    """The problem for an error that PostgreSQL raised while planning; None: it is not the statement's fault.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    text = _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2])
    return SqlProblem(f"PostgreSQL cannot plan it (SQLSTATE {sqlstate}): {text}") if text else None
