"""What a search of one task found."""

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
from lit_metanas.records.rows import describe_chosen, describe_networks
from lit_metanas.records.shown_prediction import ShownPrediction
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
from lit_metanas.training.export.hub_card import (
    UNKNOWN_LICENSE,
    ModelCard,
    check_card_place,
    update_card,
    write_card,
)
from lit_metanas.training.export.onnx_program import INT8, ONNX, Int8Loss, quantise_onnx

PREDICTED_AT_ONCE = 500
"""Inputs, which bounds the memory."""

FRONT = "front"
"""The folder of a front's networks in an export."""

FRONT_NAME = re.compile(r"\d+-(\d+-(parameters|flops)|\d+us)")
"""The names of ``SearchResult.front_names``."""


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult:
    """What a search of one task found.

    Attributes:
        task_id: the task.
        space: the search space's name.
        architecture: the chosen architecture.
        recipe: how the network was trained, each of an ensemble.
        network: the trained network, in evaluation mode, on the task's device: inputs ``(n, *shape)`` in, scores
            ``(n, classes)`` out, or scores of each step, ``(n, steps, outputs)``.
        classes: the classes' names, in the order of the scores; of transcription the symbols', of translation none.
        shape: of one input.
        objective: what the network was trained for.
        test_score: on the test part; of classification the share of the examples that the network tells rightly.
        ci95: how far the 95 % confidence interval of ``test_score`` reaches; NaN of one or two test examples.
        class_accuracy: of classification, the same share for each class that has test examples, by its name.
        images: how many images the network was trained on, and how many it was tested on.
        cost: of the search alone: training FLOPs, seconds, and queries, the number of architectures tried.
        training_cost: of all training after the search: of the chosen network, or of all that are averaged; of ``auto``
            also of what was trained to be compared and not taken.
        unreturned: of ``auto``, of the FLOPs of ``training_cost`` those that went into models which are not returned:
            linear models and networks that were trained to be compared, and networks whose training diverged. Of one
            that was stopped it is 0.
        meta_cost: of the meta-training that the method starts from, paid once; zero where there is none.
        parameters: trainable parameters of the network, of all that are averaged.
        flops: forward multiply-adds of the network for one image, of all that are averaged.
        record: everything that the search tried.
        untried: architectures that were to be tried, but that the budget did not pay for.
        validated: validation score of what was chosen, trained on the train part alone: of ``auto`` the one that it was
            chosen by; of other searches NaN unless asked for.
        preprocessing: what makes inputs of raw examples; None where these are images.
        predictions: what the network says of ten test examples, beside what is right.
        budget: of ``auto``, the training FLOPs that its search could spend, and those of the training after it: given
            as ``flops`` they repeat it. Where one number was given for both, they may sum to more: what the search did
            not spend is in the second number, too. None of other searches.
        pace: training FLOPs a second that ``auto`` measured on this machine to turn minutes into them; else NaN.
        latency: seconds that the network takes for ``latency_batch`` inputs at once, with ``threads`` of torch; NaN
            where it was not measured.
        threads: torch's threads in the search; None where that is not known.
        stopped: whether it was interrupted, or its last training failed, and this is the best so far.
        failure: of ``auto``, how its last training failed; empty where it did not.
        front: of ``auto`` with ``pareto``, networks that trade the score against a measure, the smallest first: this
            one and others, each trained and tested by itself. Else empty.
        traded: that measure: ``parameters``, ``flops`` or ``latency``; empty where there is no front.
        view: of ``auto``, the preprocessing that was chosen among several, in words; empty where there was no choice.
        linear_model: of ``auto``, how well a linear model does, and whether it was taken, alone or with the network,
            or is on the front; empty where none was looked at.
        ensemble: of ``auto``, how many networks of the architecture were trained apart, whose mean scores ``network``
            has; 1 is a single network. The validation score is that of one.
        linear: of ``auto``, the architecture of a linear model whose scores are averaged with those of the network, or
            of the ensemble; None where there is none. The validation score is then that of the mean of a network's and
            the linear model's.
        linear_view: the preprocessing of that model, as ``view`` tells that of the network.
        ordinal: whether the values in the record only rank what was tried, as a zero-cost proxy does.
        latency_batch: inputs at once that ``latency`` is for.
        command: of ``auto``, the command or the call that repeats it, with FLOPs for minutes; empty of one that was
            stopped, and of other searches.
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
        """All but the test part, which may be far larger than the rest."""
        return {**vars(self), "test": None}

    @property
    def metric(self) -> str:
        """What the scores measure: of classification ``accuracy``."""
        return self.objective.metric

    @property
    def test_accuracy(self) -> float:
        """The test score of a classification.

        Raises:
            AttributeError: it measures something else.
        """
        if not isinstance(self.objective, Classification):
            raise AttributeError(f"The task is judged by {self.metric}, not by accuracy: see test_score.")
        return self.test_score

    @property
    def val_score(self) -> float:
        """What was validated (``validated``); else the architecture's best score in the search, NaN without one."""
        if self.ordinal or not math.isnan(self.validated):
            return self.validated
        return self.record.value_of(self.architecture, self.whole_recipe)

    @property
    def whole_recipe(self) -> dict[str, RecipeValue]:
        """The recipe as records have it, with the preprocessing where one was chosen."""
        return {**asdict(self.recipe), **self.named_view}

    @property
    def named_view(self) -> dict[str, str]:
        """The preprocessing that was chosen, by the name that records have for it; empty without a choice."""
        return {PREPROCESSING: self.view} if self.view else {}

    @torch.no_grad()
    def predict(self, examples: GivenExamples | str | os.PathLike[str]) -> list[dict[str, float]] | list[str]:
        """For each example the classes' probabilities by name, the most probable first; or the text that is written.

        Of transcription that are the symbols' names, with spaces between.

        Args:
            examples: inputs as the task had them, shape ``(n, *shape)``, or a single one of shape ``shape``. Images may
                be uint8 or floats in [0, 1], or image files; those of another size are resized, grey is made colour and
                colour grey. Or what the task's inputs were made of: texts, sound files, or rows of a table.

        Raises:
            ValueError: the examples cannot be brought to the network's shape, or images run from 0 to 255 as floats.
        """
        shape, weight = as_shape(self.shape), next(self.network.parameters())
        given = one_or_more(examples, shape)
        if self.preprocessing is None and not isinstance(given, Tensor) and not image_paths(given):
            given = np.asarray(given)
        if isinstance(given, Tensor | np.ndarray):
            given = given[None] if given.ndim == (1 if isinstance(shape, TokenShape) else len(shape)) else given
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

        A network that writes texts has a program of all their steps, one after the other: of 32 steps by three layers
        it takes up to a minute to make.

        Args:
            folder: gets ``model.pt2``, ``weights.pt``, ``model.json``, ``predict.py``, which runs the program, and the
                model card ``README.md``; made if absent. Each file is replaced whole. The networks of a front go to
                folders in ``front`` there, each with the same files.
            onnx: whether it gets ``model.onnx``, too, for onnxruntime; see ``export_child``.
            int8: whether there is ``model_int8.onnx`` beside ``model.onnx``, with weights of 8 bits, scored on the test
                part; or other examples to score it on, as the network takes them.
            license: of the network, by the Hugging Face Hub's names, such as ``apache-2.0``; for the card.
            command: what made the network, for the card. If empty, it is ``command`` of the result; if that is empty,
                too, the card tells the method and the seed.

        Returns:
            What the weights of 8 bits cost; None unless they are asked for.

        Raises:
            ValueError: no ONNX file can be made, the folder has files of these names that no export has written, or a
                link in their place, the examples for ``int8`` are no inputs of the network, or there is no test part.
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
        """Add ``model.onnx`` of the network to a folder of ``export``, whose card keeps what people wrote into it.

        Args:
            folder: that of this network alone; those of a front have their own.
            int8: whether it gets ``model_int8.onnx``, too; see ``export``.

        Returns:
            What the weights of 8 bits cost, which the card tells then; None unless they are asked for.

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
        """All files of an export but its card; see there."""
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
        return None if scored is None else quantise_onnx(folder, scored, self.objective)

    def _scored_on(self, int8: Split | bool | None) -> Split | None:
        """The examples that weights of 8 bits are scored on; None where there are to be no such weights.

        Raises:
            ValueError: they are no inputs of the network, or there is no test part.
        """
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
        amounts = [getattr(one, self.traded) for one in self.front]
        told = [
            f"{1e6 * amount:.0f}us" if self.traded == "latency" else f"{amount}-{self.traded}" for amount in amounts
        ]
        return [f"{place}-{text}" for place, text in enumerate(told, start=1)]

    def front_table(self) -> list[tuple[str, ...]]:
        """The front as rows of cells, a heading first; empty where there is none."""
        if not self.front:
            return []
        timed = "latency, ms" if self.latency_batch == 1 else f"latency of {at_once(self.latency_batch)}, ms"
        rows: list[tuple[str, ...]] = [
            ("network", "parameters", "multiply-adds", timed, f"test {self.metric}, %", "architecture")
        ]
        for name, one in zip(self.front_names, self.front, strict=True):
            value = percent(one.test_score, one.ci95)
            labels = ", ".join(f"{choice} {label}" for choice, label in {**one.architecture, **one.named_view}.items())
            labels = labels if one.space == self.record.space else f"{one.space}: {labels}"
            rows.append((name, f"{one.parameters:,}", f"{one.flops:,}", f"{1e3 * one.latency:.3g}", value, labels))
        return rows

    def _card(self, license: str, command: str, loss: Int8Loss | None) -> ModelCard:
        given = ", ".join(f"{name}={value}" for name, value in self.whole_recipe.items())
        told = (
            f"method {self.record.method or 'unnamed'}",
            f"seed {self.record.seed}",
            f"recipe {given}",
            "stopped early" if self.stopped else "",
        )
        noun = "images" if isinstance(as_shape(self.shape), ImageShape) else getattr(self.preprocessing, "noun", "")
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
            reproduce=command or ", ".join(filter(None, told)),
            recipe=self._told_recipe() if command else "",
            packages=script_packages(self.shape, self.preprocessing, self.objective),
            takes=script_takes(self.shape, self.preprocessing, self.objective),
            is_command=bool(command),
            latency=self._told_latency,
            seed=self.record.seed,
            license=license,
            int8=loss,
            front=self._front_sentence(),
            energy=self._energy(),
        )

    def _told_recipe(self) -> str:
        """How the network was trained last, and what of its training that does not tell."""
        fields = {name: value for name, value in self.whole_recipe.items() if name != "inherit"}
        made = ", ".join(f"{name}={value}" for name, value in fields.items())
        if not self.recipe.inherit:
            return made
        which = "it" if self.ensemble == 1 else "the first network"
        return f"{made}; {which} began with the weights that the search had trained, if any, for epochs of their own"

    def _energy(self) -> str:
        """What search and training took; empty where the threads are not known, or an accelerator was used."""
        if self.threads is None or any(weights.device.type != "cpu" for weights in self.network.parameters()):
            return ""
        return describe_energy(self.cost.seconds + self.training_cost.seconds, self.threads)

    def _front_sentence(self) -> str:
        """What a card says of the front; empty where there is none."""
        if not self.front:
            return ""
        sizes = [getattr(one, self.traded) for one in self.front]
        low, high = (f"{1e3 * x:.3g} ms" if self.traded == "latency" else f"{x:,}" for x in (min(sizes), max(sizes)))
        what = f"the latency of {at_once(self.latency_batch)}" if self.traded == "latency" else self.traded
        what = "multiply-adds" if self.traded == "flops" else what
        if len(self.front) == 1:
            return f"this network alone; nothing else that was found trades {self.metric} against {what}"
        return (
            f"{number_of(len(self.front), 'network')} that trade {self.metric} against {what}, from {low} to {high}, "
            "are in the folder front; this is the one that was best by validation"
        )

    def __repr__(self) -> str:
        trained, tested = self.images
        found = percent(self.test_score, self.ci95)
        networks = describe_networks(self.ensemble, self.linear)
        noun, one = ("images", "image") if isinstance(as_shape(self.shape), ImageShape) else ("examples", "input")
        few = f"of {number_of(tested, 'example')}, too few for an interval"
        interval = few if math.isnan(self.ci95) else "95 % interval"
        failed = f"\n{_wrap(f'reason: {self.failure}')}" if self.failure else ""
        begin = "Stopped early; best so far" if self.stopped else "Found"
        return (
            f"{begin} in {self.space} for task '{printable(self.task_id)}':{failed}\n"
            f"{_wrap(f'architecture: {self.architecture}')}\n"
            f"{f'  preprocessing: {self._views()}{chr(10)}' if self.view else ''}"
            f"  test {self.metric}: {found} % ({interval}){self._weakest_line()}\n"
            f"  {noun}: trained on {trained}, tested on {tested}\n"
            f"  {networks}: {self.parameters:,} parameters, {self.flops:,} multiply-adds an {one}\n"
            f"{self._latency_line()}"
            f"{self._tried_line()}{self._linear_line()}"
            f"  cost of the search: {_cost_text(self.cost)}\n"
            f"  cost of all training after it{self._unreturned}: {_cost_text(self.training_cost)}"
            f"{self._energy_line()}{self._before_line()}"
            f"{self._budget_line()}{self._front_lines()}"
        )

    def _views(self) -> str:
        """The preprocessing, and that of the linear model, where it has another one."""
        if self.linear_view in ("", self.view):
            return self.view
        return f"{self.view}; of the linear model: {self.linear_view}"

    def _energy_line(self) -> str:
        """An estimate of the energy of both; empty where there is none."""
        return f"\n  energy of both: {energy}" if (energy := self._energy()) else ""

    def _front_lines(self) -> str:
        """The front as a table; empty where there is none."""
        rows = [row[:-1] for row in self.front_table()]
        if not rows:
            return ""
        widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines = ["    ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n  front:\n" + "\n".join(f"  {line}" for line in lines)

    def _latency_line(self) -> str:
        """What was measured of it; empty where nothing was."""
        return f"  latency: {self._told_latency}\n" if self._told_latency else ""

    @property
    def _told_latency(self) -> str:
        """The latency, for how many inputs, and with how many threads; empty where it was not measured."""
        if math.isnan(self.latency):
            return ""
        threads = "" if self.threads is None else f", with {number_of(self.threads, 'thread')}"
        return f"{1000 * self.latency:.3g} ms for {at_once(self.latency_batch)}{threads}"

    def _budget_line(self) -> str:
        """How the search can be repeated, and how fast this machine was; empty where these are not known."""
        pace = "" if math.isnan(self.pace) else f"\n  pace: {self.pace:.3g} training FLOPs a second"
        return f"{pace}\n  to repeat it: {printable(self.command)}" if self.command else pace

    def _weakest_line(self) -> str:
        """The class that is recognised least often; empty where all are recognised equally often."""
        if len(set(self.class_accuracy.values())) < 2:
            return ""
        name, share = min(self.class_accuracy.items(), key=lambda item: item[1])
        return f"\n  weakest class: {printable(name, 40)}, {100 * share:.1f} %"

    def _tried_line(self) -> str:
        """How many architectures were tried, and what the budget left out; empty where none was tried by itself."""
        if not self.cost.queries:
            return ""
        tried = f"  tried: {number_of(self.cost.queries, 'architecture')}"
        return f"{tried}; the budget did not pay for {self.untried} more\n" if self.untried else f"{tried}\n"

    def _linear_line(self) -> str:
        """How well a linear model does; empty where none was looked at."""
        return f"{_wrap(f'linear model: {self.linear_model}')}\n" if self.linear_model else ""

    @property
    def _unreturned(self) -> str:
        """How much of the training after the search went into models that are not returned; empty for none."""
        if not 0 < self.unreturned <= self.training_cost.flops:
            return ""
        return f" ({self.unreturned / self.training_cost.flops:.0%} for models that are not returned)"

    def _before_line(self) -> str:
        """What was paid once for all tasks; empty where the method knew nothing."""
        known = self.meta_cost
        return f"\n  cost of what was learned before: {_cost_text(known)}, paid once" if known.flops else ""


def _cost_text(cost: Cost) -> str:
    return f"{cost.flops:.3g} training FLOPs, {cost.seconds:.1f} s"


def _wrap(text: str) -> str:
    """Lines of 100 characters, as an architecture may have many labels; a number and its % are on the same one."""
    joined = textwrap.fill(
        printable(text).replace(" %", "\N{NO-BREAK SPACE}%"),
        100,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return joined.replace("\N{NO-BREAK SPACE}%", " %")
