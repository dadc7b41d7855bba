"""What `osler eval` asks: a model in this process, or one behind an address, whose server it may start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import typer

from osler.cli.instruct import KEY_VARIABLE
from osler.errors import EvaluationError


@contextmanager
def asked_model(
    model: str,
    *,
    endpoint: str,
    model_name: str,
    server: str,
    max_new_tokens: int,
    concurrency: int,
    allow_remote: bool,
    log: Path,
) -> Iterator[Any]:
    """The model to give to `evaluate`: a name to load, or an `EndpointRunner`.

    Args:
        model: folder, adapter folder or hub name; empty with an endpoint.
        endpoint: base address.
        model_name: at the endpoint.
        server: command to run meanwhile.
        max_new_tokens: length limit of answers.
        concurrency: requests under way.
        allow_remote: ask outside this machine.
        log: file for the server's output.

    Raises:
        ModelError, EndpointError: before anything is asked.
    """
    if not endpoint:
        for value, option in ((model_name, "--model-name"), (server, "--server")):
            if value:
                raise EvaluationError(f"{option} goes with --endpoint URL")
        from osler.models import check_folder

        check_folder(model)
        yield model
        return
    from osler.evaluation.runners import EndpointRunner, running_server

    with ExitStack() as stack:
        if server:
            stack.enter_context(running_server(server, endpoint, log=log, say=lambda text: typer.echo(text, err=True)))
        yield EndpointRunner(
            endpoint,
            model_name,
            max_new_tokens=max_new_tokens,
            concurrency=concurrency,
            api_key=os.environ.get(KEY_VARIABLE) or None,
            allow_remote=allow_remote,
        )
