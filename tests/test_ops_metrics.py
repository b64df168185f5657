"""Metrics: every method moves its number, and a scrape reads as Prometheus expects."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.ops.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """`name{label=value,...}` to the number of a scrape."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.mark.parametrize(
    ("happen", "sample", "expected"),
    [
        (lambda m: m.session_opened("analyst"), "pgveil_sessions{role=analyst}", 1),
        (lambda m: m.session_opened("analyst"), "pgveil_sessions_opened_total{role=analyst}", 1),
        (lambda m: m.login_failed("28P01"), "pgveil_login_failures_total{sqlstate=28P01}", 1),
        (lambda m: m.client_bytes(5, 7), "pgveil_client_bytes_total{direction=sent}", 7),
        (lambda m: m.client_bytes(5, 7), "pgveil_client_bytes_total{direction=received}", 5),
        (
            lambda m: m.statement("select", "rewritten"),
            "pgveil_statements_total{kind=select,outcome=rewritten}",
            1,
        ),
        (lambda m: m.statement("select", "plain", 0.002), "pgveil_plan_seconds_count", 1),
        (lambda m: m.refusal("42501"), "pgveil_refusals_total{sqlstate=42501}", 1),
        (lambda m: m.upstream_error("42P01"), "pgveil_upstream_errors_total{class=42}", 1),
        (lambda m: m.ask("answered", 0.2), "pgveil_asks_total{outcome=answered}", 1),
        (lambda m: m.ask("VA001", 0.2), "pgveil_ask_seconds_count", 1),
        (lambda m: m.ask("VA004", 0.2, repairs=2), "pgveil_ask_repairs_total", 2),
        (lambda m: m.policy_loaded(ok=False), "pgveil_policy_loads_total{outcome=failed}", 1),
        (lambda m: m.policy_broken(broken=True), "pgveil_policy_broken", 1),
        (lambda m: m.floor_stale(2), "pgveil_floor_stale", 2),
        (lambda m: m.shadow_statement("masks"), "pgveil_shadow_statements_total{change=masks}", 1),
        (lambda m: m.shadow_dropped(), "pgveil_shadow_dropped_total", 1),
        (lambda m: m.shadow_broken(broken=True), "pgveil_shadow_broken", 1),
        (lambda m: m.catalog_refreshed(ok=True), "pgveil_catalog_refreshes_total{outcome=ok}", 1),
        (lambda m: m.crash(), "pgveil_crashes_total", 1),
        (lambda m: m.audit_lost(), "pgveil_audit_lost_total", 1),
    ],
)
def test_what_happens_shows(happen, sample: str, expected: float) -> None:  # type: ignore[no-untyped-def]
    metrics = Metrics()
    happen(metrics)
    assert samples(metrics)[sample] == expected


def test_a_closed_session_is_no_longer_counted_as_open() -> None:
    metrics = Metrics()
    metrics.session_opened("analyst")
    metrics.session_opened("analyst")
    metrics.session_closed("analyst")
    found = samples(metrics)
    assert found["pgveil_sessions{role=analyst}"] == 1
    assert found["pgveil_sessions_opened_total{role=analyst}"] == 2


def test_a_watched_number_is_read_at_each_scrape() -> None:
    metrics = Metrics()
    numbers = iter([1.0, 2.0])
    metrics.watch("policy_rules", "Rules in force.", lambda: next(numbers))
    assert samples(metrics)["pgveil_policy_rules"] == 1
    assert samples(metrics)["pgveil_policy_rules"] == 2


def test_two_proxies_in_one_process_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    one.refusal("42501")
    assert "pgveil_refusals_total{sqlstate=42501}" not in samples(two)


def test_every_name_begins_with_ours() -> None:
    assert all(name.startswith("pgveil_") for name in Metrics().names())
