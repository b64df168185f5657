"""Where settings come from: flags, `PGVEIL_...` variables, the file, defaults; the first that has one wins.

A key that no setting has is an error that names the nearest one, because a setting that is silently ignored
is a veil that silently is not there. Everything wrong is reported at once, each with its place: file:line,
variable or flag. Relative paths in the file start at the file's directory, others at the working directory.

It does not know what a setting means: the checks are the model's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from proxy import native
from proxy.errors import ConfigError
from proxy.settings.model import SettingPath, Settings
from proxy.settings.nearest import nearest

DEFAULT_FILE = "pgveil.yaml"
ENVIRONMENT_PREFIX = "PGVEIL_"

FLAGS: Mapping[str, SettingPath] = {
    "listen": ("listen",),
    "upstream": ("upstream", "dsn"),
    "policies": ("policies",),
    "http": ("http",),
    "workers": ("workers",),
}
"""Flag to the setting it sets. The same names in capitals after PGVEIL_ are variables, CONFIG beside them."""

_KUBERNETES = re.compile(r"PGVEIL_(SERVICE_(HOST|PORT)(_.*)?|PORT(_.*)?)")
"""What Kubernetes sets in the containers beside a service called pgveil; none of it is meant for us."""


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One thing that is wrong. `place` is `file:line`, a variable or a flag."""

    place: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class SettingsError(ConfigError):
    """Every problem of the settings at once."""

    def __init__(self, problems: tuple[SettingsProblem, ...]) -> None:
        if len(problems) == 1:
            super().__init__(f"{problems[0].place}: {problems[0].message}", hint=problems[0].hint)
        else:
            super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass
class _Draft:
    """Settings as they are collected: nested plain values, and the place that each key came from."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[SettingPath, str] = field(default_factory=dict)
    problems: list[SettingsProblem] = field(default_factory=list)

    def put(self, path: SettingPath, value: object, place: str) -> None:
        section = self.values
        for part in path[:-1]:
            if not isinstance(section.get(part), dict):
                section[part] = {}
            section = section[part]
        section[path[-1]] = value
        self.places[path] = place

    def place_of(self, path: SettingPath) -> str:
        """The place of the key, or of the nearest section around it that was given."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return "settings"


def load_settings(flags: Mapping[str, str | None], environ: Mapping[str, str], directory: Path = Path()) -> Settings:
    """The settings of this start. `flags` maps the names of FLAGS and `config` to text, None where not given.

    Raises SettingsError (a ConfigError) with everything that is wrong.
    """
    draft = _Draft()
    file = flags.get("config") or environ.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    path = directory / (file or DEFAULT_FILE)
    if file or path.exists():
        _read_file(draft, path)
    _read_environment(draft, environ, directory)
    for name, value in flags.items():
        if value is not None and name in FLAGS:
            draft.put(FLAGS[name], _anchored(FLAGS[name], value, directory), f"--{name}")
    return _validate(draft)


def setting_fields(
    model: type[BaseModel] = Settings, path: SettingPath = ()
) -> Iterator[tuple[SettingPath, FieldInfo]]:
    """Every setting that is not a section, with its path, in the order of the model."""
    for name, info in model.model_fields.items():
        section = _section(info)
        if section is None:
            yield (*path, name), info
        else:
            yield from setting_fields(section, (*path, name))


def variable_name(path: SettingPath) -> str:
    """The environment variable of a setting: `PGVEIL_ASK__PROVIDER`."""
    return ENVIRONMENT_PREFIX + "__".join(path).upper()


def _section(info: FieldInfo) -> type[BaseModel] | None:
    annotation = info.annotation
    candidates = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


_PATHS = frozenset(path for path, info in setting_fields() if Path in (info.annotation, *get_args(info.annotation)))


def _anchored(path: SettingPath, value: object, base: Path) -> object:
    return base / value if path in _PATHS and isinstance(value, str) else value


def _read_environment(draft: _Draft, environ: Mapping[str, str], directory: Path) -> None:
    known = {variable_name(path): path for path, _ in setting_fields()}
    known |= {ENVIRONMENT_PREFIX + name.upper(): path for name, path in FLAGS.items()}
    config = f"{ENVIRONMENT_PREFIX}CONFIG"
    for name in sorted(environ):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in (config, native.PURE) or _KUBERNETES.fullmatch(name):
            continue
        if name not in known:
            message = f"no setting has this variable{nearest(name, [*known, config])}"
            draft.problems.append(SettingsProblem(name, message))
        elif environ[name]:  # set to nothing means not set: how compose files leave a variable out
            draft.put(known[name], _anchored(known[name], environ[name], directory), name)


