"""An Optuna study as the record of a search, and back."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from lit_metanas.io.text import number_of, printable
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record import SearchRecord, Trial
from lit_metanas.searchers.query.ledger import Ledger, Query, trial_attributes
from lit_metanas.searchers.query.study import quiet_optuna
from lit_metanas.searchers.samplers.memory import EMBEDDING, embedding_of
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace

IDENTITY = "search"
"""The study's user attribute that says what it searched: the fields of a record but for trials and embedding."""
TASK = "task"
"""The user attribute of anyone's study that names its task."""
LONGEST_RANGE = 1000
"""Of the integers of a range that are listed as a choice's labels."""


def describe_study(study: optuna.Study, record: SearchRecord) -> None:
    """Write into a study what it searches, for who reads it later and for samplers that look at the task."""
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
    """The record of a study: what this project's searches tried exactly, anyone's trials as far as they tell.

    In anyone's trials the parameters that are named so are the architecture, the first objective is the score (with
    the opposite sign where it is minimised), and each completed or pruned trial cost one query. Failed ones, and
    trials without an architecture, are left out; a warning tells of those with a label that the space lacks.

    Args:
        study: of one task. Several studies of one task are one source for those who learn from their records.
        space: whose choices the parameters are; None takes all whose names begin with ``prefix``, but for floats
            without steps, of which a warning tells.
        task: the task's id; where it is empty the study's user attribute ``task`` tells it, or the study's name.
        prefix: of the parameters of anyone's trials that are choices.

    Raises:
        ValueError: no trial has an architecture, or what the study says of itself cannot be read.

    Example:
        >>> import optuna
        >>> import lit_metanas as lm
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> study = optuna.create_study(study_name="letters, 1")
        >>> study.optimize(lambda trial: 1 / trial.suggest_int("depth", 1, 3), n_trials=1)
        >>> record = lm.record_of(study, task="letters", prefix="")
        >>> record.task_id, record.choices
        ('letters', {'depth': ('1', '2', '3')})
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
            told = str(task or study.user_attrs.get(TASK) or study.study_name)
            # Searches of one task, space and method under one seed count as one where files of records are merged.
            method = "" if told == study.study_name else study.study_name
            record = SearchRecord(told, method=method, choices=_choices(trials, prefix))
            if space is not None:
                record.space = space.name
                record.choices = {choice.name: space.proposed_labels(choice) for choice in space.choices}
        record.embedding = embedding_of(study)
        Ledger(Budget(), record).read(trials)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"The study '{study.study_name}' cannot be read: {error}") from None
    if not record.trials:
        raise ValueError(f"The study '{study.study_name}' has {_describe_absence(found, space, prefix)}.")
    _warn_of_losses(study.study_name, [trial for trial in found if not _is_ours(trial)], space, prefix)
    return record


def _describe_absence(trials: Sequence[FrozenTrial], space: ChoiceSpace | None, prefix: str) -> str:
    """Why no trial of a study has an architecture, and with which prefix one has, as a sentence goes on."""
    wanted = f"whose names begin with '{prefix}'" if space is None else f"'{prefix}' and a choice of {space.name}"
    absence = f"no finished trial with an architecture, that is with parameters {wanted}"
    scored = [trial for trial in trials if _is_scored(trial)]
    names = list(dict.fromkeys(name for trial in scored for name in trial.params))
    if not names:
        return absence
    choices = [""] if space is None else [choice.name for choice in space.choices]
    others = {name.removesuffix(choice) for name in names for choice in choices if choice and name.endswith(choice)}
    fixes = sorted(other for other in {"", *others} - {prefix} if any(_labels(one, space, other) for one in scored))
    if fixes:
        fix = f": give prefix='{fixes[0]}', on the command line --prefix '{fixes[0]}'"
    elif space is not None and (lost := _find_lost(scored, space, prefix)):
        fix = f", and {lost[0].rstrip('.')}"
    else:
        fix = ", and a float is no choice" if any(_floats(one, prefix) for one in scored) else ""
    shown = ", ".join(f"'{printable(name, 60)}'" for name in names[:10])
    return f"{absence}; it has {shown}{', …' if names[10:] else ''}{fix}"


def _warn_of_losses(study: str, trials: Sequence[FrozenTrial], space: ChoiceSpace | None, prefix: str) -> None:
    """Tell what of anyone's trials does not get into the record, though it looks as if it should."""
    scored = [trial for trial in trials if _is_scored(trial)]
    if space is None:
        if floats := list(dict.fromkeys(name for trial in scored for name in _floats(trial, prefix))):
            named = ", ".join(f"'{printable(name, 60)}'" for name in floats[:10])
            warnings.warn(f"Left out of the record, as a float is no choice: {named}.", stacklevel=3)
    elif lost := _find_lost(scored, space, prefix):
        told, number = lost
        warnings.warn(
            f"The record leaves out {number} of {number_of(len(scored), 'trial')} of the study '{study}' for {told}",
            stacklevel=3,
        )


