"""The verb ``report``: results to tables, figures and a Markdown page."""

from __future__ import annotations

import math
import os
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from lit_metanas.callbacks.figures import draw_probabilities, save
from lit_metanas.callbacks.probability_history import ProbabilityHistory
from lit_metanas.comparisons.result_fields import ResultFields
from lit_metanas.io.files import own_path, write_whole
from lit_metanas.io.text import number_of, printable
from lit_metanas.records import ArchitectureRow, ResultRow, Trial, read_architectures, read_results
from lit_metanas.records.result_files import EXPORT, PREDICTIONS, KeptNetwork, best_networks, kept_networks
from lit_metanas.report.figures.costs import HOW, describe_rounds, draw_costs, draw_curves, draw_rounds
from lit_metanas.report.figures.fronts import draw_fronts
from lit_metanas.report.report_page import (
    PREDICTED,
    WORST,
    Picture,
    best_sentences,
    class_section,
    draw_architectures,
    page_text,
    prediction_section,
    shown_network,
)
from lit_metanas.report.table import ProtocolTable, tables
from lit_metanas.report.table_text import to_rich, verdict
from lit_metanas.training.export.prediction_table import predict_command

# Rows of one report.
MOST_RESULTS = 20_000

COSTS = Picture(
    "accuracy_against_cost.png",
    "Accuracy against search cost",
    "Further up and to the left is better. Methods in the grey field search nothing for a new task.",
)
ANYTIME = Picture(
    "anytime.png",
    "Anytime curves of the search",
    "The best validation score that a search has reached after spending so much, averaged over tasks and seeds, "
    "up to the search's whole cost. "
    "From the ring on it gains less than half a point; the number after a method's name is the cost at its ring.",
)
FRONTS = Picture(
    "fronts.png",
    "Pareto fronts of the searches",
    "Each point is a network; the search found no other that is better in one objective and no worse in the others. A "
    "ring marks the chosen network, if it is one of them.",
)
TRIED = Picture("search.png", "What the search tried", HOW)
PROBABILITIES = Picture(
    "probabilities.png",
    "Probabilities of each choice over meta-training",
    "A row for each candidate; its colour is its probability. The chosen one is bold, with its final probability.",
)


@dataclass(frozen=True)
class Report:
    """The parts of a report."""

    tables: tuple[ProtocolTable, ...]
    files: dict[Path, str]  # with their titles
    verdict: str = ""  # the gain of the subject and its cost


def report(
    results: list[str],
    output: str = "report",
    reference: str | None = None,
    scratch: str | None = None,
    probabilities: str | None = None,
    architectures: str | None = None,
    next_step: str | None = None,
    subject: str | None = None,
) -> None:
    """Make tables, figures and a Markdown report of result files, and print their paths."""
    folder = own_path(output, "output")
    kept = [one for parent in dict.fromkeys(Path(path).parent for path in results) for one in kept_networks(parent)]
    made = write_report(
        folder,
        [row for path in results for row in read_results(path)],
        reference=reference,
        scratch=scratch,
        history=None if probabilities is None else ProbabilityHistory.read(probabilities),
        architectures=None if architectures is None else read_architectures(architectures),
        networks=kept,
        subject=subject,
    )
    console = Console()
    say = partial(console.print, soft_wrap=True, highlight=False, markup=False)
    for table in made.tables:
        for part in to_rich(table, console.width):
            console.print(part)
        console.print()
    width = max(map(len, made.files.values()))
    for path, what in made.files.items():
        say(f"{what:<{width}}  {path}")
    networks = [one for one in kept if one.has(EXPORT)]
    best = best_networks(networks)
    if next_step is None and best:
        next_step = shlex.join(["lit-metanas", *predict_command(str(next(iter(best.values())).folder))])
    # A terminal gets the best networks of a few tasks, the page those of all.
    last = ["\n".join(best_sentences(networks)[:6]), made.verdict, next_step and f"Next: {next_step}"]
    for text in filter(None, last):
        say("\n" + "\n".join(map(printable, text.split("\n"))))


