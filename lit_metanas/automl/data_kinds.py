"""What is searched for each kind of data: a space, where the search begins in it, recipes and preprocessings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import PADDING, ImageShape, RowShape, SeriesShape, Shape, TokenShape, as_shape
from lit_metanas.io.text import printable
from lit_metanas.kinds.images.image_files import SUFFIXES
from lit_metanas.kinds.rows import QuantileColumns, StandardisedColumns
from lit_metanas.kinds.sounds import LogMel
from lit_metanas.kinds.sounds.sound_files import SOUND_SUFFIXES
from lit_metanas.kinds.texts import BytePairs, Characters, Words
from lit_metanas.objectives import Span, Translation
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.transcription import Transcription
from lit_metanas.records.record import RecipeValue
from lit_metanas.spaces import EncoderDecoderSpace, SearchSpace, SequenceSpace, default_space
from lit_metanas.tasks.task import Task
from lit_metanas.training.augmentation import AUGMENTATIONS

ExampleKind: TypeAlias = Literal["rows", "images", "texts"]
"""Of labelled examples in memory."""

LEARNING_RATES, WEIGHT_DECAYS, SMOOTHINGS = [3e-3, 1e-2, 3e-2], [1e-3, 1e-2, 1e-1], [0.0, 0.1]
"""What is searched of a recipe, where a kind does not say otherwise."""


def _recipes(*without: str) -> dict[str, list[RecipeValue]]:
    searched: dict[str, list[RecipeValue]] = {
        "learning_rate": [*LEARNING_RATES],
        "weight_decay": [*WEIGHT_DECAYS],
        "label_smoothing": [*SMOOTHINGS],
        "augmentation": [*AUGMENTATIONS],
    }
    return {name: values for name, values in searched.items() if name not in without}


Preprocessings: TypeAlias = Mapping[str, Preprocessing]
"""To choose from, by their labels, that of a task first; none where there is no choice."""


def _no_other(task: Task) -> Preprocessings:
    return {}


@dataclass(frozen=True)
class DataKind:
    """What is searched for one kind of data.

    Attributes:
        noun: what the examples are, in the plural.
        space: makes the space for a shape of inputs and an objective; its choices are those of a shipped configuration.
        configuration: the name of that one in ``configs/spaces``.
        incumbent: labels of the network that the search begins with where no records tell a better one; open ones take
            the first.
        train: the fields of the recipe that are searched, with the values to choose from.
        preprocessings: of a task as it is usually made, those to choose from; of images see ``image_shapes``.
        always_compared: whether these are compared even where one network is nearly the best on all other tasks.
        features: what linear models are linear in, by the detail of ``LinearSpace``, where examples are told by class.
        linear_views: by that detail, the preprocessing that features are of, if it is not the usual one; where there is
            such a choice, they are compared alone.
        linear_rate: learning rate of linear models.
        averages_linear: whether a linear model is averaged with networks, as measured on a few tasks of texts.
        member_epochs: that are enough for each network of an ensemble, as measured on a few tasks of images, sounds and
            texts; 0 is for single networks.
    """

    noun: str
    space: Callable[[Shape, Objective], SearchSpace]
    configuration: str
    incumbent: Mapping[str, str] = field(default_factory=dict)
    train: Mapping[str, Sequence[RecipeValue]] = field(default_factory=_recipes)
    preprocessings: Callable[[Task], Preprocessings] = _no_other
    always_compared: bool = False
    features: Mapping[str, str] = field(default_factory=dict)
    linear_views: Mapping[str, str] = field(default_factory=dict)
    linear_rate: float = 1e-2
    averages_linear: bool = False
    member_epochs: int = 0


def _default_space(shape: Shape, objective: Objective) -> SearchSpace:
    return default_space(shape)


def _transcripts_space(shape: Shape, objective: Objective) -> SearchSpace:
    return SequenceSpace(
        operations=("conv_3", "conv_5", "sep_conv_7", "gru"),
        activations=("ReLU",),
        dropouts=(0.0, 0.2),
        skips=("residual",),
        readouts=("each",),
        stride=2,
    )


def _spans_space(shape: Shape, objective: Objective) -> SearchSpace:
    return SequenceSpace(
        operations=("conv_3", "conv_5", "gated_linear", "attention_4", "gru"),
        activations=("ReLU", "GELU"),
        dropouts=(0.0, 0.2),
        skips=("residual",),
        widths=(32,),
        readouts=("each",),
    )


def _pairs_space(shape: Shape, objective: Objective) -> SearchSpace:
    encoder = SequenceSpace(
        operations=("conv_3", "gru"), depths=(1, 2), dropouts=(0.0, 0.2), skips=("residual",), readouts=("each",)
    )
    return EncoderDecoderSpace(encoder, decoders=("gru",), decoder_depths=(1, 2), target_steps=objective.steps or 80)


def _bands(task: Task) -> Preprocessings:
    """Twice and half as many bands."""
    usual = task.preprocessing
    assert isinstance(usual, LogMel)
    return _by_bands(usual, replace(usual, bins=2 * usual.bins), replace(usual, bins=max(1, usual.bins // 2)))


def _bands_and_windows(task: Task) -> Preprocessings:
    """Windows of twice the length, too."""
    usual = task.preprocessing
    assert isinstance(usual, LogMel)
    longer = replace(usual, window=2 * usual.window, hop=2 * usual.hop, steps=-(-usual.steps // 2))
    return {**_bands(task), **_by_bands(longer)}


def _by_bands(*all_features: LogMel) -> Preprocessings:
    return {f"{one.bins} bands, {1000 * one.window:g} ms": one for one in all_features}


FEWER_WORDS, LONG_TEXT, LONG_SHARE = 1_000, 96, 0.1
"""The words of a smaller vocabulary; those of an example where the usual number cuts off more than a share of all."""

CHARACTERS, LONG_SPELLING = "characters", 128
"""The label of texts by their characters, and how many there are of an example."""


def _tokens(task: Task) -> Preprocessings:
    """Words, more of a long text, characters, pieces of words, and fewer different words; or all these but words."""
    usual = task.preprocessing
    long = float((task.train.inputs[:, -1] != PADDING).float().mean()) > LONG_SHARE
    pieces = {} if find_spec("tokenizers") is None else {"byte pairs": BytePairs()}
    if isinstance(usual, Characters):
        more = {f"{CHARACTERS}, first {LONG_SPELLING} of a text": Characters(steps=LONG_SPELLING)} if long else {}
        return {CHARACTERS: usual, **more, **pieces}
    assert isinstance(usual, Words)
    more_words = {f"words, first {LONG_TEXT} of a text": Words(steps=LONG_TEXT)} if long else {}
    fewer = {f"{FEWER_WORDS} words": Words(size=FEWER_WORDS)} if len(usual.words) > 2 * FEWER_WORDS else {}
    return {"words": usual, **more_words, CHARACTERS: Characters(steps=LONG_SPELLING), **pieces, **fewer}


def _columns(task: Task) -> Preprocessings:
    """Columns each by itself, all by one mean and deviation, or as normal scores."""
    usual = task.preprocessing
    assert isinstance(usual, StandardisedColumns)
    others = {
        "quantiles of columns": QuantileColumns(usual.names),
        "standardised together": StandardisedColumns(usual.names, together=True),
    }
    return {"standardised columns": usual, **others}


SMALLEST_HALVED = 16
"""Pixels of the shorter side of images that are also tried at half the size."""


def image_shapes(task: Task, side: int) -> dict[str, ImageShape]:
    """The shapes to choose from for images, by their labels: as they are, at twice and at half the size, and grey.

    Args:
        task: as it is usually made.
        side: pixels of the shorter side of the images that it was made of.
    """
    usual = task.shape
    assert isinstance(usual, ImageShape)
    channels, height, width = usual
    found = [usual]
    if side >= 1.5 * min(height, width):
        found.append(ImageShape(channels, 2 * height, 2 * width))
    if min(height, width) >= SMALLEST_HALVED:
        found.append(ImageShape(channels, -(-height // 2), -(-width // 2)))
    if channels == 3:
        found.append(ImageShape(1, height, width))
    colours = {1: "grey", 3: "colour"}
    return {f"{colours.get(one.channels, f'{one.channels} channels')} {one.height}x{one.width}": one for one in found}


MOST_BYTES = 1 << 30
"""Memory that the examples may take under a preprocessing, where they do not usually take more."""


def within_memory(
    task: Task, prepared: Mapping[str, Preprocessing | ImageShape]
) -> dict[str, Preprocessing | ImageShape]:
    """Without those under which the examples would take too much memory.

    Args:
        task: as it is usually made.
        prepared: to choose from, by their labels.
    """
    examples = sum(len(part) for part in (task.train, task.val, task.test) if part is not None)
    each = task.train.inputs.element_size() * examples
    most = max(MOST_BYTES, each * _numbers(task.shape))
    shapes = {label: one if isinstance(one, ImageShape) else one.shape for label, one in prepared.items()}
    return {label: one for label, one in prepared.items() if each * _numbers(shapes[label]) <= most}


def _numbers(shape: Shape) -> int:
    """Of an input."""
    return shape.steps if isinstance(shape, TokenShape) else prod(shape)


DATA_KINDS: Mapping[str, DataKind] = {
    "images": DataKind(
        "images",
        _default_space,
        "default_images.yaml",
        features={"coarse": "average pixels", "fine": "average pixels and edges"},
        member_epochs=150,
    ),
    "sounds": DataKind(
        "sounds",
        _default_space,
        "default_series.yaml",
        preprocessings=_bands_and_windows,
        features={"coarse": "mean spectra", "fine": "mean spectra from beginning to end"},
        member_epochs=60,
    ),
    "transcripts": DataKind(
        "sounds",
        _transcripts_space,
        "sequence_transcripts.yaml",
        {"operation": "conv_5", "depth": "2"},
        _recipes("label_smoothing"),
        preprocessings=_bands,
    ),
    "texts": DataKind(
        "texts",
        _default_space,
        "default_tokens.yaml",
        preprocessings=_tokens,
        always_compared=True,
        features={"coarse": "counts of tokens", "fine": "counts of up to four neighbouring tokens"},
        linear_views={"fine": CHARACTERS},
        linear_rate=0.03,
        averages_linear=True,
        member_epochs=60,
    ),
    "rows": DataKind(
        "rows of numbers",
        _default_space,
        "default_rows.yaml",
        preprocessings=_columns,
        features={"coarse": "the columns", "fine": "the columns and their squares"},
    ),
    "pairs": DataKind("pairs of texts", _pairs_space, "encoder_decoder_small.yaml", {"operation": "gru"}),
    "questions": DataKind(
        "questions",
        _spans_space,
        "sequence_spans.yaml",
        {"operation": "gru", "depth": "2"},
        _recipes("label_smoothing", "augmentation"),
    ),
}
"""All kinds, by the names that ``auto`` takes."""


def kind_of(task: Task) -> str:
    """The kind of a task's examples: by its objective, and by its inputs where it tells classes apart."""
    by_objective = {Transcription: "transcripts", Translation: "pairs", Span: "questions"}
    if not isinstance(task.goal, Classification) and type(task.goal) in by_objective:
        return by_objective[type(task.goal)]
    by_shape = {ImageShape: "images", SeriesShape: "sounds", TokenShape: "texts", RowShape: "rows"}
    return by_shape[type(as_shape(task.shape))]


