"""`osler judge`: have the answers of an evaluation marked by a language model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from osler.cli.instruct import KEY_VARIABLE


def judge(
    run: Annotated[Path, typer.Argument(help="Folder that `osler eval` wrote.")],
    endpoint: Annotated[
        str, typer.Option(help=f"OpenAI-compatible address of the judge. A key is taken from {KEY_VARIABLE}.")
    ],
    model_name: Annotated[str, typer.Option(help="Name of the judge there.")],
    protocol: Annotated[str, typer.Option(help="Comma list of llm-judge, llava-med-judge.")] = "llm-judge",
    conditions: Annotated[str, typer.Option(help="Comma list, for instance real,blank.")] = "real",
    data: Annotated[
        Path | None,
        typer.Option(help="Data of the run's benchmark: contexts for the judge, pictures for the report."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Ask each prompt so often, to see whether the judge is steady.")] = 1,
    concurrency: Annotated[int, typer.Option(help="Requests under way.")] = 16,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="The judge may be outside this machine.")
    ] = False,
) -> None:
    """Mark answers against their references. Calls are kept in judge.jsonl; the same command goes on where it was.

    Example:

      osler judge runs/eval --endpoint http://127.0.0.1:8000/v1 --model-name qwen3-32b
    """
    from osler.endpoint import require_loopback
    from osler.endpoint_async import AsyncChatEndpoint
    from osler.evaluation.judge.calls import JudgeCalls
    from osler.evaluation.judge.run import judge_run

    if not allow_remote:
        require_loopback(endpoint)
    judging = AsyncChatEndpoint(
        endpoint, model_name, api_key=os.environ.get(KEY_VARIABLE) or None, allow_remote=allow_remote, timeout=300.0
    )
    calls = JudgeCalls(judging, run / "judge.jsonl", concurrency=concurrency)
    forms, wanted = ([part.strip() for part in text.split(",") if part.strip()] for text in (protocol, conditions))
    found = judge_run(run, calls, forms=forms, conditions=wanted, repeats=repeats, data=data, progress=True)
    for name, entry in found.items():
        for condition, scores in entry["conditions"].items():
            relative, told = scores["relative_score"], scores["reliability"]
            typer.echo(
                f"{name} ({condition}): {scores['mean']:.3f} ({scores['low']:.3f}-{scores['high']:.3f}), "
                f"relative score {100 * relative['mean']:.1f}, n={scores['denominator']}, "
                f"{scores['failures']} not marked, {scores['unanswered']} without an answer"
            )
            if told["position_bias"] is not None:
                typer.echo(
                    f"  judge: position bias {told['position_bias']:+.2f} marks for the first place, same verdict in "
                    f"both orders {100 * told['order_agreement']:.0f} %"
                )
            if told["repeat_agreement"] is not None:
                typer.echo(f"  judge: same verdict when asked again {100 * told['repeat_agreement']:.0f} %")
        for warning in entry["warnings"]:
            typer.echo(f"warning: {warning}", err=True)
    if data is None:
        typer.echo("report.html is as it was; with --data the judge is shown in it")
    typer.echo(f"calls: {calls.asked} asked, {calls.reused} known, {len(calls.failures)} failed; {calls.path}")
