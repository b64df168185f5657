"""pgveil: a PostgreSQL wire-protocol proxy that veils data by role and answers plain-language questions.

The line of a query is wire -> session -> (nl) -> policy -> upstream -> privacy -> wire;
`docs/life-of-a-query.md` follows one through the code.
"""

__version__ = "0.1.0"

from proxy import native as native  # first of all: it decides which form of the other modules is imported
