"""The Optuna study of one search: made, or found and checked."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection


def open_study(
    name: str,
    *,
    storage: str | BaseStorage | None,
    directions: Sequence[StudyDirection],
    settings: Mapping[str, Any],
    examples: str = "",
) -> optuna.Study:
    """Make a study, or find it in the storage and check that it is the same search.

    Args:
        name: of the study.
        storage: where it is kept; None is memory.
        directions: of the objectives.
        settings: what it must have in common with a study that was found.
        examples: a digest of the task's examples, which must be the same, too, where both are known.

    Raises:
        ValueError: it was made under other settings, or of other examples.
    """
    study = optuna.create_study(study_name=name, storage=storage, directions=list(directions), load_if_exists=True)
    text = json.dumps(settings, sort_keys=True)
    if study.user_attrs.get("settings", text) != text:
        raise ValueError(
            f"The study '{name}' in the storage was made with another space, estimator, sampler, fidelity or goal: "
            "give the settings it was made with, or another name in 'study'."
        )
    study.set_user_attr("settings", text)
    if examples:
        if study.user_attrs.get("examples", examples) != examples:
            raise ValueError(
                f"The study '{name}' in the storage was made of other images or labels under the same task's id: "
                "give those it was made of, or another name in 'study'."
            )
        study.set_user_attr("examples", examples)
    return study


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from reporting each trial, and from warning of what is done with care."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ExperimentalWarning)
            warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used with Study.optimize")
            yield
    finally:
        optuna.logging.set_verbosity(level)
