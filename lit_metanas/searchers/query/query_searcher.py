"""Search by queries: an Optuna study of one task."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from math import inf
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import RDBStorage

from lit_metanas.estimators.estimator import Estimator, EstimatorCallable
from lit_metanas.estimators.training_estimator import TrainingEstimator
from lit_metanas.io.settings import settings_of, tensor_digest
from lit_metanas.io.text import number_of
from lit_metanas.records.record import Budget, Cost, FailedWorkError, SearchOutcome, SearchRecord, TooSmallBudgetError
from lit_metanas.searchers.query.ledger import SCORE, Ledger, Objectives, RecipeRange, check_ranges
from lit_metanas.searchers.query.study import (
    WorkerGroup,
    open_storage,
    open_study,
    quiet_optuna,
    shared_storage,
)
from lit_metanas.searchers.query.trial_loop import TrialLoop
from lit_metanas.searchers.samplers.history_sampler import HistorySampler
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces import ChoiceSpace, SearchSpace
from lit_metanas.spaces.architecture import check_positive
from lit_metanas.tasks.task import Task


class QuerySearcher(Searcher):
    """Asks a sampler for architectures and an estimator for their scores, until the budget is spent.

    A known architecture costs nothing and is recorded as a duplicate. An architecture that cannot be built, breaks a
    constraint, or costs more than the rest of the budget, is a pruned trial at no cost. If its training fails, it is a
    failed trial, charged in full. The search ends when the budget is spent, or is too small for several architectures
    in a row. Random search is this with a ``RandomSampler``, Bayesian search with a ``TPESampler`` or ``GPSampler``.

    Args:
        sampler: any of Optuna's samplers, seeded again from (seed, trial number) before each trial, so that a resumed
            search continues as an uninterrupted one. None draws at random.
        estimator: makes the estimator of a task; None trains each architecture by the default recipe.
        fidelity: share of the full training that each architecture gets.
        objectives: ``accuracy`` (the score) and measures of the estimator that should be small, such as ``parameters``,
            ``flops`` or ``latency``. The most accurate architecture of the Pareto front is chosen.
        constraints: largest values of such measures.
        train: ranges of training hyper-parameters that are searched with the architecture, by field of the recipe.
        failures: number of architectures that may fail in a row before the search is stopped.
        trials: most trials, free ones counted; None leaves the end to the budget.
        patience: the space counts as exhausted after so many trials in a row at no cost.
        refusals: the search ends after so many architectures in a row that cost too much; its outcome counts all of
            them (``untried``).
        storage: address of Optuna's storage, such as ``sqlite:///studies.db``, where an interrupted search is found and
            resumed; None keeps the study in memory.
        study: a name that separates this searcher's studies from others in one storage.
        worker: this process's number if several work on one study at once; None for a single process. Each has another
            number and the same budget, which is the study's. The draws then depend on timing.
        heartbeat: seconds between the heartbeats of a worker's trial. After two missing ones others start it again.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> method = lm.searchers.QuerySearcher(trials=2)
        >>> result = lm.search(task, lm.LayeredSpace(widths=(4,)), method=method, recipe=lm.Recipe(epochs=1))
        >>> len(result.record.trials)
        2
    """

    def __init__(
        self,
        *,
        sampler: BaseSampler | None = None,
        estimator: EstimatorCallable | None = None,
        fidelity: float = 1.0,
        objectives: tuple[str, ...] = (SCORE,),
        constraints: dict[str, float] | None = None,
        train: dict[str, RecipeRange] | None = None,
        failures: int = 3,
        trials: int | None = None,
        patience: int = 100,
        refusals: int = 20,
        storage: str | None = None,
        study: str = "",
        worker: int | None = None,
        heartbeat: int = 30,
    ) -> None:
        counts = {"patience": patience, "refusals": refusals, "failures": failures, "heartbeat": heartbeat}
        if trials is not None:
            counts["trials"] = trials
        check_positive("QuerySearcher", counts)
        if worker is not None and worker < 0:
            raise ValueError(f"Worker {worker} is below 0: give each worker a number of its own, 0 or more.")
        if worker is not None and storage is None:
            raise ValueError(f"Worker {worker} has no study to share: give a storage, such as sqlite:///studies.db.")
        if not 0 < fidelity <= 1:
            raise ValueError(f"The fidelity {fidelity} is not a share: give a number above 0 and at most 1.")
        self.sampler = sampler or RandomSampler()
        self.estimator = estimator
        self.fidelity = fidelity
        self.objectives = tuple(objectives)
        self.constraints = constraints or {}
        self.train = train or {}
        self.failures = failures
        self.trials = trials
        self.patience = patience
        self.refusals = refusals
        self.storage = storage
        self.study = study
        self.worker = worker
        self.heartbeat = heartbeat
        self._goal = Objectives(self.objectives, self.constraints)
        check_ranges(self.train)

    @property
    def meta_cost(self) -> Cost:
        """Cost of the searches that the sampler learned from."""
        return getattr(self.sampler, "meta_cost", Cost())

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Run, or resume, the study of this task."""
        estimator = (self.estimator or TrainingEstimator)(task, space, seed)
        examples = _examples(task) if self.storage else ""
        return self.run(estimator, space, budget, seed, problem=task.id, examples=examples)

    def run(
        self,
        estimator: Estimator,
        space: ChoiceSpace,
        budget: Budget,
        seed: int,
        *,
        problem: str,
        examples: str = "",
    ) -> SearchOutcome:
        """Run, or resume, a study with an estimator, whatever its problem.

        Args:
            estimator: scores architectures on the problem.
            space: its choices are searched.
            budget: never exceeded.
            seed: of all draws.
            problem: the problem's name in the record and in the storage.
            examples: a digest of the problem's examples, which must be that of a stored study.

        Raises:
            ValueError: the stored study has other settings or examples; the budget pays for no architecture, or none
                meets the constraints; the estimator lacks a measure or a recipe; or the sampler was made for another
                space.
            FailedWorkError: too many failed in a row, or everything that was tried.
        """
        self._goal.check(estimator)
        if self.train:
            estimator.with_recipe({name: given.low for name, given in self.train.items()})
        if isinstance(self.sampler, HistorySampler):
            self.sampler.check(space)
        connect = RDBStorage if self.worker is None else partial(shared_storage, heartbeat=self.heartbeat)
        with quiet_optuna(), open_storage(self.storage, connect) as storage:
            record = SearchRecord(
                problem,
                objectives=self.objectives,
                space=space.name,
                choices={choice.name: space.proposed_labels(choice) for choice in space.choices},
                seed=seed,
                method=self.study,
            )
            study = open_study(
                "/".join(part for part in (self.study, problem, space.name, f"seed {seed}") if part),
                record,
                storage=storage,
                settings={**self._settings(space, estimator), "examples": examples},
            )
            group = None
            if self.worker is not None and isinstance(storage, RDBStorage):
                group = WorkerGroup(study, storage, self.heartbeat)
            loop = TrialLoop(
                study=study,
                sampler=self.sampler,
                seeds=tuple(number for number in (seed, self.worker) if number is not None),
                space=space,
                estimator=estimator,
                ledger=Ledger(budget, record),
                goal=self._goal,
                fidelity=self.fidelity,
                ranges=self.train,
                trials=self.trials or inf,
                patience=self.patience,
                refusals=self.refusals,
                failures=self.failures,
                group=group,
            )
            loop.run()
            trials = study.get_trials(deepcopy=False)
            # So that a search with a larger budget starts anew; other processes may still work in a shared study.
            if storage and group is None and trials and all("refusal" in trial.user_attrs for trial in trials):
                optuna.delete_study(study_name=study.study_name, storage=storage)
        return replace(_outcome(loop), meta_cost=estimator.meta_cost, ordinal=estimator.ordinal)

    def _settings(self, space: ChoiceSpace, estimator: Estimator) -> dict[str, Any]:
        return {
            "space": settings_of(space),
            "estimator": {"name": type(estimator).__name__, **estimator.settings},
            "sampler": type(self.sampler).__name__,
            "fidelity": self.fidelity,
            "objectives": self.objectives,
            "constraints": self.constraints,
            "train": {name: asdict(given) for name, given in self.train.items()},
        }


def _examples(task: Task) -> str:
    splits = (split for split in (task.train, task.val) if split is not None)
    return tensor_digest(*(tensor for split in splits for tensor in (split.inputs, split.labels)))


def _outcome(loop: TrialLoop) -> SearchOutcome:
    ledger, record = loop.ledger, loop.ledger.record
    if ledger.reason and not any(trial.scored for trial in record.trials):
        if ledger.refused:
            raise TooSmallBudgetError(
                f"The budget of the search on task '{record.task_id}' paid for no architecture; of the last one that "
                f"was drawn, {ledger.reason}: give a larger budget."
            )
        kind = FailedWorkError if any(trial.failure for trial in record.trials) else ValueError
        raise kind(
            f"The search on task '{record.task_id}' scored no architecture in {number_of(ledger.finished, 'trial')}; "
            f"the last one failed because: {ledger.reason}. Loosen the constraints, or give the search a larger budget "
            "or more patience."
        )
    best, chosen = record.best, ledger.best
    query, weights = loop.trained or (None, None)
    if query != chosen:  # another process trained it, perhaps this one before it was killed
        weights = loop.train_again(chosen) if chosen in ledger.trained else None
    return SearchOutcome(best.architecture, weights, record, best.recipe, untried=len(ledger.untried))
