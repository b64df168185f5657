"""Who may log in: pgbouncer's `userlist.txt`, with SCRAM verifiers only.

https://www.pgbouncer.org/config.html#authentication-file-format: one user per line, `"name" "secret"`, a quote
inside quotes doubled, `;` begins a comment line, and what follows the secret is ignored.

Passwords and md5 hashes are refused: a stolen file of verifiers does not let anybody log in, one of those does.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_bytes

from proxy.errors import ConfigError
from proxy.wire.scram import DEFAULT_ITERATIONS, SALT_SIZE, Verifier

_LINE = re.compile(r'\s*"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"(?:\s.*)?')
_HINT = "Run `pgveil user NAME` and put the line that it prints into the file."


class Userlist(Mapping[str, str]):
    """Users and their verifiers, in PostgreSQL's text form.

    `seed` is a secret that every worker has: an empty list has nothing else to make verifiers up from.
    """

    def __init__(self, verifiers: Mapping[str, str], seed: bytes = b"") -> None:
        """Raises ValueError for what is not a SCRAM-SHA-256 verifier."""
        self._texts = dict(verifiers)
        self._verifiers = {user: Verifier.parse(text) for user, text in verifiers.items()}
        self._mock_key = self._derive_key(seed)

    def after(self, old: Userlist) -> Userlist:
        """This list in place of `old`: those who are in neither look as before, as those do who are in both."""
        self._mock_key = old._mock_key
        return self

    def __getitem__(self, user: str) -> str:
        return self._texts[user]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __repr__(self) -> str:
        return f"Userlist({len(self)} users)"

    def find(self, user: str, iterations: int | None = None) -> tuple[Verifier, bool]:
        """The verifier to show to somebody who says he is `user`, and whether there is such a user.

        For nobody it is a made-up one that no password fits. It looks like the others, or like those of a database
        that makes them with so many `iterations`, and is the same at every try, in every worker and after a restart, so
        that asking twice does not tell who exists. (Not after a restart with another list, where there is no seed.)
        """
        verifier = self._verifiers.get(user)
        return (self._made_up(user, iterations), False) if verifier is None else (verifier, True)

    def _made_up(self, user: str, iterations: int | None) -> Verifier:
        model = None if iterations is not None else next(iter(self._verifiers.values()), None)
        size = SALT_SIZE if model is None else len(model.salt)
        if iterations is None:
            iterations = DEFAULT_ITERATIONS if model is None else model.iterations
        name = user.encode(errors="surrogateescape")
        salt = hmac.digest(self._mock_key, name, hashlib.sha512)[:size]
        return Verifier(iterations, salt, token_bytes(32), token_bytes(32))

    def _derive_key(self, seed: bytes) -> bytes:
        """From the verifiers, which are secret and the same for every worker."""
        if not self._texts and not seed:
            return token_bytes(32)
        listed = "\n".join(self._texts[user] for user in sorted(self._texts))
        return hashlib.sha256(b"pgveil made-up verifiers\n" + listed.encode() + seed).digest()


def load_userlist(path: Path, seed: bytes = b"") -> Userlist:
    """Reads a file of users. Raises ConfigError with file:line, never with a secret."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8") from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        user, secret = _parse_line(line, f"{path}:{number}")
        if user in found:
            raise ConfigError(f"{path}:{number}: the user is listed twice")
        found[user] = secret
    return Userlist(found, seed)


def _parse_line(line: str, where: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ConfigError(f'{where}: expected "user" "SCRAM-SHA-256$..."', hint=_HINT)
    user, secret = (part.replace('""', '"') for part in match.groups())
    if not user:
        raise ConfigError(f"{where}: the user's name is empty", hint=_HINT)
    if not secret.startswith("SCRAM-SHA-256$"):
        kind = "an md5 hash" if re.fullmatch("md5[0-9a-f]{32}", secret) else "a password"
        raise ConfigError(f"{where}: the secret is {kind}; only SCRAM-SHA-256 verifiers are taken", hint=_HINT)
    try:
        Verifier.parse(secret)
    except ValueError as exc:
        raise ConfigError(f"{where}: {exc}", hint=_HINT) from None
    return user, secret
