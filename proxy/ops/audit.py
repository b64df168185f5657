"""The audit trail: one JSON object per line about every statement, without a value in it.

Who, in which roles, what kind of statement, what became of it, and a digest of its text. The digest is an HMAC with
this installation's key: equal texts can be recognised, and nobody without the key can find a short text (a name in a
WHERE) by trying. The key file stands beside the trail, readable by its owner alone.

Records are written by a thread of their own, so a slow disk never holds the event loop; the queue is bounded, and a
record that finds it full or the disk failing is counted and said loudly once, never waited for. The thread lets a few
milliseconds of records come together and writes them at once: waking it for each would cost more than the statement.

It does not know rotation (move the file and send SIGHUP), nor chains of hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType

from proxy.errors import ConfigError
from proxy.ops.log import get_logger

QUEUE_RECORDS = 10_000
KEY_BYTES = 32
DIGEST_HEX = 32
GATHER_SECONDS = 0.02
"""What is lost at most where the process is killed."""
BATCH_RECORDS = 256
"""In one write."""
_UNWRITABLE = "the audit trail cannot be written"
_BLOCK = 64
"""Bytes of a block of SHA-256: a key is filled up to that. RFC 2104."""

_log = get_logger("audit")


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line. `session` numbers sessions of this process; `digest` is `Audit.digest` of the statement's text.

    `policy` is the version that decided; `raw_predicates` are masked columns that were compared by their own values;
    `shadow` is what the shadow policy would have done, where there is one. Names of the policy and the schema, no more.
    """

    session: int
    user: str
    roles: tuple[str, ...]
    kind: str
    outcome: str
    sqlstate: str | None = None
    digest: str | None = None
    masks: int = 0
    policy: str = ""
    raw_predicates: tuple[str, ...] = ()
    shadow: Mapping[str, object] | None = None

    def line(self, when: datetime) -> str:
        """The record as JSON, with its time in UTC."""
        fields = {"ts": when.astimezone(UTC).isoformat(timespec="microseconds")}
        fields |= {name: getattr(self, name) for name in self.__slots__ if name != "shadow" or self.shadow is not None}
        return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))


class Form:
    """A record that is written many times, for statements that differ in nothing but their text: the line around the
    time, the session's number and the digest."""

    __slots__ = ("after", "before")

    def __init__(self, record: AuditRecord) -> None:
        line = replace(record, session=0, digest="").line(datetime.now(UTC))
        _, _, line = line.partition('"session":0')
        before, _, after = line.rpartition('"digest":""')
        self.before = f'{before}"digest":'
        self.after = after


