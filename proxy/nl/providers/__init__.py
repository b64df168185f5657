"""Who writes the SQL for a masked question: one module per provider, chosen by the settings.

A provider is imported when it is chosen, so that nobody waits for one that is not used; the embedded one when it is
asked for the first time, since it is chosen by default, and many never ask. It does not know the values behind
placeholders, nor what becomes of the SQL that it writes.
"""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass, field
from types import ModuleType

from proxy.errors import ConfigError
from proxy.nl.ports import Fetch, GenerateRequest, Provider
from proxy.settings.model import AskSettings


def build_provider(settings: AskSettings, fetch: Fetch) -> Provider:
    """The provider that the settings name. `fetch` looks values up for the embedded one.

    Raises:
        ConfigError: the settings name one that cannot be built.
    """
    match settings.provider:
        case "embedded":
            return _EmbeddedLater(fetch)
        case "openai":
            from proxy.nl.providers.openai import OpenAIProvider

            return OpenAIProvider(settings.openai)
        case other:
            raise ConfigError(f"ask.provider {other} is not available", hint="The providers are embedded and openai.")


@dataclass(frozen=True)
class _EmbeddedLater:
    """`EmbeddedProvider`, imported by a thread when the first question comes: 65 modules, 8 MB."""

    fetch: Fetch = field(repr=False)
    name: str = "embedded"
    repairs: bool = False
    local: bool = True

    async def close(self) -> None:
        """Nothing is held open."""

    async def generate(self, request: GenerateRequest) -> str:
        """As `EmbeddedProvider.generate`."""
        module: ModuleType = await asyncio.to_thread(importlib.import_module, "proxy.nl.providers.embedded")
        sql: str = await module.EmbeddedProvider(self.fetch).generate(request)
        return sql
