"""Who writes the SQL for a masked question: one module per provider, chosen by the settings.

A provider is imported when it is chosen, so that nobody waits for one that is not used. It does not know the values
behind placeholders, nor what becomes of the SQL that it writes.
"""

from __future__ import annotations

from proxy.errors import ConfigError
from proxy.nl.ports import Fetch, Provider
from proxy.settings.model import AskSettings


def build_provider(settings: AskSettings, fetch: Fetch) -> Provider:
    """The provider that the settings name. `fetch` looks values up for the embedded one.

    Raises:
        ConfigError: the settings name one that cannot be built.
    """
    match settings.provider:
        case "embedded":
            from proxy.nl.providers.embedded import EmbeddedProvider

            return EmbeddedProvider(fetch)
        case "openai":
            from proxy.nl.providers.openai import OpenAIProvider

            return OpenAIProvider(settings.openai)
        case other:
            raise ConfigError(f"ask.provider {other} is not available", hint="The providers are embedded and openai.")
