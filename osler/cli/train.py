"""`osler train`: run a recipe."""

from __future__ import annotations

from typing import Annotated

import typer


def train(
    recipe: Annotated[str, typer.Argument(help="Recipe file, or the name of a built-in one (see --list).")] = "",
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Changes, for instance stages.stage2.learning_rate=1e-5 or out=runs/try."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show stages, parameters, steps and memory.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of resuming the run in the folder.")
    ] = False,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the built-in recipes.")] = False,
) -> None:
    """Train a model by a recipe. The same command resumes an interrupted run."""
    from osler.training import recipe as recipes

    if list_recipes:
        for name in recipes.built_in():
            typer.echo(f"{name:<28} {recipes.load(name).description}")
        return
    if not recipe:
        raise typer.BadParameter("name a recipe, or use --list", param_hint="RECIPE")
    loaded = recipes.load(recipe, overrides or [])
    from osler.cli.quiet import quiet

    quiet()
    if dry_run:
        from osler.training.plan import show_plan

        show_plan(loaded)
        return
    from osler.training.run import train as run

    result = run(loaded, fresh=fresh, say=typer.echo)
    typer.echo(f"model: {result.model}\nloss curve: {result.folder / 'loss.png'}")
