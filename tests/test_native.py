"""The compiled form of the hot path is used where it was made of the sources as they are, and nowhere else."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import native
from scripts import compile_native


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A checkout with one source, and a build of it."""
    source = tmp_path / "proxy" / "one.py"
    source.parent.mkdir()
    source.write_text("ONE = 1\n")
    directory = tmp_path / "build"
    directory.mkdir()
    (directory / "one.so").write_bytes(b"compiled")
    manifest = {"sources": {"proxy/one.py": native.digest(source)}, "modules": {"proxy.one": "one.so"}}
    (directory / native.MANIFEST).write_text(json.dumps(manifest))
    return tmp_path


def loaded(checkout: Path) -> object:
    return native.load(checkout / "build", checkout)


def test_a_build_of_these_sources_is_used(built: Path) -> None:
    assert loaded(built) == {"proxy.one": built / "build" / "one.so"}


def test_one_of_other_sources_is_not(built: Path) -> None:
    (built / "proxy" / "one.py").write_text("ONE = 2\n")
    assert loaded(built) is None


def test_nor_one_of_a_source_that_is_gone(built: Path) -> None:
    (built / "proxy" / "one.py").unlink()
    assert loaded(built) is None


def test_nor_one_that_is_not_whole(built: Path) -> None:
    (built / "build" / "one.so").unlink()
    assert loaded(built) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sources": 1}', '{"sources": {}, "modules": []}'])
def test_nor_one_whose_manifest_cannot_be_read(built: Path, text: str) -> None:
    (built / "build" / native.MANIFEST).write_text(text)
    assert loaded(built) is None


def test_no_build_is_no_error(tmp_path: Path) -> None:
    assert loaded(tmp_path) is None


def test_the_digests_are_of_everything_that_is_compiled_or_looked_into() -> None:
    found = compile_native.sources()
    assert {"proxy/relay.py", "proxy/wire/buffer.py", "proxy/wire/codec.py", "proxy/policy/plan.py"} <= found.keys()
    assert all(native.digest(native.ROOT / name) == known for name, known in found.items())


def test_a_variable_leaves_it_alone() -> None:
    command = [sys.executable, "-c", "import proxy.relay as r, proxy.native as n; print(n.IN_USE, r.__file__)"]
    said = subprocess.run(
        command, env={**os.environ, native.PURE: "1"}, cwd=native.ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.split()[0] == "pure"
    assert said.stdout.strip().endswith("relay.py")


@pytest.mark.parametrize("module", compile_native.MODULES)
def test_no_error_is_compiled(module: str) -> None:
    """A compiled class does not override its base's attribute: every client would get the base's SQLSTATE."""
    classes = [
        node
        for node in ast.walk(ast.parse(compile_native.source_of(module).read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    bases = {ast.unparse(base) for found in classes for base in found.bases}
    assert not [base for base in bases if base.endswith(("Error", "Exception"))]
