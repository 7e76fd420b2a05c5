"""What networks are trained for, and judged by."""

from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.distillation import Distillation
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.objectives.step_objectives import Span, Transcription
from lit_metanas.objectives.translation import Translation

__all__ = [
    "Classification",
    "Distillation",
    "Objective",
    "Regression",
    "SeveralLabels",
    "Span",
    "Transcription",
    "Translation",
]
