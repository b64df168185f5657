"""Every statement that PostgreSQL's grammar has: what it is called, which kind a policy grants it as, and why.

`statements` decides; this says it in words, for refusals and for docs/statements.md. A test walks libpg_query's node
types, and holds each row against what the veil does with such a statement. A node type that no row names is spoken of
by its own name, and refused.

It does not know trees: a row is of a node type, whatever the fields of one node say.

https://www.postgresql.org/docs/current/sql-commands.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from proxy.policy.rules import StatementKind as Kind


class Verdict(StrEnum):
    """What becomes of a statement where the policy grants its kind."""

    REWRITTEN = "rewritten"
    """It runs over the masked views of what it names."""
    ALLOWED = "allowed"
    """It runs, and reads no table."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Command:
    """One statement node. `name` is the manual's; `reason` follows a colon, and is the hint of a refusal."""

    name: str
    verdict: Verdict
    kind: Kind | None
    """What a policy has to list. None: no policy can grant it to a masked role."""
    reason: str


UNNAMED: Final = "no list of the veil names it, and what it does not know it refuses"


def spoken(node_name: str) -> str:
    """The command of a statement node (`create_stmt`, as Node's oneof has it): CREATE TABLE."""
    found = COMMANDS.get(node_name)
    return found.name if found else node_name.removesuffix("_stmt").replace("_", " ").upper()


def reason(node_name: str) -> str:
    """Why statements of this node are allowed, rewritten or refused, in a phrase: a refusal's hint."""
    found = COMMANDS.get(node_name)
    return found.reason if found else UNNAMED


def _rewritten(name: str, kind: Kind, why: str) -> Command:
    return Command(name, Verdict.REWRITTEN, kind, why)


def _allowed(name: str, kind: Kind, why: str) -> Command:
    return Command(name, Verdict.ALLOWED, kind, why)


def _refused(name: str, why: str, kind: Kind | None = None) -> Command:
    return Command(name, Verdict.REFUSED, kind, why)


def _schema(name: str) -> Command:
    return _refused(name, "it changes the schema that the policy was written for", Kind.DDL)


def _code(name: str) -> Command:
    return _refused(name, "it brings code into the database that the veil cannot read")


def _rights(name: str) -> Command:
    return _refused(name, "it changes who may do what, which is the policy's to say")


def _outside(name: str) -> Command:
    return _refused(name, "it opens a way to other servers, past the veil")


def _server(name: str) -> Command:
    return _refused(name, "it changes the database or the server for everybody")


def _upkeep(name: str, also: str = "") -> Command:
    return _refused(name, f"{also}it is maintenance of whole tables; a role with bypass can do it")


_READING: Final = {
    "select_stmt": _rewritten(
        "SELECT", Kind.SELECT, "each relation in it becomes its masked view; VALUES and TABLE too"
    ),
    "explain_stmt": _rewritten(
        "EXPLAIN", Kind.EXPLAIN, "of what the role may run; of a masked table without costs, and not with ANALYZE"
    ),
    "copy_stmt": _rewritten(
        "COPY",
        Kind.COPY_OUT,
        "to STDOUT, of the masked view; COPY ... FROM and the server's files and programs are refused",
    ),
    "declare_cursor_stmt": _rewritten("DECLARE", Kind.CURSOR, "its SELECT is rewritten, and the cursor shows no more"),
    "fetch_stmt": _allowed("FETCH", Kind.CURSOR, "from cursors that the session declared; MOVE is the same node"),
    "close_portal_stmt": _allowed("CLOSE", Kind.CURSOR, "it names a cursor, and nothing else"),
    "prepare_stmt": _rewritten("PREPARE", Kind.PREPARE, "the prepared statement is rewritten before it is kept"),
    "execute_stmt": _allowed("EXECUTE", Kind.PREPARE, "what it names was judged when it was prepared"),
    "deallocate_stmt": _allowed("DEALLOCATE", Kind.PREPARE, "it names a prepared statement, and nothing else"),
}

_SESSION: Final = {
    "transaction_stmt": _allowed(
        "BEGIN",
        Kind.TRANSACTION,
        "also COMMIT, ROLLBACK and savepoints; two-phase commit outlives the session: refused",
    ),
    "variable_set_stmt": _allowed("SET", Kind.SET, "also RESET; settings on a list, and none that lifts the veil"),
    "variable_show_stmt": _allowed("SHOW", Kind.SHOW, "but for custom settings and those of the installation"),
    "discard_stmt": _allowed("DISCARD", Kind.SET, "it ends what the session itself has made"),
    "unlisten_stmt": _allowed("UNLISTEN", Kind.SET, "it ends what the session itself has asked for"),
    "constraints_set_stmt": _refused(
        "SET CONSTRAINTS", "it moves the check of constraints, which a reader has no use for"
    ),
}

