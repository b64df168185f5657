"""Which settings a masked session may change or show, in SQL and in its startup packet.

A setting is on the list when it changes how answers look or how long they may take, never what is seen, who the
session is, how its SQL is read, or what the server writes elsewhere. Everything else is refused by name:
transform_null_equals, which gives a row filter's `= NULL` another meaning, lc_messages, which turns error texts into
other words, and whatever prints plans, loads libraries, counts statistics, or concerns DDL and replication.

https://www.postgresql.org/docs/current/runtime-config-client.html
"""

from __future__ import annotations

import re

from proxy.policy.plan import Refusal
from proxy.policy.refused import DUMP_HINT, HINT
from proxy.policy.system import SECRET_SETTINGS

CHANGEABLE = frozenset(
    """
    application_name bytea_output client_min_messages constraint_exclusion cpu_index_tuple_cost cpu_operator_cost
    cpu_tuple_cost cursor_tuple_fraction datestyle debug_parallel_query default_statistics_target
    default_text_search_config default_transaction_deferrable default_transaction_isolation
    default_transaction_read_only effective_cache_size effective_io_concurrency enable_async_append
    enable_bitmapscan enable_distinct_reordering enable_gathermerge enable_group_by_reordering enable_hashagg
    enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material enable_memoize
    enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
    enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination
    enable_seqscan enable_sort enable_tidscan escape_string_warning extra_float_digits force_parallel_mode
    from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias
    geqo_threshold gin_fuzzy_search_limit hash_mem_multiplier idle_in_transaction_session_timeout
    idle_session_timeout intervalstyle io_combine_limit jit jit_above_cost jit_expressions jit_inline_above_cost
    jit_optimize_above_cost jit_tuple_deforming join_collapse_limit lc_monetary lc_numeric lc_time lock_timeout
    maintenance_io_concurrency maintenance_work_mem max_parallel_maintenance_workers max_parallel_workers
    max_parallel_workers_per_gather min_parallel_index_scan_size min_parallel_table_scan_size
    parallel_leader_participation parallel_setup_cost parallel_tuple_cost plan_cache_mode quote_all_identifiers
    random_page_cost recursive_worktable_factor search_path seed seq_page_cost statement_timeout
    stats_fetch_consistency
    synchronize_seqscans synchronous_commit tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval
    tcp_user_timeout temp_buffers timezone transaction_deferrable transaction_isolation transaction_read_only
    transaction_timeout work_mem xmlbinary xmloption
    """.split()  # noqa: SIM905 - a table to be read
)

# The one value that keeps their meaning: drivers set these as a matter of course.
FIXED = {
    "standard_conforming_strings": frozenset({"on", "true", "yes", "1"}),
    "client_encoding": frozenset({"utf8", "utf-8", "unicode"}),
    "backslash_quote": frozenset({"safe_encoding", "off"}),
    "row_security": frozenset({"on", "true", "yes", "1"}),
}

_QUIET = frozenset({"notice", "warning", "error"})

# PostgreSQL itself answers SHOW for these; their values are of the installation.
NOT_SHOWN = SECRET_SETTINGS | {"all"}


def may_set(name: str, value: str) -> Refusal | None:
    """None where a masked session may set `name` to `value` (text, unquoted); else the refusal that says why."""
    key = name.lower()
    if key == "search_path":
        return may_search(_identifiers(value))
    if key == "client_min_messages" and value.lower() not in _QUIET:
        return _refusal(name, "debug and log messages of the server can hold values", "notice, warning and error work")
    if key in CHANGEABLE:
        return None
    if key in FIXED:
        if value.lower() in FIXED[key]:
            return None
        if key == "row_security":
            # pg_dump turns it off before it reads a table.
            return _refusal(name, "row filters stay on, and a masked role cannot dump", DUMP_HINT)
        return _refusal(name, "it changes how the session's SQL is read", f"it stays {min(FIXED[key])}")
    return _refusal(name, "it is not on the list of settings that a masked role may change")


def _identifiers(value: str) -> list[str]:
    """The names in a search_path as the server reads them from one text: unquoted ones in lower case.

    https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
    """
    parts = re.findall(r'\s*("(?:[^"]|"")*"|[^,]*)\s*(?:,|$)', value)
    return [p[1:-1].replace('""', '"') if p.startswith('"') else p.strip().lower() for p in parts]


def may_reset(name: str) -> Refusal | None:
    """None where a masked session may RESET `name`: the value of its login comes back."""
    key = name.lower()
    if key in CHANGEABLE or key in FIXED or key == "all":
        return None
    return _refusal(name, "it is not on the list of settings that a masked role may change")


def may_show(name: str) -> Refusal | None:
    """None where a masked session may see the setting. A dotted name is somebody's own and may hold anything."""
    key = name.lower()
    if "." in key:
        return _refusal(name, "custom settings may hold values", verb="show")
    if key in NOT_SHOWN:
        hint = "query pg_settings for the ones that are open" if key == "all" else HINT
        return _refusal(name, "it belongs to the installation", hint, verb="show")
    return None


def may_search(path: list[str]) -> Refusal | None:
    """None where this search_path cannot redirect a built-in name: nothing may come before pg_catalog."""
    if "pg_catalog" in path[1:]:
        return _refusal("search_path", "a schema stands before pg_catalog", "leave pg_catalog out: it comes first then")
    if any(part.startswith(("pg_temp", "pg_toast")) for part in path):
        return _refusal("search_path", "temporary and toast schemas cannot be searched")
    return None


def _refusal(name: str, why: str, hint: str = HINT, *, verb: str = "set") -> Refusal:
    return Refusal("42501", f'this role may not {verb} "{name}": {why}', hint=hint)
