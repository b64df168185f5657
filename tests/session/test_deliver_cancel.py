"""Whether a CancelRequest has arrived, and can hit nothing that runs later. Scripted servers."""

from __future__ import annotations

import pytest
import uvloop
from scripted_upstream import Script, Visit, listening

from proxy import upstream as module
from proxy.settings import UpstreamDsn
from proxy.upstream import Upstream, open_upstream


def serving(visit: Visit) -> None:
    visit.packet()
    visit.welcome()
    visit.wait()


def closing(visit: Visit) -> None:
    visit.packet()


def silent(visit: Visit) -> None:
    visit.packet()
    visit.wait()


async def opened(place: str) -> Upstream:
    return await open_upstream(UpstreamDsn.parse(f"postgresql://app@{place}/shop?sslmode=disable"), {"user": "app"}, 10)


@pytest.mark.parametrize(("server", "arrives"), [(closing, True), (silent, False)], ids=["closing", "silent"])
def test_it_has_arrived_when_the_server_closes(server: Script, arrives: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANCEL_SECONDS", 0.2)

    async def run() -> bool:
        with listening(serving, server) as listener:
            upstream = await opened(listener.place)
            delivered = await upstream.deliver_cancel()
            upstream.stream.abort()
            return delivered

    assert uvloop.run(run()) is arrives


def test_where_nobody_listens_any_more() -> None:
    async def run() -> bool:
        with listening(serving) as listener:
            upstream = await opened(listener.place)
        delivered = await upstream.deliver_cancel()
        upstream.stream.abort()
        return delivered

    assert uvloop.run(run()) is False
