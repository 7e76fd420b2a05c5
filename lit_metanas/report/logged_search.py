"""The search of one task as a run of Weights & Biases."""

from __future__ import annotations

import os
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lit_metanas.callbacks.architecture_picture import draw_architecture
from lit_metanas.callbacks.figures import natural, pixels
from lit_metanas.callbacks.results import COORDINATES, TRIAL_COLUMNS, TRIAL_TABLE, draw_coordinates, trial_cells
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.objectives.classification import Classification
from lit_metanas.report.figures.costs import draw_rounds
from lit_metanas.report.report_page import space_called

if TYPE_CHECKING:
    from wandb import Run

# The confusion matrix's name in logs, and its most classes: W&B's chart has a row for each pair.
CONFUSION, MOST_PAIRED = "test/confusions", 200


def log_search(result: SearchResult, project: str, *, folder: str | os.PathLike[str] = ".") -> Path:
    """Log a search as a run of Weights & Biases, offline unless the variable ``WANDB_MODE`` is ``online``.

    The run has a row for each trial, as a table and in its history; parallel coordinates of the trials, if plotly is
    installed (extra ``dashboard``); the confusion matrix of the test part; drawings of the search and of the chosen
    architecture; and all final figures in its summary. An online run also gets the exported network as an artifact.

    Args:
        result: of ``auto`` or ``search``.
        project: the project's name.
        folder: gets a folder ``wandb`` with the run's files.

    Returns:
        The folder of the run; ``wandb sync FOLDER`` uploads it later.

    Raises:
        wandb.errors.Error: W&B cannot be reached, or there is no login; never offline.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> method, space = lm.RandomArchitecture(), lm.LayeredSpace(widths=(4,))
        >>> result = lm.search(task, space, method=method, recipe=lm.Recipe(epochs=1), progress=False)
        >>> lm.report.log_search(result, "letters").parent.name
        'wandb'
    """
    import wandb

    # Without W&B's variable the run stays on this machine, without login or network.
    online = os.environ.get("WANDB_MODE") == "online"
    Path(folder).mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=project,
        dir=os.fspath(folder),
        mode="online" if online else "offline",
        job_type="search",
        config={
            "task": result.task_id,
            "space": result.space,
            "seed": result.record.seed,
            **{f"architecture.{name}": label for name, label in result.architecture.items()},
            **{f"recipe.{name}": value for name, value in result.whole_recipe.items()},
        },
        settings=wandb.Settings(silent=True, x_disable_stats=True),
        reinit="create_new",  # a run of the caller's goes on
    )
    with run:
        _log_trials(run, result)
        _log_test(run, result)
        if online:
            with TemporaryDirectory() as kept:
                result.export(kept)
                artifact = wandb.Artifact(f"network-{run.id}", type="model", metadata={"metric": result.metric})
                artifact.add_dir(kept)
                run.log_artifact(artifact).wait()
    if wandb.run is None:
        wandb.teardown()  # W&B reads the environment once; a later run may have another one
    return Path(run.dir).parent


def _log_trials(run: Run, result: SearchResult) -> None:
    import wandb

    rows = list(trial_cells([result.record]))
    for trial in result.record.trials:
        if trial.scored:
            known = {**trial.architecture, **trial.recipe, "training FLOPs": trial.trained, "score": trial.value}
            run.log({f"trial/{name}": value for name, value in known.items()})
    architecture = draw_architecture(result.architecture, space=space_called(result.space), linear=result.linear)
    logged: dict[str, Any] = {"search/architecture": wandb.Image(pixels(architecture))}
    if (rounds := draw_rounds(result)) is not None:
        logged["search/rounds"] = wandb.Image(pixels(rounds))
    if rows:
        logged[TRIAL_TABLE] = wandb.Table(columns=list(TRIAL_COLUMNS), data=rows)
    if (chart := draw_coordinates([result.record])) is not None:
        logged[COORDINATES] = wandb.Plotly(chart)
    run.log(logged)


def _log_test(run: Run, result: SearchResult) -> None:
    import wandb

    if result.examples and isinstance(result.objective, Classification) and len(result.classes) <= MOST_PAIRED:
        names = sorted(result.classes, key=natural)
        chart = wandb.plot.confusion_matrix(
            y_true=[names.index(row.truth) for row in result.examples],
            preds=[names.index(row.prediction) for row in result.examples],
            class_names=names,
            title="Confusion matrix",
        )
        run.log({CONFUSION: chart})
    figures: dict[str, float] = {
        f"test/{result.metric}": result.test_score,
        "test/ci95": result.ci95,
        f"validation/{result.metric}": result.val_score,
        "parameters": result.parameters,
        "multiply-adds": result.flops,
        "latency": result.latency,
        "search FLOPs": result.cost.flops,
        "training FLOPs": result.training_cost.flops,
        "seconds": result.cost.seconds + result.training_cost.seconds,
        **{f"test/{name}": value for name, value in result.measures.items()},
    }
    run.summary.update({name: value for name, value in figures.items() if isfinite(value)})
