"""What is searched for each kind of data: a space, where the search begins in it, and the recipes to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from lit_metanas.searchers.query.ledger import Value
from lit_metanas.spaces import EncoderDecoderSpace, SearchSpace, SequenceSpace, default_space
from lit_metanas.tasks.inputs import ImageShape, RowShape, SeriesShape, Shape, TokenShape, as_shape
from lit_metanas.tasks.objective import Classification, Objective, Transcription
from lit_metanas.tasks.questions import Span
from lit_metanas.tasks.task import Task
from lit_metanas.tasks.translation import Translation
from lit_metanas.training.augmentation import AUGMENTATIONS

ExampleKind: TypeAlias = Literal["rows", "images", "texts"]
"""Of labelled examples in memory."""

LEARNING_RATES, WEIGHT_DECAYS, SMOOTHINGS = [3e-3, 1e-2, 3e-2], [1e-3, 1e-2, 1e-1], [0.0, 0.1]
"""What is searched of a recipe, where a kind does not say otherwise."""


def _recipes(*without: str) -> dict[str, list[Value]]:
    searched: dict[str, list[Value]] = {
        "learning_rate": [*LEARNING_RATES],
        "weight_decay": [*WEIGHT_DECAYS],
        "label_smoothing": [*SMOOTHINGS],
        "augmentation": [*AUGMENTATIONS],
    }
    return {name: values for name, values in searched.items() if name not in without}


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
    """

    noun: str
    space: Callable[[Shape, Objective], SearchSpace]
    configuration: str
    incumbent: Mapping[str, str] = field(default_factory=dict)
    train: Mapping[str, Sequence[Value]] = field(default_factory=_recipes)


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


DATA_KINDS: Mapping[str, DataKind] = {
    "images": DataKind("images", _default_space, "default_images.yaml"),
    "sounds": DataKind("sounds", _default_space, "default_series.yaml"),
    "transcripts": DataKind(
        "sounds",
        _transcripts_space,
        "sequence_transcripts.yaml",
        {"operation": "conv_5", "depth": "2"},
        _recipes("label_smoothing"),
    ),
    "texts": DataKind("texts", _default_space, "default_tokens.yaml"),
    "rows": DataKind("rows of numbers", _default_space, "default_rows.yaml"),
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


def _depth(value: Any) -> int:
    """Dimensions of an array, or of lists within each other, by the first of each."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value):
        return 1 + _depth(value[0])
    return int(getattr(value, "ndim", 0))
