"""An Optuna study as the record of a search, and back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.io.text import number_of, printable
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record import SearchRecord
from lit_metanas.searchers.query.ledger import Ledger, Query, trial_attributes
from lit_metanas.searchers.query.study import quiet_optuna
from lit_metanas.searchers.samplers.memory import EMBEDDING, embedding_of
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace

IDENTITY = "search"
"""The study's user attribute with the fields of its record, without trials and embedding."""
TASK = "task"
"""The user attribute of another program's study that names its task."""
LONGEST_RANGE = 1000
"""Longest range of integers that are listed as a choice's labels."""


def describe_study(study: optuna.Study, record: SearchRecord) -> None:
    """Write the fields of a record into its study, for later readers and for samplers that use the embedding."""
    fields = to_plain(replace(record, trials=[], embedding=()))
    del fields["trials"], fields["embedding"]
    study.set_user_attr(IDENTITY, fields)
    with quiet_optuna():
        study.set_metric_names(list(record.objectives))
    if record.embedding:
        study.set_user_attr(EMBEDDING, list(record.embedding))


def record_of(
    study: optuna.Study, space: ChoiceSpace | None = None, *, task: str = "", prefix: str = PREFIX
) -> SearchRecord:
    """The record of a study, exact for this project's searches, and as complete as possible for other studies.

    In other studies the architecture is the parameters whose names begin with the prefix. The first objective is the
    score, with the opposite sign if it is minimised. Each completed or pruned trial cost one query. Failed trials, and
    trials without an architecture, are left out; a warning counts those with a label that the space lacks.

    Args:
        study: of one task. Several studies of one task are one source for methods that learn from their records.
        space: the space of the parameters. None takes all parameters with the prefix, except floats without steps.
        task: the task's id; by default the study's user attribute ``task``, or else the study's name.
        prefix: of the parameters of another program's trials that are choices.

    Raises:
        ValueError: no trial has an architecture, or the study's attributes cannot be read.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = optuna.create_study(study_name="letters")
        >>> study.optimize(lambda trial: 1 / trial.suggest_int("depth", 1, 3), n_trials=1)
        >>> lm.searchers.record_of(study, prefix="").choices
        {'depth': ('1', '2', '3')}
    """
    if not study.directions:
        raise ValueError(f"The study '{study.study_name}' cannot be read: it does not say what it maximises.")
    sign = 1.0 if study.directions[0] == StudyDirection.MAXIMIZE else -1.0
    found = study.get_trials(deepcopy=False)
    trials = [_explain(trial, sign, lambda one: _labels(one, space, prefix)) for trial in found]
    try:
        if IDENTITY in study.user_attrs:
            record = from_plain(SearchRecord, study.user_attrs[IDENTITY], f"study '{study.study_name}'")
            record.task_id = task or record.task_id
        else:
            record = SearchRecord(str(task or study.user_attrs.get(TASK) or study.study_name))
            record.choices = _choices(trials, prefix)
            if record.task_id != study.study_name:
                record.method = study.study_name  # merged files keep one search of a task, space, method and seed
            if space is not None:
                record.space = space.name
                record.choices = {choice.name: space.proposed_labels(choice) for choice in space.choices}
        record.embedding = embedding_of(study)
        Ledger(Budget(), record).read(trials)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"The study '{study.study_name}' cannot be read: {error}") from None
    if not record.trials:
        raise ValueError(f"The study '{study.study_name}' has {_describe_absence(found, space, prefix)}.")
    scored = [trial for trial in found if _is_scored(trial) and not _is_ours(trial)]
    if reasons := _lacking(scored, space, prefix):
        warnings.warn(
            f"The record leaves out {len(reasons)} of {number_of(len(scored), 'trial')} of the study "
            f"'{study.study_name}' for {reasons[0]}",
            stacklevel=2,
        )
    return record


def _describe_absence(trials: Sequence[FrozenTrial], space: ChoiceSpace | None, prefix: str) -> str:
    """The end of a sentence: why no trial has an architecture."""
    absence = "no finished trial with an architecture"
    scored = [trial for trial in trials if _is_scored(trial)]
    if reasons := _lacking(scored, space, prefix):
        return f"{absence}: {reasons[0].rstrip('.')}"
    names = list(dict.fromkeys(printable(name, 60) for trial in scored for name in trial.params))
    shown = ", ".join(f"'{name}'" for name in names[:10]) or "no parameters"
    return f"{absence}, whose parameters begin with '{prefix}'; it has {shown}: give their prefix (--prefix)"


def _lacking(trials: Sequence[FrozenTrial], space: ChoiceSpace | None, prefix: str) -> list[str]:
    """For each trial with a label that the space lacks, the first such label, as the end of a sentence."""
    if space is None:
        return []
    found: dict[int, str] = {}
    for trial in trials:
        for choice in space.choices:
            if (name := prefix + choice.name) in trial.params and choice.label_of(trial.params[name]) is None:
                found.setdefault(trial.number, choice.lacks(trial.params[name]))
    return list(found.values())


def _explain(trial: FrozenTrial, sign: float, labels_of: Callable[[FrozenTrial], Mapping[str, str]]) -> FrozenTrial:
    """A trial with the attributes that a ledger reads: its own, or those that its parameters give."""
    if _is_ours(trial):
        return trial
    explained = copy(trial)
    labels = labels_of(trial)
    if labels and _is_scored(trial):
        explained.user_attrs = trial_attributes(Query.of(labels, {}), Cost(queries=1), measures={}, fidelity=None)
        explained.values = [sign * trial.values[0]]
    else:
        explained.state, explained.user_attrs = TrialState.FAIL, {}
    return explained


def _is_ours(trial: FrozenTrial) -> bool:
    """Whether a search of this project wrote the trial."""
    kept = trial.user_attrs
    refused = trial.state == TrialState.PRUNED and ("violation" in kept or "constraint" in kept)
    return refused or (isinstance(kept.get("architecture"), Mapping) and isinstance(kept.get("cost"), Mapping))


def _is_scored(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and bool(trial.values)


def _labels(trial: FrozenTrial, space: ChoiceSpace | None, prefix: str) -> Mapping[str, str]:
    """An architecture, by choice; empty if the parameters give none."""
    if space is None:
        floats = _floats(trial, prefix)
        named = {name: value for name, value in trial.params.items() if name.startswith(prefix) and name not in floats}
        return {name.removeprefix(prefix): str(value) for name, value in named.items()}
    try:
        return space.from_parameters(trial.params, prefix)
    except ValueError:
        return {}


def _floats(trial: FrozenTrial, prefix: str) -> list[str]:
    """The parameters that are choices by their names, and can have any value of a range."""
    kinds = {name: kind for name, kind in trial.distributions.items() if name.startswith(prefix)}
    return [name for name, kind in kinds.items() if isinstance(kind, FloatDistribution) and kind.step is None]


def _choices(trials: Sequence[FrozenTrial], prefix: str) -> dict[str, tuple[str, ...]]:
    """The choices of the trials, with the values that their parameters could have."""
    kinds = {name: kind for trial in trials for name, kind in trial.distributions.items() if name.startswith(prefix)}
    found = {name.removeprefix(prefix): _values(kind) for name, kind in kinds.items()}
    return {name: tuple(map(str, values)) for name, values in found.items() if values}


def _values(kind: BaseDistribution) -> Sequence[Any]:
    """All values of a parameter; none if they are many."""
    if isinstance(kind, CategoricalDistribution):
        return kind.choices
    if isinstance(kind, IntDistribution):
        values = range(kind.low, kind.high + 1, kind.step)
        if len(values) <= LONGEST_RANGE:
            return values
    return ()