def kind_of_examples(X: Any) -> ExampleKind:
    """The kind of labelled examples in memory: texts if one of them is a text, images, or else rows of a table.

    Whoever takes them looks at them more closely, and refuses a mixture.

    Example:
        >>> kind_of_examples(["a", 3]), kind_of_examples([[1.0, 2.0]]), kind_of_examples([[[0.5]]])
        ('texts', 'rows', 'images')
    """
    size = getattr(X, "ndim", None)
    if size in (None, 1) and isinstance(X, Iterable) and any(isinstance(each, str) for each in X):
        return "texts"
    return "images" if (_depth(X) if size is None else size) in (3, 4) else "rows"


def check_no_files(texts: Iterable[Any]) -> None:
    """Refuse names of files that hold the examples.

    Raises:
        ValueError: the first texts are such names.
    """
    first = list(islice((text for text in texts if isinstance(text, str)), 3))
    for fix, suffixes in (("give the images themselves, or `auto`", SUFFIXES), ("give `auto`", SOUND_SUFFIXES)):
        if first and all(_is_file(text, suffixes) for text in first):
            raise ValueError(
                f"The texts are names of files, such as '{printable(first[0], 60)}': {fix} a folder with a sub-folder "
                "of files for each class."
            )


def _is_file(text: str, suffixes: Collection[str]) -> bool:
    """Whether a text is the path of a file whose name ends so."""
    try:
        return Path(text).suffix.lower() in suffixes and Path(text).is_file()
    except (OSError, ValueError):  # of a long text
        return False


def _depth(value: Any) -> int:
    """Dimensions of an array, or of lists within each other, by the first of each."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value):
        return 1 + _depth(value[0])
    return int(getattr(value, "ndim", 0))
