"""A trained child as files that torch alone can load: program, weights, description."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeGuard, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lit_metanas.inputs.batches import blank_inputs, check_brightness, input_size, inputs_like
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import ImageShape, RowShape, Shape, TextRowShape, as_shape
from lit_metanas.io.checkpoints import write_weights
from lit_metanas.io.files import FileLimit, check_files, open_regular, read_regular, write_whole
from lit_metanas.io.text import number_of, printable
from lit_metanas.kinds.images.image_files import fit_images, image_tensor, read_images
from lit_metanas.kinds.questions.question_words import QuestionWords
from lit_metanas.objectives import Classification, Objective, SeveralLabels, Span
from lit_metanas.objectives.objective import Examples
from lit_metanas.training.export.network_description import (
    DESCRIPTION,
    StoredNetwork,
    describe_network,
    exported_file,
    find_repeated,
    read_description,
    script_name,
    script_text,
)
from lit_metanas.training.export.onnx_program import ONNX, onnx_program
from lit_metanas.training.export.program_archive import LARGEST_PROGRAM, read_program, trace_program

PROGRAM, WEIGHTS, SCRIPT, CARD = "model.pt2", "weights.pt", "predict.py", "README.md"
EXPORTED = (CARD, DESCRIPTION, ONNX, PROGRAM, SCRIPT, WEIGHTS)  # the files of an export
LIBRARY = "lit-metanas"
# How a card begins that an export has written.
CARD_BEGINS = f"---\nlibrary_name: {LIBRARY}\n"
_SCRIPT_BEGINS = '"""Run the exported network beside this file: '


@dataclass(frozen=True)
class Exported:
    """An exported network.

    Attributes:
        network: the program; inputs of ``shape`` in, scores out.
        architecture: the labels of its architecture.
        classes: the class names, in the order of the scores; those of symbols; none where it writes texts.
        shape: of one input.
        preprocessing: makes inputs of raw examples; None where the network takes images, or none was stored.
        objective: what it was trained for; None is to tell the classes apart.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> exported = lm.training.Exported(network, architecture={}, classes=("cat", "dog"), shape=(1, 8, 8))
        >>> exported.predict(torch.rand(3, 3, 100, 80)).shape  # colour images of another size
        torch.Size([3, 2])
    """

    network: nn.Module
    architecture: dict[str, str]
    classes: tuple[str, ...]
    shape: Shape
    preprocessing: Preprocessing | None = None
    objective: Objective | None = None

    @property
    def noun(self) -> str:
        """What the network takes, in the plural, such as images or texts."""
        if isinstance(as_shape(self.shape), ImageShape):
            return "images"
        return getattr(self.preprocessing, "noun", "examples")

    @torch.no_grad()
    def predict(self, examples: GivenExamples | str | os.PathLike[str]) -> Tensor:
        """Probabilities, shape ``(n, classes)``; or of each step, ``(n, steps, outputs)``; of a regression numbers.

        Args:
            examples: images of any size, grey or colour, shape ``(n, channels, height, width)``, uint8 or floating
                point in [0, 1], or their files; or what the preprocessing takes, such as sentences, or has made.

        Raises:
            ValueError: the examples cannot be brought to the network's shape.
        """
        inputs = network_inputs(one_or_more(examples, self.shape), self.shape, self.preprocessing)
        return self.goal.values(self.network(inputs))

    @torch.no_grad()
    def show(self, examples: GivenExamples | str | os.PathLike[str]) -> list[str]:
        """The class or labels of each example, its symbols with spaces between, a text that is written, or an answer.

        Args:
            examples: as ``predict`` takes them.

        Raises:
            ValueError: the examples cannot be brought to the network's shape.
        """
        given = one_or_more(examples, self.shape)
        inputs = network_inputs(given, self.shape, self.preprocessing)
        return show_predictions(self.goal.predictions(self.network(inputs)), given, inputs, self.goal, self)

    def scores(self, inputs: Tensor) -> Tensor:
        """Scores of inputs of any device and precision; programs stay on the CPU, in single precision.

        Args:
            inputs: shape ``(n, *shape)``.
        """
        return cast(Tensor, self.network(inputs_like(inputs, torch.zeros((), dtype=torch.float32))))

    @property
    def goal(self) -> Objective:
        """The objective, if none is stored to tell the classes apart."""
        return self.objective or Classification(len(self.classes))


GivenExamples = Tensor | NDArray[Any] | Sequence[Any]  # inputs, or what they are made of


def one_or_more(examples: GivenExamples | str | os.PathLike[str], shape: Shape) -> GivenExamples:
    """Examples of which a single text or file is one; arrays of texts or files as lists."""
    numbers = isinstance(as_shape(shape), ImageShape | RowShape | TextRowShape)
    if not numbers and isinstance(examples, np.ndarray) and examples.dtype.kind in "OU":
        examples = examples.tolist()
    if isinstance(examples, str | os.PathLike):
        return [examples]
    return examples


