"""Which functions of PostgreSQL a masked role may call: those that see nothing but their arguments.

The list is computed from pg_proc by `admits`, checked in as `builtin_functions.txt`, and compared with every supported
server by a test, so that a new major version changes nothing unseen. A function that is immutable by PostgreSQL's own
word reads no table and has no effect (https://www.postgresql.org/docs/current/xfunc-volatility.html). A stable or
volatile one is admitted by name: each was read for whether it runs SQL, reads files, large objects, other sessions or
statistics, changes a setting, takes a lock, sleeps or sends.

It does not know functions outside pg_catalog: those run only where a policy trusts them by signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("builtin_functions.txt")

QUERY = """
SELECT p.proname::text AS name, p.provolatile::text AS volatility, p.prokind::text AS kind, p.pronargs AS arguments,
       p.provariadic <> 0 AS variadic,
       p.prorettype::pg_catalog.regtype::text AS result,
       ARRAY(SELECT t::pg_catalog.regtype::text FROM pg_catalog.unnest(p.proargtypes::oid[]) AS t) AS types
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
"""
"""Rows for `BuiltinFunction`, from any server."""

INTERNAL_TYPES = frozenset(
    {
        "internal", "cstring", "trigger", "event_trigger", "language_handler", "fdw_handler", "index_am_handler",
        "table_am_handler", "tsm_handler", "pg_ddl_command",
    }
)  # fmt: skip
"""Functions over these are the server's own plumbing; input functions (cstring) would turn text into any type."""

ADMITTED_STABLE = re.compile(
    r"""
    age | (clean_)?aclexplode | any\w*textcat | textany(cat)? | anytextcat | array_(to_json|to_string) | concat(_ws)?
    | convert(_from|_to)? | col_description | obj_description | shobj_description
    | current_(database|schema|schemas|setting|user) | session_user | system_user | getpgusername | getdatabaseencoding
    | date(_\w+)? | timestamp(tz)?(_\w+)? | time(tz)? | timezone | interval_pl_timestamptz | extract | in_range
    | overlaps
    | enum_(first|last|range) | format(_type)? | generate_series | get_current_ts_config
    | has_\w+_privilege | inet_(client|server)_(addr|port)
    | json_(agg|agg_strict|object_agg\w*|build_array|build_object|populate_record|populate_recordset|to_record
        |to_recordset|to_tsvector)
    | jsonb_(agg|agg_strict|object_agg\w*|build_array|build_object|populate_record|populate_record_valid
        |populate_recordset|to_record|to_recordset|to_tsvector|path_\w+_tz)
    | length | make_timestamptz | money | numeric | mxid_age | now | oidvectortypes | statement_timestamp
    | transaction_timestamp | quote_(literal|nullable) | row_security_active | row_to_json | to_(char|date|json|jsonb
        |number|timestamp|tsquery|tsvector) | to_reg\w+ | regclass | (phrase|plain|websearch_)to_tsquery
    | plainto_tsquery | phraseto_tsquery
    | ts_(debug|headline|match_tq|match_tt|parse|token_type) | version | xml | xml_is_well_formed
    | pg_(available_extensions|available_extension_versions|backend_pid|basetype|char_to_encoding|client_encoding
        |collation_for|column_compression|column_is_updatable|column_size|conf_load_time|describe_object
        |encoding_to_char|extension_update_paths|get_acl|get_catalog_foreign_keys|get_constraintdef|get_expr
        |get_function_arg_default|get_function_arguments|get_function_identity_arguments|get_function_result
        |get_indexdef|get_keywords|get_object_address|get_partition_constraintdef|get_partkeydef
        |get_replica_identity_index|get_ruledef|get_serial_sequence|get_statisticsobjdef|get_statisticsobjdef_columns
        |get_statisticsobjdef_expressions|get_triggerdef|get_userbyid|get_viewdef|has_role|identify_object
        |identify_object_as_address|index_column_has_property|index_has_property|indexam_has_property
        |is_other_temp_schema|my_temp_schema|options_to_table|postmaster_start_time|relation_is_publishable
        |relation_is_updatable|sequence_parameters|settings_get_flags|tablespace_databases|tablespace_location
        |timezone_abbrevs\w*|timezone_names|trigger_depth|typeof|relation_filenode|filenode_relation
        |listening_channels)
    | pg_\w+_is_visible
    | pg_current_(snapshot|xact_id|xact_id_if_assigned) | txid_current(_if_assigned|_snapshot)?
    | pg_stat_get_(db_\w+|numscans|lastscan|tuples_\w+|(live|dead)_tuples|mod_since_analyze|ins_since_vacuum
        |blocks_(fetched|hit)|last_(auto)?(vacuum|analyze)_time|(auto)?(vacuum|analyze)_count
        |total_(auto)?(vacuum|analyze)_time)
    """,
    re.VERBOSE,
)
"""Stable functions that read catalogues of names and types, the clock, or the session itself.

Those for transaction numbers may assign one, which any write does as well; DataGrip asks for it when it connects. The
counters of tables and databases are those of pg_stat_all_tables and pg_stat_database, which `system` has open; the
functions behind pg_stat_activity (pg_stat_get_activity, pg_stat_get_backend_...) show other sessions' SQL.
"""

