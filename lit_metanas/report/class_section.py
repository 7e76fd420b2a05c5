"""The section of a report on the classes of a test part: recall, precision, confusions, and the worst errors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

from lit_metanas.callbacks.figures import natural, save
from lit_metanas.comparisons.class_measures import ClassTable
from lit_metanas.io.text import markdown_lines, number_of, shorten
from lit_metanas.records.example_rows import EXAMPLE_ROWS, ExampleRow, read_example_rows
from lit_metanas.records.result_files import ERRORS, KeptNetwork, read_predictions
from lit_metanas.report.figures.confusions import draw_confusions, numbers_in_words
from lit_metanas.report.figures.predictions import draw_predictions
from lit_metanas.report.report_page import Picture, shown_network

CONFUSIONS = Picture(
    "confusions.png",
    "Confusion matrix of the test part",
    "A row for each class, a column for each that its test examples were taken for. The darker a cell, the larger its "
    "share of the row; numbers are examples.",
)

WORST = "worst_errors.png"
"""The figure of the worst errors."""

LONGEST_NAMED = 200
"""Characters of an example's name in a table."""


def class_section(folder: Path, networks: Sequence[KeptNetwork]) -> tuple[str, list[Picture]]:
    """Tables and worst errors as Markdown, and the confusion matrix as a picture; nothing without classes."""
    if not networks:
        return "", []
    network, _ = shown_network(networks)
    if not network.has(EXAMPLE_ROWS):
        return "", []
    try:
        rows = read_example_rows(network.folder / EXAMPLE_ROWS)
        errors = read_predictions(network.folder / ERRORS) if network.has(ERRORS) else []
    except ValueError as error:
        warnings.warn(f"Nothing is shown of classes: {error}", stacklevel=3)
        return "", []
    if not rows or math.isnan(rows[0].probability):
        return "", []
    names = sorted({name for row in rows for name in (row.truth, row.prediction)}, key=natural)
    places = {name: place for place, name in enumerate(names)}
    table = ClassTable.of([places[row.truth] for row in rows], [places[row.prediction] for row in rows], names)
    parts = ["## Classes", table.markdown()]
    pictures = []
    if (drawn := draw_confusions(table)) is not None:
        save(drawn, folder / CONFUSIONS.file)
        pictures.append(CONFUSIONS._replace(caption=f"{CONFUSIONS.caption}{numbers_in_words(names)}"))
    wrong = sorted((row for row in rows if not row.right), key=lambda row: -row.loss)[: len(errors)]
    if wrong:
        all_wrong = number_of(sum(not row.right for row in rows), "error")
        of_all = f"{all_wrong} in {number_of(len(rows), 'test example')}"
        parts += ["## Worst errors", f"Those of the highest loss, of {of_all}; all examples are in `{EXAMPLE_ROWS}`."]
        if (tiles := draw_predictions(errors)) is not None:
            save(tiles, folder / WORST)
            parts.append(f"![Worst errors]({WORST})")
        parts.append(markdown_lines([*_HEADING, *map(_cells, wrong)]))
    return "\n\n".join(parts) + "\n", pictures


_HEADING = [("example", "is", "taken for", "probability", "loss"), ("---", "---", "---", "---:", "---:")]


def _cells(row: ExampleRow) -> tuple[str, ...]:
    """A line of the table of errors."""
    names = (shorten(text, LONGEST_NAMED) for text in row[:3])
    return (*names, f"{row.probability:.3f}", f"{row.loss:.2f}")
