"""YAML with places: every key and value of a policy file knows its file, line and column, and problems are collected.

PyYAML's node tree is read, never built into Python objects, so that each complaint can say where, a key given twice
is seen, and a plain `null`, `on` or `2024` where a name is wanted is the name that was written.

A file is policy for a security boundary, and may come from anybody who may edit one: its size, its depth and what
its aliases expand to are bounded before the tree is built.

It does not know what a key means: that is `load_rules`'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from proxy.errors import ConfigError
from proxy.policy.masks import Parameter
from proxy.policy.rules import Where
from proxy.settings.nearest import nearest

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 100_000
"""After the aliases are expanded."""
MAX_DIGITS = 1000
"""Of a number; Python reads no more than some thousand."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(
    _TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map", "merge", "value")
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
"""YAML 1.2, 5.1: what a stream may not hold."""
_TRUE = frozenset({"true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a policy, and where."""

    where: Where
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.where.file}:{self.where.line}:{self.where.column}"
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class PolicyProblems(ConfigError):  # noqa: N818 - it is what it holds
    """Policies that cannot be used, with everything that is wrong in them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(
            f"the policies have {count} problem{'' if count == 1 else 's'}",
            detail="\n".join(map(str, self.problems)),
            hint="`pgveil check` lists them.",
        )

    def __str__(self) -> str:
        return f"{self.message}\n{self.detail}"


@dataclass(slots=True)
class Problems:
    """What was found so far."""

    found: list[Problem] = field(default_factory=list)

    def add(self, where: Where, message: str, hint: str | None = None) -> None:
        self.found.append(Problem(where, message, hint))


@dataclass(frozen=True, slots=True)
class Item:
    """A value of the file with its place. What it is not is added to `problems`, once, by the reader that asked."""

    node: yaml.Node
    file: str
    problems: Problems

    @property
    def where(self) -> Where:
        return Where(self.file, self.node.start_mark.line + 1, self.node.start_mark.column + 1)

    def complain(self, message: str, hint: str | None = None) -> None:
        self.problems.add(self.where, message, hint)

    @property
    def empty(self) -> bool:
        """A key with nothing behind it."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.tag == _TAG + "null" and not self.node.value

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode)

    def text(self, what: str) -> str | None:
        """The scalar as it is written, whatever YAML takes it for: a mask `null` is a name here."""
        if not isinstance(self.node, yaml.ScalarNode):
            self.complain(f"{what} must be a text, not {self._kind}")
        elif not self.node.value.strip():
            self.complain(f"{what} is empty")
        else:
            return str(self.node.value)
        return None

    def flag(self, what: str, expected: str = "true or false") -> bool | None:
        if self.node.tag != _TAG + "bool":
            self.complain(f"{what} must be {expected}")
            return None
        return str(self.node.value).lower() in _TRUE

    def scalar(self, what: str) -> tuple[Parameter] | None:
        """The value in a tuple, or None if it is a list or a mapping.

        Numbers are numbers where they are written in decimal; 0123, 12:30 and 2024-01-01 stay the text they are.
        """
        if not isinstance(self.node, yaml.ScalarNode):
            self.complain(f"{what} must be one value, not {self._kind}", "Quote it if it is a text.")
            return None
        return (_value(self.node.tag.removeprefix(_TAG), self.node.value),)

    def items(self, what: str) -> list[Item]:
        """The members of a list."""
        if isinstance(self.node, yaml.SequenceNode):
            return [self._of(node) for node in self.node.value]
        hint = f"Write [{self.node.value}]." if isinstance(self.node, yaml.ScalarNode) and self.node.value else None
        self.complain(f"{what} must be a list, not {self._kind}", hint)
        return []

    def texts(self, what: str, member: str) -> list[tuple[Item, str]]:
        """The members of a list of texts that has at least one."""
        members = self.items(what)
        if isinstance(self.node, yaml.SequenceNode) and not members:
            self.complain(f"{what} is an empty list")
        return [(item, text) for item in members if (text := item.text(member)) is not None]

    def pairs(self, what: str) -> list[tuple[Item, str, Item]]:
        """Key, its text, and value of a mapping, `<<` expanded; keys that come twice are complaints."""
        if not isinstance(self.node, yaml.MappingNode):
            self.complain(f"{what} must be a mapping, not {self._kind}")
            return []
        own: dict[str, tuple[Item, str, Item]] = {}
        merged: list[tuple[Item, str, Item]] = []
        for key, value in ((self._of(k), self._of(v)) for k, v in self.node.value):
            if key.node.tag == _TAG + "merge":
                merged += [pair for source in self._sources(value) for pair in source.pairs("what `<<` names")]
            elif (text := key.text("a key")) is None:
                continue
            elif text in own:
                key.complain(f"the key {text!r} is here twice", f"It is on line {own[text][0].where.line} already.")
            else:
                own[text] = (key, text, value)
        for key, text, value in merged:
            own.setdefault(text, (key, text, value))
        return list(own.values())

    def fields(self, what: str, known: Iterable[str], required: Iterable[str] = ()) -> Mapping[str, Item]:
        """The values of a mapping whose keys are known. A key with nothing behind it counts as absent."""
        names = tuple(known)
        pairs = self.pairs(what)
        for key, text, _ in pairs:
            if text not in names:
                key.complain(f"unknown key {text!r} in {what}{nearest(text, names)}")
        found = {text: value for _, text, value in pairs if text in names and not value.empty}
        if isinstance(self.node, yaml.MappingNode):
            for name in required:
                if name not in found:
                    self.complain(f"{what} needs {name!r}")
        return found

    def says_no(self, name: str) -> bool:
        """Whether a mapping has this key with a plain false. No complaints."""
        pairs = self.node.value if self.is_mapping else []
        values = [value for key, value in pairs if key.value == name]
        return any(v.tag == _TAG + "bool" and v.value.lower() not in _TRUE for v in values)

    def _sources(self, merged: Item) -> Iterator[Item]:
        nodes = merged.node.value if isinstance(merged.node, yaml.SequenceNode) else [merged.node]
        return (self._of(node) for node in nodes)

    def _of(self, node: yaml.Node) -> Item:
        return Item(node, self.file, self.problems)

    @property
    def _kind(self) -> str:
        if isinstance(self.node, yaml.MappingNode):
            return "a mapping"
        return "a list" if isinstance(self.node, yaml.SequenceNode) else "one value"


