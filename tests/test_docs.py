"""The documentation against the code: every setting, metric and code is there, every link leads somewhere."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic_core import PydanticUndefined

import proxy
from proxy import cli, errors
from proxy.ops.log import SAFE_KEYS
from proxy.ops.metrics import Metrics
from proxy.settings import Settings, load_settings
from proxy.settings.load import setting_fields, variable_name

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SOURCES = sorted((ROOT / "proxy").rglob("*.py"))
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: str, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall((ROOT / page).read_text()) if kind == language]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    text = BLOCK.sub("", page.read_text())
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def definitions(file: Path) -> set[str]:
    """Functions, classes, methods as `Class.method`, and module constants of a source file."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        found |= set(_names(node))
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for inner in node.body for name in _names(inner)}
    return found


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    if isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


CODE_LINK = re.compile(r"\[`([\w.]+)(?:\(\))?`\]\(((?:\.\./)*proxy/[\w/]+\.py)\)")


@pytest.mark.parametrize("page", [p for p in PAGES if CODE_LINK.search(p.read_text())], ids=named)
def test_every_name_that_links_to_a_file_is_defined_there(page: Path) -> None:
    for name, file in CODE_LINK.findall(page.read_text()):
        target = (page.parent / file).resolve()
        assert name == target.name or name in definitions(target), f"{name} in {file}"


def test_a_page_follows_a_query_through_the_code() -> None:
    text = (ROOT / "docs" / "life-of-a-query.md").read_text()
    for part in ("wire", "session", "nl", "policy", "privacy", "ops"):
        assert re.search(rf"\]\(\.\./proxy/{part}[/.]", text), part
    assert len(CODE_LINK.findall(text)) >= 20


