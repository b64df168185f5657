"""A report of tests as JUnit XML, the form that build servers read.

One `testsuite` for each file, with a `testcase` for each test. There is no standard; the attributes are those of the
schema that Jenkins' xUnit plugin has, and `file` and `line`, which others show.

It does not know what was tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from xml.etree import ElementTree as ET

_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document holds, escaped or not: https://www.w3.org/TR/xml/#charsets"""


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `failure` is None where it passed."""

    file: str
    line: int
    name: str
    seconds: float
    failure: str | None = field(default=None, repr=False)


def junit_xml(cases: Iterable[Case]) -> str:
    """The whole document."""
    found = list(cases)
    root = ET.Element("testsuites", _counts(found) | {"name": "pgveil test"})
    for file in dict.fromkeys(case.file for case in found):
        members = [case for case in found if case.file == file]
        suite = ET.SubElement(root, "testsuite", {"name": _clean(file), **_counts(members), "errors": "0"})
        for case in members:
            suite.append(_element(case))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _element(case: Case) -> ET.Element:
    attributes = {
        "classname": _clean(PurePath(case.file).stem),
        "name": _clean(case.name),
        "file": _clean(case.file),
        "line": str(case.line),
        "time": f"{case.seconds:.3f}",
    }
    element = ET.Element("testcase", attributes)
    if case.failure is not None:
        message = case.failure.split("\n", 1)[0]
        ET.SubElement(element, "failure", {"message": _clean(message)}).text = _clean(case.failure)
    return element


def _counts(cases: list[Case]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(case.failure is not None for case in cases)),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _clean(text: str) -> str:
    return _CONTROL.sub("\ufffd", text)