def _find_lost(trials: Sequence[FrozenTrial], space: ChoiceSpace, prefix: str) -> tuple[str, int] | None:
    """The label that a space lacks and most trials have, as a sentence ends with it, and how many trials have any."""
    lacking: Counter[str] = Counter()
    lost = set()
    for trial in trials:
        for choice in space.choices:
            if (name := prefix + choice.name) in trial.params and choice.label_of(trial.params[name]) is None:
                lacking[choice.lacks(trial.params[name])] += 1
                lost.add(trial.number)
    if not lacking:
        return None
    told, _ = lacking.most_common(1)[0]
    others = f" {space.name} lacks {number_of(len(lacking) - 1, 'other label')}, too." if len(lacking) > 1 else ""
    return told + others, len(lost)


def add_study(record: SearchRecord, name: str, storage: str | BaseStorage | None, prefix: str = PREFIX) -> optuna.Study:
    """Make a study whose finished trials are those of a record, in its order, for any sampler and Optuna's dashboard.

    The parameters are the choices, named with the prefix, inactive ones with their first label. A trial whose score is
    not a number is a failed one.

    Raises:
        optuna.exceptions.DuplicatedStudyError: there is a study of that name.
    """
    directions = [StudyDirection.MAXIMIZE, *(StudyDirection.MINIMIZE for _ in record.objectives[1:])]
    study = optuna.create_study(study_name=name, storage=storage, directions=directions)
    describe_study(study, record)
    distributions = _distributions(record, prefix)
    before = Cost()
    for trial in record.trials:
        labels = {prefix + choice: label for choice, label in trial.architecture.items()}
        parameters = {name: labels.get(name, kind.choices[0]) for name, kind in distributions.items()}
        study.add_trial(_frozen_trial(trial, before, record.objectives, parameters, distributions))
        before = trial.cost
    return study


def _frozen_trial(
    trial: Trial,
    before: Cost,
    objectives: Sequence[str],
    parameters: dict[str, Any],
    distributions: dict[str, CategoricalDistribution],
) -> FrozenTrial:
    """Optuna's form of a trial, after a search that had cost so much."""
    cost = Cost(
        queries=trial.cost.queries - before.queries,
        steps=trial.cost.steps - before.steps,
        images=trial.cost.images - before.images,
        flops=trial.cost.flops - before.flops,
        seconds=trial.cost.seconds - before.seconds,
    )
    query = Query.of(trial.architecture, trial.recipe)
    attributes = trial_attributes(
        query, cost, measures=trial.measures, fidelity=trial.fidelity, training_flops=trial.trained
    )
    attributes["duplicate"] = trial.duplicate
    if trial.failure or math.isnan(trial.value):
        state, values = TrialState.FAIL, []
        attributes["failure"] = trial.failure or "its score is not a number"
    else:
        state = TrialState.PRUNED if trial.pruned else TrialState.COMPLETE
        values = [trial.value, *(trial.measures[name] for name in objectives[1:])]
    return create_trial(
        state=state,
        values=values or None,
        params=parameters,
        distributions=dict(distributions),
        user_attrs=attributes,
        # What a pruner compares: percent of the training.
        intermediate_values={max(1, round(100 * (trial.fidelity or 1))): trial.value} if trial.pruned else None,
    )


def _distributions(record: SearchRecord, prefix: str) -> dict[str, CategoricalDistribution]:
    """What could be chosen, and labels beyond it that were."""
    labels = {name: list(given) for name, given in record.choices.items()}
    for trial in record.trials:
        for name, label in trial.architecture.items():
            if label not in labels.setdefault(name, []):
                labels[name].append(label)
    return {prefix + name: CategoricalDistribution(given) for name, given in labels.items()}


def _explain(trial: FrozenTrial, sign: float, labels_of: Callable[[FrozenTrial], Mapping[str, str]]) -> FrozenTrial:
    """A trial that says what a ledger reads: itself, if it is of this project, else what anyone's trial tells."""
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
    """An architecture, by choice; nothing where the parameters tell of none."""
    if space is None:
        floats = _floats(trial, prefix)
        named = {name: value for name, value in trial.params.items() if name.startswith(prefix) and name not in floats}
        return {name.removeprefix(prefix): str(value) for name, value in named.items()}
    try:
        return space.from_parameters(trial.params, prefix)
    except ValueError:
        return {}


def _floats(trial: FrozenTrial, prefix: str) -> list[str]:
    """The parameters that would be choices by their names, but can have any value of a range."""
    kinds = {name: kind for name, kind in trial.distributions.items() if name.startswith(prefix)}
    return [name for name, kind in kinds.items() if isinstance(kind, FloatDistribution) and kind.step is None]


def _choices(trials: Sequence[FrozenTrial], prefix: str) -> dict[str, tuple[str, ...]]:
    """What could be chosen, as the trials' parameters tell."""
    kinds = {name: kind for trial in trials for name, kind in trial.distributions.items() if name.startswith(prefix)}
    found = {name.removeprefix(prefix): _values(kind) for name, kind in kinds.items()}
    return {name: tuple(map(str, values)) for name, values in found.items() if values}


def _values(kind: BaseDistribution) -> Sequence[Any]:
    """All that a parameter can be, where they are few."""
    if isinstance(kind, CategoricalDistribution):
        return kind.choices
    if isinstance(kind, IntDistribution):
        values = range(kind.low, kind.high + 1, kind.step)
        return values if len(values) <= LONGEST_RANGE else ()
    return ()
