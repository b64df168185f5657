"""`pgveil columns`: a rule that names every column that no rule names yet, as YAML for the policy.

With it, `defaults.columns: mask` masks only what comes later. Columns that are shown so far stay so: the tag that the
rule gives them has no mask.

It does not know what is in a column: reading the list before it becomes policy is the point of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence

import yaml

from proxy.check import reaching_upstream
from proxy.checks.cover import unnamed_columns
from proxy.errors import ConfigError
from proxy.feed import Feed
from proxy.policy.catalog import Catalog, Relation
from proxy.policy.load import load_policies
from proxy.policy.load_patterns import PatternFault, read_column
from proxy.policy.model import Policy
from proxy.policy.patterns import column_matches
from proxy.settings import Settings
from proxy.simulate import upstream_of

TAG = "known"


def run_columns(settings: Settings, tag: str = TAG) -> int:
    """The command: prints the rule. 0.

    Raises ConfigError for a tag that has a mask, PolicyProblems, UpstreamUnavailableError.
    """
    policy = load_policies(settings.policies)
    masked = next((rule for rule in policy.masks if rule.tag in policy.lineage(tag)), None)
    if masked is not None:
        raise ConfigError(
            f"the tag {tag} has a mask, at {masked.where}: the columns would be masked",
            hint="give another one with --tag",
        )
    with upstream_of(settings) as dsn, reaching_upstream():
        catalog = asyncio.run(_read(dsn))
    sys.stdout.write(columns_yaml(policy, catalog, tag))
    return 0


async def _read(dsn: str) -> Catalog:
    async with Feed(dsn) as feed:
        return feed.catalog


def columns_yaml(policy: Policy, catalog: Catalog, tag: str = TAG) -> str:
    """A policy file with one rule, or with a comment alone where each column is named."""
    found = unnamed_columns(policy, catalog)
    lines = [
        f"# Columns of the database {_plain(catalog.database)} that no rule of the policy names.",
        "# Look at each before it becomes policy: what has the tag and no mask is shown.",
        "version: 1",
    ]
    if found:
        lines += ["columns:", f"  - tag: {_scalar(tag)}", "    private: false", "    columns:", *_members(found)]
    else:
        lines.append("# There is none.")
    return "\n".join(lines) + "\n"


def _members(found: Sequence[tuple[Relation, str]]) -> Iterator[str]:
    for relation, column in found:
        pattern = ".".join(_part(name) for name in (*relation.key, column))
        if _names(pattern, relation, column):
            yield f"      - {_scalar(pattern)}"
        else:
            yield f"      # no pattern names {_plain(relation.qualified)}.{_plain(column)}"


def _part(name: str) -> str:
    """A name as a pattern: a sign that means something there is written `?`."""
    return "".join("?" if c in '.*?["' else c for c in name).replace("->", "-?")


def _names(pattern: str, relation: Relation, column: str) -> bool:
    try:
        read, steps = read_column(pattern)
    except PatternFault:
        return False
    return not steps and column_matches(read, relation.key, column)


def _scalar(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, width=2**20).removesuffix("...\n").rstrip("\n")


def _plain(text: str) -> str:
    """For a comment: on one line."""
    return " ".join(text.split())
