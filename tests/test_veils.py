"""The holder of the veil in force: what it counts."""

from __future__ import annotations

from pathlib import Path

from proxy.ops.metrics import Metrics
from proxy.policy.load import load_policies
from proxy.veils import VeilHolder

POLICY = "version: 1\nroles:\n  dba: {users: [root], bypass: true}\n"


def loads(metrics: Metrics, outcome: str) -> float:
    name = f'pgveil_policy_loads_total{{outcome="{outcome}"}} '
    found = [line for line in metrics.render().decode().splitlines() if line.startswith(name)]
    return float(found[0].removeprefix(name)) if found else 0


async def test_every_load_of_the_policy_is_counted_from_the_first_one(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(POLICY)
    metrics = Metrics()
    holder = VeilHolder(load_policies(tmp_path), metrics)
    assert (loads(metrics, "ok"), loads(metrics, "failed")) == (1, 0)
    file.write_text("version: 2\n")
    await holder.reload(tmp_path, lambda: None)
    file.write_text(POLICY)
    await holder.reload(tmp_path, lambda: None)
    assert (loads(metrics, "ok"), loads(metrics, "failed")) == (2, 1)
