"""One detector for all tests: loading it takes seconds."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Presidio's and spaCy's own, at import
    from proxy.privacy.detect import Detector


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector()
