"""The proxy's numbers, in Prometheus's format.

One registry of our own per `Metrics`, so that tests and a second proxy in one process do not meet. Labels are closed
vocabularies or names out of the policy: never SQL, a question or a client's free text, because a label is a value that
is stored for months.

It does not know when something happened; callers call. `docs/metrics.md` lists every name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from proxy.ops.log import DROPPED
from proxy.ops.tallies import Buckets, Tally

CONTENT_TYPE = CONTENT_TYPE_LATEST

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter, of the time it was made

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_PLAN_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)

_POOL_TEXTS = {
    "active": "Shared connections that a session has at this moment.",
    "idle": "Shared connections that nobody has.",
    "waiting": "Sessions that wait for a shared connection.",
}


class Times(Collector):
    """Seconds that are counted too often for the library's histogram. It becomes one when somebody scrapes."""

    def __init__(self, name: str, text: str, bounds: tuple[float, ...]) -> None:
        self._name = name
        self._text = text
        self._bounds = bounds
        self.counted = Buckets(bounds)

    def collect(self) -> Iterator[Metric]:
        counts = accumulate(self.counted.counts)
        buckets = zip((*map(floatToGoString, self._bounds), "+Inf"), counts, strict=True)
        yield HistogramMetricFamily(self._name, self._text, buckets=list(buckets), sum_value=self.counted.total)