def write_report(
    directory: str | os.PathLike[str],
    results: Sequence[ResultRow],
    *,
    reference: str | None = None,
    scratch: str | None = None,
    history: ProbabilityHistory | None = None,
    architectures: Sequence[ArchitectureRow] | None = None,
    networks: Sequence[KeptNetwork] = (),
    subject: str | None = None,
    searched: ResultFields | None = None,
) -> Report:
    """Write ``report.md`` and its figures into a folder.

    Args:
        directory: the folder; it is created.
        results: rows of one or several files.
        reference: the method that all others are compared with.
        scratch: the from-scratch search for the pay-off of meta-training.
        history: probabilities over meta-training.
        architectures: rows of chosen architectures; each different one is drawn once, at most six. By default those of
            the exported networks.
        networks: networks with kept weights. The folders of those that were exported are listed, and the best one of
            each task by validation score is named. Of those with predictions the first task's best one is shown.
        subject: the method that the report's first sentence is about.
        searched: the only row's result, if all that its search tried is to be drawn.

    Raises:
        ValueError: there are no results, too many, or a named method has none.

    Example:
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
    curves = {ANYTIME: draw_curves(results)}
    if searched is not None and (rounds := draw_rounds(searched)) is not None:  # its upper edge is the anytime curve
        curves = {TRIED._replace(caption=f"{describe_rounds(searched)} {TRIED.caption}"): rounds}
    drawn = {COSTS: draw_costs(made), **curves, FRONTS: draw_fronts(results)}
    if history is not None and history.moments and history.labels:
        drawn[PROBABILITIES] = draw_probabilities(history)
    figures = {picture: figure for picture, figure in drawn.items() if figure is not None}
    for picture, figure in figures.items():
        save(figure, folder / picture.file)
    sections = list[str]()
    looked_at = [one for one in networks if one.has(PREDICTIONS)]
    networks = [one for one in networks if one.has(EXPORT)]
    if architectures is None:
        architectures = [network.row for network in networks]
    pictures = [*figures, *draw_architectures(folder, architectures)]
    if looked_at:
        network, candidates = shown_network(looked_at)
        examples = prediction_section(folder, network, len(candidates))
        classes, confusions = class_section(folder, network)
        pictures += confusions
        sections = [classes, examples]
    if searched is not None and searched.teacher is not None:
        compared = searched.teacher.markdown(searched.metric, searched.test_score, searched.ci95)
        sections.insert(0, f"## Teacher and student\n\n{compared}")
    text = page_text(made, pictures, networks, sections, said)
    write_whole(folder / "report.md", text)
    titles = {**{picture.file: picture.title for picture in pictures}, WORST: "Worst errors", PREDICTED: "Predictions"}
    files = {folder / file: title for file, title in titles.items() if f"]({file})" in text}
    return Report(tuple(made), {folder / "report.md": "report", **files}, said)


def drawable(results: Sequence[ResultRow]) -> list[ResultRow]:
    """Leave out rows without a finite score, with a warning; too many rows raise ValueError."""
    if len(results) > MOST_RESULTS:
        raise ValueError(f"There are {len(results)} results, more than {MOST_RESULTS}: give fewer files at once.")
    kept = [_drawable(row) for row in results if all(map(math.isfinite, (row.value, *row.values)))]
    if (left_out := len(results) - len(kept)) > 0:
        warnings.warn(f"{number_of(left_out, 'result')} without a finite score: left out.", stacklevel=3)
    return kept


def _drawable(row: ResultRow) -> ResultRow:
    return replace(
        row,
        ci95=_finite(row.ci95, math.nan),
        cost=replace(row.cost, seconds=_finite(row.cost.seconds, 0.0)),
        meta_cost=replace(row.meta_cost, seconds=_finite(row.meta_cost.seconds, 0.0)),
        curve=tuple(point for point in row.curve if all(map(math.isfinite, point))),
        front=tuple(trial for trial in row.front if _on_axes(trial)),
    )


def _finite(number: float, instead: float) -> float:
    return number if math.isfinite(number) else instead


def _on_axes(trial: Trial) -> bool:
    """Whether a front's point can be drawn: the axes of measures are logarithmic."""
    return math.isfinite(trial.value) and all(0 < value < math.inf for value in trial.measures.values())
