"""What lies beside an exported program: its description, ``model.json``, and the script that runs it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import ImageShape, Shape, as_shape, plain_shape
from lit_metanas.io.json_files import LONGEST_TEXT, read_json
from lit_metanas.io.text import number_of, printable
from lit_metanas.kinds import Columns, LogMel, ScaledSeries, TextRows
from lit_metanas.kinds.stored_preprocessing import describe_objective, read_objective, read_preprocessing, stored_kind
from lit_metanas.kinds.texts.text_tokens import BytePairs, JoinedTokens, Part, PretrainedTokens
from lit_metanas.objectives import Classification, Objective, Regression, SeveralLabels, Transcription, Translation
from lit_metanas.records.plain import from_plain

DESCRIPTION_SCHEMA = 1
DESCRIPTION = "model.json"
# Tokens of a vocabulary, steps of an input, or classes.
MOST_OF_A_SHAPE = 1 << 20

_FIX = "export again"


class StoredNetwork(NamedTuple):
    """The content of a description."""

    architecture: dict[str, str]
    classes: tuple[str, ...]  # the names of classes or symbols
    shape: Shape
    preprocessing: Preprocessing | None
    objective: Objective
    digest: str  # of the program, SHA-256


def describe_network(network: StoredNetwork) -> dict[str, Any]:
    """What ``model.json`` holds of a network, as JSON."""
    made, shape = network.preprocessing, as_shape(network.shape)
    takes = {"shape": plain_shape(shape), "preprocessing": made and made.described()}
    if isinstance(shape, ImageShape):
        takes = {**shape._asdict(), "range": [0, 1]}
    described = {
        "schema": DESCRIPTION_SCHEMA,
        "architecture": network.architecture,
        "classes": list(network.classes),
        "input": takes,
        "output": _output_in_words(network.objective),
    }
    if (goal := describe_objective(network.objective)) is not None:
        described["objective"] = goal
    return {**described, "program_sha256": network.digest}


def _output_in_words(objective: Objective) -> str:
    match objective:
        case Regression():
            return "numbers in the units of the targets"
        case SeveralLabels():
            return "scores, divided by the temperature already; the sigmoid of each gives the probability of a label"
        case Classification(shift=None, temperature=1):
            return "scores; softmax gives probabilities"
        case Classification(shift=None):
            return "scores, divided by the temperature already; softmax gives probabilities"
        case Classification():
            return (
                "scores, of which the largest is that of the prediction; softmax of scores and shift gives "
                "probabilities"
            )
    return {"input": "scores; softmax gives probabilities"}.get(objective.scored, "scores of each step")


def exported_file(directory: str | os.PathLike[str], name: str) -> Path:
    """A file of an exported network."""
    file = Path(directory) / name
    if not file.is_file():
        raise FileNotFoundError(f"There is no '{name}' in '{directory}': give the folder of an exported network.")
    return file


def exported_kind(directory: str | os.PathLike[str]) -> str:
    """The kind of data that an exported network takes: ``images``, what a preprocessing takes, or else ``examples``."""
    # The preprocessing itself is not made here: it may be a tokenizer of many megabytes, which is read soon enough.
    described, stored, goal = _read_parts(exported_file(directory, DESCRIPTION))
    if described.input.shape is None:
        return "images"
    kind = stored_kind(stored)
    if kind is None:
        return "examples"
    if isinstance(goal, dict) and goal.get("kind") == Translation.kind:
        return "pairs"
    return kind.noun


def read_description(file: Path) -> StoredNetwork:
    """Read what ``describe_network`` made."""
    described, stored, goal = _read_parts(file)
    own = described.input
    try:
        return StoredNetwork(
            architecture=described.architecture,
            classes=described.classes,
            shape=own.shape or ImageShape(own.channels, own.height, own.width),
            objective=read_objective(goal, len(described.classes), read_preprocessing),
            preprocessing=None if stored is None else read_preprocessing(stored),
            digest=described.program_sha256,
        )
    except ValueError as error:
        raise ValueError(f"'{file}' is damaged or another kind of file ({printable(str(error))}): {_FIX}.") from None


@dataclass(frozen=True)
class _Input:
    """An image's size and range, or the shape of another kind of input."""

    channels: int = 0
    height: int = 0
    width: int = 0
    range: tuple[int, int] = (0, 1)
    shape: Shape | None = None

    def __post_init__(self) -> None:
        if isinstance(self.shape, ImageShape):
            raise ValueError("the size of an image stands in 'shape', not in channels, height and width")
        if self.shape is not None and not 1 <= min(self.shape) <= max(self.shape) <= MOST_OF_A_SHAPE:
            raise ValueError(f"an input of {list(self.shape)} has numbers that are not from 1 to {MOST_OF_A_SHAPE}")
        if self.shape is None:
            for name, limit in (("channels", 64), ("height", 4096), ("width", 4096)):
                if not 1 <= (found := getattr(self, name)) <= limit:
                    raise ValueError(f"an image's {name} is {found}, not from 1 to {limit}")