def image_paths(examples: GivenExamples) -> list[Path]:
    """The paths of image files; none where any example is something else."""
    if not isinstance(examples, Tensor) and all(isinstance(each, str | os.PathLike) for each in examples):
        return list(map(Path, examples))
    return []


def network_inputs(examples: GivenExamples, shape: Shape, preprocessing: Preprocessing | None) -> Tensor:
    """Bring examples to the form that a network takes, shape ``(n, *shape)``."""
    kind = as_shape(shape)
    if isinstance(kind, ImageShape):
        if files := image_paths(examples):
            examples = read_images(files, kind)
        elif not isinstance(examples, Tensor):
            examples = image_tensor(examples, name="examples")
        inputs = fit_images(examples, shape)
        check_brightness("The input of predict", inputs)
        return inputs
    if isinstance(kind, RowShape | TextRowShape) and preprocessing is not None:
        if _are_inputs(examples, kind):
            return examples
        return preprocessing.encode(cast(Any, examples))
    if hasattr(examples, "columns"):  # a table of pandas, whose items are the names of its columns
        raise ValueError("The examples are a table: give one of its columns, or a list.")
    if isinstance(examples, Tensor | np.ndarray):
        return torch.as_tensor(examples)
    if preprocessing is None:
        raise ValueError("There is no preprocessing that makes inputs of such examples: give the inputs as a tensor.")
    return preprocessing.encode(examples)


def _are_inputs(examples: GivenExamples, shape: RowShape | TextRowShape) -> TypeGuard[Tensor]:
    """Whether rows have been through the preprocessing: they have one number more, the share that was missing."""
    if not isinstance(examples, Tensor) or not examples.is_floating_point() or examples.shape[1:] != input_size(shape):
        return False
    missing = examples[:, shape.numbers - 1]
    return not len(examples) or 0 <= float(missing.min()) <= float(missing.max()) <= 1


def show_predictions(
    found: Sequence[Any], examples: Any, inputs: Tensor, objective: Objective, network: Examples
) -> list[str]:
    """Each prediction as a person reads it: parts of raw passages as these have them, others as the objective shows."""
    made = network.preprocessing
    raw = not isinstance(examples, Tensor | np.ndarray)
    if raw and isinstance(objective, Span) and isinstance(made, QuestionWords):
        return made.answers(examples, found)
    return objective.show(found, inputs, network)


def export_child(
    network: nn.Module,
    directory: str | os.PathLike[str],
    *,
    architecture: Mapping[str, str],
    classes: Sequence[str],
    shape: Shape,
    preprocessing: Preprocessing | None = None,
    objective: Objective | None = None,
    onnx: bool = False,
) -> None:
    """Write ``model.pt2``, ``weights.pt`` and ``model.json`` into a folder, each atomically, in single precision.

    Beside them stands ``predict.py``, which runs the network without this package; and on wish ``model.onnx``. A
    network of other operations than those of this package's spaces is taken apart into torch's core operations. What
    ``predict`` refuses all the same is named in a warning.

    Args:
        network: inputs ``(n, *shape)`` in, such as images in [0, 1], scores ``(n, classes)`` out, or of each step
            ``(n, steps, outputs)``; it is not changed.
        directory: the folder; made if absent.
        architecture: the labels of its architecture.
        classes: the class names, in the order of the scores; those of symbols; none where the network writes texts.
        shape: of one input.
        preprocessing: what made the inputs, where they are no images; it is stored, too.
        objective: what the network was trained for, with what makes texts of its tokens; None is to tell the classes
            apart.
        onnx: whether ``model.onnx`` is written, too: inputs ``inputs`` of any number, ``(n, *shape)``, scores
            ``scores``. Torch's exporter translates the networks of all spaces of this package, and of others those
            whose operations ONNX has. Without, one that an earlier export has left is removed.

    Raises:
        ValueError: the number of class names is not the number of scores, or two are the same; the network has other
            outputs than the objective, torch.export cannot trace it for any number of inputs, or no ONNX file can be
            made of it; or see ``check_export_place``.

    Example:
        >>> space = lm.LayeredSpace(depths=(1,), widths=(4,))
        >>> architecture = space.sample(torch.Generator())
        >>> network = space.child(architecture, (1, 8, 8), way=2)
        >>> lm.export_child(network, "out", architecture=architecture, classes=("cat", "dog"), shape=(1, 8, 8))
        >>> lm.load("out").classes
        ('cat', 'dog')
    """
    folder = Path(directory)
    check_export_place(folder)
    network = copy.deepcopy(network).cpu().float().eval()
    for tensor in (*network.parameters(), *network.buffers()):
        # An archive of tensors that are views, or laid out channels-last, would be loaded from guesses.
        tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    example = blank_inputs(2, shape)
    if example.is_floating_point():
        example = example.float()
    goal = objective or Classification(len(classes))
    _check_outputs(network, example, goal, classes)
    whole, _ = goal.program_of(network)
    program, content, refusal = trace_program(
        whole.eval(), example, shape, goal.outputs, each_step=goal.scored != "input"
    )
    if refusal:
        warnings.warn(
            f"`predict` refuses the exported network, since its program {refusal}: export again once that is "
            "changed. torch.export.load takes it as it is.",
            stacklevel=2,
        )
    translated = b""
    if onnx:
        translated = onnx_program(program, whole, shape)
    digest = hashlib.sha256(content).hexdigest()
    described = describe_network(StoredNetwork(dict(architecture), tuple(classes), shape, preprocessing, goal, digest))
    # All is made before an earlier network's files are touched.
    description = json.dumps(described, indent=1, ensure_ascii=False)
    write_whole(folder / SCRIPT, script_text(script_name(preprocessing, goal)))
    # Of the network that is replaced.
    if (folder / DESCRIPTION).is_file():
        (folder / ONNX).unlink(missing_ok=True)
    if _begins_with(folder / CARD, CARD_BEGINS):
        (folder / CARD).unlink()
    if translated:
        write_whole(folder / ONNX, translated)
    write_whole(folder / PROGRAM, content)
    write_weights(folder / WEIGHTS, network.state_dict())
    write_whole(folder / DESCRIPTION, description)