def rows(page: str) -> dict[str, list[str]]:
    """The first cell of each table row, without backquotes, to the row's cells."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / page).read_text().splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found[cells[0].strip("`")] = cells
    return found


def test_every_setting_is_documented_as_it_is() -> None:
    documented = rows("docs/settings.md")
    expected = {}
    for path, info in setting_fields():
        default = (
            "required" if info.default is PydanticUndefined else "none" if info.default is None else f"`{info.default}`"
        )
        name = ".".join(path)
        expected[name] = [f"`{name}`", default, f"`{variable_name(path)}`", info.description]
    assert documented == expected


def test_the_example_file_is_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load_settings({"config": "pgveil.example.yaml"}, {}) == Settings()


def test_every_metric_is_documented_and_exists() -> None:
    documented = rows("docs/metrics.md")
    assert documented.keys() == Metrics().names()
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert documented[name][1] == family.type
        assert documented[name][3] == family.documentation


def error_classes() -> list[type[errors.PgveilError]]:
    """Every error class of the program, wherever it is defined."""
    for module in pkgutil.walk_packages(proxy.__path__, "proxy."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[errors.PgveilError]] = []
    pending = [errors.PgveilError]
    while pending:
        found.append(pending[0])
        pending.extend(pending.pop(0).__subclasses__())
    return found


def test_every_sqlstate_is_documented() -> None:
    documented = rows("docs/errors.md")
    for error in error_classes():
        assert error.sqlstate in documented, error.__name__
    for error in (e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.AskError)):
        assert documented[error.sqlstate][1] == error.__name__


def test_every_sqlstate_that_the_code_spells_is_documented() -> None:
    documented = (ROOT / "docs" / "errors.md").read_text()
    spelled = re.compile(r"""(?:sqlstate\s*[=:]|Refusal\()\s*["']([0-9A-Z]{5})["']""")
    for file in SOURCES:
        for code in spelled.findall(file.read_text()):
            assert f"`{code}`" in documented, f"{code} of {file}"


LOG_NAMES = {"log", "_log", "logger"}
LEVELS = {"debug", "info", "warning", "error"}


def log_calls(file: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS | {"bind"}:
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if name in LOG_NAMES:
                yield node


@pytest.mark.parametrize("file", [f for f in SOURCES if any(log_calls(f))], ids=named)
def test_a_log_line_is_a_literal_with_keys_of_the_list(file: Path) -> None:
    for call in log_calls(file):
        assert all(isinstance(argument, ast.Constant) for argument in call.args), f"line {call.lineno}"
        keys = {keyword.arg for keyword in call.keywords}
        assert keys <= SAFE_KEYS | {"exc_info"}, f"line {call.lineno}: {keys - SAFE_KEYS}"


def test_every_log_key_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    assert [key for key in sorted(SAFE_KEYS) if f"`{key}`" not in text] == []


COMMAND = re.compile(r"^(?:\w+='[^']*' )?(?:docker compose run .*? )?pgveil (\w+)(.*)$", re.MULTILINE)


def shown_commands() -> list[tuple[str, str]]:
    return [found for page in PAGES for found in COMMAND.findall("\n".join(blocks(named(page), "")))]


def test_every_command_that_is_shown_exists_with_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    shown = shown_commands()
    assert {command for command, _ in shown} >= {"serve", "check", "simulate", "user"}
    for command, rest in shown:
        assert cli.run([command, "--help"]) == 0, command
        options = capsys.readouterr().out
        for flag in re.findall(r" (--[a-z-]+)", rest.split("#")[0]):
            assert flag in options, f"{command} {flag}"


def test_every_make_target_that_is_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for line in "\n".join(blocks(named(page), "")).splitlines():
            if line.startswith("make "):
                words = [word for word in line.split("#")[0].split()[1:] if "=" not in word]
                assert set(words) <= targets, line


def test_the_settings_that_are_shown_load(tmp_path: Path) -> None:
    shown = [text for page in PAGES for text in blocks(named(page), "yaml") if text.startswith("# pgveil.yaml")]
    assert shown
    for text in shown:
        (tmp_path / "pgveil.yaml").write_text(text)
        assert isinstance(load_settings({}, {}, tmp_path), Settings)


def test_the_policies_that_are_shown_load(tmp_path: Path) -> None:
    from proxy.policy.load import load_policies

    shown = [text for page in PAGES for text in blocks(named(page), "yaml") if text.startswith("# policies/")]
    assert shown
    for number, text in enumerate(shown):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / "shown.yaml").write_text(text)
        policy = load_policies(directory)
        assert policy.identify("bi_tool") is not None


def test_the_readme_shows_the_two_commands_first() -> None:
    first = blocks("README.md", "")[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def test_compose_hangs_together() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    proxy_service = compose["services"]["pgveil"]
    assert proxy_service["depends_on"]["db"] == {"condition": "service_healthy"}
    assert all(port.startswith("127.0.0.1:") for port in proxy_service["ports"])
    assert "ports" not in compose["services"]["db"]
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"]


def test_the_containers_settings_and_policy_load() -> None:
    from proxy.policy.load import load_policies

    upstream = "postgresql://app:0f0f@db:5432/shop"
    settings = load_settings({"config": "docker/pgveil.yaml"}, {"PGVEIL_UPSTREAM": upstream}, ROOT)
    assert settings.auth.method == "scram"
    assert settings.auth.users.parent == ROOT / "docker"
    identity = load_policies(settings.policies).identify("analyst")
    assert identity is not None
    assert not identity.bypass


def test_the_image_copies_what_is_there_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text()
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for word in line.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
    assert re.findall(r"^USER (\w+)$", text, re.MULTILINE) == ["pgveil"]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-build.txt"])
def test_every_requirement_is_pinned_by_hash_and_names_no_place(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert all("==" in package and "--hash=sha256:" in package for package in packages)
    assert not re.search(r"://|--index|--extra-index|--find-links|^-e|^/", text, re.MULTILINE)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


@pytest.mark.parametrize(
    ("table", "name"),
    [("dependencies", "requirements.txt"), ("dev", "requirements-dev.txt"), ("build", "requirements-build.txt")],
)
def test_every_dependency_is_pinned(table: str, name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] if table == "dependencies" else project["dependency-groups"][table]
    pinned = {normal(line) for line in (ROOT / name).read_text().splitlines() if "==" in line}
    assert {normal(requirement) for requirement in wanted} <= pinned


def test_every_metric_is_fed_by_the_program() -> None:
    calls = "\n".join(file.read_text() for file in SOURCES if file.parent.name != "ops")
    happenings = {name for name in vars(Metrics) if not name.startswith("_")} - {"render", "names", "watch"}
    assert {name for name in happenings if not re.search(rf"metrics\.{name}\b", calls)} == set()
