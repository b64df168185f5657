"""English as the embedded translator knows it: closed word lists and the rules for word forms.

Every list is closed on purpose. A word that stands in none of them, and names nothing in the schema, makes the
translator refuse the question; adding a word here widens what it understands, and `docs/embedded.md` says so.
It does not know meaning: only which words may be passed over, which are grammar, and which forms belong together.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def _list(words: str) -> list[str]:
    return words.split()


def _set(words: str) -> frozenset[str]:
    return frozenset(_list(words))


SHORT = 3
"""Letters: what is no longer than this is not taken apart."""

FUNCTION_WORDS = _set(
    """a an the of in on at by to for from with without and or not no is are was were be been has have had do does did
    who whom whose which what where when that this these those there their its his her it they them me my our us we i
    you your all any each every per than as into between under over above below more less most least fewer many much
    how show list give find get return display please also just only such so if then top first last number count total
    sum average avg mean maximum minimum max min having until since before after during within into but both either
    up about around"""
)
"""Never a value by themselves; a phrase that begins or ends with one is not looked up."""

NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        _list("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty""")
    )
}

IRREGULAR_PLURALS = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "mice": "mouse",
    "feet": "foot",
    "teeth": "tooth",
    "staff": "staff",
    "indices": "index",
    "matrices": "matrix",
    "vertices": "vertex",
    "criteria": "criterion",
    "media": "medium",
    "lives": "life",
    "wives": "wife",
    "shelves": "shelf",
    "halves": "half",
}

ABBREVIATIONS: dict[str, tuple[str, ...]] = {
    "acct": ("account",),
    "addr": ("address",),
    "admin": ("administration", "admin"),
    "amt": ("amount",),
    "appr": ("approval",),
    "appt": ("appointment",),
    "avg": ("average",),
    "bal": ("balance",),
    "bd": ("board",),
    "bldg": ("building",),
    "cat": ("category",),
    "ccy": ("currency",),
    "cert": ("certification", "certificate"),
    "cnt": ("count",),
    "crtd": ("created",),
    "ctry": ("country",),
    "curr": ("currency",),
    "cust": ("customer",),
    "dept": ("department",),
    "desc": ("description",),
    "diag": ("diagnosis",),
    "dob": ("date of birth", "birth date"),
    "doc": ("doctor", "document"),
    "dos": ("dosage", "dose"),
    "dt": ("date",),
    "emp": ("employee",),
    "freq": ("frequency",),
    "hrs": ("hours",),
    "ins": ("insurance",),
    "inv": ("invoice", "inventory"),
    "lang": ("language",),
    "loc": ("location",),
    "max": ("maximum",),
    "med": ("medication", "medicine", "medical"),
    "mfr": ("manufacturer",),
    "mgr": ("manager",),
    "min": ("minimum",),
    "msg": ("message",),
    "no": ("number",),
    "num": ("number",),
    "org": ("organisation", "organization"),
    "pct": ("percent", "percentage"),
    "ph": ("phone",),
    "pmt": ("payment",),
    "pos": ("position",),
    "prod": ("product",),
    "pt": ("patient",),
    "pwd": ("password",),
    "qty": ("quantity",),
    "ref": ("reference",),
    "reg": ("registration",),
    "sal": ("salary",),
    "seq": ("sequence",),
    "spec": ("specification",),
    "st": ("street", "state"),
    "tel": ("telephone", "phone"),
    "tot": ("total",),
    "trans": ("transaction",),
    "ts": ("timestamp", "time"),
    "tx": ("transaction",),
    "txn": ("transaction",),
    "usr": ("user",),
    "val": ("value",),
    "vol": ("volume",),
    "wt": ("weight",),
    "yr": ("year",),
}
"""What a word of an identifier may stand for. One way only: `dt` may be read as date, `date` is never read as `dt`."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "client": ("customer",),
    "physician": ("doctor",),
    "medicine": ("drug", "medication"),
    "telephone": ("phone",),
    "mobile": ("phone",),
    "surname": ("last name",),
    "family name": ("last name",),
    "given name": ("first name",),
    "birthday": ("date of birth", "birth date"),
    "birthdate": ("date of birth",),
    "zip code": ("zip", "postal code", "postcode"),
    "zip": ("postal code", "postcode"),
    "postal code": ("zip", "zip code", "postcode"),
    "postcode": ("zip", "postal code"),
    "sales representative": ("salesperson",),
    "sales rep": ("salesperson",),
    "salesman": ("salesperson",),
    "staff member": ("employee",),
    "worker": ("employee",),
    "email address": ("email",),
    "phone number": ("phone",),
    "sex": ("gender",),
    "speciality": ("specialty",),
    "specialty": ("speciality", "specialisation", "specialization"),
    "colour": ("color",),
    "color": ("colour",),
}
"""Read as the other word only where nothing in the schema bears the word itself."""

TABLE_AFFIXES = frozenset({"tbl", "tb", "dim", "fact", "fct", "vw", "view", "tab", "t", "v", "lkp", "ref", "stg"})
"""Words at either end of a table's name that say nothing of its rows."""

