"""Rows of results, of chosen architectures and of predictions; a student next to its teacher."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.text import markdown_lines, markdown_text
from lit_metanas.records.record import Cost, RecipeValue, Trial
from lit_metanas.records.statistics import percent
from lit_metanas.spaces.architecture import Architecture


@dataclass(frozen=True)
class Protocol:
    """The way in which a result was measured.

    Attributes:
        name: ``episodes`` (few-shot), ``target`` (many examples a class), or the name of a table in words.
        way: classes a task; 0 without classes, or if no images were seen.
        shot: training examples a class.
        batch_norm: source of its statistics: ``transductive``, ``support`` or ``running``; empty without batch norm.
        account: unit of a search's cost and anytime curve: ``flops`` or ``queries``.

    Example:
        >>> lm.records.Protocol("episodes", way=5, shot=1, batch_norm="support").account
        'flops'
    """

    name: str
    way: int
    shot: int
    batch_norm: str
    account: str = "flops"

    def __post_init__(self) -> None:
        if self.account not in ("flops", "queries"):
            raise ValueError(f"costs are counted in flops or queries, not in '{self.account[:40]}'")


@dataclass(frozen=True)
class ResultRow:
    """The score of one method, for one seed, on one target task or on a series of episodes.

    Attributes:
        method: the row's name in tables.
        task_id: the target task, or the name of the series of episodes.
        space: the search space's name.
        architecture: the evaluated architecture; None if each episode had its own.
        recipe: the child's training hyper-parameters.
        seed: seed of meta-training and search.
        protocol: the way in which it was measured.
        value: mean score.
        ci95: distance from ``value`` to the end of its 95 % confidence interval over examples or episodes.
        cost: cost of the search on this task.
        meta_cost: cost of meta-training, paid once.
        parameters: trainable parameters of the network; 0 if unknown.
        flops: forward multiply-adds of the network for one input; 0 if unknown.
        values: one score an episode, in the episodes' order, for paired comparisons; empty for one task.
        class_values: on one target task, the score of each class by its name; may be empty.
        images: on one target task, the numbers of images that the network was trained and tested on.
        curve: anytime curve of the search: (spent in the protocol's account, best validation score so far); empty
            without validation scores.
        metric: name of the score.
        hardware: the machine.
        precision: of the networks' trainings, in Lightning's words.
        config: path of the run's saved configuration.
        front: the trials of a search with several objectives that no other beats in all of them; otherwise empty.
        ensemble: number of separately trained networks of the architecture, whose mean scores were tested;
            ``parameters`` and ``flops`` are those of all together.
        linear: the architecture of a linear model whose scores are averaged with the networks'; None without one.
        stopped: whether the search was interrupted, or its last training failed, and this is the best so far.

    Example:
        >>> protocol = lm.records.Protocol("episodes", way=5, shot=1, batch_norm="support")
        >>> measured = {"value": 0.9, "ci95": 0.01, "cost": lm.Cost(), "parameters": 0, "flops": 0}
        >>> made_by = {"method": "random", "space": "", "architecture": None, "recipe": {}, "meta_cost": lm.Cost()}
        >>> row = lm.records.ResultRow(task_id="letters", seed=0, protocol=protocol, **made_by, **measured)
        >>> row.metric
        'accuracy'
    """

    method: str
    task_id: str
    space: str
    architecture: Architecture | None
    recipe: dict[str, RecipeValue]
    seed: int
    protocol: Protocol
    value: float
    ci95: float
    cost: Cost
    meta_cost: Cost
    parameters: int
    flops: int
    values: tuple[float, ...] = ()
    class_values: dict[str, float] = field(default_factory=dict)
    images: tuple[int, int] = (0, 0)
    curve: tuple[tuple[float, float], ...] = ()
    metric: str = "accuracy"
    hardware: str = ""
    precision: str = "32-true"
    config: str = ""
    front: tuple[Trial, ...] = ()
    ensemble: int = 1
    linear: Architecture | None = None
    stopped: bool = False
    schema: int = field(default=1)

    def __post_init__(self) -> None:
        if any(trial.measures.keys() != self.front[0].measures.keys() for trial in self.front):
            raise ValueError("the trials of its front have different measures")


@dataclass(frozen=True)
class ArchitectureRow:
    """The architecture that one method chose for one task, and its score on validation examples.

    Attributes:
        task_id: the task that was searched.
        method: the searcher's row in tables.
        space: the search space's name.
        architecture: the chosen architecture.
        value: its best validation score in the search; NaN without a score.
        seed: seed of the search.
        metric: name of the score.
        cost: cost of the search.
        recipe: the child's training hyper-parameters.
        shape: shape of the networks' input; zeros if no input was seen. ``model.json`` also has a linear model's shape.
        way: number of classes.
        classes: the classes' names, in the order of their labels.
        weights: file of the trained child's weights, relative to this file; empty if none was kept.
        ensemble: number of networks of the architecture; the weights of several are called ``networks.0``,
            ``networks.1`` and so on.
        linear: the architecture of a linear model whose scores are averaged with the networks'; None without one. Its
            weights are called ``linear``, and the networks' ``network``.

    Example:
        >>> row = lm.records.ArchitectureRow("letters", "random", "LayeredSpace", lm.Architecture({"kernel": "3"}), 0.9)
        >>> row.metric
        'validation accuracy'
    """

    task_id: str
    method: str
    space: str
    architecture: Architecture
    value: float
    seed: int = 0
    metric: str = "validation accuracy"
    cost: Cost = field(default_factory=Cost)
    recipe: dict[str, RecipeValue] = field(default_factory=dict)
    shape: Shape = (1, 28, 28)
    way: int = 0
    classes: tuple[str, ...] = ()
    weights: str = ""
    ensemble: int = 1
    linear: Architecture | None = None


def describe_networks(ensemble: int, linear: Architecture | None) -> str:
    """The kind of model in words: a network or an ensemble, with a linear model or without."""
    networks = {1: "network"}.get(ensemble, f"ensemble of {ensemble} such networks")
    return networks if linear is None else f"{networks} and a linear model"


def describe_chosen(architecture: Architecture, ensemble: int, linear: Architecture | None) -> str:
    """An architecture; if more than one network of it is averaged, the models in brackets."""
    if ensemble == 1 and linear is None:
        return str(architecture)
    return f"{architecture} ({describe_networks(ensemble, linear)})"


UNKNOWN_MARK = "[…]"  # replaces words in a text that the network's vocabulary lacks

# Most numbers in a row of a picture, and most rows.
LONGEST_ROW, MOST_ROWS = 4_096, 4_096


@dataclass(frozen=True)
class ShownPrediction:
    """The prediction of a network for one test example.

    Attributes:
        said: the prediction, in words.
        meant: the right answer.
        right: whether the two agree, see ``Objective.agrees``.
        example: the example as a text; empty if a picture shows it.
        picture: the example as rows of pixels, the uppermost first: each level from 0 to 255 as two hexadecimal digits,
            three levels a pixel for a coloured picture; empty if a text shows it.
        coloured: whether the picture is coloured.
        series: whether the picture shows a series, its steps from left to right and its first feature at the bottom.
        heat: how much each place of the picture speaks for the prediction, as levels of grey; empty if unknown.

    Raises:
        ValueError: the picture is malformed or too large.

    Example:
        >>> lm.records.ShownPrediction("mail", "letter", False, picture=("00ff", "ff00")).levels()
        [[0, 255], [255, 0]]
    """

    said: str
    meant: str
    right: bool
    example: str = ""
    picture: tuple[str, ...] = ()
    coloured: bool = False
    series: bool = False
    heat: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        digits = 6 if self.coloured else 2
        widths = {len(row) for row in self.picture}
        if len(widths) > 1 or any(width % digits or not width for width in widths):
            raise ValueError("the rows of its picture are not of one length")
        if len(self.picture) > MOST_ROWS or any(width > 2 * LONGEST_ROW for width in widths):
            raise ValueError(f"its picture has more than {MOST_ROWS} rows, or {LONGEST_ROW} levels in a row")
        if self.heat and [len(row) for row in self.heat] != [2 * len(row) // digits for row in self.picture]:
            raise ValueError("its heat is not of the size of its picture")
        if not all(re.fullmatch("[0-9a-f]+", row) for row in (*self.picture, *self.heat)):
            raise ValueError("its picture is not one of hexadecimal digits")

    def levels(self) -> list[list[int]] | list[list[list[int]]]:
        """The picture's levels by row and pixel, and by channel for a coloured picture."""
        rows = [list(bytes.fromhex(row)) for row in self.picture]
        if not self.coloured:
            return rows
        return [[row[at : at + 3] for at in range(0, len(row), 3)] for row in rows]


class ExampleRow(NamedTuple):
    """A test example, and what a network says of it.

    Example:
        >>> lm.records.ExampleRow("photos/3.jpg", "cat", "dog", 0.9, 2.3).right
        False
    """

    example: str  # its file, its text, or its row
    truth: str
    prediction: str
    probability: float = math.nan  # of the prediction; NaN if the network gives none
    loss: float = math.nan  # the higher, the worse; NaN if it is not known
    shares: tuple[tuple[str, float], ...] = ()  # of several labels, each class and its probability
    ends: tuple[tuple[str, float], ...] = ()  # of numbers, the ends of the prediction interval, by their columns

    @property
    def right(self) -> bool:
        """Whether the prediction is the truth."""
        return self.truth == self.prediction


@dataclass(frozen=True)
class TeacherComparison:
    """A teacher and the student that learned from it, on the same test examples.

    Attributes:
        place: of the teacher.
        score: of the teacher, by the student's metric.
        ahead: how far the student's score is above it.
        half: half width of the 95 % confidence interval of that difference, pair by pair; NaN for one test example.
        agreement: the student's score, with what the teacher says as the truth.
        sizes: bytes of the exported programs, of the student and of the teacher.
        latencies: seconds of a forward pass of each; NaN if it was not measured.
        cost: of the teacher's outputs: forward passes of each example, once.
        further: the examples without targets that the student also learned from, in words; empty for none.
    """

    place: str
    score: float
    ahead: float
    half: float
    agreement: float
    sizes: tuple[int, int]
    latencies: tuple[float, float]
    cost: Cost
    further: str = ""

    def rows(self, metric: str, value: float, reach: float) -> list[tuple[str, ...]]:
        """A table of both, the heading first; ``reach``: half the width of the interval of the student's score."""
        rows: list[tuple[str, ...]] = [
            ("", "student", "teacher"),
            (f"test {metric}", f"{percent(value, reach)} %", f"{percent(self.score)} %"),
            ("size of the program", *(f"{size / 1e6:.3f} MB" for size in self.sizes)),
        ]
        if not any(map(math.isnan, self.latencies)):
            rows.append(("latency", *(f"{1e3 * seconds:.3g} ms" for seconds in self.latencies)))
        return rows

    def markdown(self, metric: str, value: float, reach: float) -> str:
        """The same as Markdown, with the sentence below."""
        heading, *rows = self.rows(metric, value, reach)
        lines = markdown_lines([heading, ("---",) * len(heading), *rows])
        return f"{lines}\n\n{markdown_text(self.sentence[:1].upper() + self.sentence[1:], 400)}\n"

    @property
    def sentence(self) -> str:
        """The difference of both, and how often they agree."""
        learned = self.further and f" It also learned from {self.further}."
        return (
            f"the student is {100 * self.ahead:+.1f} ± {100 * self.half:.1f} points ahead of its teacher in "
            f"'{self.place}', pair by pair, and agrees with it by {100 * self.agreement:.1f} %.{learned} The teacher's "
            f"outputs cost {self.cost.flops:.3g} FLOPs, once."
        )
