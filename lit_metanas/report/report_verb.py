"""The verb ``report``: results to tables, figures and a Markdown page."""

from __future__ import annotations

import math
import os
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from lit_metanas import spaces
from lit_metanas.callbacks.architecture_picture import draw_architecture
from lit_metanas.callbacks.figures import draw_probabilities, save
from lit_metanas.callbacks.probability_history import ProbabilityHistory
from lit_metanas.inputs.shapes import Shape, plain_shape
from lit_metanas.io.files import own_path, write_whole
from lit_metanas.io.text import markdown_lines, markdown_text, number_of, printable, shorten
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import PREPROCESSING, Trial
from lit_metanas.records.result_files import (
    EXPORT,
    PREDICTIONS,
    KeptNetwork,
    best_networks,
    kept_networks,
    read_architectures,
    read_predictions,
    read_results,
)
from lit_metanas.records.rows import ArchitectureRow, ResultRow
from lit_metanas.records.shown_prediction import UNKNOWN_MARK
from lit_metanas.records.statistics import percent
from lit_metanas.report.figures.costs import draw_costs, draw_curves
from lit_metanas.report.figures.fronts import draw_fronts
from lit_metanas.report.figures.predictions import MOST_SHOWN, draw_predictions, prediction_lines
from lit_metanas.report.leaderboard import PAGE, read_folder, write_leaderboard
from lit_metanas.report.table import ProtocolTable, tables
from lit_metanas.report.table_text import to_markdown, to_rich, verdict
from lit_metanas.spaces import ChoiceSpace
from lit_metanas.training.export.exported_model import predict_command

MOST_RESULTS = 20_000
"""Rows of one report."""

COSTS_CAPTION = "Further up and to the left is better. Methods in the grey field search nothing for a new task."
CURVES_CAPTION = (
    "The best validation score that a search has reached after spending so much, averaged over tasks and seeds, "
    "up to the search's whole cost. "
    "From the ring on it gains less than half a point; the number after a method's name is the cost at its ring."
)
FRONTS_CAPTION = (
    "Each point is a network; the search found no other that is better in one objective and no worse in the others. A "
    "ring marks the chosen network, if it is one of them."
)
PROBABILITIES_CAPTION = (
    "A row for each candidate; its colour is its probability. The chosen one is bold, with its final probability."
)


@dataclass(frozen=True)
class Report:
    """The parts of a report.

    Attributes:
        tables: one table for each protocol.
        files: the written files, each with its title.
        verdict: the gain of the subject and its cost, in one sentence; empty without a subject.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import lit_metanas as lm
        >>> protocol, spent = lm.records.Protocol("episodes", way=5, shot=1, batch_norm="support"), lm.Cost()
        >>> first = lm.records.ResultRow(
        ...     "MAML", "letters", "", None, {}, 0, protocol, 0.8, 0, spent, spent, 0, 0, (0.7, 0.9)
        ... )
        >>> with TemporaryDirectory() as folder:
        ...     report = lm.report.write_report(folder, [first])
        >>> [file.name for file in report.files]
        ['report.md']
    """

    tables: tuple[ProtocolTable, ...]
    files: dict[Path, str]
    verdict: str = ""


