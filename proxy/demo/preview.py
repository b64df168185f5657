"""What a model would be sent for a question: the agent's own first two steps, run here on the demo's database.

The proxy of the demo writes its SQL without a model, so nothing is sent at all. The messages are a function of the
masked question and the schema that the user may see, the same one that a model's provider calls.
"""

from __future__ import annotations

from datetime import datetime

from proxy.demo.child import DemoError
from proxy.demo.load import SCHEMAS
from proxy.demo.setup import Place
from proxy.feed import Feed
from proxy.nl.graph import Asker, AskServices
from proxy.nl.ports import AskContext, Preview
from proxy.nl.providers import build_provider
from proxy.policy.decide import Veil
from proxy.policy.load import load_policies
from proxy.privacy.pool import DetectorPool
from proxy.privacy.question import QuestionMasker
from proxy.privacy.scrub import Scrubber


async def preview(place: Place, user: str, question: str) -> Preview:
    """What would be sent if `user` asked. Raises DemoError if the policy does not know the user."""
    policy = load_policies(place.settings.policies)
    identity = policy.identify(user)
    dsn = place.settings.upstream.dsn
    if identity is None or dsn is None:
        raise DemoError(f"there is nobody to ask as: {user}")
    pool = DetectorPool()
    try:
        async with Feed(dsn.uri()) as feed:
            provider = build_provider(place.settings.ask, feed.fetch)
            masker = QuestionMasker(pool, feed.fetch)
            services = AskServices(provider, masker, feed.explain_cost, scrubber=Scrubber(pool))
            today = datetime.now().astimezone().date()
            context = AskContext(identity, SCHEMAS, Veil(policy, feed.catalog), today)
            return await Asker(services, place.settings.ask).preview(question, context)
    finally:
        await pool.close()