_WRITING: Final = {
    "insert_stmt": _rewritten(
        "INSERT", Kind.INSERT, "into tables that the policy lets the role write; it reads masked views"
    ),
    "update_stmt": _rewritten(
        "UPDATE", Kind.UPDATE, "of tables that the policy lets the role write; it reads no masked column"
    ),
    "delete_stmt": _rewritten(
        "DELETE", Kind.DELETE, "from tables that the policy lets the role write; it reads no masked column"
    ),
    "merge_stmt": _rewritten(
        "MERGE", Kind.MERGE, "into tables that the policy lets the role write; it reads no masked column"
    ),
    "create_stmt": _allowed("CREATE TABLE", Kind.TEMP, "of a temporary table; any other changes the schema"),
    "create_table_as_stmt": _rewritten(
        "CREATE TABLE AS", Kind.TEMP, "of a temporary table, out of masked views; any other would keep rows for others"
    ),
    "drop_stmt": _allowed(
        "DROP", Kind.TEMP, "of a temporary table that the session made; anything else is the schema's"
    ),
    "truncate_stmt": _allowed(
        "TRUNCATE",
        Kind.TEMP,
        "of a temporary table; of another it would empty it past row filters: DELETE where granted",
    ),
    "index_stmt": _allowed("CREATE INDEX", Kind.TEMP, "on a temporary table; any other changes the schema"),
    "vacuum_stmt": _allowed("VACUUM, ANALYZE", Kind.TEMP, "ANALYZE of a temporary table; anything else is upkeep"),
}

_MESSAGES: Final = {
    "listen_stmt": _refused("LISTEN", "payloads come from sessions that see more", Kind.LISTEN),
    "notify_stmt": _refused("NOTIFY", "it carries what one session reads to another", Kind.LISTEN),
    "call_stmt": _refused("CALL", "it runs a procedure that the veil cannot read", Kind.CALL),
    "do_stmt": _refused("DO", "it runs code that the veil cannot read"),
    "load_stmt": _code("LOAD"),
    "lock_stmt": _refused(
        "LOCK TABLE",
        "it keeps others from the table. pg_dump begins with it: a masked role cannot dump a database, a role with "
        "bypass can",
    ),
}

_SCHEMA: Final = {
    "alter_collation_stmt": _schema("ALTER COLLATION"),
    "alter_domain_stmt": _schema("ALTER DOMAIN"),
    "alter_enum_stmt": _schema("ALTER TYPE ... ADD VALUE"),
    "alter_object_depends_stmt": _schema("ALTER ... DEPENDS ON EXTENSION"),
    "alter_object_schema_stmt": _schema("ALTER ... SET SCHEMA"),
    "alter_op_family_stmt": _schema("ALTER OPERATOR FAMILY"),
    "alter_operator_stmt": _schema("ALTER OPERATOR"),
    "alter_seq_stmt": _schema("ALTER SEQUENCE"),
    "alter_stats_stmt": _schema("ALTER STATISTICS"),
    "alter_table_stmt": _schema("ALTER TABLE"),
    "alter_table_move_all_stmt": _schema("ALTER TABLE ALL IN TABLESPACE"),
    "alter_tsconfiguration_stmt": _schema("ALTER TEXT SEARCH CONFIGURATION"),
    "alter_tsdictionary_stmt": _schema("ALTER TEXT SEARCH DICTIONARY"),
    "alter_type_stmt": _schema("ALTER TYPE"),
    "comment_stmt": _schema("COMMENT"),
    "composite_type_stmt": _schema("CREATE TYPE"),
    "create_conversion_stmt": _schema("CREATE CONVERSION"),
    "create_domain_stmt": _schema("CREATE DOMAIN"),
    "create_enum_stmt": _schema("CREATE TYPE ... AS ENUM"),
    "create_op_class_stmt": _schema("CREATE OPERATOR CLASS"),
    "create_op_family_stmt": _schema("CREATE OPERATOR FAMILY"),
    "create_range_stmt": _schema("CREATE TYPE ... AS RANGE"),
    "create_schema_stmt": _schema("CREATE SCHEMA"),
    "create_seq_stmt": _schema("CREATE SEQUENCE"),
    "create_stats_stmt": _schema("CREATE STATISTICS"),
    "define_stmt": _schema("CREATE AGGREGATE, OPERATOR, TYPE, COLLATION or TEXT SEARCH"),
    "rename_stmt": _schema("ALTER ... RENAME"),
    "view_stmt": _schema("CREATE VIEW"),
}