def report(
    results: list[str] | None = None,
    output: str = "report",
    reference: str | None = None,
    scratch: str | None = None,
    probabilities: str | None = None,
    architectures: str | None = None,
    next_step: str | None = None,
    leaderboard: str | None = None,
    subject: str | None = None,
) -> None:
    """Make tables, figures and a Markdown report of result files, and print their paths.

    Args:
        results: one or several results.json; None makes only a leaderboard.
        output: folder for the report; it is created.
        reference: method that all others are compared with, pair by pair.
        scratch: from-scratch search for the pay-off of meta-training; by default the most accurate method that searches
            without meta-training.
        probabilities: probabilities.json of a fit, for the heat map.
        architectures: architectures.json with the architectures to draw; by default those of the exported networks.
        next_step: command to suggest at the end; by default one that uses the best of the exported networks.
        leaderboard: a folder; its results, and those of its sub-folders, go into a sortable page.
        subject: method whose gain over the reference, and whose cost, one sentence reports.
    """
    folder = own_path(output, "output")
    if leaderboard is not None:
        found = read_folder(Path(leaderboard))
        write_leaderboard(folder / PAGE, [(file, row) for file, rows in found.items() for row in drawable(rows)])
    if results is None:
        if leaderboard is None:
            raise ValueError("There are no results: give --results FILE ..., or --leaderboard FOLDER.")
        print(f"Leaderboard  {folder / PAGE}")
        return
    kept = [one for parent in dict.fromkeys(Path(path).parent for path in results) for one in kept_networks(parent)]
    networks = [one for one in kept if one.has(EXPORT)]
    drawn, history = [one.row for one in networks], None
    if architectures is not None:
        drawn = read_architectures(architectures)
    if probabilities is not None:
        history = ProbabilityHistory.read(probabilities)
    made = write_report(
        folder,
        [row for path in results for row in read_results(path)],
        reference=reference,
        scratch=scratch,
        history=history,
        architectures=drawn,
        networks=networks,
        looked_at=[one for one in kept if one.has(PREDICTIONS)],
        subject=subject,
    )
    console = Console()
    for table in made.tables:
        for part in to_rich(table, console.width):
            console.print(part)
        console.print()
    files = dict(made.files)
    if leaderboard is not None:
        files[folder / PAGE] = "Leaderboard"
    width = max(len(what) for what in files.values())
    for path, what in files.items():
        console.print(f"{what:<{width}}  {path}", soft_wrap=True, highlight=False, markup=False)
    if next_step is None and (best := next(iter(best_networks(networks).values()), None)) is not None:
        next_step = shlex.join(["lit-metanas", *predict_command(str(best.folder))])
    if sentences := best_sentences(networks):
        best_lines = "\n".join(map(printable, sentences[:MOST_BEST]))
        console.print(f"\n{best_lines}", soft_wrap=True, highlight=False, markup=False)
    if made.verdict:
        console.print(f"\n{printable(made.verdict)}", soft_wrap=True, highlight=False, markup=False)
    if next_step is not None:
        console.print(f"\nNext: {printable(next_step)}", soft_wrap=True, highlight=False, markup=False)


def write_report(
    directory: str | os.PathLike[str],
    results: Sequence[ResultRow],
    *,
    reference: str | None = None,
    scratch: str | None = None,
    history: ProbabilityHistory | None = None,
    architectures: Sequence[ArchitectureRow] = (),
    networks: Sequence[KeptNetwork] = (),
    looked_at: Sequence[KeptNetwork] = (),
    subject: str | None = None,
) -> Report:
    """Write ``report.md`` and its figures into a folder.

    Args:
        directory: the folder; it is created.
        results: rows of one or several files.
        reference: the method that all others are compared with.
        scratch: the from-scratch search for the pay-off of meta-training.
        history: probabilities over meta-training.
        architectures: rows of chosen architectures; each different one is drawn once, at most six.
        networks: exported networks; their folders are listed, and the best one of each task by validation score is
            named.
        looked_at: networks with predictions; those of the first task's best network are shown.
        subject: the method that the report's first sentence is about.

    Raises:
        ValueError: there are no results, too many, or a named method has none.

    Example:
        >>> import lit_metanas as lm
        >>> protocol, spent = lm.records.Protocol("episodes", way=5, shot=1, batch_norm="support"), lm.Cost()
        >>> row = lm.records.ResultRow(
        ...     "MAML", "letters", "", None, {}, 0, protocol, 0.8, 0, spent, spent, 0, 0, (0.7, 0.9)
        ... )
        >>> report = lm.report.write_report("report", [row])
        >>> sorted(path.name for path in report.files)
        ['report.md']
    """
    folder = Path(directory)
    results = drawable(results)
    made = tables(results, reference=reference, scratch=scratch)
    said = ""
    if subject is not None and not (said := verdict(made, subject)):
        raise ValueError(
            f"No table compares '{printable(subject)}' with a reference: name a method that has results, and another "
            "one as the reference."
        )
    pictures = []
    if (costs := draw_costs(made)) is not None:
        pictures.append(Picture("accuracy_against_cost.png", "Accuracy against search cost", COSTS_CAPTION))
        save(costs, folder / "accuracy_against_cost.png")
    if (curves := draw_curves(results)) is not None:
        pictures.append(Picture("anytime.png", "Anytime curves of the search", CURVES_CAPTION))
        save(curves, folder / "anytime.png")
    if (fronts := draw_fronts(results)) is not None:
        pictures.append(Picture("fronts.png", "Pareto fronts of the searches", FRONTS_CAPTION))
        save(fronts, folder / "fronts.png")
    if history is not None and history.moments and history.labels:
        pictures.append(
            Picture("probabilities.png", "Probabilities of each choice over meta-training", PROBABILITIES_CAPTION)
        )
        save(draw_probabilities(history), folder / "probabilities.png")
    pictures += _draw_architectures(folder, architectures)
    examples = _show_predictions(folder, looked_at)
    write_markdown(folder / "report.md", made, pictures, networks, examples, said)
    files = {folder / "report.md": "report", **{folder / picture.file: picture.title for picture in pictures}}
    if PREDICTED in examples:
        files[folder / PREDICTED] = "Predictions"
    return Report(tuple(made), files, said)


