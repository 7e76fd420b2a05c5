"""The result of the search of one task."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn

from lit_metanas.comparisons.model_card import UNKNOWN_LICENSE, card_text
from lit_metanas.comparisons.result_text import describe_result
from lit_metanas.inputs import Preprocessing, Shape
from lit_metanas.inputs.batches import as_floats, input_size, inputs_like
from lit_metanas.inputs.shapes import as_shape
from lit_metanas.io.files import check_files, own_folder, write_whole
from lit_metanas.objectives import Classification, Regression, SeveralLabels
from lit_metanas.objectives.metric_table import ACCURACY
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import read_field, to_plain
from lit_metanas.records.record import PREPROCESSING, RecipeValue, SearchRecord
from lit_metanas.records.rows import ExampleRow, ShownPrediction, TeacherComparison
from lit_metanas.records.statistics import percent
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.tasks.task import Split
from lit_metanas.training.child import examples_at_once
from lit_metanas.training.export.exported_program import (
    CARD,
    EXPORTED,
    GivenExamples,
    check_export_place,
    export_child,
    image_paths,
    network_inputs,
    one_or_more,
    show_predictions,
)
from lit_metanas.training.export.onnx_program import ONNX
from lit_metanas.training.precision import FLOAT32
from lit_metanas.training.recipes import Recipe

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
        test_score: score on the test part, by the objective's metric; for classification mostly the share of examples
            that the network classifies correctly.
        ci95: distance from ``test_score`` to the end of its 95 % confidence interval; NaN for one or two test examples.
        class_accuracy: for classification and several labels, the share of the test examples of each class that is
            recognised (recall), by the class's name.
        images: the numbers of images that the network was trained and tested on.
        cost: cost of the search alone: training FLOPs, seconds, and queries, the number of architectures tried.
        training_cost: cost of all training after the search: of the chosen network, or of all that are averaged; with
            ``auto`` also of models that were only compared.
        unreturned: with ``auto``, the FLOPs in ``training_cost`` of models that are not returned: linear models and
            networks that were only compared, and networks whose training diverged; 0 for a stopped search.
        meta_cost: cost of the meta-training that the method starts from, paid once; zero without one.
        parameters: parameters of the network, or of all that are averaged.
        flops: forward multiply-adds for one image, of the network or of all that are averaged.
        record: everything that the search tried.
        untried: number of planned architectures that the budget did not pay for.
        validated: validation score of the chosen model after training on the train part alone. With ``auto``, the score
            that it was chosen by; with other searches NaN unless asked for.
        preprocessing: makes inputs of raw examples; None if these are images.
        predictions: the network's predictions for ten test examples, with the right answers.
        measures: what else is known of the test predictions, by its name. For classification these are accuracy,
            balanced accuracy, log-loss, calibration error, and the AUROC of two classes; for several labels F1, exact
            matches, log-loss and calibration error; for a regression RMSE and MAE.
        examples: a row for each test example: its name, the right answer, and what the network says. A copy that was
            read from files has none.
        errors: for classification, the test errors of the highest loss, at most 20. A copy that was read from files has
            none.
        budget: with ``auto``, the training FLOPs for its search and for the training after it; passing both as
            ``flops``, with the ``precision``, repeats the run exactly. If one number was given for both, their sum may
            be larger, since the training may also spend what the search left. None for other searches.
        pace: training FLOPs a second that ``auto`` measured on this machine to convert minutes; otherwise NaN.
        latency: seconds that the network takes for one input, with ``threads`` of torch; NaN if not measured.
        threads: torch's threads in the search; None if unknown.
        precision: of the networks' trainings, ``32-true`` or ``bf16-mixed``. Weights, scores and exports are float32.
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
        teacher: with ``auto`` and a teacher, both on the same test examples; None without one. The validation scores
            are then the agreement with the teacher.
        rival: with ``auto`` on rows, the validation score of gradient-boosted trees of scikit-learn, compared with that
            of the chosen model; empty if there is none.
        linear_view: the linear model's preprocessing, in the form of ``view``.
        ordinal: whether the values in the record only rank the trials.
        command: with ``auto``, the command or call that repeats it, with FLOPs instead of minutes; empty for a stopped
            search and for other searches.
        earlier: with ``auto`` and an exported model as ``start``, that model's score on the same test examples, and the
            paired difference; otherwise empty.
        encoder: the frozen encoder in front of the network, its size and its licence, in words; empty without one.
            ``parameters``, ``flops`` and ``latency`` include it.
        encoding_cost: with ``auto``, cost of the features of encoders: forward FLOPs, once for each example, and
            seconds, fewer where the features were in the cache.
        tested: the test part; of images in files with 8 bits, where ``test`` has floats. A copy or a pickle has none.

    Example:
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
    precision: str = FLOAT32
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
    tested: Split | None = None
    failure: str = ""
    unreturned: int = 0
    earlier: str = ""
    rival: str = ""
    teacher: TeacherComparison | None = None
    measures: dict[str, float] = field(default_factory=dict)
    examples: tuple[ExampleRow, ...] = ()
    errors: tuple[ShownPrediction, ...] = ()
    encoder: str = ""
    encoding_cost: Cost = field(default_factory=Cost)

    @property
    def metric(self) -> str:
        """The name of the scores' metric, for classification mostly ``accuracy``."""
        return self.objective.metric

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
        return {PREPROCESSING: self.view} if self.view else {}

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
        rows: list[tuple[str, ...]] = [
            ("network", "parameters", "multiply-adds", "latency, ms", f"test {self.metric}, %", "architecture")
        ]
        for name, one in zip(self.front_names, self.front, strict=True):
            score = percent(one.test_score, one.ci95)
            labels = ", ".join(f"{choice} {label}" for choice, label in {**one.architecture, **one.named_view}.items())
            if one.space != self.record.space:
                labels = f"{one.space}: {labels}"
            rows.append((name, f"{one.parameters:,}", f"{one.flops:,}", f"{1e3 * one.latency:.3g}", score, labels))
        return rows

    def to_plain(self) -> dict[str, Any]:
        """The fields as JSON has them, without what the task has, the network, and the record."""
        front = [one.to_plain() for one in self.front]
        return {**{name: to_plain(getattr(self, name)) for name in _PLAIN}, "front": front}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any], record: SearchRecord) -> Self:
        """Read the fields of ``to_plain``; the caller puts a network, the objective and other parts of the task in.

        Raises:
            ValueError: a field is missing, unknown or malformed.
        """
        needed = {one.name for one in fields(cls) if one.default is one.default_factory is MISSING} & {*_PLAIN}
        if not isinstance(values, Mapping) or not needed <= values.keys() <= {*_PLAIN, "front"}:
            raise ValueError("it is damaged, or of another version")
        hints = get_type_hints(cls)
        found = {name: read_field(hints[name], values[name], f"'{name}'") for name in _PLAIN if name in values}
        found["front"] = tuple(cls.from_plain(one, record) for one in values["front"])
        return cls(**found, record=record, network=nn.Identity(), objective=Classification(len(found["classes"])))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the test part, which may be far larger than the rest."""
        return {**vars(self), "tested": None}

    @property
    def test(self) -> Split | None:
        """The test part as the network takes it; None of a copy or a pickle."""
        return self.tested and replace(self.tested, inputs=as_floats(self.tested.inputs))

    @property
    def test_accuracy(self) -> float:
        """The share of the test examples that are classified correctly; other objectives raise AttributeError."""
        if not isinstance(self.objective, Classification):
            raise AttributeError(f"The task is judged by {self.metric}, not by accuracy: see test_score.")
        return {**self.measures, self.metric: self.test_score}[ACCURACY]

    @torch.no_grad()
    def predict(self, examples: GivenExamples | str | os.PathLike[str]) -> list[dict[str, float]] | list[str]:
        """Predict for each example the classes' probabilities by name, the predicted one first, numbers, or a text.

        A transcription is the symbols' names with spaces between them. A number has both ends of its interval, too, as
        in the table of the verb ``predict``. Of several labels there are those from their thresholds on.

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
        if isinstance(given, Tensor | np.ndarray) and given.ndim == len(input_size(shape)):
            given = given[None]
        inputs = network_inputs(given, shape, self.preprocessing)
        parts = inputs_like(inputs, weight).split(examples_at_once(self.objective, PREDICTED_AT_ONCE))
        scores = (self.network(part) for part in parts)
        if isinstance(self.objective, Regression):
            numbers = torch.cat([self.objective.values(part) for part in scores]).tolist()
            return [self.objective.columns(row, self.classes) for row in numbers]
        if isinstance(self.objective, SeveralLabels):
            sets = (each for part in scores for each in self.objective.predictions(part))
            return [self.objective.labels_of(each, self.classes) for each in sets]
        if not isinstance(self.objective, Classification):
            said = [each for part in scores for each in self.objective.predictions(part)]
            return show_predictions(said, given, inputs, self.objective, self)
        found = torch.cat(list(scores))
        ranked = found.argsort(dim=1, descending=True, stable=True).tolist()
        rows = zip(self.objective.values(found).tolist(), ranked, strict=True)
        return [{self.classes[place]: shares[place] for place in order} for shares, order in rows]

    def export(
        self,
        folder: str | os.PathLike[str],
        *,
        onnx: bool = False,
        license: str = UNKNOWN_LICENSE,
        command: str = "",
    ) -> None:
        """Write the network as a program that runs with torch alone, its weights, and a description in JSON.

        The program of a network that writes texts contains all its steps. For 32 steps of three layers the export takes
        up to a minute.

        Args:
            folder: gets ``model.pt2``, ``weights.pt``, ``model.json``, ``predict.py``, which runs the program, and the
                model card ``README.md``; made if absent. Each file is replaced whole. The networks of a front go to
                folders in ``front`` there, each with the same files.
            onnx: whether to add ``model.onnx`` for onnxruntime; see ``export_child``.
            license: the network's licence in the card, by the Hugging Face Hub's names, such as ``apache-2.0``.
            command: the command that made the network, for the card; by default the result's ``command``. If that is
                empty, the card names the method and the seed.

        Raises:
            ValueError: no ONNX file can be made, or the folder has a link or a foreign file in place of an exported
                one.
        """
        folders = [own_folder(folder, FRONT, name) for name in self.front_names]
        for place in (folder, *folders):
            check_export_place(Path(place), card=True)
        command = command or self.command
        self._write_network(folder, onnx=onnx)
        write_whole(Path(folder, CARD), card_text(self, license, command))
        for place, one in zip(folders, self.front, strict=True):
            one.export(place, onnx=onnx, license=license, command=command)

    def add_onnx(self, folder: str | os.PathLike[str]) -> None:
        """Add ``model.onnx`` to a folder of ``export``.

        Args:
            folder: the folder of this network alone; the networks of a front have their own.

        Raises:
            ValueError: see ``export``.
        """
        check_files(Path(folder), EXPORTED)
        with TemporaryDirectory() as made:  # an export replaces all files of a folder, its card included
            self._write_network(made, onnx=True)
            write_whole(Path(folder, ONNX), Path(made, ONNX).read_bytes())

    def _write_network(self, folder: str | os.PathLike[str], *, onnx: bool) -> None:
        with torch.inference_mode(False):
            export_child(
                self.network,
                folder,
                architecture=self.architecture.to_json(),
                classes=self.classes,
                shape=self.shape,
                preprocessing=self.preprocessing,
                objective=self.objective,
                onnx=onnx,
            )

    def __repr__(self) -> str:
        return describe_result(self)


_PLAIN = tuple(
    each.name
    for each in fields(SearchResult)
    if each.name not in ("network", "objective", "preprocessing", "record", "front", "tested", "examples", "errors")
)
"""The fields of a result that JSON can have."""
