"""What all searches behind scikit-learn's interface have in common: arguments, search, export, pickles."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict
from io import BytesIO
from typing import Any, Self

import torch
from torch import Tensor, nn

from lit_metanas.automl.calls import auto
from lit_metanas.comparisons.search_result import PREDICTED_AT_ONCE, SearchResult
from lit_metanas.comparisons.single_task import search
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import KindShape, plain_shape, read_shape
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.kind import kind_named
from lit_metanas.kinds.stored_preprocessing import read_preprocessing
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.stored_objectives import describe_objective, read_objective
from lit_metanas.records.budget import Cost
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.any_input import LinearSpace
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import Recipe, WithLinear, build_network, examples_at_once
from lit_metanas.training.export.exported_program import export_child
from lit_metanas.training.trainers import torch_threads

try:
    from sklearn.base import BaseEstimator
except ImportError:  # which an estimator tells when one is made
    BaseEstimator = type("BaseEstimator", (), {})


class AutoEstimator(BaseEstimator):
    """A search as one of scikit-learn's estimators: the arguments are those of ``AutoClassifier``, without its start.

    Attributes:
        kind_: of the examples, by the names of ``auto``.
        shape_: of one input.
        objective_: what the network is trained for.
        preprocessing_: what makes inputs of examples; None of images.
        space_: the name of the space of the network: ``LinearSpace`` where within ``minutes`` a linear model was taken
            alone.
        architecture_: that was chosen, a label for each choice.
        ensemble_: how many networks of it there are, whose scores are averaged.
        linear_: the architecture of a linear model that is averaged with them; None where there is none.
        network_: the trained network; inputs in, scores out.
        val_score_: of the validation examples in the search; NaN where none were scored.
        cost_: of the search.
        budget_: of ``auto``, the training FLOPs of its search and of the training after it: given as ``flops`` they
            repeat the fit, by the same ``random_state``. None where it was stopped, and of other searches.
    """

    start: str | None = None

    def __init__(
        self,
        *,
        minutes: float | None = None,
        flops: float | tuple[float, float] | None = None,
        space: SearchSpace | None = None,
        recipe: Recipe | None = None,
        method: Searcher | None = None,
        validation_fraction: float = 0.2,
        random_state: Any = 0,
        threads: int | None = 1,
        progress: bool = False,
    ) -> None:
        import_extra("sklearn", "sklearn", type(self).__name__)
        self.minutes = minutes
        self.flops = flops
        self.space = space
        self.recipe = recipe
        self.method = method
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.threads = threads
        self.progress = progress

    def export(self, folder: str | os.PathLike[str]) -> None:
        """Write the network as a program that runs with torch alone, its weights, and a description in JSON.

        There is no model card: it would tell a test score, and all examples were learned from.

        Args:
            folder: gets ``model.pt2``, ``weights.pt`` and ``model.json``; see ``load_exported``.

        Raises:
            NotFittedError: ``fit`` was not called.
        """
        self._check_fitted()
        export_child(
            self.network_,
            folder,
            architecture=self.architecture_,
            classes=self._names,
            shape=self.shape_,
            preprocessing=self.preprocessing_,
            objective=self.objective_,
        )

    @property
    @abstractmethod
    def _names(self) -> tuple[str, ...]:
        """Of classes or symbols."""

    def _check_fitted(self) -> None:
        """Refuse to go on before ``fit``.

        Raises:
            NotFittedError: it was not called.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether a fit was finished; one that failed may leave what scikit-learn notes of the examples."""
        return "network_" in vars(self)

    def _drawn_seed(self) -> int:
        """The seed of a fit.

        Raises:
            ValueError: ``validation_fraction`` or ``random_state`` is out of its range.
        """
        from sklearn.utils import check_random_state

        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction = {self.validation_fraction} must be above 0 and below 1.")
        return int(check_random_state(self.random_state).randint(2**31))

    def _learn(self, task: Task, kind: str, seed: int) -> SearchResult:
        """Search, and train what was found on all examples but the test part, which nobody looks at.

        Nothing is changed before the search is finished, so that one that fails leaves an earlier fit as it was.

        Raises:
            ValueError: see ``_search``.
            KeyboardInterrupt: Ctrl-C came before there was any network; one that comes later is for ``_ended`` to tell.
        """
        found = self._search(task, kind, seed)
        self.kind_ = kind
        self.objective_: Objective = task.goal
        self.shape_: KindShape = task.shape
        self.preprocessing_: Preprocessing | None = task.preprocessing
        self.space_, self.architecture_, self.ensemble_ = found.space, found.architecture.to_json(), found.ensemble
        self.linear_ = None if found.linear is None else found.linear.to_json()
        self.network_ = self._scoring(found.network)
        self.val_score_, self.cost_, self.budget_ = found.val_score, found.cost, found.budget
        return found

    def _ended(self, found: SearchResult) -> Self:
        """The estimator, at the end of its fit.

        Raises:
            KeyboardInterrupt: the search was stopped: a grid search would go on, and take this for a whole fit.
        """
        if found.stopped and not found.failure:  # of which a warning has told
            raise KeyboardInterrupt(f"stopped; the {type(self).__name__} is fitted with the best so far.")
        return self

    def _search(self, task: Task, kind: str, seed: int) -> SearchResult:
        """What ``auto`` finds within minutes or two numbers of FLOPs, or ``search`` within one number of them.

        Raises:
            ValueError: there is a budget of ``auto`` and what this decides, or the budget is too small.
        """
        more: dict[str, Any] = {"seed": seed, "threads": self.threads, "progress": self.progress}
        flops = self.flops
        if self.minutes is None and not isinstance(flops, tuple | list):
            if self.start is not None:
                raise ValueError(
                    f"{type(self).__name__}: 'start' is for searches of minutes or of two flops: give these, too, or a "
                    "'method' whose estimator has the start."
                )
            space, method = self._space(kind, task.shape, task.goal), deepcopy(self.method)
            return search(task, space, method=method, flops=flops, recipe=self.recipe, **more)
        budget, both = ("two flops", None) if self.minutes is None else ("minutes", flops)
        given = {"flops": both, "recipe": self.recipe, "method": self.method}
        if wrong := [name for name, value in given.items() if value is not None]:
            raise ValueError(f"{type(self).__name__}: {budget} decide {wrong[0]}, too: give one of them.")
        more |= {"minutes": self.minutes, "flops": flops}
        return auto(task, space=deepcopy(self.space), start=self.start, **more)

    def _space(self, kind: str, shape: KindShape, objective: Objective) -> SearchSpace:
        """A copy of the space, which keeps what it works out, so that the argument stays as it is given."""
        return kind_named(kind).space(shape, objective) if self.space is None else deepcopy(self.space)

    def _scoring(self, network: nn.Module) -> nn.Module:
        """Of rows in double precision, so that what is said of one does not depend on the others."""
        made: Any = network.double() if self.kind_ == "rows" else network
        scoring: nn.Module = made.eval().to(memory_format=torch.channels_last)  # as it was trained
        return scoring

    def _scores(self, inputs: Tensor) -> Iterator[Tensor]:
        """The network's scores of inputs, some at once, so that they do not fill the memory."""
        for part in inputs.split(examples_at_once(self.objective_, PREDICTED_AT_ONCE)):
            with torch.no_grad(), torch_threads(self.threads):
                scores = self.network_(part)
            yield scores

    def __getstate__(self) -> dict[str, Any]:
        """Arguments and plain values; weights as an archive of tensors alone."""
        state = dict(super().__getstate__())
        if "network_" in state:
            archive = BytesIO()
            torch.save(state.pop("network_").state_dict(), archive)
            state["weights_"] = archive.getvalue()
            state["shape_"] = plain_shape(self.shape_)
            state["preprocessing_"] = self.preprocessing_ and self.preprocessing_.described()
            state["objective_"] = describe_objective(self.objective_)
            state["cost_"] = asdict(self.cost_)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The inverse of ``__getstate__``."""
        state = dict(state)
        weights = state.pop("weights_", None)
        super().__setstate__(state)
        if weights is None:
            return
        self.shape_ = read_shape(state["shape_"])
        self.preprocessing_ = state["preprocessing_"] and read_preprocessing(state["preprocessing_"])
        self.objective_ = read_objective(state["objective_"], len(self._names), read_preprocessing)
        self.cost_ = Cost(**state["cost_"])
        with torch.random.fork_rng(devices=[]):
            architecture = Architecture(self.architecture_)
            linear, own = LinearSpace(), self._space(self.kind_, self.shape_, self.objective_)
            if self.space_ not in (own.name, linear.name):
                raise ValueError(f"The network is of {self.space_}, and 'space' is {own.name} now: fit it again.")
            space = own if self.space_ == own.name else linear
            outputs, ensemble = self.objective_.outputs, state.get("ensemble_", 1)
            network = build_network(space, architecture, self.shape_, outputs, ensemble=ensemble)
            if (averaged := state.get("linear_")) is not None:  # of the same inputs, as a task has no others
                network = WithLinear(network, build_network(linear, averaged, self.shape_, outputs))
        self.network_ = self._scoring(network)
        self.network_.load_state_dict(torch.load(BytesIO(weights), weights_only=True))
