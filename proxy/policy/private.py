"""A column whose values no model may see, as the masker of questions and the agent tell each other of it.

Both layers know the policy and not each other, so the value that travels between them is defined here.

It does not know which columns are private (the policy's rules do), nor who looks for their values.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PrivateColumn:
    """A column whose values must reach no model, for whoever asks. `type_name` as format_type gives it.

    `readable`: the asking role sees its values; only then may a placeholder say that it is from this column, or take
    its type from the column's name.
    """

    schema: str
    table: str
    column: str
    type_name: str
    readable: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """(schema, table, column), as in the catalogue."""
        return self.schema, self.table, self.column
