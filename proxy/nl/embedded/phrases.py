"""The grammar's fixed phrases, as data. Longer phrases are tried before shorter ones wherever one is read."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.nl.embedded.dates import MONTHS, UNITS
from proxy.nl.embedded.words import FUNCTION_WORDS, HAPPENED, NEUTRAL_VERBS


def _table(phrases: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Each phrase to what it means: `{meaning: "phrase|phrase"}`."""
    return {tuple(p.split()): meaning for meaning, joined in phrases.items() for p in joined.split("|")}


def _phrases(joined: str) -> dict[tuple[str, ...], str]:
    """Each phrase to itself."""
    return {tuple(p.split()): " ".join(p.split()) for p in joined.split("|")}


DETERMINERS = frozenset({"the", "a", "an"})
POSSESSIVES = frozenset({"their", "its", "his", "her", "respective"})
NAME_TAILS = frozenset({"name", "names", "value", "values", "column"})
"""After a column's name these add nothing: `country name` is the country."""

NAME_WORDS = frozenset({"name", "names"})
ROW_TAILS = frozenset({"record", "records", "row", "rows", "entry", "entries"})
"""After a table's name these add nothing: `sales records` are the sales."""

LIST_JOINS = _phrases(",|and|, and|as well as|along with|and also|together with|plus|&")

ASKING = _phrases(
    """show|show me|list|list me|give|give me|get|get me|find|find me|display|fetch|return|tell me|retrieve|select|
    print|calculate|compute|determine|provide|report|view|see|what is|what are|what was|what were|what 's|who is|
    who are|who was|who were|which is|which are|i want|i need|i want to see|i would like|i would like to see|
    let me see|can you show|can you show me|can you list|can you give me|could you show me|could you list|
    please show|please show me|please list|please give me|please find|please return|please tell me|list all|
    list of|the list of|a list of|return the list of|return a list of|give me a list of|show me a list of"""
)

RETURNING = _phrases(
    """return|show|give|include|list|display|report|please return|i want|give me|provide|return only|also return|
    showing|also show|including|returning"""
)

COMPARISONS = _table(
    {
        ">": """more than|greater than|over|above|exceeding|exceeds|exceed|higher than|bigger than|larger than|>|
        beyond""",
        ">=": """at least|no less than|not less than|>=|≥|a minimum of|greater than or equal to|no fewer than|
        not fewer than|more than or equal to""",
        "<": "less than|under|below|lower than|fewer than|smaller than|<",
        "<=": "at most|no more than|not more than|up to|<=|≤|a maximum of|less than or equal to|not over|not above",
        "=": "exactly|equal to|equals|=|precisely",
        "<>": "not equal to|other than|<>|!=|≠|not exactly",
    }
)

POSTFIXES = _table(
    {
        ">=": "or more|or above|and above|or higher|and more|or over|and over",
        "<=": "or less|or fewer|or below|and below|or lower",
    }
)
"""After a number: `5 or more`."""

INVERSE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "=": "<>", "<>": "="}

COPULAS = _phrases(
    "is|are|was|were|has been|have been|been|be|being|equals|equal to|of|:|=|to be|set to|marked as|marked"
)
VERBAL = frozenset({"is", "are", "was", "were"})

MISSING = _table(
    {
        "missing": """null|empty|missing|blank|unknown|not known|not set|not given|unset|not recorded|not available|
        none""",
        "present": "not null|not empty|not missing|known|not blank|present|set|not unknown|given|recorded|available",
    }
)

PATTERNS = _table(
    {
        "starts": "starts with|start with|starting with|begins with|begin with|beginning with",
        "ends": "ends with|end with|ending with|ends in|ending in",
        "contains": "contains|contain|containing|includes|including|contains the word|containing the word|has in it",
    }
)

AGGREGATES = _table(
    {
        "sum": "total|sum|sum of|the sum of|total sum of|overall|combined|total of",
        "avg": "average|avg|mean|average of|mean of|avg of",
        "min": "minimum|min|lowest|smallest|earliest|minimum of|shortest|least",
        "max": "maximum|max|highest|largest|biggest|greatest|latest|maximum of|most recent|longest",
        "median": "median|median of",
    }
)

