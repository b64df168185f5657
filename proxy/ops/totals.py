"""The numbers of several workers as one: counters and histograms are summed, and so are most gauges.

A counter never goes down, though a worker that has ended takes its numbers along: what it counted is kept in a `Past`,
as far as it was known. A worker tells its numbers when it is asked, once a second, and when it ends; what one that was
killed had counted since then is lost, and was never shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

STATES = frozenset({"pgveil_policy_broken", "pgveil_floor_stale", "pgveil_shadow_broken"})
"""Gauges of which workers have an opinion each: the worst counts, and a sum would mean nothing."""
_KEPT = frozenset({"counter", "histogram"})

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and its labels."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples, as plain values that pass between processes."""

    name: str
    text: str
    kind: str
    samples: tuple[tuple[Series, float], ...]


Snapshot = tuple[Family, ...]


def snapshot(registry: CollectorRegistry) -> Snapshot:
    """What the registry has now."""
    return tuple(_family(metric) for metric in registry.collect())


def _family(metric: Metric) -> Family:
    samples = tuple(((s.name, tuple(s.labels.items())), float(s.value)) for s in metric.samples)
    return Family(metric.name, metric.documentation, metric.type, samples)


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """One snapshot of them all; metrics and series in the order in which they are met."""
    found: dict[str, Family] = {}
    values: dict[str, dict[Series, float]] = {}
    for family in (family for part in snapshots for family in part):
        found.setdefault(family.name, family)
        into = values.setdefault(family.name, {})
        for series, value in family.samples:
            if family.name in STATES:
                into[series] = max(into.get(series, value), value)
            else:
                into[series] = into.get(series, 0.0) + value
    return tuple(Family(f.name, f.text, f.kind, tuple(values[f.name].items())) for f in found.values())


def remains(last: Snapshot) -> Snapshot:
    """What outlives a worker: its counters and histograms."""
    return tuple(family for family in last if family.kind in _KEPT)


def render(numbers: Snapshot) -> bytes:
    """As `/metrics` serves it."""
    return generate_latest(_Collected(numbers))


class _Collected:
    def __init__(self, numbers: Snapshot) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        for family in self._numbers:
            metric = Metric(family.name, family.text, family.kind)
            metric.samples = [Sample(name, dict(labels), value) for (name, labels), value in family.samples]
            yield metric
