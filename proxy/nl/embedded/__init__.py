"""The provider that needs no model: a deterministic translator from English questions to SQL."""

from proxy.nl.embedded.translate import to_sql, translate
from proxy.nl.embedded.values import Local, ValueHit, ValueLookup
from proxy.nl.ports import ColumnKey

__all__ = ["ColumnKey", "Local", "ValueHit", "ValueLookup", "to_sql", "translate"]