COUNTS = _phrases(
    """number of|total number of|the number of|the total number of|count of|the count of|total count of|
    the total count of|# of|how many|overall number of"""
)
DISTINCT = frozenset({"distinct", "unique", "different"})

HIGHEST = _table(
    {
        "most": """most|the most|greatest number of|the highest number of|highest number of|the greatest number of|
        the largest number of|largest number of|the maximum number of|the highest count of|maximum number of""",
        "fewest": """fewest|the fewest|least|the least|lowest number of|the lowest number of|smallest number of|
        the smallest number of|the minimum number of""",
        "highest": """highest|the highest|largest|the largest|biggest|the biggest|greatest|the greatest|maximum|
        the maximum|
        the max|longest|the longest|the latest|latest|the most recent|most recent""",
        "lowest": """lowest|the lowest|smallest|the smallest|minimum|the minimum|shortest|the shortest|the earliest|
        earliest""",
    }
)

DATE_ORDER = ("@date",)
AGE_ORDER = ("@age",)
ALTITUDE = ("height", "altitude", "elevation")

LARGEST = _table({"most": "largest|highest|biggest|greatest", "least": "smallest|lowest"})
"""Before a noun that is ranked by something named: `the 5 largest cities by population`."""

SUPERLATIVES: dict[tuple[str, ...], tuple[tuple[str, ...], bool]] = {
    ("most", "expensive"): (("price", "cost"), True),
    ("costliest",): (("price", "cost"), True),
    ("priciest",): (("price", "cost"), True),
    ("least", "expensive"): (("price", "cost"), False),
    ("cheapest",): (("price", "cost"), False),
    ("latest",): (DATE_ORDER, True),
    ("newest",): (DATE_ORDER, True),
    ("most", "recent"): (DATE_ORDER, True),
    ("earliest",): (DATE_ORDER, False),
    ("least", "recent"): (DATE_ORDER, False),
    ("oldest",): (AGE_ORDER, True),
    ("youngest",): (AGE_ORDER, False),
    ("highest", "paid"): (("salary", "wage"), True),
    ("best", "paid"): (("salary", "wage"), True),
    ("lowest", "paid"): (("salary", "wage"), False),
    ("longest",): (("duration", "length"), True),
    ("shortest",): (("duration", "length"), False),
    ("heaviest",): (("weight",), True),
    ("lightest",): (("weight",), False),
    ("tallest",): (ALTITUDE, True),
    ("highest", "rated"): (("rating", "score"), True),
    ("best", "rated"): (("rating", "score"), True),
    ("lowest", "rated"): (("rating", "score"), False),
    ("most", "populous"): (("population",), True),
    ("highest",): (ALTITUDE, True),
}
"""Adjectives that name a column by what it measures: the column's words, and whether the highest comes first."""

COMPARATIVES: dict[tuple[str, ...], tuple[tuple[str, ...], str]] = {
    ("cheaper", "than"): (("price", "cost"), "<"),
    ("less", "expensive", "than"): (("price", "cost"), "<"),
    ("more", "expensive", "than"): (("price", "cost"), ">"),
    ("costlier", "than"): (("price", "cost"), ">"),
    ("dearer", "than"): (("price", "cost"), ">"),
    ("heavier", "than"): (("weight",), ">"),
    ("lighter", "than"): (("weight",), "<"),
    ("taller", "than"): (ALTITUDE, ">"),
    ("higher", "than"): (ALTITUDE, ">"),
    ("longer", "than"): (("duration", "length"), ">"),
    ("shorter", "than"): (("duration", "length"), "<"),
    ("older", "than"): (("age",), ">"),
    ("younger", "than"): (("age",), "<"),
}
COSTING = frozenset({"costing", "priced", "cost", "costs", "priced at", "worth"})
"""Before a comparison these mean the price: `costing more than 500`."""