def _value(tag: str, text: str) -> Parameter:
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() in _TRUE
    digits = text.lstrip("+-")
    plain = digits.isdecimal() and digits.isascii() and len(digits) <= MAX_DIGITS
    if tag == "int" and plain and (digits == "0" or digits[0] != "0"):
        return int(text)
    if tag == "float" and ":" not in text and "_" not in text and text.lstrip("+-")[:1] != ".":
        return float(text)
    return text


def read(data: bytes, file: str, problems: Problems) -> Item | None:
    """The one document of a file, or None with the reason among `problems`."""
    try:
        text = _decoded(data, file)
        _check_size(text, file)
        node = _composed(text, file)
        _check_tags(node, file, set())
    except _Unreadable as error:
        problems.add(error.where, error.message, error.hint)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file, 1)
        what = ", ".join(filter(None, (error.context, error.problem)))
        problems.add(where, f"not YAML: {what}")
    except yaml.YAMLError as error:
        problems.add(Where(file, 1), f"not YAML: {' '.join(str(error).split())}")
    else:
        return Item(node, file, problems)
    return None


class _Unreadable(Exception):  # noqa: N818 - leaves `read` as a Problem
    def __init__(self, where: Where, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.where = where
        self.message = message
        self.hint = hint


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise _Unreadable(Where(file, 1), f"the file has over {MAX_BYTES} bytes", "Split it into several files.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        where = Where(file, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise _Unreadable(where, "not UTF-8") from None
    if match := _CONTROL.search(text):
        at = match.start()
        where = Where(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        raise _Unreadable(where, f"a control character (U+{ord(match[0]):04X})")
    return text


def _composed(text: str, file: str) -> yaml.Node:
    node = yaml.compose(text, Loader=_LOADER)
    if node is None:
        raise _Unreadable(Where(file, 1), "the file is empty", "A policy begins with `version: 1`.")
    return node


def _check_size(text: str, file: str) -> None:
    """Depth, and the number of nodes with aliases expanded: nine lines of them can make a billion nodes."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_LOADER):
        mark = event.start_mark
        where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file, 1)
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _ in open_nodes):
                raise _Unreadable(where, f"the alias *{event.anchor} stands inside of what it names")
            total += sizes.get(str(event.anchor), 0)
        elif isinstance(event, yaml.ScalarEvent) and event.anchor:
            sizes[event.anchor] = 1
        total += 1
        if total > MAX_NODES:
            raise _Unreadable(where, f"the file has over {MAX_NODES} values", "Aliases count as what they name.")
        if len(open_nodes) > MAX_DEPTH:
            raise _Unreadable(where, f"the file nests over {MAX_DEPTH} levels")


def _check_tags(node: yaml.Node, file: str, seen: set[int]) -> None:
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.tag not in _TAGS:
        where = Where(file, node.start_mark.line + 1, node.start_mark.column + 1)
        raise _Unreadable(where, f"the YAML tag {node.tag.replace(_TAG, '!!')} is not known here", "Remove it.")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _check_tags(key, file, seen)
            _check_tags(value, file, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_tags(value, file, seen)
