"""The parts of a report's Markdown page: pictures of architectures, predictions, networks, origins."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lit_metanas import spaces
from lit_metanas.callbacks.architecture_picture import draw_architecture
from lit_metanas.callbacks.figures import natural, save
from lit_metanas.comparisons.class_table import ClassTable
from lit_metanas.inputs.shapes import plain_shape
from lit_metanas.io.text import markdown_lines, markdown_text, number_of, shorten
from lit_metanas.objectives.metric_table import number_metrics
from lit_metanas.records.record import PREPROCESSING, grouped
from lit_metanas.records.result_files import (
    ERRORS,
    EXAMPLE_ROWS,
    PREDICTIONS,
    KeptNetwork,
    best_networks,
    read_example_rows,
    read_row_file,
)
from lit_metanas.records.rows import UNKNOWN_MARK, ArchitectureRow, ExampleRow, ShownPrediction, describe_chosen
from lit_metanas.records.statistics import percent
from lit_metanas.report.figures.panel import numbers_in_words, numbers_of
from lit_metanas.report.figures.predictions import (
    MOST_SHOWN,
    draw_confusions,
    draw_predictions,
    prediction_lines,
)
from lit_metanas.report.table import ProtocolTable
from lit_metanas.report.table_text import known, to_markdown
from lit_metanas.spaces import ChoiceSpace

# Most architectures that one report draws, and most networks that it lists.
MOST_DRAWN, MOST_NETWORKS = 6, 50

PREDICTED = "predictions.png"

VALIDATED = (
    "Validation examples are neither those of that training nor those of the test: a network that is chosen by its "
    "test score looks better than it is."
)


class Picture(NamedTuple):
    """A figure of the report: its ``file`` in the report's folder, a ``title`` and a ``caption``."""

    file: str
    title: str
    caption: str


def page_text(
    tables: Sequence[ProtocolTable],
    pictures: Sequence[Picture],
    networks: Sequence[KeptNetwork],
    examples: Sequence[str],
    said: str,
) -> str:
    """The verdict, tables, sections on test examples, networks, figures, and the origin of each row, as Markdown."""
    parts = [
        "# Report\n",
        said and f"{markdown_text(said)}\n",
        "## Results\n",
        *map(to_markdown, tables),
        *examples,
        _network_lines(networks),
        "## Figures\n",
        *(f"### {title}\n\n![{title}]({file})\n\n{markdown_text(note, 4000)}\n" for file, title, note in pictures),
        "## Where each row comes from\n",
        *map(_origins, tables),
    ]
    return "\n".join(filter(None, parts))


def draw_architectures(folder: Path, architectures: Sequence[ArchitectureRow]) -> list[Picture]:
    """Draw each different architecture once; the caption names the methods that chose it."""
    users = grouped(((row.space, row.architecture, row.ensemble, row.linear), row) for row in architectures)
    pictures = []
    for number, rows in enumerate(list(users.values())[:MOST_DRAWN], start=1):
        file = "architecture.png" if len(users) == 1 else f"architecture-{number}.png"
        first, shape, outputs = rows[0], None, 0
        if len({(*plain_shape(row.shape), row.way) for row in rows}) == 1:
            shape, outputs = first.shape if all(first.shape) else None, first.way
        picture = draw_architecture(
            first.architecture,
            f"Chosen: {' and '.join(dict.fromkeys(row.method for row in rows))}",
            space=space_called(first.space),
            linear=first.linear,
            shape=shape,
            outputs=outputs,
        )
        save(picture, folder / file)
        pictures.append(Picture(file, "Chosen architecture", _caption(rows)))
    return pictures


def space_called(name: str) -> type[ChoiceSpace]:
    """The class of a search space; the base class for somebody's own."""
    found = getattr(spaces, name, None)
    if isinstance(found, type) and issubclass(found, ChoiceSpace):
        return found
    return ChoiceSpace


def _caption(rows: Sequence[ArchitectureRow]) -> str:
    """The architecture that all rows have, and who chose it."""
    chosen, users = describe_chosen(rows[0].architecture, rows[0].ensemble, rows[0].linear), []
    for row in rows:
        user = f"{row.method}, {row.task_id}, seed {row.seed}"
        if label := row.recipe.get(PREPROCESSING):
            user += f", preprocessing: {shorten(str(label), 60)}"
        users.append(user)
    return f"{chosen} ({'; '.join(dict.fromkeys(users))})"


