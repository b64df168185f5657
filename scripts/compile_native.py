"""Compiles the hot path with mypyc: `python -m scripts.compile_native`, as `make install` does.

The sources stay as they are and go on being what runs where there is no compiler: whatever fails here is said in one
line, and is no error. What is made goes to `build/native`; `proxy.native` says when it is used.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from proxy import native

MODULES = (
    "proxy.wire.buffer",
    "proxy.wire.peek",
    "proxy.wire.replies",
    "proxy.wire.stream",
    "proxy.conversation",
    "proxy.passing",
    "proxy.extended",
    "proxy.session",
    "proxy.answers",
    "proxy.halt",
    "proxy.ending",
    "proxy.relay",
    "proxy.overdue",
    "proxy.bounds",
    "proxy.results",
    "proxy.age",
    "proxy.order",
    "proxy.verdict",
    "proxy.prepared",
    "proxy.tally",
    "proxy.searchpath",
    "proxy.limits",
    "proxy.watch",
    "proxy.ops.tallies",
    "proxy.policy.shapes",
    "proxy.policy.decide",
    "proxy.veils",
    "proxy.serverconn",
    "proxy.poolqueue",
    "proxy.pool",
    "proxy.leaseremains",
    "proxy.leasetold",
    "proxy.leasetypes",
    "proxy.leaseframes",
    "proxy.leasetexts",
    "proxy.leaseinbox",
    "proxy.leasenames",
    "proxy.exchange",
    "proxy.inquiry",
    "proxy.lease",
)
"""What a transaction of a client runs through."""

_CONFIG = """\
[mypy]
ignore_missing_imports = True
follow_imports = silent
[mypy-postgast.*]
follow_imports = skip
follow_imports_for_stubs = True
"""


def source_of(module: str) -> Path:
    return native.ROOT / (module.replace(".", "/") + ".py")


def looked_into(source: Path) -> Iterator[Path]:
    """The package's own modules that this one imports: constants of theirs may be compiled in."""
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("proxy"):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if source_of(name).is_file():
                    yield source_of(name)


def sources() -> dict[str, str]:
    """Everything that is compiled or looked into, by path, with its digest."""
    found = {source_of(module) for module in MODULES}
    found |= {path for source in set(found) for path in looked_into(source)}
    return {str(path.relative_to(native.ROOT)): native.digest(path) for path in sorted(found)}


def build(directory: Path) -> dict[str, str]:
    """Compiles into a directory; the modules by name, with their files in it."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    with tempfile.TemporaryDirectory(prefix="pgveil-native-") as work:
        config = Path(work) / "mypy.ini"
        config.write_text(_CONFIG)
        names = [str(source_of(module).relative_to(native.ROOT)) for module in MODULES]
        os.environ["MYPY_CACHE_DIR"] = str(Path(work) / "cache")
        extensions = mypycify([f"--config-file={config}", *names], opt_level="1", debug_level="0", target_dir=work)
        command = build_ext(Distribution({"name": "pgveil-native", "ext_modules": extensions}))
        command.build_lib, command.build_temp = str(directory), work
        command.finalize_options()
        command.run()
    return {_module(file, directory): str(file.relative_to(directory)) for file in directory.rglob(f"*{native.SUFFIX}")}


def _module(file: Path, directory: Path) -> str:
    return str(file.relative_to(directory)).removesuffix(native.SUFFIX).replace("/", ".")


def compile_all() -> None:
    """Makes `native.DIRECTORY`, whole or not at all."""
    before = sources()
    draft = native.DIRECTORY.with_name(f"{native.DIRECTORY.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        modules = build(draft)
        manifest = {"sources": before, "modules": modules}
        (draft / native.MANIFEST).write_text(json.dumps(manifest, indent=1))
        shutil.rmtree(native.DIRECTORY, ignore_errors=True)
        draft.rename(native.DIRECTORY)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def main() -> int:
    if native.load() is not None and "--force" not in sys.argv:
        return 0
    os.chdir(native.ROOT)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            compile_all()
    except (Exception, SystemExit) as error:
        lines = said.getvalue().strip().splitlines()
        reason = lines[-1] if lines else f"{type(error).__name__}: {error}"
        sys.stderr.write(f"the hot path was not compiled, and runs as Python: {reason}\n")
        return 0
    sys.stdout.write(f"the hot path is compiled: {len(MODULES)} modules in {native.DIRECTORY}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