ADMITTED_VOLATILE = frozenset(
    {
        "array_sample", "array_shuffle", "clock_timestamp", "gen_random_uuid", "random", "random_normal", "setseed",
        "timeofday", "uuidv4", "uuidv7",
        # What psql's backslash commands and BI tools show of a table: pages, not values.
        "pg_collation_actual_version", "pg_database_collation_actual_version", "pg_database_size", "pg_indexes_size",
        "pg_is_in_recovery", "pg_jit_available", "pg_partition_ancestors", "pg_partition_tree", "pg_relation_size",
        "pg_table_size", "pg_tablespace_size", "pg_total_relation_size",
        # The view pg_sequences shows as much.
        # How fresh a replica is.
        "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp",
        # Gives back the session's own locks only: asyncpg calls it when a connection goes back to its pool.
        "pg_advisory_unlock_all",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BuiltinFunction:
    """A row of `QUERY`."""

    name: str
    volatility: str
    kind: str
    arguments: int
    variadic: bool
    result: str
    types: tuple[str, ...]


def admits(function: BuiltinFunction) -> bool:
    """Whether a masked role may call it. Procedures and the server's plumbing never; see the module's opening."""
    if function.kind not in ("f", "a", "w"):
        return False
    if INTERNAL_TYPES & {function.result, *function.types}:
        return False
    if function.volatility == "i":
        return True
    if function.volatility == "s":
        return ADMITTED_STABLE.fullmatch(function.name) is not None
    return function.volatility == "v" and function.name in ADMITTED_VOLATILE


def compute(functions: Iterable[BuiltinFunction]) -> frozenset[str]:
    """The list's entries: `name`, or `name/arity` where another arity of that name is refused.

    A name with an admitted and a refused overload of one arity is left out for that arity: types are not known
    before PostgreSQL analyses the statement.
    """
    by_name: dict[str, list[BuiltinFunction]] = {}
    for function in functions:
        # Overloads over internal types cannot be called from SQL: they do not stand in the others' way.
        if not ({"internal"} & set(function.types)):
            by_name.setdefault(function.name, []).append(function)
    entries: set[str] = set()
    for name, overloads in by_name.items():
        good = [f for f in overloads if admits(f)]
        if len(good) == len(overloads):
            entries.add(name)
        elif good:
            refused = {f.arguments for f in overloads if not admits(f)}
            entries |= {f"{name}/{f.arguments}" for f in good if f.arguments not in refused and not f.variadic}
    return frozenset(entries)


@cache
def admitted() -> frozenset[str]:
    """The checked-in list."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def may_call(name: str, arguments: int) -> bool:
    """Whether pg_catalog's `name` with so many arguments is on the list."""
    entries = admitted()
    return name in entries or f"{name}/{arguments}" in entries
