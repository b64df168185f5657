"""What a masked role sees of the system's own relations: built-in rules, by the same mechanism as everybody's tables.

Catalogues that name things (tables, columns, types, indexes) are open, since psql, drivers and BI tools live on them.
Those that hold values (statistics), other people's SQL or secrets of the installation lose those columns or rows.
A system relation that no list names is refused.

https://www.postgresql.org/docs/current/catalogs.html, https://www.postgresql.org/docs/current/views.html
It does not hide that a table or column exists: names are not protected values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SystemRule:
    """`hidden` columns read as NULL; `where` is a predicate over the relation's own columns, or None."""

    hidden: frozenset[str] = frozenset()
    where: str | None = None


def _hide(*columns: str, where: str | None = None) -> SystemRule:
    return SystemRule(frozenset(columns), where)


NO_ROWS = SystemRule(where="false")
OWN_SESSION = SystemRule(where="pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()")
OPEN = SystemRule()

# Settings whose values are passwords or commands of the installation.
SECRET_SETTINGS = frozenset(
    {
        "archive_cleanup_command", "archive_command", "config_file", "data_directory", "external_pid_file", "hba_file",
        "ident_file", "primary_conninfo", "recovery_end_command", "restore_command",
        "ssl_passphrase_command", "primary_slot_name",
    }
)  # fmt: skip

# Operators are pinned: a user's = over text would be asked otherwise.
_SETTINGS_SHOWN = (
    "pg_catalog.strpos(name, '.') OPERATOR(pg_catalog.=) 0 AND NOT name OPERATOR(pg_catalog.=) ANY (ARRAY[{}])"
).format(", ".join(f"'{name}'" for name in sorted(SECRET_SETTINGS)))

_NAMES = """
pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_auth_members pg_available_extension_versions
pg_available_extensions pg_cast pg_class pg_collation pg_constraint pg_conversion pg_database pg_default_acl pg_depend
pg_description pg_enum pg_event_trigger pg_extension pg_group pg_index pg_indexes pg_inherits pg_init_privs
pg_language pg_largeobject_metadata pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl
pg_partitioned_table pg_policies pg_policy pg_publication pg_publication_namespace pg_publication_rel
pg_publication_tables pg_range pg_replication_origin pg_rules pg_seclabel pg_seclabels pg_sequence
pg_shdepend pg_shdescription pg_shseclabel pg_stat_all_indexes pg_stat_all_tables pg_stat_archiver pg_stat_bgwriter
pg_stat_checkpointer pg_stat_database pg_stat_database_conflicts pg_stat_io pg_stat_slru pg_stat_sys_indexes
pg_stat_sys_tables pg_stat_user_functions pg_stat_user_indexes pg_stat_user_tables pg_stat_wal
pg_stat_xact_all_tables pg_stat_xact_sys_tables pg_stat_xact_user_functions pg_stat_xact_user_tables
pg_statio_all_indexes pg_statio_all_sequences pg_statio_all_tables pg_statio_sys_indexes pg_statio_sys_sequences
pg_statio_sys_tables pg_statio_user_indexes pg_statio_user_sequences pg_statio_user_tables pg_statistic_ext
pg_subscription_rel pg_tables pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger
pg_stat_progress_analyze pg_stat_progress_basebackup pg_stat_progress_cluster pg_stat_progress_copy
pg_stat_progress_create_index pg_stat_progress_vacuum
pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_views pg_wait_events
"""

_INFORMATION_SCHEMA = """
administrable_role_authorizations applicable_roles attributes character_sets check_constraint_routine_usage
check_constraints collation_character_set_applicability collations column_column_usage column_domain_usage
column_privileges column_udt_usage columns constraint_column_usage constraint_table_usage data_type_privileges
domain_constraints domain_udt_usage domains element_types enabled_roles foreign_data_wrappers foreign_servers
foreign_tables information_schema_catalog_name key_column_usage parameters referential_constraints
role_column_grants role_routine_grants role_table_grants role_udt_grants role_usage_grants routine_column_usage
routine_privileges routine_routine_usage routine_sequence_usage routine_table_usage schemata sequences sql_features
sql_implementation_info sql_parts sql_sizing table_constraints table_privileges tables transforms
triggered_update_columns triggers udt_privileges usage_privileges user_defined_types user_mappings
view_column_usage view_routine_usage view_table_usage views
"""