def program_bytes(export: Callable[[str], None]) -> int:
    """The size of the program that is exported to a folder, which is removed."""
    with TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):  # the export itself warns
        export(folder)
        return (Path(folder) / PROGRAM).stat().st_size


def load(directory: str | os.PathLike[str]) -> Exported:
    """Load what ``export_child`` wrote, without executing code in it.

    Raises:
        FileNotFoundError: the folder lacks one of the files.
        ValueError: a file is damaged, newer, or holds more than the program of a space's network and tensors.

    Example:
        >>> space = lm.LayeredSpace(depths=(1,), widths=(4,))
        >>> architecture = space.sample(torch.Generator())
        >>> network = space.child(architecture, (1, 8, 8), way=2)
        >>> lm.export_child(network, "out", architecture=architecture, classes=("cat", "dog"), shape=(1, 8, 8))
        >>> exported = lm.load("out")
        >>> exported.predict(torch.rand(3, 1, 8, 8)).shape
        torch.Size([3, 2])
    """
    described, file = read_description(exported_file(directory, DESCRIPTION)), exported_file(directory, PROGRAM)
    goal = described.objective
    try:
        content = read_regular(file, LARGEST_PROGRAM)
        if hashlib.sha256(content).hexdigest() != described.digest:
            raise ValueError(f"is not the program that '{DESCRIPTION}' describes")
        network = read_program(content)
        network.check(described.shape, goal.outputs, each_step=goal.scored != "input")
    except Exception as error:  # torch raises errors of many kinds for operations that do not fit each other
        reason = "is damaged or holds more than a program and tensors"
        if type(error) in (ValueError, FileLimit):
            reason = printable(str(error))
        raise ValueError(f"'{file}' {reason}: export again.") from None
    # The program has a part of some objectives in it, such as the scale of numbers.
    _, scored = goal.program_of(network)
    return Exported(
        network, described.architecture, described.classes, described.shape, described.preprocessing, scored
    )


def check_export_place(folder: Path, *, card: bool = False) -> None:
    """Look whether an export, one with a card, too, may write into a folder: files that none has written stay."""
    check_files(folder, EXPORTED)
    begins = {SCRIPT: _SCRIPT_BEGINS}
    if card:
        begins[CARD] = CARD_BEGINS
    for name, begin in begins.items():
        if os.path.lexists(file := folder / name) and not _begins_with(file, begin):
            raise ValueError(f"'{file}' is there already, and no export has written it: give another folder.")


def _begins_with(file: Path, begin: str) -> bool:
    own = begin.encode()
    with suppress(ValueError, FileNotFoundError), open_regular(file) as stream:
        return stream.read(len(own)) == own
    return False


def _check_outputs(network: nn.Module, example: Tensor, goal: Objective, classes: Sequence[str]) -> None:
    """Refuse a network that has not one output for each name, or for each of the objective's outputs."""
    with torch.no_grad():
        size = tuple(network(example).shape)
    if isinstance(goal, Classification | SeveralLabels) and size[1:] != (len(classes),):
        raise ValueError(
            f"The network tells {number_of(size[1], 'class')} apart, but {number_of(len(classes), 'name')} were given: "
            "name each once."
        )
    if goal.scored != "input" and (len(size) != 3 or size[2] != goal.outputs):
        raise ValueError(
            f"The network's scores of {len(example)} inputs have shape {size}, and {type(goal).__name__} wants (n, "
            f"steps, {goal.outputs}): give the objective that it was trained for."
        )
    names = len(goal.names(()))
    if len(classes) != names:
        raise ValueError(f"{type(goal).__name__} has {names} names, but {len(classes)} were given: name each once.")
    if (twice := find_repeated(classes)) is not None:
        raise ValueError(f"Two classes are called '{printable(twice, 80)}': give each a name of its own.")
