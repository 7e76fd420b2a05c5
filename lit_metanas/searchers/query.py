"""Search by queries: an Optuna study of one task."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict
from time import perf_counter

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from lit_metanas.episodes.task import Task
from lit_metanas.estimators.estimator import Estimator, EstimatorCallable, Score
from lit_metanas.estimators.training import TrainingEstimator
from lit_metanas.records.budget import Budget, Cost, Exhausted
from lit_metanas.records.record import Found, Record, Trial
from lit_metanas.searchers.reseed import reseed
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace


class QuerySearcher(Searcher):
    """Asks a sampler for architectures and an estimator for their scores, until the budget is spent.

    A known architecture costs nothing and is recorded as a duplicate. One that cannot be built is a pruned trial at
    no cost. The search ends before the first architecture that the budget cannot pay. Random search is this with a
    ``RandomSampler``, Bayesian search with a ``TPESampler`` or ``GPSampler``.

    Args:
        sampler: any of Optuna's samplers; it is seeded anew from (seed, trial number) before each trial, so that a
            resumed search goes on as an uninterrupted one. None draws at random.
        estimator: makes the estimator of a task.
        fidelity: share of the full training that each architecture gets.
        trials: most trials, free ones counted; None leaves the end to the budget.
        patience: trials at no cost in a row after which the space counts as exhausted.
        storage: address of Optuna's storage, such as ``sqlite:///studies.db``, in which an interrupted search is
            found and resumed by one process at a time; None keeps the study in memory.
        study: a name that tells this searcher's studies from others in one storage.
    """

    def __init__(
        self,
        *,
        sampler: BaseSampler | None = None,
        estimator: EstimatorCallable = TrainingEstimator,
        fidelity: float = 1.0,
        trials: int | None = None,
        patience: int = 100,
        storage: str | None = None,
        study: str = "",
    ) -> None:
        if not 0 < fidelity <= 1:
            raise ValueError(f"The fidelity {fidelity} is not a share: give a number above 0 and at most 1.")
        if patience < 1:
            raise ValueError(f"The patience {patience} is below 1: give at least one trial.")
        self.sampler = sampler or RandomSampler()
        self.estimator = estimator
        self.fidelity = fidelity
        self.trials = trials
        self.patience = patience
        self.storage = storage
        self.study = study

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        """Run, or resume, the study of this task."""
        return self.run(self.estimator(task, space, seed), space, budget, seed, problem=task.id)

    def run(self, estimator: Estimator, space: SearchSpace, budget: Budget, seed: int, *, problem: str) -> Found:
        """Run, or resume, the study of whatever problem the estimator holds.

        Args:
            estimator: scores architectures on the problem.
            space: what can be chosen.
            budget: never overdrawn.
            seed: of all draws.
            problem: the problem's name in the record and in the storage.

        Raises:
            ValueError: the stored study was made under other settings, or the budget pays for no architecture.
        """
        with quiet():
            study = self._open(problem, space, seed, estimator)
            run = _Run(study, space, budget, Record(problem))
            go_on = run.replay()
            while go_on and run.free < self.patience and (self.trials is None or run.told < self.trials):
                # Samplers remember their study and their last fit: a new copy draws from the stored trials alone.
                study.sampler = deepcopy(self.sampler)
                reseed(study.sampler, seed, run.told)
                go_on = run.tell(study.ask(), estimator, self.fidelity)
        best = run.record.best
        weights = run.scores[best.architecture].weights if best.architecture in run.scores else None
        return Found(best.architecture, weights, run.record)

    def _open(self, problem: str, space: SearchSpace, seed: int, estimator: Estimator) -> optuna.Study:
        """Make the study, or find it in the storage and check that it is the same search."""
        settings = {
            "choices": {choice.name: list(choice.labels) for choice in space.choices},
            "estimator": {"name": type(estimator).__name__, **estimator.settings},
            "sampler": type(self.sampler).__name__,
            "fidelity": self.fidelity,
        }
        name = "/".join(part for part in (self.study, problem, space.name, f"seed {seed}") if part)
        study = optuna.create_study(
            study_name=name,
            storage=self.storage,
            sampler=deepcopy(self.sampler),
            direction="maximize",
            load_if_exists=True,
        )
        text = json.dumps(settings, sort_keys=True)
        if study.user_attrs.get("settings", text) != text:
            raise ValueError(
                f"The study '{name}' in {self.storage} was made with another space, estimator, sampler or fidelity: "
                "give the settings it was made with, or another name in 'study'."
            )
        study.set_user_attr("settings", text)
        return study


class _Run:
    """The state of one search: what is known, and what was spent."""

    def __init__(self, study: optuna.Study, space: SearchSpace, budget: Budget, record: Record) -> None:
        self.study = study
        self.space = space
        self.budget = budget
        self.record = record
        self.known: dict[Architecture, float] = {}
        self.scores: dict[Architecture, Score] = {}
        self.told = 0
        self.free = 0

    def replay(self) -> bool:
        """Charge the budget for what an interrupted search did, and give up what it had not finished.

        Returns:
            Whether the budget paid for all of it.
        """
        try:
            for trial in self.study.get_trials(deepcopy=False):
                if not trial.state.is_finished():
                    self.study.tell(trial.number, state=TrialState.FAIL)
                elif trial.state == TrialState.PRUNED:
                    self._count(free=True)
                elif trial.state == TrialState.COMPLETE:
                    self._replay(trial)
        except Exhausted:
            return False
        return True

    def _replay(self, trial: FrozenTrial) -> None:
        assert trial.value is not None
        self.budget.charge(Cost(**trial.user_attrs["cost"]))
        self._keep(Architecture(trial.user_attrs["architecture"]), trial.value)

    def tell(self, trial: optuna.Trial, estimator: Estimator, fidelity: float) -> bool:
        """Score one trial; return whether the budget could pay it."""
        architecture = self.space.suggest(trial)
        if (reason := self.space.violation(architecture)) is not None:
            trial.set_user_attr("violation", reason)
            self.study.tell(trial, state=TrialState.PRUNED)
            self._count(free=True)
            return True
        duplicate = architecture in self.known
        cost = Cost()
        if not duplicate:
            if not self.budget.affords(estimator.cost(architecture, fidelity)):
                self.study.tell(trial, state=TrialState.FAIL)
                return False
            begin = perf_counter()
            score = estimator(architecture, fidelity=fidelity)
            cost = score.cost + Cost(seconds=perf_counter() - begin - score.cost.seconds)
            self.budget.charge(cost)
            self._remember(architecture, score)
        value = self.known[architecture] if duplicate else self.scores[architecture].value
        trial.set_user_attr("architecture", architecture.to_json())
        trial.set_user_attr("cost", asdict(cost))
        self.study.tell(trial, value)
        self._keep(architecture, value)
        return True

    def _remember(self, architecture: Architecture, score: Score) -> None:
        """Keep a score; of the weights, only those of the best."""
        best = max(self.known.values(), default=float("-inf"))
        if score.value > best:
            self.scores = {architecture: score}
        else:
            self.scores[architecture] = Score(score.value, score.cost)

    def _keep(self, architecture: Architecture, value: float) -> None:
        duplicate = architecture in self.known
        self._count(free=duplicate)
        self.known[architecture] = value
        self.record.trials.append(Trial(architecture, value, self.budget.spent, duplicate))

    def _count(self, *, free: bool) -> None:
        self.told += 1
        self.free = self.free + 1 if free else 0


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from reporting each trial."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
