"""An Optuna study as the record of a search, and back."""

from __future__ import annotations

import warnings

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState

from lit_metanas.io.text import number_of, printable
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record import SearchRecord, Trial
from lit_metanas.searchers.query.ledger import Ledger
from lit_metanas.searchers.query.study import quiet_optuna
from lit_metanas.spaces.choice_space import PREFIX, ChoiceSpace

IDENTITY = "search"
"""The study's user attribute with the fields of its record, without trials."""
TASK = "task"
"""The user attribute of another program's study that names its task."""


def describe_study(study: optuna.Study, record: SearchRecord) -> None:
    """Write the fields of a record into its study, for later readers."""
    fields = to_plain(record)
    del fields["trials"]
    study.set_user_attr(IDENTITY, fields)
    with quiet_optuna():
        study.set_metric_names(list(record.objectives))


def record_of(
    study: optuna.Study, space: ChoiceSpace | None = None, *, task: str = "", prefix: str = PREFIX
) -> SearchRecord:
    """The record of a study, exact for this project's searches, and as complete as possible for other studies.

    In other studies the first objective is the score, with the opposite sign if it is minimised. Each completed or
    pruned trial cost one query. Failed trials, and trials without an architecture of the space, are left out; a warning
    counts the latter.

    Args:
        study: of one task. Several studies of one task are one source for methods that learn from their records.
        space: the space of the parameters; only this project's searches know their own.
        task: the task's id; by default the study's user attribute ``task``, or else the study's name.
        prefix: of the parameters of another program's trials that are choices.

    Raises:
        ValueError: no trial has an architecture, the space is missing, or the study's attributes cannot be read.

    Example:
        >>> import optuna
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> class Depths(lm.spaces.ChoiceSpace):
        ...     choices = (lm.spaces.Choice("depth", (1, 2, 3)),)
        >>> study = optuna.create_study(study_name="letters")
        >>> study.optimize(lambda trial: 1 / trial.suggest_int("depth", 1, 3), n_trials=1)
        >>> lm.searchers.record_of(study, Depths(), prefix="").choices
        {'depth': ('1', '2', '3')}
    """
    try:
        if IDENTITY in study.user_attrs:
            record = from_plain(SearchRecord, study.user_attrs[IDENTITY], f"study '{study.study_name}'")
            record.task_id = task or record.task_id
            Ledger(Budget(), record).read(study.get_trials(deepcopy=False))
        elif space is None:
            raise ValueError("give the space of its parameters.")
        else:
            record = _foreign_record(study, space, task, prefix)
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(f"The study '{study.study_name}' cannot be read: {error}") from None
    if not record.trials:
        raise ValueError(f"The study '{study.study_name}' has no finished trial.")
    return record


def _foreign_record(study: optuna.Study, space: ChoiceSpace, task: str, prefix: str) -> SearchRecord:
    """The record of another program's study."""
    record = SearchRecord(str(task or study.user_attrs.get(TASK) or study.study_name), space=space.name)
    record.choices = {choice.name: space.proposed_labels(choice) for choice in space.choices}
    if record.task_id != study.study_name:
        record.method = study.study_name  # merged files keep one search of a task, space, method and seed
    sign = 1.0 if study.directions[0] == StudyDirection.MAXIMIZE else -1.0
    lost: list[str] = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        if not trial.values:
            continue
        try:
            architecture = space.from_parameters(trial.params, prefix)
        except ValueError as error:
            lost.append(printable(str(error), 300))
            continue
        cost, pruned = Cost(queries=len(record.trials) + 1), trial.state == TrialState.PRUNED
        record.trials.append(Trial(architecture, sign * trial.values[0], cost, pruned=pruned))
    if lost and not record.trials:
        raise ValueError(f"no trial has an architecture of {space.name}. {lost[0]} Give its space and prefix.")
    if lost:
        number = number_of(len(lost) + len(record.trials), "trial")
        left_out = f"The record leaves out {len(lost)} of {number} of the study '{study.study_name}': {lost[0]}"
        warnings.warn(left_out, stacklevel=3)
    return record
