"""The script of an export, ``predict.py``: which one stands there, what it takes, and what it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import ImageShape, Shape, as_shape
from lit_metanas.kinds import Columns, LogMel, ScaledSeries, TextRows
from lit_metanas.kinds.texts.text_tokens import BytePairs, JoinedTokens, Part, PretrainedTokens
from lit_metanas.objectives import Classification, Objective, Regression, SeveralLabels, Transcription, Translation

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