def shown_network(networks: Sequence[KeptNetwork]) -> tuple[KeptNetwork, list[KeptNetwork]]:
    """The network of the first task whose test examples are shown, and all networks of that task."""
    task = networks[0].row.task_id
    networks = [one for one in networks if one.row.task_id == task]
    return best_networks(networks).get(task) or networks[0], networks


def prediction_section(folder: Path, network: KeptNetwork, candidates: int) -> str:
    """A figure and a table of the predictions of a network, chosen among several, for test examples, as Markdown."""
    try:
        predictions = read_row_file(network.folder / PREDICTIONS, ShownPrediction)[:MOST_SHOWN]
    except ValueError as error:
        warnings.warn(f"No predictions are shown: {error}", stacklevel=3)
        return ""
    right = f"{sum(one.right for one in predictions)} right"
    if network.row.metric.endswith(tuple(number_metrics())):  # see ``Regression.agrees``
        right += " (within the 90 % interval or, without one, a standard deviation of the truth)"
    why = "It is the first one: no network has a validation score, and"
    if math.isfinite(network.row.value):
        score = markdown_text(_score(network))
        why = f"It was chosen by {score}, among the networks for the task that have such a score;"
    unknown = any(UNKNOWN_MARK in one.example for one in predictions)
    parts = (
        (
            True,
            f"What the network of {markdown_text(network.row.method)} says on task "
            f"{markdown_text(network.row.task_id)}, of {number_of(len(predictions), 'test example')}, spread evenly "
            f"over all: {right}.",
        ),
        (candidates > 1, f"{why} test scores play no part."),
        (True, _tiles(folder / PREDICTED, predictions, _numbers(network, predictions))),
        (True, prediction_lines(predictions)),
        (unknown, f"{UNKNOWN_MARK} stands for words or characters that the network's vocabulary lacks."),
    )
    return "\n\n".join(["## Predictions", *(part for holds, part in parts if holds and part)]) + "\n"


def _numbers(network: KeptNetwork, predictions: Iterable[ShownPrediction]) -> dict[str, str]:
    """What stands in figures of a network's predictions for names that cannot be drawn."""
    shown = {text for one in predictions for text in (one.said, one.meant)}
    return numbers_of(sorted({*network.row.classes, *shown}, key=natural))


def _tiles(file: Path, predictions: Sequence[ShownPrediction], numbers: Mapping[str, str]) -> str:
    """Predictions as a figure in a file, and the names that numbers replace in it, as Markdown; nothing for texts."""
    named = [
        replace(one, said=numbers.get(one.said, one.said), meant=numbers.get(one.meant, one.meant))
        for one in predictions
    ]
    if (drawn := draw_predictions(named)) is None:
        return ""
    save(drawn, file)
    seen = {text for one in predictions for text in (one.said, one.meant)}
    said = numbers_in_words({name: number for name, number in numbers.items() if name in seen})
    return f"![{file.stem.replace('_', ' ').capitalize()}]({file.name})\n\n{markdown_text(said)}".rstrip()


def best_sentences(networks: Sequence[KeptNetwork]) -> list[str]:
    """The best network of each task, and its score; scores of different tasks are not compared."""
    several = len({network.row.task_id for network in networks}) > 1
    return [
        f"Best{f' on {task}' * several} by {_score(best)}: {best.row.method}, in {shorten(str(best.folder), 400)}"
        for task, best in best_networks(networks).items()
    ]


def _score(network: KeptNetwork) -> str:
    return f"{shorten(network.row.metric, 40)}, {percent(network.row.value)} %"


def _network_lines(networks: Sequence[KeptNetwork]) -> str:
    """The folder of each exported network, and the best network of each task; empty without any."""
    if not networks:
        return ""
    heading = ("method", "task", "seed", "validation score %", "folder")
    lines = [
        (row.method, row.task_id, str(row.seed), known(math.isfinite(row.value), percent(row.value)),
         shorten(str(folder), 400))
        for row, folder in networks[:MOST_NETWORKS]
    ]  # fmt: skip
    parts = ["## Networks", markdown_lines([heading, ("---",) * 5, *lines])]
    if (left := len(networks) - MOST_NETWORKS) > 0:
        parts.append(f"{left} more are in the searches' directories.")
    best = [markdown_text(one) for one in best_sentences(networks)[:MOST_NETWORKS]]
    if len(best) == 1:
        parts.append(f"{best[0]}. {VALIDATED}")
    elif best:
        parts += ["\n".join(f"- {one}." for one in best), VALIDATED]
    return "\n\n".join(parts) + "\n"