RULES: Mapping[tuple[str, str], SystemRule] = {
    **{("pg_catalog", name): OPEN for name in _NAMES.split()},
    **{("information_schema", name): OPEN for name in _INFORMATION_SCHEMA.split()},
    # Values of tables.
    ("pg_catalog", "pg_attribute"): _hide("attmissingval"),
    ("pg_catalog", "pg_statistic"): NO_ROWS,
    ("pg_catalog", "pg_statistic_ext_data"): NO_ROWS,
    ("pg_catalog", "pg_stats"): NO_ROWS,
    ("pg_catalog", "pg_stats_ext"): NO_ROWS,
    ("pg_catalog", "pg_stats_ext_exprs"): NO_ROWS,
    # Other people's SQL, and the rewritten text of one's own.
    ("pg_catalog", "pg_cursors"): NO_ROWS,
    ("pg_catalog", "pg_prepared_statements"): NO_ROWS,
    # How many rows there were, hidden ones included.
    ("pg_catalog", "pg_sequences"): _hide("last_value"),
    ("pg_catalog", "pg_proc"): _hide("prosrc", "prosqlbody", "probin", "proargdefaults"),
    ("pg_catalog", "pg_rewrite"): _hide("ev_action", "ev_qual"),
    ("pg_catalog", "pg_stat_activity"): _hide("query"),
    ("pg_catalog", "pg_locks"): OWN_SESSION,
    # Names that other sessions chose freely.
    ("pg_catalog", "pg_prepared_xacts"): NO_ROWS,
    # Who else is connected with which certificate: tools look up their own connection.
    ("pg_catalog", "pg_stat_gssapi"): OWN_SESSION,
    ("pg_catalog", "pg_stat_ssl"): OWN_SESSION,
    ("information_schema", "routines"): _hide("routine_definition"),
    # Where the installation's other servers are. Dashboards and administration tools ask whether there are any.
    ("pg_catalog", "pg_replication_slots"): NO_ROWS,
    ("pg_catalog", "pg_stat_replication"): NO_ROWS,
    ("pg_catalog", "pg_stat_replication_slots"): NO_ROWS,
    ("pg_catalog", "pg_stat_subscription"): NO_ROWS,
    ("pg_catalog", "pg_stat_wal_receiver"): NO_ROWS,
    # Secrets of the installation.
    ("pg_catalog", "pg_db_role_setting"): _hide("setconfig"),
    ("pg_catalog", "pg_foreign_data_wrapper"): _hide("fdwoptions"),
    ("pg_catalog", "pg_foreign_server"): _hide("srvoptions"),
    ("pg_catalog", "pg_foreign_table"): _hide("ftoptions"),
    ("pg_catalog", "pg_roles"): _hide("rolpassword", "rolconfig"),
    ("pg_catalog", "pg_settings"): _hide("sourcefile", "sourceline", where=_SETTINGS_SHOWN),
    ("pg_catalog", "pg_subscription"): _hide("subconninfo"),
    ("pg_catalog", "pg_user"): _hide("passwd", "useconfig"),
    ("pg_catalog", "pg_user_mapping"): _hide("umoptions"),
    ("pg_catalog", "pg_user_mappings"): _hide("umoptions"),
    ("information_schema", "column_options"): NO_ROWS,
    ("information_schema", "foreign_data_wrapper_options"): NO_ROWS,
    ("information_schema", "foreign_server_options"): NO_ROWS,
    ("information_schema", "foreign_table_options"): NO_ROWS,
    ("information_schema", "user_mapping_options"): NO_ROWS,
}

EXTENSION_RULES: Mapping[str, SystemRule] = {
    "pg_stat_statements": _hide("query"),
}
"""Views of well-known extensions, in whatever schema they were installed: on top of the policy's own rules."""


def rule_for(schema: str, name: str) -> SystemRule | None:
    """The built-in rule of a system relation; None: no list names it, so it is refused."""
    return RULES.get((schema, name))