def _read_file(draft: _Draft, path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        draft.problems.append(SettingsProblem(str(path), f"cannot be read: {error.strerror}"))
    except UnicodeDecodeError:
        draft.problems.append(SettingsProblem(str(path), "is not UTF-8 text"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        draft.problems.append(SettingsProblem(f"{path}:{line}", f"is not YAML: {error.problem or 'cannot be read'}"))
    except yaml.YAMLError:
        draft.problems.append(SettingsProblem(str(path), "is not YAML: it holds a character that YAML forbids"))
    else:
        _FileReader(draft, path).read(document)


class _FileReader:
    """Puts a YAML document's keys into a draft, each with its line."""

    def __init__(self, draft: _Draft, path: Path) -> None:
        self._draft = draft
        self._path = path
        self._scalars = yaml.SafeLoader("")
        self._seen: set[int] = set()

    def read(self, document: yaml.Node | None) -> None:
        if isinstance(document, yaml.MappingNode):
            self._mapping(document, ())
        elif document is not None:
            self._problem(document, "expected settings, such as `listen: 127.0.0.1:6432`")

    def _mapping(self, node: yaml.MappingNode, path: SettingPath) -> None:
        given: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in given:
                self._problem(key, f"{'.'.join((*path, name))} is given twice")
            elif id(value) in self._seen:
                self._problem(key, "an alias (*) has no place in settings: write the value out")
            else:
                self._seen.add(id(value))
                self._entry(key, value, (*path, name))
            given.add(name)

    def _entry(self, key: yaml.Node, value: yaml.Node, path: SettingPath) -> None:
        place = f"{self._path}:{key.start_mark.line + 1}"
        if isinstance(value, yaml.MappingNode):
            self._draft.put(path, {}, place)
            self._mapping(value, path)
        elif isinstance(value, yaml.ScalarNode):
            plain = self._scalars.construct_object(value)
            self._draft.put(path, _anchored(path, plain, self._path.parent), place)
        else:
            self._draft.put(path, [], place)

    def _problem(self, node: yaml.Node, message: str) -> None:
        self._draft.problems.append(SettingsProblem(f"{self._path}:{node.start_mark.line + 1}", message))


def _validate(draft: _Draft) -> Settings:
    """Raises SettingsError. pydantic looks at settings together only if each is good by itself: those that are not
    are taken out, so that what is wrong with the others is said at once too."""
    values = deepcopy(draft.values)
    settings: Settings | None = None
    refused: list[SettingPath] = []
    while settings is None:
        try:
            settings = Settings.model_validate(values)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
            draft.problems.extend(problem for found in errors for problem in _explained(draft, found, refused))
            paths = [tuple(str(part) for part in found["loc"]) for found in errors]
            if not all(_take_out(values, path) for path in paths):
                break
            refused += paths
    if draft.problems or settings is None:
        raise SettingsError(tuple(draft.problems))
    return settings


def _take_out(values: dict[str, Any], path: SettingPath) -> bool:
    """The default instead of what stands at `path`, or an empty text for what is missing; False: not possible."""
    for part in path[:-1]:
        values = values[part]
    if not path:
        return False
    if path[-1] in values:
        del values[path[-1]]
    else:
        values[path[-1]] = ""
    return True


def _explained(draft: _Draft, found: Mapping[str, Any], refused: Sequence[SettingPath]) -> Iterator[SettingsProblem]:
    """pydantic's error in our words: the place, the setting's name, what is expected; never the value.

    Nothing is said of what is in conflict at one of the `refused` places: what is wrong there was said.
    """
    path = tuple(str(part) for part in found["loc"])
    place = draft.place_of(path)
    name = "" if place.startswith(("--", ENVIRONMENT_PREFIX)) else f"{'.'.join(path)}: "
    context = found.get("ctx", {})
    if found["type"] == "conflict":
        for inner, message, hint in context["conflicts"]:
            if any(inner[: len(other)] == other for other in refused):
                continue
            yield SettingsProblem(draft.place_of(inner), f"{'.'.join(inner)}: {message}", hint)
    elif found["type"] == "extra_forbidden":
        message = f"unknown setting {'.'.join(path)}{nearest(path[-1], _keys_of(path[:-1]))}"
        yield SettingsProblem(place, message)
    else:
        message = str(found["msg"]).removeprefix("Value error, ")
        yield SettingsProblem(place, name + message, context.get("hint"))


def _keys_of(path: SettingPath) -> list[str]:
    """The keys of the section at `path`."""
    model: type[BaseModel] = Settings
    for part in path:
        model = _section(model.model_fields[part]) or model
    return list(model.model_fields)
