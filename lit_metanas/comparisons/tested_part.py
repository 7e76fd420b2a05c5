"""How good a network is: on the test part, with examples and errors to look at, and on new labelled examples."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.comparisons.result_text import measures_in_words
from lit_metanas.inputs.batches import as_floats, step_mask, trim_steps
from lit_metanas.inputs.preprocessing import UNKNOWN_SHOWN
from lit_metanas.inputs.shapes import ImageShape
from lit_metanas.io.text import first_few, number_of, printable, shorten
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.objectives import Regression, SeveralLabels
from lit_metanas.objectives.classification import Classification, ClassProbabilities
from lit_metanas.objectives.metric_table import ACCURACY, BALANCED
from lit_metanas.objectives.objective import Judged, Objective
from lit_metanas.records.result_files import INTERVAL_ENDS
from lit_metanas.records.rows import UNKNOWN_MARK, ExampleRow, ShownPrediction
from lit_metanas.records.statistics import FEWEST_OF_INTERVAL, percent, wilson_reach
from lit_metanas.tasks.labels import indicator, label_sets, separator_of
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import Child, evidence_of, scores_of

EXAMPLES_SHOWN = 10  # examples of one network

MOST_SHOWN_PIXELS, LONGEST_SHOWN = 512, 2_000
"""Most rows and columns of a picture, and most characters of a text; the rest is left out."""


def shown_predictions(
    task: Task, predictions: Sequence[Any], places: Tensor | None = None
) -> tuple[ShownPrediction, ...]:
    """Some test examples, by default ten that are evenly spread, with their predictions out of those of all of them."""
    if places is None:
        number = len(task.test)
        places = torch.linspace(0, number - 1, min(EXAMPLES_SHOWN, number)).round().long()
    chosen = task.test.labels[places.to(task.test.labels.device)].cpu()
    said = [predictions[place] for place in places.tolist()]
    meant = task.goal.answers(chosen)
    inputs = task.test.inputs[places.to(task.test.inputs.device)].cpu()
    words = [task.goal.show(each, inputs, task) for each in (said, meant)]
    return tuple(
        ShownPrediction(
            said=shorten(own, LONGEST_SHOWN),
            meant=shorten(wanted, LONGEST_SHOWN),
            right=task.goal.agrees(one, other),
            **_example(task, row),
        )
        for row, own, wanted, one, other in zip(inputs, *words, said, meant, strict=True)
    )


def _example(task: Task, row: Tensor) -> dict[str, Any]:
    if row.dim() == 1:
        return {"example": shorten(_text(task, row), LONGEST_SHOWN)}
    if row.dim() == 2:
        return {"picture": _rows(_grey_levels(row).unsqueeze(2)), "series": True}
    pixels = as_floats(row).float().mul(255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
    if pixels.shape[2] == 3:
        return {"picture": _rows(pixels), "coloured": True}
    return {"picture": _rows(pixels[:, :, :1])}


def _text(task: Task, row: Tensor) -> str:
    if task.preprocessing is None:
        return " ".join(f"{value:.6g}" for value in row.tolist())
    (shown,) = task.preprocessing.show(row[None])
    return re.sub(f"{UNKNOWN_SHOWN}+", UNKNOWN_MARK, shown)


def heat_rows(heat: Tensor, row: Tensor) -> tuple[str, ...]:
    """What speaks for a prediction of an input, from 0 to 1, as grey levels at the places of its picture."""
    if row.dim() == 2:
        heat = heat[:, : int(step_mask(row[None]).sum())].flip(0)
    return _rows((255 * heat).round().clamp(0, 255).to(torch.uint8).unsqueeze(2))


def _grey_levels(row: Tensor) -> Tensor:
    """A series as grey levels: steps from the left, the first feature at the bottom."""
    series = row[:-1, :1]
    if bool(step_mask(row[None]).any()):
        series = trim_steps(row[None])[0, :-1]
    if not series.numel():  # an input without a step
        return torch.zeros(1, 1, dtype=torch.uint8)
    low, high = series.min(), series.max()
    return ((series - low) / (high - low).clamp(min=1e-9) * 255).round().to(torch.uint8).flip(0)


def _rows(pixels: Tensor) -> tuple[str, ...]:
    """The levels of each row; a large picture keeps evenly spread rows and columns."""
    for dimension in (0, 1):
        if (size := pixels.shape[dimension]) > MOST_SHOWN_PIXELS:
            places = torch.linspace(0, size - 1, MOST_SHOWN_PIXELS).round().long()
            pixels = pixels.index_select(dimension, places)
    return tuple(bytes(row.flatten().tolist()).hex() for row in pixels)


PATCHES, POSITIONS = 5, 8  # patches that a side is as long as, and about how many positions they have along it

MOST_WORK = 1e11
"""The most multiply-adds, some seconds of a core: for large networks only the first examples are explained."""


def saliency(network: nn.Module, inputs: Tensor, classes: Tensor, *, masked: bool = False) -> Tensor:
    """How much of a class's score is lost where a patch of an input is covered by its mean; gains count as nothing.

    This is occlusion (Zeiler and Fergus 2014, Section 4.2), by captum. Inputs are images, and the result has the shape
    ``(n, height, width)``, or ``masked`` series ``(n, features + 1, steps)``, whose last row is the mask, and it has
    the shape ``(n, features, steps)``. Its values are from 0 to 1.
    """
    from captum.attr import Occlusion  # loads matplotlib

    shown, mask, heard = inputs, inputs[:, :0], torch.ones_like(inputs[:, :1])
    if masked:
        shown, mask, heard = inputs[:, :-1], inputs[:, -1:], inputs[:, -1:]
    sides = tuple(range(1, shown.dim()))
    means = (shown * heard).sum(sides, keepdim=True) / heard.expand_as(shown).sum(sides, keepdim=True).clamp(min=1)
    whole = tuple(shown.shape[1:-2])  # all channels of an image
    window = (*whole, *(-(-side // PATCHES) for side in shown.shape[-2:]))
    stride = (*whole, *(max(1, side // POSITIONS) for side in shown.shape[-2:]))
    with torch.no_grad():
        lost = Occlusion(lambda some, hidden: network(torch.cat([some, hidden], 1))).attribute(
            shown,
            sliding_window_shapes=window,
            strides=stride,
            baselines=means.expand_as(shown),
            target=classes,
            additional_forward_args=(mask,),
        )
    gained = lost.clamp(min=0) * heard
    if not masked:
        gained = gained.mean(1)
    return gained / gained.flatten(1).amax(1)[:, None, None].clamp(min=1e-12)


def explained(
    shown: Sequence[ShownPrediction], network: nn.Module, task: Task, places: Tensor, classes: Tensor, *, flops: float
) -> tuple[ShownPrediction, ...]:
    """Test examples at some places, each with what speaks for the class that was predicted, if that can be known.

    That is so of images and sounds, where captum is installed (extra ``saliency``). ``places`` are the examples' in the
    test part, ``classes`` their predictions, and ``flops`` the multiply-adds of the network for one input.
    """
    most = int(MOST_WORK / POSITIONS**2 / max(flops, 1))
    is_known = isinstance(task.shape, ImageShape) or isinstance(task.preprocessing, LogMel)
    if not shown[:most] or not is_known or find_spec("captum") is None:
        return tuple(shown)
    weight, places, classes = next(network.parameters()), places[:most], classes[:most]
    inputs = as_floats(task.test.inputs[places.to(task.test.inputs.device)]).to(weight)
    try:
        heats = saliency(network.eval(), inputs, classes.to(weight.device), masked=inputs.dim() == 3).cpu()
    except Exception as error:  # whatever a network of somebody's own raises, the result is worth more than a picture
        warnings.warn(f"Nothing is shown of what speaks for predictions: {printable(str(error), 200)}", stacklevel=2)
        return tuple(shown)
    explained_ones = zip(shown, heats, inputs.cpu(), strict=False)
    return (*(replace(one, heat=heat_rows(heat, row)) for one, heat, row in explained_ones), *shown[most:])


WORST_SHOWN = 20


class TestedPart(NamedTuple):
    """What a network says of the test part of a task."""

    task: Task
    predictions: list[Any]
    judged: Judged
    probabilities: Tensor | None  # of each class, shape (n, way); None where there are no classes

    @property
    def by_class(self) -> dict[str, float]:
        """The recall of each class that has any examples; empty without classes."""
        if self.probabilities is None:
            return {}
        labels, names, goal = self.task.test.labels.cpu(), self.task.goal.names(self.task.classes), self.task.goal
        if isinstance(goal, SeveralLabels):
            found = ((goal.chosen(self.predictions) * labels).sum(0) / labels.sum(0)).tolist()
            return {name: recall for name, recall in zip(names, found, strict=True) if not math.isnan(recall)}
        right = (torch.tensor(self.predictions) == labels).double()
        parts = {name: right[labels == label] for label, name in enumerate(names)}
        return {name: float(own.mean()) for name, own in parts.items() if len(own)}

    @property
    def measures(self) -> dict[str, float]:
        """Measures that do not choose."""
        found: Any = self.predictions if self.probabilities is None else self.probabilities
        goal = self.task.goal
        return goal.measures(found, self.task.test.labels.cpu(), goal.names(self.task.classes))

    @property
    def rows(self) -> tuple[ExampleRow, ...]:
        """A row for each example."""
        task, goal, number = self.task, self.task.goal, len(self.predictions)
        names = task.test_names if len(task.test_names) == number else tuple(map(str, range(number)))
        said, meant = (
            goal.show(each, task.test.inputs, task) for each in (self.predictions, goal.answers(task.test.labels))
        )
        rows, classes = list(map(ExampleRow, names, meant, said)), goal.names(task.classes)
        for place, loss in enumerate(self._losses.tolist()):
            row, prediction = rows[place]._replace(loss=loss), self.predictions[place]
            if isinstance(goal, Regression):
                ends = goal.columns(prediction, task.classes).items()
                row = row._replace(ends=tuple(one for one in ends if one[0].startswith(INTERVAL_ENDS)))
            else:  # only these have losses
                assert self.probabilities is not None
                own = self.probabilities[place].tolist()
                if isinstance(goal, SeveralLabels):
                    row = row._replace(shares=tuple(zip(classes, own, strict=True)))
                else:
                    row = row._replace(probability=own[prediction])
            rows[place] = row
        return tuple(rows)

    def worst_explained(self, network: nn.Module, flops: float) -> tuple[ShownPrediction, ...]:
        """The errors of the highest loss, the highest first, as ``explained`` has them; none without classes."""
        if self.probabilities is None:
            return ()
        pairs = zip(self.predictions, self.task.goal.answers(self.task.test.labels), strict=True)
        wrong = torch.tensor([not self.task.goal.agrees(*pair) for pair in pairs])
        order = torch.where(wrong, self._losses, -1.0).argsort(descending=True)
        places = order[: min(WORST_SHOWN, int(wrong.sum()))]
        shown = shown_predictions(self.task, self.predictions, places)
        if not shown or not isinstance(self.task.goal, Classification):
            return shown
        return explained(shown, network, self.task, places, torch.tensor(self.predictions)[places], flops=flops)

    @property
    def _losses(self) -> Tensor:
        """The log-loss of each example, or its squared error of standardised targets; of texts there is none."""
        goal, targets = self.task.goal, self.task.test.labels.cpu()
        if isinstance(goal, Regression):
            said, deviations = torch.tensor(self.predictions, dtype=torch.float64), torch.tensor(goal.deviations)
            return (((said - targets) / deviations.double()) ** 2).mean(1)
        if self.probabilities is None:
            return torch.empty(0)
        assert isinstance(goal, ClassProbabilities)
        return goal.log_losses(self.probabilities, targets)


def reach_of(goal: Objective, judged: Judged, targets: Tensor) -> float:
    """Distance from a score to the end of its 95 % interval; NaN for too few examples."""
    if len(targets) < FEWEST_OF_INTERVAL:
        return math.nan
    if goal.metric in (ACCURACY, BALANCED) or judged.half == 0:
        return wilson_reach(judged.value, goal.examples_worth(targets))
    return judged.half


def tested_part(child: Child, task: Task) -> TestedPart:
    """Test a trained network once."""
    child.eval()
    if not isinstance(task.goal, ClassProbabilities):
        said = evidence_of(child, task.test, task.goal)
        return TestedPart(task, said, task.goal.judge(said, task.test.labels), None)
    scores = scores_of(child, task.test, task.goal)
    if isinstance(task.goal, SeveralLabels):  # a sigmoid next to 1 has too few digits
        scores = scores.cpu().double()
    judged = task.goal.judge(task.goal.evidence(scores), task.test.labels)
    return TestedPart(task, task.goal.predictions(scores), judged, task.goal.values(scores).cpu())


def describe_predictions(
    objective: Objective | None, classes: Sequence[str], found: Tensor, labels: Sequence[str]
) -> str:
    """How good predictions, probabilities or numbers ``(n, outputs)``, are by labels, of which some may be empty."""
    goal = objective
    if not isinstance(goal, Classification | SeveralLabels | Regression):
        goal = Classification(len(classes))
    known, targets, strange = _targets_of(goal, classes, labels)
    sentences = []
    if known:
        said, values = list(map(tuple, found[known].double().tolist())), found[known]
        if isinstance(goal, Classification):
            said = replace(goal, temperature=1.0).evidence(goal.unshifted(values))
        judged, words = (
            goal.judge(said, targets),
            measures_in_words(goal.measures(values, targets, classes), goal.metric),
        )
        if not math.isnan(judged.value):  # as the AUROC is where no label is of the second class
            words = {goal.metric: f"{percent(judged.value, reach_of(goal, judged, targets))} %", **words}
        named = ", ".join(f"{name} {value}" for name, value in words.items())
        sentences.append(f"On the {number_of(len(known), 'example')} with a label: {named}.")
    if strange:
        sentences.append(f"The network does not know {first_few(strange)}.")
    return " ".join(sentences)


def _targets_of(goal: Objective, classes: Sequence[str], labels: Sequence[str]) -> tuple[list[int], Tensor, list[str]]:
    """The places of examples with a label that the network knows, their targets, and the labels that it does not."""
    if isinstance(goal, SeveralLabels):
        sets = label_sets(labels, len(labels), separator=separator_of(labels))
        targets, named = indicator(sets, classes), {str(label) for own in sets for label in own}
        known = list(range(len(sets))) if bool(targets.any()) else []
    elif isinstance(goal, Regression):
        numbers, named = dict[int, float](), set[str]()
        if goal.outputs == 1:  # otherwise one column does not say which number it is
            for place, label in enumerate(labels):
                with suppress(ValueError):
                    numbers[place] = float(label)
        known, targets = list(numbers), torch.tensor(list(numbers.values()), dtype=torch.float64)[:, None]
    else:
        known, named = [place for place, label in enumerate(labels) if label in classes], {*labels} - {""}
        targets = torch.tensor([classes.index(labels[place]) for place in known])
    return known, targets, sorted(printable(label, 40) for label in named - {*classes})
