"""Numbers of several workers: sums, the worst state, and what outlives a worker."""

from __future__ import annotations

import pickle

from prometheus_client.parser import text_string_to_metric_families

from proxy.ops.metrics import Metrics
from proxy.ops.totals import STATES, Snapshot, merge, remains, render, snapshot


def told(metrics: Metrics) -> Snapshot:
    """As it comes from another process."""
    found: Snapshot = pickle.loads(pickle.dumps(snapshot(metrics.registry)))
    return found


def values(numbers: Snapshot) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(render(numbers).decode()):
        for sample in family.samples:
            found["|".join([sample.name, *sample.labels.values()])] = sample.value
    return found


def test_one_worker_reads_as_it_would_alone() -> None:
    metrics = Metrics()
    metrics.statement("select", "plain", 0.002)
    metrics.session_opened("analyst")
    assert render(merge([told(metrics)])) == metrics.render()


def test_counters_histograms_and_gauges_are_summed_and_states_are_not() -> None:
    one, two = Metrics(), Metrics()
    for metrics, times in ((one, 1), (two, 2)):
        for _ in range(times):
            metrics.session_opened("analyst")
            metrics.statement("select", "plain", 0.002)
    two.session_opened("dba")
    two.policy_broken(broken=True)
    one.floor_stale(3)
    two.floor_stale(2)
    found = values(merge([told(one), told(two)]))
    assert found["pgveil_sessions|analyst"] == found["pgveil_sessions_opened_total|analyst"] == 3
    assert found["pgveil_sessions|dba"] == 1
    assert found["pgveil_plan_seconds_count"] == found["pgveil_plan_seconds_bucket|+Inf"] == 3
    assert found["pgveil_plan_seconds_bucket|0.001"] == 0
    assert found["pgveil_policy_broken"] == 1
    assert found["pgveil_floor_stale"] == 3
    assert found["pgveil_shadow_broken"] == 0


def test_what_a_worker_counted_outlives_it_and_what_it_had_does_not() -> None:
    gone, new = Metrics(), Metrics()
    gone.session_opened("analyst")
    gone.statement("select", "plain", 0.002)
    gone.policy_broken(broken=True)
    past = merge([remains(told(gone)), remains(told(gone))])
    found = values(merge([told(new), past]))
    assert found["pgveil_sessions_opened_total|analyst"] == 2
    assert found["pgveil_plan_seconds_count"] == 2
    assert found["pgveil_policy_broken"] == 0
    assert "pgveil_sessions|analyst" not in found


def test_every_state_is_a_gauge_of_ours() -> None:
    kinds = {family.name: family.kind for family in told(Metrics())}
    assert {kinds[name] for name in STATES} == {"gauge"}