_RIGHTS: Final = {
    "alter_default_privileges_stmt": _rights("ALTER DEFAULT PRIVILEGES"),
    "alter_owner_stmt": _rights("ALTER ... OWNER TO"),
    "alter_policy_stmt": _rights("ALTER POLICY"),
    "alter_role_set_stmt": _rights("ALTER ROLE ... SET"),
    "alter_role_stmt": _rights("ALTER ROLE"),
    "create_policy_stmt": _rights("CREATE POLICY"),
    "create_role_stmt": _rights("CREATE ROLE"),
    "drop_owned_stmt": _rights("DROP OWNED"),
    "drop_role_stmt": _rights("DROP ROLE"),
    "grant_role_stmt": _rights("GRANT of a role"),
    "grant_stmt": _rights("GRANT"),
    "reassign_owned_stmt": _rights("REASSIGN OWNED"),
    "sec_label_stmt": _rights("SECURITY LABEL"),
}

_CODE: Final = {
    "alter_event_trig_stmt": _code("ALTER EVENT TRIGGER"),
    "alter_extension_contents_stmt": _code("ALTER EXTENSION ... ADD or DROP"),
    "alter_extension_stmt": _code("ALTER EXTENSION"),
    "alter_function_stmt": _code("ALTER FUNCTION"),
    "create_am_stmt": _code("CREATE ACCESS METHOD"),
    "create_cast_stmt": _code("CREATE CAST"),
    "create_event_trig_stmt": _code("CREATE EVENT TRIGGER"),
    "create_extension_stmt": _code("CREATE EXTENSION"),
    "create_function_stmt": _code("CREATE FUNCTION"),
    "create_plang_stmt": _code("CREATE LANGUAGE"),
    "create_transform_stmt": _code("CREATE TRANSFORM"),
    "create_trig_stmt": _code("CREATE TRIGGER"),
    "rule_stmt": _code("CREATE RULE"),
}

_OUTSIDE: Final = {
    "alter_fdw_stmt": _outside("ALTER FOREIGN DATA WRAPPER"),
    "alter_foreign_server_stmt": _outside("ALTER SERVER"),
    "alter_publication_stmt": _outside("ALTER PUBLICATION"),
    "alter_subscription_stmt": _outside("ALTER SUBSCRIPTION"),
    "alter_user_mapping_stmt": _outside("ALTER USER MAPPING"),
    "create_fdw_stmt": _outside("CREATE FOREIGN DATA WRAPPER"),
    "create_foreign_server_stmt": _outside("CREATE SERVER"),
    "create_foreign_table_stmt": _outside("CREATE FOREIGN TABLE"),
    "create_publication_stmt": _outside("CREATE PUBLICATION"),
    "create_subscription_stmt": _outside("CREATE SUBSCRIPTION"),
    "create_user_mapping_stmt": _outside("CREATE USER MAPPING"),
    "drop_subscription_stmt": _outside("DROP SUBSCRIPTION"),
    "drop_user_mapping_stmt": _outside("DROP USER MAPPING"),
    "import_foreign_schema_stmt": _outside("IMPORT FOREIGN SCHEMA"),
}

_SERVER: Final = {
    "alter_database_refresh_coll_stmt": _server("ALTER DATABASE ... REFRESH COLLATION VERSION"),
    "alter_database_set_stmt": _server("ALTER DATABASE ... SET"),
    "alter_database_stmt": _server("ALTER DATABASE"),
    "alter_system_stmt": _server("ALTER SYSTEM"),
    "alter_table_space_options_stmt": _server("ALTER TABLESPACE"),
    "create_table_space_stmt": _server("CREATE TABLESPACE"),
    "createdb_stmt": _server("CREATE DATABASE"),
    "drop_table_space_stmt": _server("DROP TABLESPACE"),
    "dropdb_stmt": _server("DROP DATABASE"),
    "check_point_stmt": _upkeep("CHECKPOINT"),
    "cluster_stmt": _upkeep("CLUSTER"),
    "refresh_mat_view_stmt": _upkeep("REFRESH MATERIALIZED VIEW"),
    "reindex_stmt": _upkeep("REINDEX"),
}

SECTIONS: Final[Mapping[str, Mapping[str, Command]]] = MappingProxyType(
    {
        "Reading": _READING,
        "The session's own state": _SESSION,
        "Writing": _WRITING,
        "Code, messages and locks": _MESSAGES,
        "The schema": _SCHEMA,
        "Rights": _RIGHTS,
        "Stored code": _CODE,
        "Other servers": _OUTSIDE,
        "Database, server and maintenance": _SERVER,
    }
)
"""A heading of docs/statements.md to its rows."""

COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {node: command for rows in SECTIONS.values() for node, command in rows.items()}
)
"""Statement node, as Node's oneof names it, to its row."""