PREDICTED = "predictions.png"
"""The figure of a network's predictions for test examples."""


def _show_predictions(folder: Path, networks: Sequence[KeptNetwork]) -> str:
    """A figure and a table of a network's predictions for test examples, as Markdown; empty without a network."""
    if not networks:
        return ""
    networks = [one for one in networks if one.row.task_id == networks[0].row.task_id]
    best = best_networks(networks).get(networks[0].row.task_id)
    network = best or networks[0]
    try:
        predictions = read_predictions(network.folder / PREDICTIONS)[:MOST_SHOWN]
    except ValueError as error:
        warnings.warn(f"No predictions are shown: {error}", stacklevel=3)
        return ""
    row, right = network.row, sum(one.right for one in predictions)
    parts = [
        f"What the network of {markdown_text(row.method)} says on task {markdown_text(row.task_id)}, of "
        f"{number_of(len(predictions), 'test example')}, spread evenly over all: {right} right."
    ]
    if len(networks) > 1:
        why = "It is the first one: no network has a validation score, and"
        if best is not None:
            score = markdown_text(_score(best))
            why = f"It was chosen by {score}, among the networks for the task that have such a score;"
        parts.append(f"{why} test scores play no part.")
    if (drawn := draw_predictions(predictions)) is not None:
        save(drawn, folder / PREDICTED)
        parts.append(f"![Predictions]({PREDICTED})")
    if lines := prediction_lines(predictions):
        parts.append(markdown_lines(lines))
    if any(UNKNOWN_MARK in one.example for one in predictions):
        parts.append(f"{UNKNOWN_MARK} stands for words or characters that the network's vocabulary lacks.")
    return "\n\n".join(parts) + "\n"


MOST_DRAWN = 6
"""Most architectures that one report draws."""


def _draw_architectures(folder: Path, architectures: Sequence[ArchitectureRow]) -> list[Picture]:
    """Draw each different architecture once; the caption names the methods that chose it."""
    users: dict[object, list[ArchitectureRow]] = {}
    for row in architectures:
        users.setdefault((row.space, row.architecture, row.ensemble, row.linear), []).append(row)
    pictures = []
    for number, rows in enumerate(list(users.values())[:MOST_DRAWN], start=1):
        file = "architecture.png" if len(users) == 1 else f"architecture-{number}.png"
        caption = "; ".join(dict.fromkeys(f"{row.method}, {row.task_id}, seed {row.seed}{_view(row)}" for row in rows))
        methods = " and ".join(dict.fromkeys(row.method for row in rows))
        first, outputs = rows[0], 0
        shape: Shape | None = None
        if len({(*plain_shape(row.shape), row.way) for row in rows}) == 1:
            outputs = first.way
            if all(first.shape):
                shape = first.shape
        picture = draw_architecture(
            first.architecture,
            f"Chosen: {methods}",
            space=_space_of(first.space),
            linear=first.linear,
            shape=shape,
            outputs=outputs,
        )
        save(picture, folder / file)
        chosen = str(first.architecture)
        if first.ensemble > 1:
            chosen += f", mean of {first.ensemble} such networks"
        if first.linear is not None:
            chosen += f", and a linear model, {first.linear}"
        pictures.append(Picture(file, "Chosen architecture", f"{chosen} ({caption})"))
    return pictures


def _space_of(name: str) -> type[ChoiceSpace]:
    """The package's own space of a name; ``ChoiceSpace`` if there is none."""
    found = getattr(spaces, name, None)
    if isinstance(found, type) and issubclass(found, ChoiceSpace):
        return found
    return ChoiceSpace


def _view(row: ArchitectureRow) -> str:
    """The preprocessing that a network was chosen with, after a comma; empty without a choice."""
    label = row.recipe.get(PREPROCESSING, "")
    if not label:
        return ""
    return f", preprocessing: {shorten(str(label), 60)}"


@dataclass(frozen=True)
class Picture:
    """A figure of the report: its ``file`` in the report's folder, a ``title`` and a ``caption`` (may be empty)."""

    file: str
    title: str
    caption: str


def write_markdown(
    path: str | os.PathLike[str],
    tables: Sequence[ProtocolTable],
    pictures: Sequence[Picture],
    networks: Sequence[KeptNetwork] = (),
    examples: str = "",
    said: str = "",
) -> None:
    """Write the verdict, tables, predictions, networks, figures, and the origin of each row, atomically."""
    parts = ["# Report\n"]
    if said:
        parts.append(f"{markdown_text(said)}\n")
    parts += ["## Results\n", *(to_markdown(table) for table in tables)]
    if examples:
        parts += ["## Predictions\n", examples]
    if networks:
        parts += ["## Networks\n", _network_lines(networks)]
    parts.append("## Figures\n")
    for picture in pictures:
        text = f"### {picture.title}\n\n![{picture.title}]({picture.file})\n"
        if picture.caption:
            text += f"\n{markdown_text(picture.caption, LONGEST_CAPTION)}\n"
        parts.append(text)
    parts += ["## Where each row comes from\n", *(_origins(table) for table in tables)]
    write_whole(path, "\n".join(parts))


