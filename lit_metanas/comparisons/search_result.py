"""The result of the search of one task."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn

from lit_metanas.comparisons.model_card import UNKNOWN_LICENSE, card_text
from lit_metanas.comparisons.result_fields import ResultFields
from lit_metanas.comparisons.result_text import describe_result
from lit_metanas.inputs.batches import as_floats, input_size, inputs_like
from lit_metanas.inputs.shapes import as_shape
from lit_metanas.io.files import check_files, own_folder, write_whole
from lit_metanas.objectives import Classification, Regression, SeveralLabels
from lit_metanas.objectives.metric_table import ACCURACY
from lit_metanas.records.plain import read_field, to_plain
from lit_metanas.records.record import SearchRecord
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

PREDICTED_AT_ONCE = 500  # inputs in a batch, which bounds the memory

FRONT = "front"  # the folder of a front's networks in an export

FRONT_NAME = re.compile(r"\d+-(\d+-(parameters|flops)|\d+us)")  # the names of `SearchResult.front_names`


@dataclass(frozen=True, eq=False, repr=False)
class SearchResult(ResultFields):
    """The result of the search of one task.

    Its fields are those of ``ResultFields``.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space = lm.LayeredSpace(widths=(4,))
        >>> result = lm.search(task, space, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=1))
        >>> result.classes, result.network(task.test.inputs).shape
        (('0', '1'), torch.Size([4, 2]))
        >>> sorted(result.predict(task.test.inputs)[0])
        ['0', '1']
    """

    front: tuple[SearchResult, ...] = ()

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
