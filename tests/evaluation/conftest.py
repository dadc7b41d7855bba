from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from .tiny_models import FAMILIES


@pytest.fixture(scope="session")
def tiny_llava():
    return FAMILIES["llava"]()


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Images of several shapes, so that nothing works only for squares."""
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (40 + 7 * i, 60, 3), dtype=np.uint8)) for i in range(6)]
