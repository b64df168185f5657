"""The compiled form of the hot path, where there is one: the same sources, made C by mypyc (`scripts.compile_native`).

It lies below `build/native` of the checkout, a directory for each kind of interpreter, with a manifest: which modules,
and digests of all sources that they were made of or look into. They are used only where every source still is what it
was; after an edit, or in another place, the sources themselves run. PGVEIL_PURE=1 leaves the compiled form alone.

It does not compile, and it does not know what the modules do.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
DIRECTORY = ROOT / "build" / "native" / SUFFIX.strip(".").removesuffix(".so")
MANIFEST = "manifest.json"
PURE = "PGVEIL_PURE"


class Finder:
    """Finds the modules of a manifest, before anybody looks for their sources."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        if file is None:
            return None
        loader = importlib.machinery.ExtensionFileLoader(fullname, str(file))
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


def digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


def load(directory: Path = DIRECTORY, root: Path = ROOT) -> Mapping[str, Path] | None:
    """The compiled modules by name, where they were made of the sources as they are now; else None."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text())
        if any(digest(root / name) != known for name, known in manifest["sources"].items()):
            return None
        files = {name: directory / file for name, file in manifest["modules"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return files if all(file.is_file() for file in files.values()) else None


def use() -> str:
    """Puts the compiled modules in place of their sources, if they may be. What is in use: `compiled` or `pure`."""
    if os.environ.get(PURE, "") not in ("", "0"):
        return "pure"
    files = load()
    if files is None:
        return "pure"
    sys.meta_path.insert(0, Finder(files))
    return "compiled"


IN_USE = use()
"""Decided when the package is imported."""
