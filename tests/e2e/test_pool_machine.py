"""The random scripts of `test_protocol_machine` with transaction pooling: the answers are those of a connection of
one's own, but for the notice that says that one is kept."""

from __future__ import annotations

import pytest
from conftest import Configuration, Serve
from office_world import write_policy
from test_protocol_machine import BypassMachine, Machine, MaskedMachine, play
from twins import POLICY, Answer, Side, Twins, World, make_databases

from proxy import localpg

POOL = {"mode": "transaction", "size": 3, "queue_timeout_s": 10}


SLIP = b"unexpected state STARTED"
"""An internal error of PostgreSQL's: LISTEN without a Sync, a Query behind it, and the next Query gets this. Here
that is the question of what is left, and so it never comes to the client."""


class PooledTwins(Twins):
    def compare(self, expected: Answer, found: Answer) -> Answer:
        if any(tag == b"E" and SLIP in body for tag, body in expected.messages):
            self._open_again()
            return expected
        heard = [(tag, body) for tag, body in found.messages if b"pgveil: this session keeps" not in body]
        return super().compare(expected, Answer(heard, found.ended))


class PooledWorld(World):
    def open(self) -> Twins:
        self.reset()
        return PooledTwins(self, Side(self._direct()), Side(self._proxied()))


@pytest.mark.parametrize(("machine", "user"), [(BypassMachine, "dba"), (MaskedMachine, "analyst")])
def test_shared_connections_answer_as_postgresql_does(
    machine: type[Machine],
    user: str,
    postgres: localpg.LocalPostgres,
    serve: Serve,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    dsn = make_databases(postgres, user)
    policies = write_policy(tmp_path_factory.mktemp("pooled_twins"), POLICY)
    proxy = serve(Configuration(upstream=dsn, policies=policies, settings={"pool": POOL}))
    machine.world = PooledWorld(postgres, proxy, user)
    play(machine, 12)
