"""Structured logs on standard error that cannot hold a value.

Two rules make that true, whatever a caller writes. A key that is not in SAFE_KEYS is dropped and counted, because a
list of what is allowed cannot forget what somebody invents tomorrow. An exception is logged as its type and its
frames (file, line, function), never its message or arguments: PostgreSQL's and drivers' messages quote data.
Libraries that use the standard logging module meet the second rule too: of their warnings and errors, the place and
the exception's frames are logged, not the text.

The event itself is a fixed sentence in the code (`log.info("session opened", session=7)`), never a formatted one; what
comes from outside goes into a key or nowhere.

It does not know files or rotation: whoever starts the process owns its standard error.
"""

from __future__ import annotations

import io
import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TextIO, cast

_RICH = "rich"
_absent = _RICH not in sys.modules
if _absent:
    # structlog takes rich along where it is installed, for tracebacks, which are never printed here: 5 MB, 40 ms.
    sys.modules[_RICH] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    if _absent:
        del sys.modules[_RICH]

SAFE_KEYS = frozenset(
    {
        # who and where: identities and addresses, no data
        "session", "user", "roles", "approved_by", "client", "listen", "http", "upstream", "database", "file", "signal",
        "protocol",
        # what: closed vocabularies and codes
        "event", "level", "component", "timestamp", "kind", "outcome", "sqlstate", "state", "reason", "phase",
        "provider", "check", "place", "message_type", "error_type", "server_version", "version", "python",
        "carrier", "model",
        # how much: numbers
        "count", "bytes", "rows", "seconds", "attempt", "attempts", "problems", "relations", "sessions", "position",
        "dropped_keys", "pid", "port", "worker",
        # fingerprints: keyed or of configuration
        "digest", "policy", "catalog",
        # an exception, as this module writes it
        "trace",
    }
)  # fmt: skip
"""Every key that a log line may have. `docs/operations.md` explains them."""

MAX_TEXT = 300
"""Characters of one text value: names and codes are shorter, data need not be."""

_LEVELS: Mapping[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Logger(Protocol):
    """What `get_logger` gives. `event` is a sentence of the code's own; the keys are of SAFE_KEYS.

    `exc_info=True` (or an exception) adds the exception's type and frames.
    """

    def debug(self, event: str, **keys: object) -> None: ...
    def info(self, event: str, **keys: object) -> None: ...
    def warning(self, event: str, **keys: object) -> None: ...
    def error(self, event: str, **keys: object) -> None: ...
    def bind(self, **keys: object) -> Logger: ...


@dataclass
class _Dropped:
    """How many keys were dropped since the process started; the metric `pgveil_log_keys_dropped_total`."""

    count: int = 0


DROPPED = _Dropped()


@dataclass
class _Name:
    """Which of several processes this is; None where it is the only one, or starts the others."""

    worker: int | str | None = None


_NAME = _Name()


def name_process(worker: int | str) -> None:
    """Every line of this process says so from now on, under `worker`."""
    _NAME.worker = worker


class _StandardError(io.TextIOBase):
    """Standard error as it is when a line is written: who redirects it later is followed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def configure_logging(level: str = "info", style: str = "auto", stream: TextIO | None = None) -> None:
    """Set logging up for this process. `style`: json, console, or auto (console where `stream` is a terminal)."""
    out = stream if stream is not None else cast("TextIO", _StandardError())
    console = style == "console" or (style == "auto" and out.isatty())
    renderer = structlog.dev.ConsoleRenderer(colors=out.isatty()) if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_worker,
            _describe_exception,
            drop_unsafe_keys,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_LibraryHandler()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)


class _LibraryHandler(logging.Handler):
    """What libraries log, without their texts."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get_logger(record.name)
        write = log.error if record.levelno >= logging.ERROR else log.warning
        error = record.exc_info[1] if record.exc_info else None
        write("a library reports", place=f"{record.pathname}:{record.lineno}", exc_info=error)


def get_logger(name: str) -> Logger:
    """A logger for a module; `name` becomes the key `component`."""
    logger: Logger = structlog.get_logger(component=name)
    return logger


def _add_worker(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _NAME.worker is not None:
        event.setdefault("worker", _NAME.worker)
    return event


def drop_unsafe_keys(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The processor that keeps SAFE_KEYS alone, and numbers, booleans, short texts and lists of those in them."""
    kept = {key: _plain(value) for key, value in event.items() if key in SAFE_KEYS}
    dropped = len(event) - len(kept)
    if dropped:
        DROPPED.count += dropped
        kept["dropped_keys"] = dropped
    return kept


def _plain(value: object) -> object:
    """The value where it is plain; else the name of its type: an object's repr may show anything."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value[:MAX_TEXT])
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    return f"<{type(value).__name__}>"


def _describe_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        event["trace"] = describe_exception(error)
    return event


def describe_exception(error: BaseException) -> list[str]:
    """An exception as lines: its type, each frame as `file:line function`, then its cause's. No message, no source."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        lines.append(f"{type(current).__module__}.{type(current).__qualname__}")
        lines.extend(_frames(current.__traceback__))
        if isinstance(current, BaseExceptionGroup):
            lines.extend(f"| {line}" for inner in current.exceptions for line in describe_exception(inner))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines


def _frames(trace: TracebackType | None) -> list[str]:
    stack = traceback.walk_tb(trace)
    return [f"  {f.f_code.co_filename}:{line} {f.f_code.co_qualname}" for f, line in stack]
