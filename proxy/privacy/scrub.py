"""Texts that are not questions, without what is private: comments that somebody wrote on tables and columns.

What is found is cut out for good, unlike in a question, where a placeholder leads back. It does not ask the database:
a comment is read by whoever may see the table.
"""

from __future__ import annotations

from proxy.privacy.question import DetectsPrivate, settle

REDACTED = "[redacted]"


class Scrubber:
    """Redacts texts. Raises AskError where one could not be read whole."""

    def __init__(self, detector: DetectsPrivate) -> None:
        self._detector = detector

    async def scrub(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """The texts, position by position, with every private span cut out."""
        return tuple([await self._scrubbed(text) for text in texts])

    async def _scrubbed(self, text: str) -> str:
        pieces: list[str] = []
        position = 0
        for span in settle(text, await self._detector.detect(text)):
            pieces += (text[position : span.start], REDACTED)
            position = span.end
        return "".join([*pieces, text[position:]])
