"""The script of an export, ``predict.py``: which one stands there, what it takes, and what it needs."""

from __future__ import annotations

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import ImageShape, Shape, as_shape
from lit_metanas.kinds.rows import Columns, TextRows
from lit_metanas.kinds.series import ScaledSeries
from lit_metanas.kinds.sounds import LogMel
from lit_metanas.kinds.texts.byte_pairs import BytePairs
from lit_metanas.kinds.texts.joined_tokens import JOINABLE, JoinedTokens
from lit_metanas.kinds.texts.pretrained_tokens import PretrainedTokens
from lit_metanas.objectives import Translation
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.objectives.transcription import Transcription

IMAGES_AND_ARRAYS = "standalone_predict.py"
"""The script for all inputs and answers that have none of their own."""


def script_name(preprocessing: Preprocessing | None, objective: Objective) -> str:
    """The script for such inputs and answers. Each stands alone in its folder, so they repeat how a program is run."""
    made = getattr(preprocessing, "kind", "")
    texts = {each.kind for each in JOINABLE}
    one_answer = isinstance(objective, Classification | SeveralLabels | Regression)
    if one_answer and made in {*texts, JoinedTokens.kind}:
        return "standalone_texts.py"
    if isinstance(objective, Translation) and {made, objective.target.kind} <= texts:
        return "standalone_pairs.py"
    if one_answer and made in (Columns.kind, TextRows.kind):
        return "standalone_rows.py"
    if one_answer and made == ScaledSeries.kind:
        return "standalone_series.py"
    if made == LogMel.kind and (one_answer or isinstance(objective, Transcription)):
        return "standalone_sounds.py"
    return IMAGES_AND_ARRAYS


def script_takes(shape: Shape, preprocessing: Preprocessing | None, objective: Objective) -> str:
    """What ``predict.py`` is given for such inputs and answers, as a card's command has it; arrays where it must be."""
    if isinstance(as_shape(shape), ImageShape) or script_name(preprocessing, objective) != IMAGES_AND_ARRAYS:
        return "FILE"
    return "INPUTS.npy"


def script_packages(shape: Shape, preprocessing: Preprocessing | None, objective: Objective) -> tuple[str, ...]:
    """The packages that ``predict.py`` needs for such inputs and answers, by the names that people call them."""
    parts = ("first", "second", "tokens")  # of joined tokens, and of rows with a text
    made = [getattr(preprocessing, part, preprocessing) for part in parts]
    made.append(getattr(objective, "target", None))
    packages = ["PyTorch"]
    if isinstance(as_shape(shape), ImageShape):
        packages.append("Pillow")
    if any(isinstance(part, BytePairs | PretrainedTokens) for part in made):
        packages.append("tokenizers")
    return tuple(packages)
