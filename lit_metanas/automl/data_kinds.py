"""What is searched for each kind of data: a space, where the search begins in it, and the recipes to choose from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lit_metanas.searchers.query.ledger import Value
from lit_metanas.spaces import EncoderDecoderSpace, LayeredSpace, SearchSpace, SequenceSpace
from lit_metanas.tasks.inputs import ImageShape, SeriesShape
from lit_metanas.tasks.objective import Classification, Transcription
from lit_metanas.tasks.questions import Span
from lit_metanas.tasks.task import Task
from lit_metanas.tasks.translation import Translation

LEARNING_RATES, WEIGHT_DECAYS, SMOOTHINGS = [3e-3, 1e-2, 2e-2], [1e-3, 1e-2, 1e-1], [0.0, 0.1]
"""What is searched of a recipe, where a kind does not say otherwise."""


def _recipes() -> dict[str, list[Value]]:
    return {"learning_rate": [*LEARNING_RATES], "weight_decay": [*WEIGHT_DECAYS], "label_smoothing": [*SMOOTHINGS]}


@dataclass(frozen=True)
class DataKind:
    """What is searched for one kind of data.

    Attributes:
        noun: what the examples are, in the plural.
        space: makes the space of a task; its choices are those of a shipped configuration.
        configuration: the name of that one in ``configs/spaces``.
        incumbent: labels of the network that the search begins with; open ones take the first.
        train: the fields of the recipe that are searched, with the values to choose from.
    """

    noun: str
    space: Callable[[Task], SearchSpace]
    configuration: str
    incumbent: Mapping[str, str]
    train: Mapping[str, Sequence[Value]] = field(default_factory=_recipes)


def _layered(task: Task) -> SearchSpace:
    return LayeredSpace(
        kernels=(3, 5),
        activations=("ReLU", "GELU"),
        dropouts=(0,),
        depths=(3, 4, 5),
        widths=(8, 16, 32, 64, 128),
        skips=("none", "residual"),
        readouts=("average", "flat"),
    )


def _sequences(task: Task) -> SearchSpace:
    return SequenceSpace(
        operations=("identity", "conv_3", "conv_5", "gated_linear", "attention_4"),
        activations=("ReLU", "GELU"),
        dropouts=(0.0,),
        depths=(1, 2),
        readouts=("mean", "max", "attention"),
    )


def _sounds(task: Task) -> SearchSpace:
    return SequenceSpace(
        operations=("conv_3", "conv_5", "sep_conv_7", "gated_linear"),
        activations=("ReLU", "GELU"),
        dropouts=(0.0,),
        readouts=("mean", "max", "attention"),
        stride=2,
    )


def _transcripts(task: Task) -> SearchSpace:
    return SequenceSpace(
        operations=("conv_3", "conv_5", "sep_conv_7", "gru"),
        activations=("ReLU",),
        dropouts=(0.0, 0.2),
        skips=("residual",),
        readouts=("each",),
        stride=2,
    )


def _spans(task: Task) -> SearchSpace:
    return SequenceSpace(
        operations=("conv_3", "conv_5", "gated_linear", "attention_4", "gru"),
        activations=("ReLU", "GELU"),
        dropouts=(0.0, 0.2),
        skips=("residual",),
        widths=(32,),
        readouts=("each",),
    )


def _pairs(task: Task) -> SearchSpace:
    encoder = SequenceSpace(
        operations=("conv_3", "gru"), depths=(1, 2), dropouts=(0.0, 0.2), skips=("residual",), readouts=("each",)
    )
    return EncoderDecoderSpace(encoder, decoders=("gru",), decoder_depths=(1, 2), target_steps=task.goal.steps or 80)


PYRAMID = {
    "depth": "4",
    "readout": "average",
    "kernel": "3",
    "activation": "ReLU",
    "pool": "max",
    "skip": "none",
    "layer1.width": "16",
    "layer2.width": "32",
    "layer3.width": "64",
    "layer4.width": "64",
}
"""Four layers, each with half the pixels of the one before and, but for the last, twice its channels."""

DATA_KINDS: Mapping[str, DataKind] = {
    "images": DataKind("images", _layered, "few_shot.yaml", PYRAMID),
    "sounds": DataKind("sounds", _sounds, "sequence_sounds.yaml", {"operation": "conv_5", "depth": "2"}),
    "transcripts": DataKind("sounds", _transcripts, "sequence_transcripts.yaml", {"operation": "conv_5", "depth": "2"}),
    "texts": DataKind("texts", _sequences, "sequence_few.yaml", {"operation": "conv_3", "readout": "max"}),
    "pairs": DataKind("pairs of texts", _pairs, "encoder_decoder_small.yaml", {"operation": "gru"}),
    "questions": DataKind("questions", _spans, "sequence_spans.yaml", {"operation": "gru", "depth": "2"}),
}
"""All kinds, by the names that ``auto`` takes."""


def kind_of(task: Task) -> str:
    """The kind of a task's examples: by its objective, and by its inputs where it tells classes apart."""
    by_objective = {Transcription: "transcripts", Translation: "pairs", Span: "questions"}
    if not isinstance(task.goal, Classification) and type(task.goal) in by_objective:
        return by_objective[type(task.goal)]
    if isinstance(task.shape, ImageShape):
        return "images"
    return "sounds" if isinstance(task.shape, SeriesShape) else "texts"