class Statements(Collector):
    """What is counted for every statement. It becomes metrics when somebody scrapes."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}
        text = "Time to decide a statement, cached decisions included."
        self._times = Times("pgveil_plan_seconds", text, _PLAN_SECONDS)
        self.planned = self._times.counted

    def tally(self, kind: str, outcome: str) -> Tally:
        found = self._tallies.get((kind, outcome))
        if found is None:
            found = self._tallies[kind, outcome] = Tally()
        return found

    def collect(self) -> Iterator[Metric]:
        statements = CounterMetricFamily(
            "pgveil_statements",
            "Statements by kind and outcome: plain, rewritten, bypass or refused.",
            labels=("kind", "outcome"),
        )
        for labels, tally in self._tallies.items():
            statements.add_metric(labels, tally.count)
        yield statements
        yield from self._times.collect()


class Metrics:
    """Every metric, and one method for each thing that happens."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._make_session_metrics()
        self._make_statement_metrics()
        self._make_ask_metrics()
        self._make_process_metrics()
        self._make_shadow_metrics()
        self._make_pool_metrics()

    def _make_session_metrics(self) -> None:
        self._sessions = self._gauge("sessions", "Client sessions that are open, by role.", "role")
        self._opened = self._counter("sessions_opened", "Client sessions that were admitted, by role.", "role")
        self._logins = self._counter("login_failures", "Logins that were refused, by SQLSTATE.", "sqlstate")
        self._client_bytes = self._counter("client_bytes", "Bytes to and from clients.", "direction")

    def _make_statement_metrics(self) -> None:
        self._statements = Statements()
        self.registry.register(self._statements)
        self._refusals = self._counter("refusals", "Statements and messages that were refused.", "sqlstate")
        self._upstream_errors = self._counter("upstream_errors", "Errors from upstream, by SQLSTATE class.", "class")
        self._results_cut = self._counter("results_cut", "Results that a limit of the policy cut.", "limit")
        self._limit_refusals = self._counter(
            "limit_refusals", "Statements that a limit of the policy refused or stopped.", "limit"
        )

    def _make_ask_metrics(self) -> None:
        self._asks = self._counter("asks", "Questions by outcome: answered, or the SQLSTATE.", "outcome")
        self._ask_seconds = Histogram(
            "pgveil_ask_seconds", "Time from a question to its SQL.", registry=self.registry, buckets=_SECONDS
        )
        self._repairs = self._counter("ask_repairs", "Times that SQL for a question was written again.")

    def _make_process_metrics(self) -> None:
        self._policy_loads = self._counter("policy_loads", "Loads of the policy, by outcome.", "outcome")
        self._policy_broken = self._gauge("policy_broken", "1 while the policy files on disk cannot be used.")
        self._policy_broken.set(0)
        self._floor_stale = self._gauge(
            "floor_stale", "Role sets whose floor is missing or out of date; 0 without upstream.login: floor."
        )
        self._floor_stale.set(0)
        self._catalog = self._counter("catalog_refreshes", "Reads of the catalogue, by outcome.", "outcome")
        self._crashes = self._counter("crashes", "Sessions that ended in an error of ours.")
        self._audit_lost = self._counter("audit_lost", "Audit records that could not be written.")
        self.watch("log_keys_dropped", "Log keys dropped as not on the safe list.", lambda: DROPPED.count)

    def _make_shadow_metrics(self) -> None:
        self._shadow_statements = self._counter(
            "shadow_statements", "Statements by what the shadow policy would change.", "change"
        )
        self._shadow_dropped = self._counter("shadow_dropped", "Statements not held against the shadow policy.")
        self._shadow_broken = self._gauge("shadow_broken", "1 while the shadow policy's files cannot be used.")
        self._shadow_broken.set(0)

    def _make_pool_metrics(self) -> None:
        waits = Times("pgveil_pool_wait_seconds", "Time that sessions waited for a shared connection.", _SECONDS)
        self.registry.register(waits)
        self._pool_wait = waits.counted
        self._pool_pinned = self._counter("pool_pinned", "Sessions that kept a shared connection, by reason.", "reason")
        self._pool_counts: Callable[[str], float] = lambda _state: 0.0
        for state in ("active", "idle", "waiting"):
            self.watch(f"pool_{state}", _POOL_TEXTS[state], partial(self._pool_count, state))

    def _pool_count(self, state: str) -> float:
        return self._pool_counts(state)

    def pool_counts(self, read: Callable[[str], float]) -> None:
        """Where the numbers of shared connections come from: `read` is asked for active, idle and waiting."""
        self._pool_counts = read

    def waited(self, seconds: float) -> None:
        """A session got a shared connection, or gave up, after so long."""
        self._pool_wait.observe(seconds)

    def pinned(self, reason: str) -> None:
        """A session keeps a shared connection; `reason` is one of a closed list."""
        self._pool_pinned.labels(reason).inc()

    def session_opened(self, role: str) -> None:
        """A client was admitted."""
        self._opened.labels(role).inc()
        self._sessions.labels(role).inc()

    def session_closed(self, role: str) -> None:
        """An admitted client is gone; once for each `session_opened`."""
        self._sessions.labels(role).dec()

    def login_failed(self, sqlstate: str) -> None:
        """A login was refused."""
        self._logins.labels(sqlstate).inc()

    def client_bytes(self, received: int, sent: int) -> None:
        """Bytes moved since the last call."""
        self._client_bytes.labels("received").inc(received)
        self._client_bytes.labels("sent").inc(sent)

    def statement(self, kind: str, outcome: str, seconds: float | None = None) -> None:
        """A statement was decided: `outcome` is plain, rewritten, bypass or refused."""
        self._statements.tally(kind, outcome).count += 1
        if seconds is not None:
            self._statements.planned.observe(seconds)

    def statements(self, kind: str, outcome: str) -> Tally:
        """Where statements of this kind and outcome are counted: for whoever has many of them."""
        return self._statements.tally(kind, outcome)

    @property
    def planned(self) -> Buckets:
        """Where the seconds are counted that it takes to decide one."""
        return self._statements.planned

    def refusal(self, sqlstate: str) -> None:
        """A statement or message was refused."""
        self._refusals.labels(sqlstate).inc()

    def upstream_error(self, sqlstate: str) -> None:
        """The upstream sent an error; only its class (two characters) becomes a label."""
        self._upstream_errors.labels(sqlstate[:2]).inc()

    def result_cut(self, limit: str) -> None:
        """A result was cut: `limit` is max_rows or max_bytes."""
        self._results_cut.labels(limit).inc()

    def limit_refusal(self, limit: str) -> None:
        """A statement was refused or stopped: `limit` is statement_timeout_s, max_cost or max_concurrent."""
        self._limit_refusals.labels(limit).inc()

    def ask(self, outcome: str, seconds: float, repairs: int = 0) -> None:
        """A question ended: `outcome` is answered or the SQLSTATE."""
        self._asks.labels(outcome).inc()
        self._ask_seconds.observe(seconds)
        self._repairs.inc(repairs)

    def policy_loaded(self, *, ok: bool) -> None:
        """The policy was read, at the start or again."""
        self._policy_loads.labels("ok" if ok else "failed").inc()

    def policy_broken(self, *, broken: bool) -> None:
        """Whether the files on disk are something else than the policy in force, and cannot be used."""
        self._policy_broken.set(int(broken))

    def floor_stale(self, count: int) -> None:
        """So many role sets have no floor of the policy in force."""
        self._floor_stale.set(count)

    def shadow_statement(self, change: str) -> None:
        """A statement was held against the shadow policy: `change` is same, refused, allowed, masks, other or login."""
        self._shadow_statements.labels(change).inc()

    def shadow_dropped(self) -> None:
        """A statement was not: too many were waiting, or it could not be judged."""
        self._shadow_dropped.inc()

    def shadow_broken(self, *, broken: bool) -> None:
        """Whether the shadow policy's files cannot be used."""
        self._shadow_broken.set(int(broken))

    def catalog_refreshed(self, *, ok: bool) -> None:
        """The catalogue was read."""
        self._catalog.labels("ok" if ok else "failed").inc()

    def crash(self) -> None:
        """A session ended in an error of ours."""
        self._crashes.inc()

    def audit_lost(self) -> None:
        """An audit record could not be written."""
        self._audit_lost.inc()

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge that is read when somebody scrapes: `pgveil_NAME`."""
        Gauge(f"pgveil_{name}", text, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """The text that `/metrics` serves."""
        return generate_latest(self.registry)

    def names(self) -> frozenset[str]:
        """Every metric's name as a scrape shows it, without the suffixes of histograms."""
        return frozenset(
            f"{family.name}_total" if family.type == "counter" else family.name for family in self.registry.collect()
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"pgveil_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"pgveil_{name}", text, labels, registry=self.registry)
