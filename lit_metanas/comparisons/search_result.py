"""The result of the search of one task."""

from __future__ import annotations

import math
import os
import re
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import blank_inputs, inputs_like
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import ImageShape, Shape, TokenShape, as_shape, describe_shape
from lit_metanas.io.files import write_whole
from lit_metanas.io.own_folder import check_files, own_folder
from lit_metanas.io.text import at_once, number_of, printable
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.budget import Cost, describe_energy
from lit_metanas.records.record import PREPROCESSING, RecipeValue, SearchRecord
from lit_metanas.records.rows import ShownPrediction, describe_chosen, describe_networks
from lit_metanas.records.statistics import percent
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.tasks.task import Split
from lit_metanas.training.child import Recipe, examples_at_once
from lit_metanas.training.export.exported_program import (
    EXPORTED,
    GivenExamples,
    export_child,
    image_paths,
    network_inputs,
    one_or_more,
    script_packages,
    script_takes,
    show_predictions,
)
from lit_metanas.training.export.hub_card import UNKNOWN_LICENSE, ModelCard, check_card_place, update_card, write_card
from lit_metanas.training.export.onnx_program import INT8, ONNX, Int8Loss, quantise_onnx

PREDICTED_AT_ONCE = 500
"""Inputs in a batch, which bounds the memory."""

FRONT = "front"
"""The folder of a front's networks in an export."""

