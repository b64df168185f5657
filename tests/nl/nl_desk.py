"""An asker at a desk: with a scripted model, a recording planner and a list of what is private."""

from __future__ import annotations

from dataclasses import dataclass, field

from nl_world import ListMasker, Planner, context, mask
from scripted_model import Reply, ScriptedModel

from proxy.nl.graph import Asker, AskServices
from proxy.nl.ports import Answer, AskContext
from proxy.nl.providers.openai import OpenAIProvider
from proxy.settings import AskSettings, OpenAISettings

PRIVATE = {"Asha Rao": "PERSON", "asha@rao.example": "EMAIL"}
QUESTION = "How many orders did Asha Rao place?"
PERSON = mask(QUESTION, PRIVATE).text.split()[4]
GOOD = f"SELECT count(*) FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id WHERE c.name = '{PERSON}'"
RAW = 'column "zzraw" does not exist: Asha Rao, 42000'


@dataclass
class Desk:
    """An asker with all that it talks to."""

    asker: Asker
    model: ScriptedModel
    planner: Planner
    provider: OpenAIProvider
    outcomes: list[tuple[str, int]] = field(default_factory=list)
    handed_over: list[Answer] = field(default_factory=list)

    async def ask(self, *replies: str | Reply, question: str = QUESTION, ctx: AskContext | None = None) -> Answer:
        self.model.say(*replies)
        try:
            return await self.asker.resolve(question, ctx or context())
        finally:
            await self.provider.close()

    def assert_nothing_private_was_sent(self) -> None:
        sent = self.model.everything()
        for secret in ("Asha", "Rao", "rao.example", "42000", "zzraw", "98765", "asha@"):
            assert secret not in sent


def make_desk(model: ScriptedModel, *, timeout_s: float = 5, max_repairs: int = 2) -> Desk:
    planner = Planner()
    settings = AskSettings(
        provider="openai",
        openai=OpenAISettings(base_url=model.base_url, model="m", timeout_s=timeout_s, api_key_env="NO_SUCH_KEY"),
        max_repairs=max_repairs,
        max_rows=500,
        max_cost=1000,
    )
    provider = OpenAIProvider(settings.openai)
    outcomes: list[tuple[str, int]] = []
    handed_over: list[Answer] = []

    async def run(answer: Answer, _: AskContext) -> None:
        handed_over.append(answer)

    services = AskServices(
        provider,
        ListMasker(PRIVATE),
        planner.cost,
        observe=lambda outcome, _, repairs: outcomes.append((outcome, repairs)),
        run=run,
    )
    return Desk(Asker(services, settings), model, planner, provider, outcomes, handed_over)