@dataclass(frozen=True)
class _Description:
    """What ``model.json`` holds, but for the preprocessing and the objective."""

    schema: int
    architecture: dict[str, str]
    classes: tuple[str, ...]
    input: _Input
    output: str
    program_sha256: str

    def __post_init__(self) -> None:
        if len(self.classes) > MOST_OF_A_SHAPE:
            raise ValueError(f"there are {number_of(len(self.classes), 'class')}, more than {MOST_OF_A_SHAPE}")
        if any(len(name) > LONGEST_TEXT for name in (*self.classes, *self.architecture, *self.architecture.values())):
            raise ValueError(f"a name has more than {LONGEST_TEXT} characters")
        if (twice := find_repeated(self.classes)) is not None:
            raise ValueError(f"two classes are called '{twice[:60]}'")


def _read_parts(file: Path) -> tuple[_Description, Any, Any]:
    """What a file describes; and its preprocessing and its objective, as they are stored."""
    # All characters that a network knows are one text.
    document = read_json(file, _FIX, longest=MOST_OF_A_SHAPE)
    stored = goal = None
    if isinstance(document, dict):
        if type(schema := document.get("schema")) is int and schema > DESCRIPTION_SCHEMA:
            raise ValueError(f"'{file}' has schema {schema}, newer than {DESCRIPTION_SCHEMA}: update lit-metanas.")
        goal = document.pop("objective", None)
        if isinstance(own := document.get("input"), dict):
            stored = own.pop("preprocessing", None)
    try:
        return from_plain(_Description, document, "it"), stored, goal
    except ValueError as error:
        raise ValueError(f"'{file}' is damaged or another kind of file ({printable(str(error))}): {_FIX}.") from None


def find_repeated(names: Sequence[str]) -> str | None:
    """A name that occurs more than once."""
    return next((name for name, number in Counter(names).items() if number > 1), None)


# The script for all inputs and answers that have none of their own.
IMAGES_AND_ARRAYS = "standalone_predict.py"

# By the kind of the preprocessing.
_TEXTS = {part.kind: "standalone_texts.py" for part in get_args(Part)}
_SCRIPTS = {
    **_TEXTS,
    JoinedTokens.kind: "standalone_texts.py",
    Columns.kind: "standalone_rows.py",
    TextRows.kind: "standalone_rows.py",
    ScaledSeries.kind: "standalone_series.py",
    LogMel.kind: "standalone_sounds.py",
}


def script_name(preprocessing: Preprocessing | None, objective: Objective) -> str:
    """The script for such inputs and answers."""
    made = getattr(preprocessing, "kind", "")
    match objective:
        case Translation() if {made, objective.target.kind} <= {*_TEXTS}:
            return _TEXTS[made]
        case Transcription() if made == LogMel.kind:
            return _SCRIPTS[made]
        case Classification() | SeveralLabels() | Regression():
            return _SCRIPTS.get(made, IMAGES_AND_ARRAYS)
    return IMAGES_AND_ARRAYS


def script_text(name: str) -> str:
    """A script, with the source of the shared functions that it imports: it stands alone in its folder."""
    title, imports, shared, body = _source(name).split("\n\n", 3)
    _, theirs, functions = _source("standalone_parts.py").split("\n\n", 2)
    taken = [one for one in functions.strip().split("\n\n\n") if one[4:].partition("(")[0] in _words(shared)]
    used = [line for line in theirs.split("\n") if _words(line.partition("import ")[2]) & _words(" ".join(taken))]
    names: dict[str, set[str]] = {}
    for line in (*imports.split("\n"), *used):
        begin, _, own = line.partition(" import ")
        names.setdefault(begin, set()).update(filter(None, own.split(", ")))
    lines = [f"{begin} import {', '.join(sorted(own))}" if own else begin for begin, own in names.items()]
    lines.sort(key=lambda line: (line.startswith("from"), line))
    return "\n\n\n".join(["\n".join([f"{title}\n", *lines]), *taken, body.strip()]) + "\n"


def _source(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def script_takes(shape: Shape, preprocessing: Preprocessing | None, objective: Objective) -> str:
    """What ``predict.py`` is given for such inputs and answers, as a card's command has it; arrays where it must be."""
    if isinstance(as_shape(shape), ImageShape) or script_name(preprocessing, objective) != IMAGES_AND_ARRAYS:
        return "FILE"
    return "INPUTS.npy"


def script_packages(shape: Shape, preprocessing: Preprocessing | None, objective: Objective) -> tuple[str, ...]:
    """The packages that ``predict.py`` needs for such inputs and answers, by the names that people call them."""
    parts = ("first", "second", "tokens")  # of joined tokens, and of rows with a text
    made = [getattr(objective, "target", None), *(getattr(preprocessing, part, preprocessing) for part in parts)]
    needed = {
        "PyTorch": True,
        "Pillow": isinstance(as_shape(shape), ImageShape),
        "tokenizers": any(isinstance(part, BytePairs | PretrainedTokens) for part in made),
    }
    return tuple(name for name, needs in needed.items() if needs)