FRONT_NAME = re.compile(r"\d+-(\d+-(parameters|flops)|\d+us)")
"""The names of ``SearchResult.front_names``."""


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult:
    """The result of the search of one task.

    Attributes:
        task_id: the task.
        space: the search space's name.
        architecture: the chosen architecture.
        recipe: training hyper-parameters of the network, or of each network of an ensemble.
        network: the trained network, in evaluation mode, on the task's device: inputs ``(n, *shape)`` in, scores
            ``(n, classes)`` out, or scores of each step, ``(n, steps, outputs)``.
        classes: the classes' names, in the order of the scores; the symbols' names for transcription, empty for
            translation.
        shape: shape of one input.
        objective: the objective that the network was trained for.
        test_score: score on the test part; for classification the share of examples that the network classifies
            correctly.
        ci95: distance from ``test_score`` to the end of its 95 % confidence interval; NaN for one or two test examples.
        class_accuracy: for classification, the same share for each class that has test examples, by its name.
        images: the numbers of images that the network was trained and tested on.
        cost: cost of the search alone: training FLOPs, seconds, and queries, the number of architectures tried.
        training_cost: cost of all training after the search: of the chosen network, or of all that are averaged; with
            ``auto`` also of models that were only compared.
        unreturned: with ``auto``, the FLOPs in ``training_cost`` of models that are not returned: linear models and
            networks that were only compared, and networks whose training diverged; 0 for a stopped search.
        meta_cost: cost of the meta-training that the method starts from, paid once; zero without one.
        parameters: trainable parameters of the network, or of all that are averaged.
        flops: forward multiply-adds for one image, of the network or of all that are averaged.
        record: everything that the search tried.
        untried: number of planned architectures that the budget did not pay for.
        validated: validation score of the chosen model after training on the train part alone. With ``auto``, the score
            that it was chosen by; with other searches NaN unless asked for.
        preprocessing: makes inputs of raw examples; None if these are images.
        predictions: the network's predictions for ten test examples, with the right answers.
        budget: with ``auto``, the training FLOPs for its search and for the training after it; passing both as
            ``flops`` repeats the run exactly. If one number was given for both, their sum may be larger, since the
            training may also spend what the search left. None for other searches.
        pace: training FLOPs a second that ``auto`` measured on this machine to convert minutes; otherwise NaN.
        latency: seconds that the network takes for ``latency_batch`` inputs at once, with ``threads`` of torch; NaN if
            not measured.
        threads: torch's threads in the search; None if unknown.
        stopped: whether the search was interrupted, or its last training failed, and this is the best so far.
        failure: with ``auto``, the reason why its last training failed; empty if it did not.
        front: with ``auto`` and ``pareto``, networks that trade the score against a measure, the smallest first,
            including this one; each is trained and tested by itself. Otherwise empty.
        traded: the measure of the front: ``parameters``, ``flops`` or ``latency``; empty without a front.
        view: with ``auto``, the preprocessing that was chosen among several, in words; empty without a choice.
        linear_model: with ``auto``, the score of a linear model, and whether it was taken, alone or with the network,
            or is on the front; empty if none was trained.
        ensemble: with ``auto``, the number of separately trained networks of the architecture whose mean scores
            ``network`` returns; 1 for a single network. The validation score is that of one network.
        linear: with ``auto``, the architecture of a linear model whose scores are averaged with the network's or the
            ensemble's; None without one. The validation score is then that of one network and the linear model
            together.
        linear_view: the linear model's preprocessing, in the form of ``view``.
        ordinal: whether the values in the record only rank the trials, as a zero-cost proxy does.
        latency_batch: number of inputs at once that ``latency`` is for.
        command: with ``auto``, the command or call that repeats it, with FLOPs instead of minutes; empty for a stopped
            search and for other searches.
        test: the test part, as the network takes it, for ``export`` with ``int8``. A copy or a pickle has none.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space = lm.LayeredSpace(widths=(4,))
        >>> result = lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1))
        >>> result.classes, result.network(task.test.inputs).shape
        (('0', '1'), torch.Size([4, 2]))
        >>> sorted(result.predict(task.test.inputs)[0])
        ['0', '1']
    """

    task_id: str
    space: str
    architecture: Architecture
    recipe: Recipe
    network: nn.Module
    classes: tuple[str, ...]
    shape: Shape
    objective: Objective
    test_score: float
    ci95: float
    class_accuracy: dict[str, float]
    images: tuple[int, int]
    cost: Cost
    training_cost: Cost
    meta_cost: Cost
    parameters: int
    flops: int
    record: SearchRecord
    untried: int
    validated: float = math.nan
    preprocessing: Preprocessing | None = None
    predictions: tuple[ShownPrediction, ...] = ()
    budget: tuple[float, float] | None = None
    pace: float = math.nan
    latency: float = math.nan
    threads: int | None = None
    stopped: bool = False
    front: tuple[SearchResult, ...] = ()
    traded: str = ""
    view: str = ""
    linear_model: str = ""
    ensemble: int = 1
    linear: Architecture | None = None
    linear_view: str = ""
    ordinal: bool = False
    command: str = ""
    test: Split | None = None
    latency_batch: int = 1
    failure: str = ""
    unreturned: int = 0

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the test part, which may be far larger than the rest."""
        return {**vars(self), "test": None}

    @property
    def metric(self) -> str:
        """The name of the scores' metric, for classification ``accuracy``."""
        return self.objective.metric

    @property
    def test_accuracy(self) -> float:
        """The test score of a classification; other objectives raise AttributeError."""
        if not isinstance(self.objective, Classification):
            raise AttributeError(f"The task is judged by {self.metric}, not by accuracy: see test_score.")
        return self.test_score

    @property
    def val_score(self) -> float:
        """``validated`` if it is known, otherwise the architecture's best score in the search, or NaN."""
        if self.ordinal or not math.isnan(self.validated):
            return self.validated
        return self.record.value_of(self.architecture, self.whole_recipe)

    @property
    def whole_recipe(self) -> dict[str, RecipeValue]:
        """The recipe as records have it, with the preprocessing if one was chosen."""
        return {**asdict(self.recipe), **self.named_view}

    @property
    def named_view(self) -> dict[str, str]:
        """The chosen preprocessing by its name in records; empty without a choice."""
        if not self.view:
            return {}
        return {PREPROCESSING: self.view}

    @torch.no_grad()
    def predict(self, examples: GivenExamples | str | os.PathLike[str]) -> list[dict[str, float]] | list[str]:
        """Predict for each example the classes' probabilities by name, the most probable first, or a text.

        A transcription is the symbols' names with spaces between them.

        Args:
            examples: inputs in the task's form, shape ``(n, *shape)``, or a single one of shape ``shape``. Images may
                be uint8, floats in [0, 1], or image files; images of another size are resized, and their colours
                converted. Raw examples of the task's kind work, too: texts, sound files, or rows of a table.

        Raises:
            ValueError: the examples cannot be brought to the network's shape, or images run from 0 to 255 as floats.
        """
        shape, weight = as_shape(self.shape), next(self.network.parameters())
        given = one_or_more(examples, shape)
        if self.preprocessing is None and not isinstance(given, Tensor) and not image_paths(given):
            given = np.asarray(given)
        if isinstance(given, Tensor | np.ndarray):
            single = 1 if isinstance(shape, TokenShape) else len(shape)
            if given.ndim == single:
                given = given[None]
        inputs = network_inputs(given, shape, self.preprocessing)
        parts = inputs_like(inputs, weight).split(examples_at_once(self.objective, PREDICTED_AT_ONCE))
        scores = (self.network(part) for part in parts)
        if not isinstance(self.objective, Classification):
            said = [each for part in scores for each in self.objective.predictions(part)]
            return show_predictions(said, given, inputs, self.objective, self)
        named = [zip(self.classes, row, strict=True) for row in torch.cat(list(scores)).softmax(dim=1).tolist()]
        return [dict(sorted(pairs, key=lambda pair: -pair[1])) for pairs in named]

    def export(
        self,
        folder: str | os.PathLike[str],
        *,
        onnx: bool = False,
        int8: Split | bool | None = None,
        license: str = UNKNOWN_LICENSE,
        command: str = "",
    ) -> Int8Loss | None:
        """Write the network as a program that runs with torch alone, its weights, and a description in JSON.

        The program of a network that writes texts contains all its steps. For 32 steps of three layers the export takes
        up to a minute.

        Args:
            folder: gets ``model.pt2``, ``weights.pt``, ``model.json``, ``predict.py``, which runs the program, and the
                model card ``README.md``; made if absent. Each file is replaced whole. The networks of a front go to
                folders in ``front`` there, each with the same files.
            onnx: whether to add ``model.onnx`` for onnxruntime; see ``export_child``.
            int8: whether to add ``model_int8.onnx`` with weights of 8 bits, scored on the test part; or other examples
                to score it on, as the network takes them.
            license: the network's licence in the card, by the Hugging Face Hub's names, such as ``apache-2.0``.
            command: the command that made the network, for the card; by default the result's ``command``. If that is
                empty, the card names the method and the seed.

        Returns:
            The loss by weights of 8 bits; None unless they are asked for.

        Raises:
            ValueError: no ONNX file can be made, the folder has a link or a foreign file in place of an exported one,
                the examples for ``int8`` are no inputs of the network, or there is no test part.
        """
        folders = [own_folder(folder, FRONT, name) for name in self.front_names]
        for place in (folder, *folders):
            check_card_place(place)
        command = command or self.command
        loss = self._write_network(folder, onnx=onnx, int8=int8)
        write_card(folder, self._card(license, command, loss))
        for place, one in zip(folders, self.front, strict=True):
            one.export(place, onnx=onnx, int8=int8, license=license, command=command)
        return loss

    def add_onnx(self, folder: str | os.PathLike[str], *, int8: Split | bool | None = None) -> Int8Loss | None:
        """Add ``model.onnx`` to a folder of ``export``; the card keeps the text that people added.

        Args:
            folder: the folder of this network alone; the networks of a front have their own.
            int8: whether to add ``model_int8.onnx``, too; see ``export``.

        Returns:
            The loss by weights of 8 bits, which is added to the card; None unless they are asked for.

        Raises:
            ValueError: see ``export``, or the card cannot be read.
        """
        check_files(Path(folder), EXPORTED)
        with TemporaryDirectory() as made:  # an export replaces all files of a folder, its card included
            loss = self._write_network(made, onnx=True, int8=int8)
            for file in (Path(made, name) for name in (ONNX, INT8)):
                if file.is_file():
                    write_whole(Path(folder, file.name), file.read_bytes())
        update_card(folder, self._card(UNKNOWN_LICENSE, self.command, loss))
        return loss

    def _write_network(
        self, folder: str | os.PathLike[str], *, onnx: bool, int8: Split | bool | None
    ) -> Int8Loss | None:
        scored = self._scored_on(int8)
        with torch.inference_mode(False):
            export_child(
                self.network,
                folder,
                architecture=self.architecture.to_json(),
                classes=self.classes,
                shape=self.shape,
                preprocessing=self.preprocessing,
                objective=self.objective,
                onnx=onnx or scored is not None,
            )
        if scored is None:
            return None
        return quantise_onnx(folder, scored, self.objective)

    def _scored_on(self, int8: Split | bool | None) -> Split | None:
        """The examples to score weights of 8 bits on; None if no such weights are asked for."""
        if int8 is None or int8 is False:
            return None
        if int8 is True:
            if self.test is None:
                raise ValueError("This result is a copy, without its test part: give int8 a Split of examples.")
            return self.test
        if not isinstance(int8, Split):
            raise ValueError(f"int8 must be True or a Split of examples, not {type(int8).__name__}.")
        if tuple(int8.inputs.shape[1:]) != tuple(blank_inputs(1, self.shape).shape[1:]):
            raise ValueError(
                f"The examples for int8 have shape {tuple(int8.inputs.shape[1:])}, and the network takes "
                f"{describe_shape(self.shape)}: give such inputs, as its preprocessing makes them, or True."
            )
        return int8

    @property
    def front_names(self) -> list[str]:
        """The folders of the front's networks, in its order, such as ``1-2970-parameters``."""
        numbered = list(enumerate(self.front, start=1))
        if self.traded == "latency":
            return [f"{place}-{1e6 * one.latency:.0f}us" for place, one in numbered]
        return [f"{place}-{getattr(one, self.traded)}-{self.traded}" for place, one in numbered]

    def front_table(self) -> list[tuple[str, ...]]:
        """The front as rows of cells, the heading first; empty without a front."""
        if not self.front:
            return []
        timed = "latency, ms"
        if self.latency_batch != 1:
            timed = f"latency of {at_once(self.latency_batch)}, ms"
        rows: list[tuple[str, ...]] = [
            ("network", "parameters", "multiply-adds", timed, f"test {self.metric}, %", "architecture")
        ]
        for name, one in zip(self.front_names, self.front, strict=True):
            value = percent(one.test_score, one.ci95)
            labels = ", ".join(f"{choice} {label}" for choice, label in {**one.architecture, **one.named_view}.items())
            if one.space != self.record.space:
                labels = f"{one.space}: {labels}"
            rows.append((name, f"{one.parameters:,}", f"{one.flops:,}", f"{1e3 * one.latency:.3g}", value, labels))
        return rows

    def _card(self, license: str, command: str, loss: Int8Loss | None) -> ModelCard:
        given = ", ".join(f"{name}={value}" for name, value in self.whole_recipe.items())
        made = f"method {self.record.method or 'unnamed'}, seed {self.record.seed}, recipe {given}"
        if self.stopped:
            made += ", stopped early"
        noun = getattr(self.preprocessing, "noun", "")
        if isinstance(as_shape(self.shape), ImageShape):
            noun = "images"
        return ModelCard(
            kind=self.objective.hub_task(noun),
            data=self.task_id,
            metric=self.metric,
            value=self.test_score,
            ci95=self.ci95,
            examples=self.images,
            classes=self.classes,
            space=self.space,
            architecture=describe_chosen(self.architecture, self.ensemble, self.linear),
            preprocessing=self._views(),
            parameters=self.parameters,
            flops=self.flops,
            costs={
                "search": self.cost,
                f"all training after it{self._unreturned}": self.training_cost,
                "meta-training (once)": self.meta_cost,
            },
            reproduce=command or made,
            recipe=command and self._recipe_sentence(),
            packages=script_packages(self.shape, self.preprocessing, self.objective),
            takes=script_takes(self.shape, self.preprocessing, self.objective),
            is_command=bool(command),
            latency=self._latency_text,
            seed=self.record.seed,
            license=license,
            int8=loss,
            front=self._front_sentence(),
            energy=self._energy(),
        )

    def _recipe_sentence(self) -> str:
        """The recipe of the last training, with a note on inherited weights."""
        fields = {name: value for name, value in self.whole_recipe.items() if name != "inherit"}
        made = ", ".join(f"{name}={value}" for name, value in fields.items())
        if not self.recipe.inherit:
            return made
        which = "it" if self.ensemble == 1 else "the first network"
        return f"{made}; {which} began with the weights that the search had trained, if any, for epochs of their own"

    def _energy(self) -> str:
        """The energy of search and training; empty if the threads are unknown, or an accelerator was used."""
        if self.threads is None or any(weights.device.type != "cpu" for weights in self.network.parameters()):
            return ""
        return describe_energy(self.cost.seconds + self.training_cost.seconds, self.threads)

    def _front_sentence(self) -> str:
        """The sentence on the front in a card; empty without a front."""
        if not self.front:
            return ""
        sizes = [getattr(one, self.traded) for one in self.front]
        if self.traded == "latency":
            what = f"the latency of {at_once(self.latency_batch)}"
            low, high = (f"{1e3 * size:.3g} ms" for size in (min(sizes), max(sizes)))
        else:
            what = "multiply-adds" if self.traded == "flops" else self.traded
            low, high = (f"{size:,}" for size in (min(sizes), max(sizes)))
        if len(self.front) == 1:
            return f"this network alone; nothing else that was found trades {self.metric} against {what}"
        return (
            f"{number_of(len(self.front), 'network')} that trade {self.metric} against {what}, from {low} to {high}, "
            "are in the folder front; this is the one that was best by validation"
        )

    def __repr__(self) -> str:
        begin = "Stopped early; best so far" if self.stopped else "Found"
        lines = [f"{begin} in {self.space} for task '{printable(self.task_id)}':"]
        if self.failure:
            lines.append(_wrap(f"reason: {self.failure}"))
        lines.append(_wrap(f"architecture: {self.architecture}"))
        if self.view:
            lines.append(f"  preprocessing: {self._views()}")
        return "\n".join((*lines, *self._score_lines(), *self._network_lines(), *self._cost_lines()))

    def _score_lines(self) -> list[str]:
        """The test score, the weakest class unless all are equal, and the numbers of examples."""
        trained, tested = self.images
        interval = "95 % interval"
        if math.isnan(self.ci95):
            interval = f"of {number_of(tested, 'example')}, too few for an interval"
        lines = [f"  test {self.metric}: {percent(self.test_score, self.ci95)} % ({interval})"]
        if len(set(self.class_accuracy.values())) > 1:
            name, share = min(self.class_accuracy.items(), key=lambda item: item[1])
            lines.append(f"  weakest class: {printable(name, 40)}, {100 * share:.1f} %")
        noun = "images" if isinstance(as_shape(self.shape), ImageShape) else "examples"
        return [*lines, f"  {noun}: trained on {trained}, tested on {tested}"]

    def _network_lines(self) -> list[str]:
        """The networks' size and latency, the number of architectures tried, and the linear model."""
        networks = describe_networks(self.ensemble, self.linear)
        one = "image" if isinstance(as_shape(self.shape), ImageShape) else "input"
        lines = [f"  {networks}: {self.parameters:,} parameters, {self.flops:,} multiply-adds an {one}"]
        if self._latency_text:
            lines.append(f"  latency: {self._latency_text}")
        if self.cost.queries:
            tried = f"  tried: {number_of(self.cost.queries, 'architecture')}"
            if self.untried:
                tried += f"; the budget did not pay for {self.untried} more"
            lines.append(tried)
        if self.linear_model:
            lines.append(_wrap(f"linear model: {self.linear_model}"))
        return lines

    def _cost_lines(self) -> list[str]:
        """Costs, energy, the way to repeat the search, and the front, as far as they are known."""
        lines = [
            f"  cost of the search: {_cost_text(self.cost)}",
            f"  cost of all training after it{self._unreturned}: {_cost_text(self.training_cost)}",
        ]
        if energy := self._energy():
            lines.append(f"  energy of both: {energy}")
        if self.meta_cost.flops:
            lines.append(f"  cost of what was learned before: {_cost_text(self.meta_cost)}, paid once")
        if not math.isnan(self.pace):
            lines.append(f"  pace: {self.pace:.3g} training FLOPs a second")
        if self.command:
            lines.append(f"  to repeat it: {printable(self.command)}")
        return lines + self._front_lines()

    def _views(self) -> str:
        """The preprocessing, and that of the linear model if it differs."""
        if self.linear_view in ("", self.view):
            return self.view
        return f"{self.view}; of the linear model: {self.linear_view}"

    def _front_lines(self) -> list[str]:
        """The front as a table; empty without a front."""
        rows = [row[:-1] for row in self.front_table()]
        if not rows:
            return []
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["    ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return ["  front:", *(f"  {line}" for line in lines)]

    @property
    def _latency_text(self) -> str:
        """The latency with the number of inputs and threads; empty if it was not measured."""
        if math.isnan(self.latency):
            return ""
        measured = f"{1000 * self.latency:.3g} ms for {at_once(self.latency_batch)}"
        if self.threads is None:
            return measured
        return f"{measured}, with {number_of(self.threads, 'thread')}"

    @property
    def _unreturned(self) -> str:
        """The share of the training after the search for models that are not returned; empty for none."""
        if not 0 < self.unreturned <= self.training_cost.flops:
            return ""
        return f" ({self.unreturned / self.training_cost.flops:.0%} for models that are not returned)"


def _cost_text(cost: Cost) -> str:
    return f"{cost.flops:.3g} training FLOPs, {cost.seconds:.1f} s"


def _wrap(text: str) -> str:
    """Lines of 100 characters, as an architecture may have many labels; a number and its % stay together."""
    joined = textwrap.fill(
        printable(text).replace(" %", "\N{NO-BREAK SPACE}%"),
        100,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return joined.replace("\N{NO-BREAK SPACE}%", " %")
