"""The Makefile's promises that can be tried without installing anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A directory with what `make install` reads, and no .venv."""
    for name in ("Makefile", "requirements.txt", "requirements-build.txt", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=directory, env=inherited, capture_output=True, text=True, check=False
    )


def test_help_lists_every_command(clone: Path) -> None:
    done = make(clone)
    assert done.returncode == 0
    for target in ("install", "demo", "test", "test-clients", "check", "clean"):
        assert f"make {target} " in done.stdout


@pytest.mark.parametrize("target", ["install", "demo", "test", "check"])
def test_a_python_that_will_not_do_is_said_before_anything_is_made(clone: Path, target: str) -> None:
    old = clone / "python3.10"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make(clone, f"PYTHON={old}", target)
    assert done.returncode != 0
    assert "pgveil needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert str(old) in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(("tour", "flag"), [("1", True), ("0", False), ("", False)])
def test_tour_ends_after_the_tour_only_when_asked(clone: Path, tour: str, flag: bool) -> None:
    done = make(clone, "-n", "demo", f"TOUR={tour}")
    (command,) = [line for line in done.stdout.splitlines() if "-m proxy demo" in line]
    assert command.rstrip().endswith("--tour-only") is flag


def test_installed_once_is_not_installed_again(clone: Path) -> None:
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    for stamp in (".installed", ".installed-dev"):
        (clone / ".venv" / stamp).touch()
    assert "pip install" not in make(clone, "-n", "test").stdout
    os.utime(clone / ".venv" / ".installed-dev", (1, 1))
    assert make(clone, "-n", "test").stdout.count("pip install") == 1


def test_ci_runs_everything() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line.startswith("make ")] == ["make check", "make test", "make test-clients"]
    assert any(line.startswith("PGVEIL_PURE=1 ") for line in lines)
