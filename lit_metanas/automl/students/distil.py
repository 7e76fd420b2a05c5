"""``distil``: a small network that learns from an exported model, in Python and in the shell."""

from __future__ import annotations

import os
from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any

from lit_metanas.automl.calls import auto_verb, run_auto, with_keys
from lit_metanas.automl.options import NOT_OF_STUDENTS, STUDENT_FOLDER, AutoOptions, shell_options, with_options
from lit_metanas.comparisons.search_result import SearchResult

DISTIL = """Search and train a small network that learns from an exported model.

    The model, the teacher, is the folder of an export, such as that of an ensemble. It is run once on the examples that
    are learned from and chosen by, with its own preprocessing. The new network, the student, learns what the teacher
    says of them, next to their labels (``objectives.Distillation``), and what it says of ``unlabelled`` ones. The
    search chooses by agreement with the teacher, within the limits: 500 kB if none is given. The result's ``teacher``
    compares both on the same test examples. All else is as in ``auto``.

    Args:
        model: the teacher's folder.
        {options}

    Raises:
        FileNotFoundError: there are no such data, or there is no such model.
        ValueError: the model is for other data or classes, an option or the data are wrong, nothing is within the
            limits, the budget is too small, or the output is in use or holds something else.
        KeyboardInterrupt: Ctrl-C came before there was any network.
        RuntimeError: all trainings fail.

    Example:
        >>> import numpy as np
        >>> X, y = np.random.rand(40, 8, 8), ["cat", "dog"] * 20
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> lm.export_child(network, "big", architecture=dict(), classes=("cat", "dog"), shape=(1, 8, 8))
        >>> result = lm.distil("big", (X, y), flops=1e8, max_parameters=5_000, progress=False)
        >>> result.parameters <= 5_000, 0 <= result.teacher.agreement <= 1
        (True, True)
    """


def _with_options(function: Callable[..., SearchResult]) -> Callable[..., SearchResult]:
    """A function of a model with the signature of its student's options."""
    first = Parameter("model", Parameter.POSITIONAL_OR_KEYWORD, annotation="str | os.PathLike[str]")
    others = [one for name, one in signature(AutoOptions).parameters.items() if name not in NOT_OF_STUDENTS]
    vars(function)["__signature__"] = Signature([first, *others], return_annotation="SearchResult")
    function.__doc__ = with_options(DISTIL, NOT_OF_STUDENTS)
    return function


@_with_options
def distil(model: str | os.PathLike[str], data: Any, **options: Any) -> SearchResult:
    """The function of ``DISTIL``."""
    return run_auto(AutoOptions(data, teacher=model, **options))


@with_keys({"model": (str, Parameter.empty), **shell_options(NOT_OF_STUDENTS, output=STUDENT_FOLDER)})
def distil_verb(*, began: float, model: str, **given: Any) -> None:
    """The verb ``distil``: its keys are the model, and the options of its student; see ``auto_verb``."""
    auto_verb(began=began, teacher=model, **given)