class Audit:
    """An open trail. `record` and `digest` return at once; `close` writes what is left. A context manager.

    `on_lost` is called, from either thread, for each record that is lost; `key` replaces the key file's.
    With `path` None nothing is written, and `digest` still works (with a key of this process).
    Raises ConfigError where the file or its key cannot be opened.
    """

    def __init__(self, path: Path | None, on_lost: Callable[[], None] = lambda: None, key: bytes | None = None) -> None:
        self._path = path
        self._on_lost = on_lost
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._key = key or _find_key(path)
        self._file = None if path is None else _open_trail(path)
        self._reopen = threading.Event()
        self._failing = False
        key = self._key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
        self._second, self._stamp = 0, ""
        """A moment, in seconds since 1970 and as text."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="pgveil-audit", daemon=True)
        if path is not None:
            self._thread.start()

    def __enter__(self) -> Audit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def digest(self, text: str) -> str:
        """The keyed fingerprint of a text: 32 hexadecimal digits."""
        return self._digest(text.encode("utf-8", "surrogatepass"))

    def digest_bytes(self, text: bytes) -> str:
        """The same of a text as it came: of what is no UTF-8 in it, each byte counts as U+FFFD."""
        return self._digest(text if text.isascii() else text.decode(errors="replace").encode())

    def _digest(self, text: bytes) -> str:
        """HMAC-SHA-256 by hand: `hmac` takes three times as long, and this is done for every statement."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()[:DIGEST_HEX]

    def fill(self, form: Form, session: int, text: bytes) -> None:
        """As `record`, of a statement with this text. Empty: too long for a digest."""
        if self._path is None:
            return
        now = time.time()
        second = int(now)
        if second != self._second:
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second
        stamp = f"{self._stamp}.{int((now - second) * 1_000_000):06d}+00:00"
        digest = f'"{self.digest_bytes(text)}"' if text else "null"
        self._put(f'{{"ts":"{stamp}","session":{session}{form.before}{digest}{form.after}')

    def record(self, record: AuditRecord, when: datetime | None = None) -> None:
        """Queue a record; never blocks. Counts it as lost where the queue is full. `when`: the time, if not now."""
        if self._path is not None:
            self._put(record.line(when or datetime.now(UTC)))

    def _put(self, line: str) -> None:
        if self._queue.qsize() >= QUEUE_RECORDS:
            self._lose("the audit queue is full")
        else:
            self._queue.put(line)

    def reopen(self) -> None:
        """Open the file again by its name before the next record: after it was moved away."""
        self._reopen.set()

    def close(self) -> None:
        """Write what is queued and close the file. Blocks until the disk has it; calling it again does nothing."""
        if self._thread.is_alive():
            self._closing.set()
            self._queue.put(None)
            self._thread.join()

    def _write_all(self) -> None:
        more = True
        while more:
            lines = [self._queue.get()]
            self._closing.wait(GATHER_SECONDS)
            lines += [self._queue.get() for _ in range(self._queue.qsize())]
            more = None not in lines
            self._write([line for line in lines if line is not None])
        if self._file is not None:
            self._file.close()

    def _write(self, lines: list[str]) -> None:
        try:
            if self._file is None or self._reopen.is_set():
                self._reopen.clear()
                self._open_again()
        except OSError:
            self._lose(_UNWRITABLE, len(lines))
            return
        while lines and self._file is not None:
            batch, lines = lines[:BATCH_RECORDS], lines[BATCH_RECORDS:]
            self._write_batch(self._file, batch)

    def _write_batch(self, file: FileIO, lines: list[str]) -> None:
        """One write, as a rule. A disk that is full may take a part of it: the lines that are whole are not lost."""
        data = "".join([f"{line}\n" for line in lines]).encode("ascii")
        done = 0
        try:
            while done < len(data):
                done += file.write(data[done:])
            self._failing = False
        except OSError:
            self._lose(_UNWRITABLE, len(lines) - data.count(b"\n", 0, done))

    def _open_again(self) -> None:
        old, self._file = self._file, None
        if old is not None:
            old.close()
        if self._path is not None:
            self._file = _open_file(self._path)

    def _lose(self, reason: str, records: int = 1) -> None:
        for _ in range(records):
            self._on_lost()
        if not self._failing:
            _log.error("audit records are being lost", reason=reason)
        self._failing = True


def _open_file(path: Path) -> FileIO:
    """Unbuffered: a line that was written is with the system, whatever becomes of this process."""
    return FileIO(path, "a", opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC, 0o600))


def _open_trail(path: Path) -> FileIO:
    try:
        return _open_file(path)
    except OSError as error:
        raise _cannot_open(path, error) from None


def _find_key(path: Path | None) -> bytes:
    """The key beside the trail; one that lives as long as this process where there is no trail."""
    return secrets.token_bytes(KEY_BYTES) if path is None else _open_key(path.with_name(f"{path.name}.key"))


def _open_key(path: Path) -> bytes:
    """The key in the file, made at the first start: created whole under another name, then linked into place."""
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise _cannot_open(path, error) from None
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"the audit key {path} is not {KEY_BYTES} bytes", hint="restore it, or remove it for a new one"
        )
    return key


def _make_key(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process made it in between: its key is the key
    finally:
        draft.unlink()


def _cannot_open(path: Path, error: OSError) -> ConfigError:
    hint = "set audit.path to a file that this user may write, or to null for no audit"
    return ConfigError(f"the audit trail {path} cannot be opened: {error.strerror}", hint=hint)
