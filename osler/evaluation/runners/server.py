"""Start a model server (vLLM, from its own environment), wait until it answers, and end it afterwards."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from osler.errors import EndpointError

_PATHS = ("/v1/models", "/health")
_LAST_LINES = 5


@contextmanager
def running_server(
    command: str | Sequence[str],
    url: str,
    *,
    log: str | Path,
    timeout: float = 900.0,
    say: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Run a command for the time of a `with` block, from the moment its server answers.

    The server gets a process group of its own, and the whole group is ended: first politely, then not.

    Args:
        command: as typed in a shell, without pipes; or its words. Nothing of it is interpreted by a shell.
        url: at which it will answer; `/v1/models` or `/health` there says that it does.
        log: file for what it prints.
        timeout: seconds that it has to come up; loading a large model takes minutes.
        say: told what is waited for.

    Raises:
        EndpointError: when something answers there already, the command cannot be started, ends early, or does not
            answer in time; the last lines that it printed are in the message.
    """
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words:
        raise EndpointError("the server's command is empty")
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    if _answers(base):
        raise EndpointError(f"{base}: a server answers there already; leave the command out, or choose another port")
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(
                words, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise EndpointError(f"{words[0]}: cannot be started: {error.strerror or error}") from error
        try:
            if say:
                say(f"waiting for {words[0]} at {base} (its output: {log})")
            _wait(process, base, log=log, timeout=timeout)
            yield
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], base: str, *, log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not _answers(base):
        if process.poll() is not None:
            raise EndpointError(f"the server ended with status {process.returncode} before it answered: {_said(log)}")
        if time.monotonic() > deadline:
            raise EndpointError(f"the server did not answer at {base} within {timeout:g} s: {_said(log)}")
        time.sleep(0.2)


def _answers(base: str) -> bool:
    import httpx2

    for path in _PATHS:
        with suppress(httpx2.HTTPError):
            if httpx2.get(base + path, timeout=5.0, trust_env=False).status_code == 200:
                return True
    return False


def _said(log: Path) -> str:
    lines = [line[:200] for line in log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]]
    return f"{' | '.join(lines) or 'it printed nothing'} ({log})"


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 20.0)):
        with suppress(ProcessLookupError):  # also when the first process is gone: its children may not be
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            if number == signal.SIGKILL or not _group_lives(process.pid):
                return


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
