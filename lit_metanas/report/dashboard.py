"""The verb ``dashboard``: a Weights & Biases workspace for the callbacks' logs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lit_metanas.io.files import write_whole
from lit_metanas.records.budget import FailedWorkError

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import PanelTypes
    from wandb_workspaces.workspaces import Workspace


STEP = "trainer/global_step"
"""W&B's name for the batches trained so far, or, in a search, for the number of the target task."""


def dashboard(
    entity: str | None = None,
    project: str = "lit-metanas",
    name: str = "lit-metanas",
    output: Path | None = None,
) -> None:
    """Make a Weights & Biases workspace: losses, accuracies, probabilities, entropies, architectures, target tasks.

    Args:
        entity: the user or team that owns the project; by default the one that is logged in.
        project: the project of the runs.
        name: the workspace's name.
        output: a file for the workspace's specification as JSON; then nothing is sent, and no login is needed.
    """
    try:
        import wandb_workspaces  # noqa: F401
    except ModuleNotFoundError:
        raise ValueError("The dashboard needs a package: pip install 'lit-metanas[dashboard]'.") from None
    if output is not None:
        view = workspace(entity or "", project, name)._to_model()  # has no public way that asks no server
        write_whole(output, view.spec.model_dump_json(by_alias=True, exclude_none=True))
        print(f"The workspace's specification is in {output}.")
        return
    import wandb
    from wandb.errors import Error

    try:
        owner = entity or wandb.Api().default_entity
        if not owner:
            raise ValueError("Whose project is it? Give --entity, a user or team of Weights & Biases.")
        made = workspace(owner, project, name)
        made.save()
    except Error as error:
        raise FailedWorkError(
            f"Weights & Biases made no dashboard; log in by `wandb login`, or give --output FILE. It said: {error}"
        ) from None
    print(f"The dashboard is at {made.url}.")


def workspace(entity: str, project: str, name: str) -> Workspace:
    """Build the workspace of a user's or team's project, without any request to the server."""
    from wandb_workspaces.reports.v2.interface import LinePlot, MediaBrowser, ScalarChart, WeavePanelSummaryTable
    from wandb_workspaces.workspaces import Section, Workspace

    def line(title: str, *keys: str, regex: str | None = None) -> LinePlot:
        return LinePlot(title=title, x=STEP, y=list(keys), metric_regex=regex)

    def section(title: str, *panels: PanelTypes) -> Section:
        return Section(name=title, panels=list(panels), is_open=True)

    sections = [
        section(
            "Meta-training",
            line("Loss on the query sets", "train/loss"),
            line("Accuracy on the query sets", "train/accuracy"),
        ),
        section(
            "Validation",
            line("Accuracy of the derived architecture", "val/accuracy"),
            line("Half width of its 95 % interval", "val/ci95"),
            line("Relaxed and one-hot supernet", "val/accuracy_relaxed", "val/accuracy_one_hot"),
            line("Their gap", "arch/gap"),
        ),
        section(
            "Architecture",
            MediaBrowser(title="Probabilities over meta-training", media_keys=["arch/probabilities"], num_columns=1),
            MediaBrowser(title="Derived architecture", media_keys=["arch/architecture"], num_columns=1),
            line("Entropy of each choice, nats", regex="^arch/.+/entropy$"),
            line("Share of skips", "arch/skip_share"),
        ),
        section(
            "Test episodes",
            ScalarChart(title="Accuracy", metric="test/accuracy"),
            ScalarChart(title="Half width of its 95 % interval", metric="test/ci95"),
        ),
        section(
            "Target tasks",
            WeavePanelSummaryTable(table_name="target/results"),
            WeavePanelSummaryTable(table_name="search/trials"),
            line("Accuracy of each method, task by task", regex="^target/.+/accuracy$"),
            line("Half width of its 95 % interval", regex="^target/.+/ci95$"),
        ),
    ]
    return Workspace(entity=entity, project=project, name=name, sections=sections, auto_generate_panels=False)
