"""Presidio, set up for questions: blank spaCy pipeline, our own recognisers, no model, no network.

The only module that imports Presidio and spaCy; the proxy's own process never imports it (`privacy.pool` runs it in
another). Identifiers come from `privacy.identifiers` and from a few of Presidio's recognisers, and Presidio's context
enhancer raises what stands near a telling word; names come from `privacy.names`. A trained model joins by giving a
`SpanFinder`: what it finds is vetoed and settled like everything else.

A recogniser that runs out of time is skipped by Presidio with a warning; here every warning of Presidio's is an
error, so a text is either read whole or not at all. tldextract, which the e-mail recogniser asks, is pinned to the
list that it brings.

It does not know the database: exact matches of private values are `privacy.values`'.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import regex
import spacy
import tldextract
from presidio_analyzer import (
    AnalysisExplanation,
    AnalyzerEngine,
    EntityRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import (
    CryptoRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    MedicalLicenseRecognizer,
    UsItinRecognizer,
    UsLicenseRecognizer,
)
from spacy.language import Language
from spacy.tokens import Doc

from proxy.privacy import identifiers
from proxy.privacy.identifiers import Rule
from proxy.privacy.names import NameFinder
from proxy.privacy.spans import IDENTIFIER, MODEL, TYPES, Span, fold
from proxy.privacy.words import schema_words

LANGUAGE = "xx"
"""One pipeline for all languages: spaCy's blank ones cut English, Hindi, Marathi and Tamil alike, and questions mix
them."""

_PRESIDIO_TYPES = {
    "EMAIL_ADDRESS": "EMAIL",
    "CRYPTO": "CRYPTO",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "MAC",
    "MEDICAL_LICENSE": "LICENCE",
    "US_ITIN": "SSN",
    "US_DRIVER_LICENSE": "LICENCE",
}


class AnalysisError(Exception):
    """A recogniser did not read the whole text. Carries no text."""


class SpanFinder(Protocol):
    """A model that marks private spans in a folded text: the seam for a trained recogniser of names."""

    def find(self, text: str) -> Sequence[Span]: ...


class Detector:
    """Finds identifiers and names of people in one text. CPU-bound, not thread-safe; loading takes seconds."""

    def __init__(self, models: Sequence[SpanFinder] = ()) -> None:
        _pin_suffix_list()
        self._watch = _Watch()
        self._names = NameFinder()
        self._models = tuple(models)
        self._engine = _engine()

    def detect(self, text: str, schema_names: frozenset[str] = frozenset()) -> tuple[Span, ...]:
        """Every private span, overlapping ones included, in characters of `text`.

        `schema_names` are the tables' and columns' names. Raises AnalysisError, TimeoutError.
        """
        folded = fold(text)
        if not folded.text.strip():
            return ()
        known = schema_words(schema_names)
        found = [*self._identifiers(folded.text), *self._names.find(folded.text, known)]
        for model in self._models:
            found += [span for span in model.find(folded.text) if self._names.may_be_name(folded.text, span, known)]
        return tuple(_placed(span, *folded.origin(span.start, span.end)) for span in found)

    def _identifiers(self, text: str) -> Iterator[Span]:
        with self._watch.strict():
            results = self._engine.analyze(text, LANGUAGE, score_threshold=identifiers.THRESHOLD)
        for result in results:
            kind = _PRESIDIO_TYPES.get(result.entity_type, result.entity_type)
            if kind not in TYPES:
                raise AnalysisError(f"a recogniser gave the unknown type {kind}")
            yield Span(result.start, result.end, kind, min(result.score, 1.0), IDENTIFIER)


def _placed(span: Span, start: int, end: int) -> Span:
    return Span(start, end, span.type, span.score, span.source, span.column, span.value, span.stored)


def _pin_suffix_list() -> None:
    """tldextract downloads the list of suffixes when first asked; from here on it uses the one that it brings."""
    vars(tldextract)["extract"] = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


class _Watch(logging.Handler):
    """Presidio's log, kept from writing anywhere: a warning means that something was skipped."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._warned = False
        logger = logging.getLogger("presidio-analyzer")
        logger.handlers = [self]
        logger.propagate = False
        logger.setLevel(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        self._warned = True

    @contextmanager
    def strict(self) -> Iterator[None]:
        self._warned = False
        yield
        if self._warned:
            raise AnalysisError("a recogniser did not finish")


class RuleRecognizer(EntityRecognizer):
    """One of our rules as Presidio knows recognisers, so that its context words work."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(
            supported_entities=[rule.type],
            name=rule.name,
            supported_language=LANGUAGE,
            context=list(rule.context),
        )
        self._rule = rule
        self._label = rule.name

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self,
        text: str,
        entities: list[str],  # noqa: ARG002
        nlp_artifacts: NlpArtifacts,  # noqa: ARG002
    ) -> list[RecognizerResult]:
        return [self._result(m.start, m.end, m.score) for m in identifiers.find(self._rule, text)]

    def _result(self, start: int, end: int, score: float) -> RecognizerResult:
        return RecognizerResult(
            entity_type=self._rule.type,
            start=start,
            end=end,
            score=score,
            analysis_explanation=AnalysisExplanation(self._label, score),
            recognition_metadata={
                RecognizerResult.RECOGNIZER_NAME_KEY: self._label,
                RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
            },
        )


class PhoneNumbers(EntityRecognizer):
    """Telephone numbers by the phonenumbers package, as Presidio knows recognisers."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["PHONE"], name="phonenumbers", supported_language=LANGUAGE)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(
        self,
        text: str,
        entities: list[str],  # noqa: ARG002
        nlp_artifacts: NlpArtifacts,  # noqa: ARG002
    ) -> list[RecognizerResult]:
        return [RecognizerResult("PHONE", m.start, m.end, m.score) for m in identifiers.find_phones(text)]


class _BlankEngine(SpacyNlpEngine):  # type: ignore[misc, unused-ignore]
    """Presidio's spaCy engine over a blank pipeline whose lemmas are the words in lower case."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": LANGUAGE, "model_name": "blank"}])

    def load(self) -> None:
        pipeline = spacy.blank(LANGUAGE)
        pipeline.add_pipe("pgveil_lower_lemma")
        vars(self)["nlp"] = {LANGUAGE: pipeline}


_POSSESSIVE = regex.compile(r"'s?$")


@Language.component("pgveil_lower_lemma")
def lower_lemma(doc: Doc) -> Doc:
    """Context words are compared with lemmas, and a blank pipeline leaves those empty."""
    for token in doc:
        token.lemma_ = _POSSESSIVE.sub("", token.lower_)
    return doc


def _engine() -> AnalyzerEngine:
    languages = [LANGUAGE]
    predefined = (
        CryptoRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        IpRecognizer,
        MacAddressRecognizer,
        MedicalLicenseRecognizer,
        UsItinRecognizer,
        UsLicenseRecognizer,
    )
    recognizers: list[EntityRecognizer] = [RuleRecognizer(rule) for rule in identifiers.RULES]
    recognizers.append(PhoneNumbers())
    recognizers += [make(supported_language=LANGUAGE) for make in predefined]
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=languages),
        nlp_engine=_BlankEngine(),
        supported_languages=languages,
        context_aware_enhancer=LemmaContextAwareEnhancer(
            context_prefix_count=6, context_suffix_count=4, context_matching_mode="whole_word"
        ),
    )


__all__ = ["MODEL", "AnalysisError", "Detector", "SpanFinder"]
