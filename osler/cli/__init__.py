"""The `osler` command: one file per verb."""

from __future__ import annotations

import sys

from osler.errors import OslerError


def main() -> None:
    """Entry point. User errors end with a message and status 2, never with a traceback."""
    from osler.cli.app import app

    try:
        app()
    except OslerError as error:
        print(f"osler: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("osler: interrupted; the same command resumes where it can", file=sys.stderr)
        raise SystemExit(130) from None