LONGEST_CAPTION = 4_000
"""Characters below a figure."""

MOST_BEST = 6
"""Most tasks whose best network is printed on a terminal."""


def best_sentences(networks: Sequence[KeptNetwork]) -> list[str]:
    """The best network of each task, and its score; scores of different tasks are not compared."""
    several, sentences = len({network.row.task_id for network in networks}) > 1, []
    for task, best in best_networks(networks).items():
        name = f"Best on {task}" if several else "Best"
        sentences.append(f"{name} by {_score(best)}: {best.row.method}, in {shorten(str(best.folder), 400)}")
    return sentences


def _score(network: KeptNetwork) -> str:
    """The metric that a network was chosen by, and its value."""
    return f"{shorten(network.row.metric, 40)}, {percent(network.row.value)} %"


MOST_NETWORKS = 50
"""Most networks that one report lists."""

VALIDATED = (
    "Validation examples are neither those of that training nor those of the test: a network that is chosen by its "
    "test score looks better than it is."
)


def _network_lines(networks: Sequence[KeptNetwork]) -> str:
    """The folder of each exported network, and the best network of each task."""
    lines: list[tuple[str, ...]] = [("method", "task", "seed", "validation score %", "folder"), ("---",) * 5]
    for row, folder in networks[:MOST_NETWORKS]:
        value = percent(row.value) if math.isfinite(row.value) else "–"
        lines.append((row.method, row.task_id, str(row.seed), value, shorten(str(folder), 400)))
    parts = [markdown_lines(lines)]
    if (left := len(networks) - MOST_NETWORKS) > 0:
        parts.append(f"{left} more are in the searches' directories.")
    best = [markdown_text(one) for one in best_sentences(networks)[:MOST_NETWORKS]]
    if len(best) == 1:
        parts.append(f"{best[0]}. {VALIDATED}")
    elif best:
        parts += ["\n".join(f"- {one}." for one in best), VALIDATED]
    return "\n\n".join(parts) + "\n"


def _origins(table: ProtocolTable) -> str:
    """Seeds, batch-norm mode, machine and configuration of each row, without columns that are empty."""
    columns = {
        "method": [row.method for row in table.rows],
        "seeds": [", ".join(map(str, row.seed_numbers)) for row in table.rows],
        "batch norm": [row.batch_norm for row in table.rows],
        "hardware": ["; ".join(row.hardware) for row in table.rows],
        "configuration": [", ".join(row.configs) for row in table.rows],
    }
    used = {heading: [cell or "–" for cell in column] for heading, column in columns.items() if any(column)}
    lines = [tuple(used), ("---",) * len(used), *zip(*used.values(), strict=True)]
    return f"### {markdown_text(table.title)}\n\n{markdown_lines(lines)}\n"


def drawable(results: Sequence[ResultRow]) -> list[ResultRow]:
    """Leave out rows without a finite score, with a warning; too many rows raise ValueError."""
    if len(results) > MOST_RESULTS:
        raise ValueError(f"There are {len(results)} results, more than {MOST_RESULTS}: give fewer files at once.")
    kept = [_drawable(row) for row in results if all(map(math.isfinite, (row.value, *row.values)))]
    if (left_out := len(results) - len(kept)) > 0:
        warnings.warn(f"{number_of(left_out, 'result')} without a finite score: left out.", stacklevel=3)
    return kept


def _drawable(row: ResultRow) -> ResultRow:
    ci95 = row.ci95 if math.isfinite(row.ci95) else math.nan
    return replace(
        row,
        ci95=ci95,
        cost=_with_finite_seconds(row.cost),
        meta_cost=_with_finite_seconds(row.meta_cost),
        curve=tuple(point for point in row.curve if all(map(math.isfinite, point))),
        front=tuple(trial for trial in row.front if _on_axes(trial)),
    )


def _with_finite_seconds(cost: Cost) -> Cost:
    if math.isfinite(cost.seconds):
        return cost
    return replace(cost, seconds=0.0)


def _on_axes(trial: Trial) -> bool:
    """Whether a front's point can be drawn: the axes of measures are logarithmic."""
    return math.isfinite(trial.value) and all(0 < value < math.inf for value in trial.measures.values())
