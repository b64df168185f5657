"""Two proxies that answer questions over the office database: one whose model is scripted, one that needs no model."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from client_kinds import Place
from conftest import Configuration, Pgveil, Serve
from office_world import SECRET, make_office, write_policy
from scripted_model import Reply, ScriptedModel

from proxy import localpg

DATABASE = "office_ask"
ROLES = ("dba", "analyst")
WRITTEN = "SELECT id, name, ssn FROM hr.emp WHERE id <= 3 ORDER BY id"
NAMES = ["person 1", "person 2", "person 3"]
SSNS = {"dba": [f"{SECRET}-000{i}" for i in (1, 2, 3)], "analyst": ["****-**01", "****-**02", "****-**03"]}
MODEL_SECONDS = 4
"""How long the proxy waits for its model."""
RUN_SECONDS = 3
"""How long SQL that was written for a question may run."""
API_KEY = "sk-a-key-for-the-scripted-model"


class PlaceholderModel(ScriptedModel):
    """A scripted model that writes the request's placeholders for `{0}`, `{1}` in its answers."""

    def _next(self) -> Reply:
        reply = super()._next()
        content = reply.content
        for i, hint in enumerate(self.requests[-1].document["placeholders"]):
            content = content.replace(f"{{{i}}}", hint["word"])
        return Reply(content, reply.status, reply.body, reply.delay, reply.location)


@dataclass(frozen=True)
class Desk:
    """The two proxies, the script of the one, and the DSN of the database itself."""

    scripted: Pgveil
    embedded: Pgveil
    model: PlaceholderModel
    dsn: str

    def place(self, role: str, *, embedded: bool = False) -> Place:
        proxy = self.embedded if embedded else self.scripted
        return Place(proxy.host, proxy.port, role, DATABASE)

    def connect(self, role: str, *, embedded: bool = False, **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.place(role, embedded=embedded).dsn, **{"autocommit": True, **options})


@contextmanager
def open_desk(postgres: localpg.LocalPostgres, serve: Serve, directory: Path) -> Iterator[Desk]:
    dsn = make_office(postgres, DATABASE)
    policies = write_policy(directory)
    with PlaceholderModel("SELECT 1 AS one") as model:
        openai = {
            "base_url": model.base_url,
            "model": "scripted",
            "timeout_s": MODEL_SECONDS,
            "api_key_env": "TEST_KEY",
        }
        ask = {"provider": "openai", "max_repairs": 2, "statement_timeout_s": RUN_SECONDS, "openai": openai}
        desk = Desk(
            serve(
                Configuration(
                    upstream=dsn,
                    policies=policies,
                    settings={"ask": ask},
                    environment={"TEST_KEY": API_KEY},
                )
            ),
            serve(Configuration(upstream=dsn, policies=policies)),
            model,
            dsn,
        )
        # The first question starts what detects names, which takes a while: both at once.
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda embedded: _first_question(desk, embedded=embedded), (True, False)))
        yield desk
        desk.scripted.stop()


def _first_question(desk: Desk, *, embedded: bool) -> None:
    with desk.connect("dba", embedded=embedded) as connection:
        connection.execute("ASK 'how many orders are there'").fetchall()


def everything_kept(proxy: Pgveil) -> str:
    """Logs, audit trail and metrics of a proxy."""
    texts = [path.read_text(errors="replace") for path in proxy.directory.iterdir() if path.is_file()]
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.http_port}/metrics", timeout=20) as response:
        texts.append(response.read().decode())
    return "\n".join(texts)
