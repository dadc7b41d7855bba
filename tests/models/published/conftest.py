"""Small published checkpoints, written once for all tests."""

from __future__ import annotations

import numpy as np
import original_layouts as layouts
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """An oblong colour image."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def v15_weights():
    return layouts.v15_weights()


@pytest.fixture(scope="session")
def v15_source(tmp_path_factory, v15_weights):
    return layouts.write_v15(tmp_path_factory.mktemp("v15") / "source", v15_weights)


@pytest.fixture(scope="session")
def v10_parts():
    return layouts.V10Parts()


@pytest.fixture(scope="session")
def v10_source(tmp_path_factory, v10_parts):
    return v10_parts.write(tmp_path_factory.mktemp("v10"))