def _origins(table: ProtocolTable) -> str:
    """Seeds, batch-norm mode, machine, precision and configuration of each row, without columns that are empty."""
    columns = {
        "method": [row.method for row in table.rows],
        "seeds": [", ".join(map(str, row.seed_numbers)) for row in table.rows],
        "batch norm": [row.batch_norm for row in table.rows],
        "hardware": ["; ".join(row.hardware) for row in table.rows],
        "precision": [", ".join(row.precisions) for row in table.rows],
        "configuration": [", ".join(row.configs) for row in table.rows],
    }
    used = {heading: [cell or "–" for cell in column] for heading, column in columns.items() if any(column)}
    lines = [tuple(used), ("---",) * len(used), *zip(*used.values(), strict=True)]
    return f"### {markdown_text(table.title)}\n\n{markdown_lines(lines)}\n"


CONFUSIONS = Picture(
    "confusions.png",
    "Confusion matrix of the test part",
    "A row for each class, a column for each that its test examples were taken for. The darker a cell, the larger its "
    "share of the row; numbers are examples.",
)

# A sentence below the worst errors.
HEAT_SHOWS = (
    "Below each picture is what speaks for the prediction: the brighter a place, the more of its score is lost if a "
    "patch there is covered (occlusion, by captum)."
)

WORST = "worst_errors.png"


def class_section(folder: Path, network: KeptNetwork) -> tuple[str, list[Picture]]:
    """Tables and worst errors as Markdown, and the confusion matrix as a picture; nothing without classes."""
    if not network.has(EXAMPLE_ROWS):
        return "", []
    try:
        rows = read_example_rows(network.folder / EXAMPLE_ROWS)
        errors = read_row_file(network.folder / ERRORS, ShownPrediction) if network.has(ERRORS) else []
    except ValueError as error:
        warnings.warn(f"Nothing is shown of classes: {error}", stacklevel=3)
        return "", []
    if not rows or (math.isnan(rows[0].probability) and not rows[0].shares):  # of numbers
        return "", []
    numbers, pictures = _numbers(network, errors), []
    names = [name for name, _ in rows[0].shares]
    if not names:
        names = sorted({name for row in rows for name in (row.truth, row.prediction)}, key=natural)
    table = ClassTable.of(rows, names)
    parts = ["## Classes", table.markdown()]
    named = replace(table, names=tuple(numbers.get(name, name) for name in names))
    if (drawn := draw_confusions(named)) is not None:
        save(drawn, folder / CONFUSIONS.file)
        pictures.append(CONFUSIONS._replace(caption=f"{CONFUSIONS.caption} {numbers_in_words(numbers)}".rstrip()))
    wrong = sorted((row for row in rows if not row.right), key=lambda row: -row.loss)
    if wrong and errors:
        of_all = f"{number_of(len(wrong), 'error')} in {number_of(len(rows), 'test example')}"
        parts += ["## Worst errors", f"Those of the highest loss, of {of_all}; all examples are in `{EXAMPLE_ROWS}`."]
        heat = HEAT_SHOWS * any(one.heat for one in errors)
        lines = markdown_lines([*_HEADING, *map(_cells, wrong[: len(errors)])])
        parts += filter(None, [_tiles(folder / WORST, errors, numbers), heat, lines])
    return "\n\n".join(parts) + "\n", pictures


_HEADING = [("example", "is", "taken for", "probability", "loss"), ("---", "---", "---", "---:", "---:")]


def _cells(row: ExampleRow) -> tuple[str, ...]:
    """A line of the table of errors; several labels have a probability each, and none together."""
    names = (shorten(text, 200) for text in row[:3])
    return (*names, known(not row.shares, f"{row.probability:.3f}"), f"{row.loss:.2f}")
