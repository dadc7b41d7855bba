"""Whether an optional package is installed, and what to type when it is not."""

from __future__ import annotations

import importlib.util


def missing_package(module: str, *, extra: str | None = None) -> str | None:
    """Sentence that says how to get a package, or None when it is there.

    Args:
        module: name to import.
        extra: extra of Osler that holds it; None where users install it themselves.
    """
    if importlib.util.find_spec(module) is not None:
        return None
    how = f"pip install 'osler[{extra}]'" if extra else f"pip install {module}"
    return f"package {module} is not installed ({how})"