UNIT_WORDS = _set("cm mm m km kg g mg lb lbs ml l usd inr eur gbp days hours hrs minutes mins seconds secs ms c f")
"""At the end of a column's name these are its unit: `height_cm` is the height."""

GLUE = _set(
    """access account action active address admin age amount approval area at author average balance band bank base
batch begin birth book branch brand bytes cancel capacity car card category channel city class client close code color
comment company contact content cost count country coupon created currency current cust customer daily data date day
deleted delivery department desc description device discount district doctor duration email employee end entry epoch
event exchange expiry fax fee file first flag floor full gender grade group height high hire holder hour id index
indicator invoice is item job join joined key kind label language last length level limit line link list location login
low manager max member message method middle min minute mode model month ms name nick note notes number offset open
order owner parent password path patient pay payment percent period phone pin place plan position post postal price
priority product project quantity quota rank rate rating ratio reason receipt received record ref reference region
registered rent report result role room salary sale sales score season seat second sector seller sent serial service
session sex shares shift ship shipped shop size sort source stage start state status stock store str street student sub
subject supplier symbol tag target tax team term text ticker ticket time title to total town transaction type unit
update updated url user value vendor version visit volume warehouse website week weight width year zip zone"""
)
"""Words that a name without separators is cut into (`joindate`): only where they cover it whole."""

NEUTRAL_VERBS = _set(
    """made make makes placed place places have has had created create creates done did do does booked bought buy buys
    purchased purchase purchases submitted issued issue received receive receives got written given taken owned own
    owns used use uses attended prescribed requested performed conducted offered reported filed posted scheduled
    published     wrote authored taught hosted"""
)
"""Between two tables these say only that they are linked; which link must then be beyond doubt."""

IRREGULAR_PARTICIPLES = frozenset(
    {"sold", "sent", "paid", "written", "held", "lent", "spent", "shown", "driven", "taught"}
)

HAPPENED = _set("placed made occurred occurring happened happening dated recorded done took held given issued")
"""Before a date these mean the row's own date."""

_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^A-Za-z\d]+")


def is_word_char(char: str) -> bool:
    """Letters, digits, underscore and combining marks: Devanagari and Tamil vowel signs are marks."""
    return char.isalnum() or char == "_" or unicodedata.category(char).startswith("M") or char in "\u200c\u200d"


@lru_cache(maxsize=8192)
def singulars(word: str) -> tuple[str, ...]:
    """The word, and what it may be the plural of. Lower case in, lower case out."""
    found = [word]
    if word in IRREGULAR_PLURALS:
        found.append(IRREGULAR_PLURALS[word])
    if len(word) > SHORT and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        found.append(word[:-1])
        if word.endswith("ies"):
            found.append(word[:-3] + "y")
        elif word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
            found.append(word[:-2])
            if word.endswith("ses"):
                found.append(word[:-2] + "is")
    elif len(word) == SHORT and word.endswith("s") and word not in {"gas", "bus", "was", "has", "his", "yes", "its"}:
        found.append(word[:-1])
    return tuple(dict.fromkeys(found))


_SUFFIXES = (
    "ations", "ation", "ments", "ment", "ings", "ions", "ing", "ion", "ers", "er", "ors", "or", "als", "al", "ed",
    "ies", "es", "e", "s", "y",
)  # fmt: skip
_IRREGULAR_STEMS = {
    "registration": "regist",
    "sold": "sal", "sale": "sal", "sales": "sal", "sell": "sal", "paid": "pay", "bought": "buy", "sent": "send",
    "written": "writ", "wrote": "writ", "spent": "spend", "lent": "lend", "born": "birth", "began": "begin",
    "left": "leav", "given": "giv", "taken": "tak",
}  # fmt: skip


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A crude stem that joins a verb's forms with its nouns: registered, registration; sold, sale."""
    while (shorter := _shorter(word)) != word:
        word = shorter
    return word


def _shorter(word: str) -> str:
    if word in _IRREGULAR_STEMS:
        return _IRREGULAR_STEMS[word]
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= SHORT:
            base = word[: -len(suffix)]
            return base[:-1] if len(base) > SHORT and base[-1] == base[-2] and base[-1] not in "ls" else base
    return word


def split_identifier(name: str) -> tuple[str, ...]:
    """The words of a name as it is spelled: at underscores, other signs, digits and camel case. Lower case."""
    words: list[str] = []
    for chunk in re.split(r"[\s_\-./$#]+", name):
        words.extend(w.lower() for w in _CAMEL.findall(chunk.replace("IDs", "Ids")))
    return tuple(w for w in words if w)


_GLUE = GLUE | frozenset(a for a in ABBREVIATIONS if len(a) >= SHORT)


@lru_cache(maxsize=8192)
def unglue(word: str) -> tuple[str, ...]:
    """`joindate` into its words where known words cover it whole, fewest first; else the word itself."""
    if word in _GLUE or len(word) <= SHORT + 1 or not word.isascii():
        return (word,)
    best: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 12), end):
            if start in best and (word[start:end] in _GLUE or word[start:end].isdigit()):
                candidate = (*best[start], word[start:end])
                if end not in best or len(candidate) < len(best[end]):
                    best[end] = candidate
    return best.get(len(word), (word,))
