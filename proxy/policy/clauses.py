"""Every node of PostgreSQL's trees that is no statement of its own: what the walk does when it meets one, and why.

`rewrite` decides, with its list of walked nodes and its rules; this says it in words, for docs/statements.md. A test
walks libpg_query's node types, and holds each row against the engine: its list, and what it does with a statement that
has such a node. A node type that no row names is refused.

It does not know trees: a row is of a node type, whatever the fields of one node say.

https://github.com/pganalyze/libpg_query has the types; src/backend/parser/gram.y in PostgreSQL's source makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Place(StrEnum):
    """A node's place in the walk."""

    WALKED = "walked through"
    """Nothing of its own is judged; its parts are."""
    RULE = "has a rule"
    REFUSED = "refused"
    """Wherever it stands, the statement is refused."""
    NEVER = "never met"
    """PostgreSQL's analyser, planner or executor makes it; the grammar does not. Refused, should it ever come."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One node type and why its place is what it is."""

    place: Place
    reason: str


_TABLE: Final = """
walked through: a constant
a_const bit_string boolean float integer string

walked through: an expression: its operands are judged, and PostgreSQL computes it from masked values
a_array_expr bool_expr boolean_test coalesce_expr collate_clause grouping_func min_max_expr named_arg_expr
null_test param_ref row_expr sqlvalue_function type_cast xml_expr xml_serialize

walked through: a part of CASE: its condition and result are judged
case_when

walked through: a subscript: its bounds are judged
a_indices

walked through: a star over masked views shows masked columns
a_star

walked through: an output column or an assignment: its expression is judged
res_target

walked through: a list: its members are judged
list

walked through: a clause of names and expressions: its parts are judged
grouping_set window_def

walked through: a clause of a recursive query, of column names
ctecycle_clause ctesearch_clause

walked through: an item of FROM: the query, function or document in it is judged
json_table range_function range_subselect range_table_func

walked through: a column of such an item: its type and default are judged
json_table_column range_table_func_col

walked through: a word of a write: it reads nothing
set_to_default merge_support_func

walked through: several columns from one row: that is judged
multi_assign_ref

walked through: SQL/JSON: its operands, types and defaults are judged
json_agg_constructor json_argument json_array_agg json_array_constructor json_array_query_constructor
json_behavior json_format json_func_expr json_is_predicate json_key_value json_object_agg json_object_constructor
json_output json_parse_expr json_returning json_scalar_expr json_serialize_expr json_table_path_spec
json_value_expr

has a rule: the wrapper of every statement of a text: each is judged by its kind
raw_stmt

has a rule: a relation: it becomes its masked view, under the same name
range_var

has a rule: a name in FROM: it decides what qualified references mean
alias

has a rule: a column: its schema goes where its table became a masked view
column_ref

has a rule: a field may be a call of a function: it is judged as one
a_indirection

has a rule: the function is on the list, or trusted by signature
func_call

has a rule: the operator is PostgreSQL's own, or trusted; it is pinned to pg_catalog where users have one too
a_expr

has a rule: an operator that it looks up is judged: IN and ANY, CASE x WHEN, USING, ORDER BY ... USING
sub_link case_expr join_expr sort_by

has a rule: the type is built in or harmless
type_name

has a rule: a name and a type in a query
column_def

has a rule: the names of WITH queries hide relations, as PostgreSQL's scopes have it
with_clause common_table_expr

has a rule: of an unmasked table, by PostgreSQL's own two methods
range_table_sample

has a rule: an option: each statement has a list of those it may have
def_elem

has a rule: the target of CREATE TABLE AS and SELECT INTO: a temporary table
into_clause

has a rule: a part of a write: its names are the target's, and its expressions read no masked column of it
infer_clause index_elem on_conflict_clause merge_when_clause returning_clause returning_option

refused: a row of a cursor over a masked view is no row of the table
current_of_expr

refused: a row lock keeps others from the row, and a masked view has none
locking_clause

refused: a part of ALTER TABLE
alter_table_cmd atalter_constraint partition_cmd replica_identity_stmt

refused: a part of CREATE TABLE
constraint partition_bound_spec partition_elem partition_spec table_like_clause

refused: a part of CREATE FUNCTION
function_parameter return_stmt

refused: a part of CREATE TRIGGER
trigger_transition

refused: a part of CREATE OPERATOR CLASS or CREATE STATISTICS
create_op_class_item stats_elem

refused: a part of CREATE PUBLICATION
publication_table publication_obj_spec

refused: a part of statements on rights, or on objects that are no tables
access_priv role_spec object_with_args

refused: a part of VACUUM and ANALYZE
vacuum_relation

never met: an expression after analysis
aggref array_coerce_expr array_expr case_test_expr coerce_to_domain coerce_to_domain_value coerce_via_io
collate_expr convert_rowtype_expr distinct_expr field_select field_store func_expr inference_elem
json_constructor_expr json_expr next_value_expr null_if_expr op_expr param relabel_type returning_expr
row_compare_expr scalar_array_op_expr subscripting_ref var window_func

never met: a clause or query after analysis
from_expr json_table_path json_table_path_scan json_table_sibling_join merge_action on_conflict_expr
partition_range_datum query range_tbl_entry range_tbl_function range_tbl_ref row_mark_clause rtepermission_info
set_operation_stmt sort_group_clause table_func table_sample_clause target_entry window_clause with_check_option

never met: the planner's or the executor's own
alternative_sub_plan call_context inline_code_block int_list oid_list sub_plan window_func_run_condition

never met: only PL/pgSQL's own mode of the parser makes it
plassign_stmt
"""
"""A place and a reason, and below them the nodes that they are of, as Node's oneof names them."""


def _rows() -> Iterator[tuple[str, Clause]]:
    for paragraph in _TABLE.strip().split("\n\n"):
        head, _, nodes = paragraph.partition("\n")
        place, _, reason = head.partition(": ")
        clause = Clause(Place(place), reason)
        yield from ((node, clause) for node in nodes.split())


CLAUSES: Final[Mapping[str, Clause]] = MappingProxyType(dict(_rows()))
"""Node to its row."""