GROUPING = _phrases(
    """per|for each|by|in each|each|for every|grouped by|group by|broken down by|split by|by each|within each|
    at each|of each|from each|to each|on each|with each|and group by|grouped per|in every|over each|
    summarised by|summarized by"""
)
BUCKETS: dict[tuple[str, ...], str] = {
    ("day",): "day", ("week",): "week", ("month",): "month", ("quarter",): "quarter", ("year",): "year",
    ("calendar", "month"): "month", ("calendar", "year"): "year", ("days",): "day", ("months",): "month",
    ("years",): "year",
}  # fmt: skip
ADVERBS: dict[tuple[str, ...], str] = {
    ("daily",): "day", ("weekly",): "week", ("monthly",): "month", ("quarterly",): "quarter", ("yearly",): "year",
    ("annual",): "year", ("annually",): "year",
}  # fmt: skip

ORDERING = _phrases(
    """ordered by|sorted by|order by|sort by|ranked by|arranged by|order them by|sort them by|in order of|
    sort the results by|order the results by|ordering by|sorting by|and sort by|and order by"""
)
RANKING = _phrases("by|based on|in terms of|ranked by|according to|ordered by|sorted by")
DIRECTIONS = _table(
    {
        "desc": """descending|desc|in descending order|from highest to lowest|highest first|from most to least|
        from largest to smallest|largest first|descending order|in decreasing order|starting from the top|
        with the highest first|with the largest first|from newest to oldest|newest first|latest first|
        most recent first|high to low|from high to low|starting with the highest""",
        "asc": """ascending|asc|in ascending order|from lowest to highest|lowest first|from least to most|
        from smallest to largest|smallest first|ascending order|in increasing order|with the lowest first|
        from oldest to newest|oldest first|earliest first|low to high|alphabetically|in alphabetical order|
        starting from the earliest date|starting with the earliest|from low to high|starting from the earliest|
        starting with the lowest""",
    }
)

LINKING = frozenset(
    {"of", "by", "for", "from", "to", "in", "on", "at", "with", "using", "involving", "regarding", "about", "under"}
)
"""Before another table: `orders of customers`."""

PLACING = frozenset({"in", "from", "at", "for", "of", "on", "to", "by", "with"})
"""Before a value: `in Mumbai`."""

NAMED = frozenset({"named", "called", "titled"})
RELATIVES = frozenset({"who", "that", "which"})
HAVING = frozenset({"have", "has", "had", "having", "with"})
NEGATIONS = frozenset(
    """not never no don't doesn't didn't haven't hasn't hadn't isn't aren't wasn't weren't""".split()  # noqa: SIM905
)
THERE = _phrases(
    """are there|were there|is there|exist|do we have|are in the database|have we got|in total|in all|overall|
    altogether|are there in total|do we have in total|there are|total"""
)
AMBIGUOUS_TOTALS = frozenset(
    """sale payment purchase expense revenue invoice donation refund deposit withdrawal cost spending income earning fee
    loan claim bill charge""".split()  # noqa: SIM905
)
"""`total sales` may be how many or how much: neither is taken."""

_TABLES: tuple[Mapping[tuple[str, ...], object], ...] = (
    ASKING, RETURNING, COMPARISONS, POSTFIXES, COPULAS, MISSING, PATTERNS, AGGREGATES, COUNTS, HIGHEST, SUPERLATIVES,
    COMPARATIVES, GROUPING, BUCKETS, ADVERBS, ORDERING, RANKING, DIRECTIONS, THERE, LIST_JOINS,
)  # fmt: skip
_SETS = (
    DETERMINERS, POSSESSIVES, NAME_TAILS, ROW_TAILS, DISTINCT, COSTING, LINKING, PLACING, NAMED, RELATIVES, HAVING,
    NEGATIONS, VERBAL, NEUTRAL_VERBS, HAPPENED, FUNCTION_WORDS, frozenset(MONTHS), frozenset(UNITS),
)  # fmt: skip
_OTHERS = """ago today yesterday year id ids inclusive exclusive including current combinations combination live lives
located based past previous"""

KNOWN_WORDS = (
    frozenset(word for table in _TABLES for phrase in table for word in phrase)
    | frozenset(word for words in _SETS for word in words)
    | frozenset(_OTHERS.split())
)
"""What the grammar itself can read, for saying which word of a question it could not."""
