"""Any endpoint that speaks OpenAI's chat completions, through the `openai` package.

It sends the messages of `proxy.nl.prompts` and nothing else. What can go wrong at the endpoint becomes a
ModelUnavailableError that names the kind of failure: bodies of answers and errors stay here. Redirects are not
followed, because a redirect would carry the conversation to a host that nobody configured.

It does not know whether an answer is SQL.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.errors import ConfigError, ModelUnavailableError
from proxy.nl.ports import GenerateRequest
from proxy.nl.prompts import build_messages
from proxy.settings.model import OpenAISettings

if TYPE_CHECKING:
    import openai

RETRIES = 1
"""Of a request that the endpoint did not take (connection lost, 408, 409, 429, 5xx), within the time-out."""

_HINT = "Try again; the operator finds the endpoint under ask.openai in the settings."


@dataclass
class OpenAIProvider:
    """One client for the life of the process, opened at the first question."""

    settings: OpenAISettings
    name: str = "openai"
    repairs: bool = True
    local: bool = False
    _client: openai.AsyncOpenAI | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.settings.model:
            raise ConfigError("ask.openai.model is not set", hint="Name the model that the endpoint serves.")

    async def generate(self, request: GenerateRequest) -> str:
        """The model's answer, as it came.

        Raises:
            ModelUnavailableError: no answer in time, no connection, an error status, or no text in the answer.
        """
        messages = [{"role": m.role, "content": m.content} for m in build_messages(request)]
        client = self._client or await self._open()
        content = await self._complete(client, messages)
        if not content or not content.strip():
            raise ModelUnavailableError("the model gave an empty answer", hint=_HINT)
        return content

    async def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _open(self) -> openai.AsyncOpenAI:
        # The import takes a second: other sessions go on meanwhile.
        client = await asyncio.to_thread(self._build)
        if self._client is None:
            self._client = client
        return self._client

    def _build(self) -> openai.AsyncOpenAI:
        import openai

        for logger in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
            # At debug level they log whole requests, whatever OPENAI_LOG says.
            logging.getLogger(logger).setLevel(logging.WARNING)
        key = self.settings.api_key()
        return openai.AsyncOpenAI(
            api_key=key.get_secret_value() if key else "none",
            base_url=self.settings.base_url,
            timeout=self.settings.timeout_s,
            max_retries=RETRIES,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, timeout=self.settings.timeout_s),
        )

    async def _complete(self, client: openai.AsyncOpenAI, messages: list[dict[str, str]]) -> str | None:
        import openai

        try:
            async with asyncio.timeout(self.settings.timeout_s):
                answer = await client.chat.completions.create(
                    model=self.settings.model or "",
                    messages=messages,  # type: ignore[arg-type]  # the package types each role by itself
                    temperature=0,
                )
        except (openai.APITimeoutError, TimeoutError):
            raise ModelUnavailableError(
                f"the model did not answer within {self.settings.timeout_s:g} seconds", hint=_HINT
            ) from None
        except openai.APIStatusError as error:
            raise ModelUnavailableError(
                f"the model's endpoint answered with HTTP status {error.status_code}", hint=_HINT
            ) from None
        except openai.APIConnectionError:
            raise ModelUnavailableError("the model's endpoint could not be reached", hint=_HINT) from None
        except (openai.OpenAIError, ValueError):
            raise ModelUnavailableError("the model's endpoint answered with something else", hint=_HINT) from None
        return _content(answer)


def _content(answer: object) -> str | None:
    """The text of the first choice. The package does not check an answer's shape."""
    choices = getattr(answer, "choices", None)
    first = choices[0] if isinstance(choices, list) and choices else None
    content = getattr(getattr(first, "message", None), "content", None)
    return content if isinstance(content, str) else None
