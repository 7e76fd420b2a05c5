"""What all searches behind scikit-learn's interface have in common: arguments, search, export, pickles."""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lit_metanas.automl.calls import auto
from lit_metanas.automl.options import PRECISION_OF_FLOPS, shared
from lit_metanas.comparisons.search_result import PREDICTED_AT_ONCE, SearchResult
from lit_metanas.comparisons.single_task import search
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import KindShape, as_shape, plain_shape, read_shape
from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.given_pairs import ExampleKind, check_no_files, kind_of_examples, task_without_test, with_weight
from lit_metanas.kinds.images.image_files import image_tensor
from lit_metanas.kinds.kind import kind_named
from lit_metanas.kinds.labelled_examples import LabelledExamples
from lit_metanas.kinds.rows.cells import as_table, is_mixed
from lit_metanas.kinds.rows.row_tasks import column_names
from lit_metanas.kinds.stored_preprocessing import describe_objective, read_objective, read_preprocessing
from lit_metanas.kinds.texts.table_files import checked_texts
from lit_metanas.kinds.texts.text_tokens import JoinedTokens
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.record import Cost
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.spaces.any_input import LINEAR_SPACES, linear_space_of
from lit_metanas.tasks.labels import AUTO_WEIGHT, Groups, balanced_task
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import examples_at_once
from lit_metanas.training.ensembles import WithLinear, build_network
from lit_metanas.training.export.exported_program import export_child, network_inputs
from lit_metanas.training.precision import AUTO_PRECISION
from lit_metanas.training.recipes import Recipe

try:
    from sklearn.base import BaseEstimator, clone
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
except ImportError:  # an estimator says so when one is made
    BaseEstimator = type("BaseEstimator", (), {})


@dataclass(kw_only=True, eq=False, repr=False)
class AutoEstimator(BaseEstimator):
    """A search for examples in memory, rows, images or texts; see ``AutoClassifier`` for parameters and attributes."""

    minutes: float | None = shared("minutes")
    flops: float | tuple[float, float] | None = shared("flops")
    space: SearchSpace | None = shared("space")
    metric: str | None = shared("metric")
    recipe: Recipe | None = None
    method: Searcher | None = None
    validation_fraction: float = 0.2
    random_state: Any = 0
    threads: int | None = 1
    workers: int | Literal["auto"] = shared("workers")
    precision: str = shared("precision")
    progress: bool = False

    def __post_init__(self) -> None:
        import_extra("sklearn", "sklearn", type(self).__name__)

    def fit(self, X: Any, y: Any, groups: Groups | None = None, sample_weight: Any = None) -> Self:
        """Search, and train what was found.

        Args:
            X: a table ``(n, columns)``; images ``(n, height, width)``, ``(n, channels, height, width)`` or
                ``(n, height, width, channels)``, uint8 or floats in [0, 1]; or texts.
            y: one label an example, or one number; or several, as an array ``(n, outputs)``, of 0 and 1 for labels, as
                by scikit-learn's ``MultiLabelBinarizer``. The probabilities from which on labels are predicted are
                learned on the validation examples with ``minutes`` or two numbers of ``flops``, and else a half.
            groups: which examples belong together, such as those of a patient, one group an example: none is learned
                from while others of its group choose among architectures. None has no groups. With groups there are no
                intervals of numbers.
            sample_weight: how much each example counts in trainings, shape ``(n,)``, from 0 on; one of weight 0 is left
                out. None is 1 each. Validation scores do not depend on it.

        Raises:
            ValueError: see the class.
            KeyboardInterrupt: see the class.
        """
        kind, names, weights = kind_of_examples(X), [str(name) for name in getattr(y, "columns", ())], None
        if kind == "texts":
            check_no_files(X)
        checking = clone(self)  # gets the numbers and names of columns, which are kept where all goes well
        X, y = checking._checked(X, y, kind)
        check_consistent_length(X, y)
        if sample_weight is not None:
            X, y, groups, weights = with_weight(X, y, groups, sample_weight)
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction = {self.validation_fraction} must be above 0 and below 1.")
        seed = int(check_random_state(self.random_state).randint(2**31))
        examples = self._examples(y, kind, groups, names)
        columns = tuple(map(str, getattr(checking, "feature_names_in_", ())))
        task = task_without_test(X, kind, examples, self.validation_fraction, seed, columns, weights)
        task, why = balanced_task(task, self.metric, getattr(self, "class_weight", AUTO_WEIGHT))
        if why and self.progress:
            print(f"{type(self).__name__}: {why}", file=sys.stderr)
        found = self._learn(replace(task, objective=task.goal), kind, seed)  # the metric is decided
        self._keep_labels(y, names, examples, groups is not None)
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(checking, name):
                setattr(self, name, getattr(checking, name))
        if found.stopped and not found.failure:  # a grid search would take it for a whole fit
            raise KeyboardInterrupt(f"stopped; the {type(self).__name__} is fitted with the best so far.")
        return self  # a failure has had its warning

    @abstractmethod
    def _checked(self, X: Any, y: Any, kind: ExampleKind) -> tuple[Any, NDArray[Any]]:
        """Examples with their labels or numbers, as scikit-learn checks them."""

    @abstractmethod
    def _examples(
        self, y: NDArray[Any], kind: ExampleKind, groups: Groups | None, names: Sequence[str]
    ) -> LabelledExamples:
        """What divides the examples; ``names`` are those of the columns of ``y``, if it has any."""

    @abstractmethod
    def _keep_labels(self, y: NDArray[Any], names: Sequence[str], examples: LabelledExamples, grouped: bool) -> None:
        """Keep what predictions are named after, once a fit has succeeded; see ``_examples``."""

    @property
    @abstractmethod
    def _names(self) -> tuple[str, ...]:
        """The names of the classes or targets."""

    def export(self, folder: str | os.PathLike[str]) -> None:
        """Write the network as a program that runs with torch alone, its weights, and a description in JSON.

        There is no model card: it would tell a test score, and all examples were learned from.

        Args:
            folder: gets ``model.pt2``, ``weights.pt`` and ``model.json``; see ``load``.

        Raises:
            NotFittedError: ``fit`` was not called.
        """
        check_is_fitted(self)
        export_child(
            self.network_,
            folder,
            architecture=self.architecture_,
            classes=self._names,
            shape=self.shape_,
            preprocessing=self.preprocessing_,
            objective=self.objective_,
        )

    def __sklearn_is_fitted__(self) -> bool:
        """Whether a fit was finished; one that failed may leave what scikit-learn notes of the examples."""
        return "network_" in vars(self)

    def _learn(self, task: Task, kind: str, seed: int) -> SearchResult:
        """Search, and train what was found on all examples; one that fails leaves an earlier fit as it was."""
        found = self._search(task, kind, seed)
        self.kind_ = kind
        self.objective_: Objective = found.objective
        self.shape_: KindShape = as_shape(found.shape)
        self.preprocessing_: Preprocessing | None = found.preprocessing
        self.space_, self.architecture_, self.ensemble_ = found.space, found.architecture.to_json(), found.ensemble
        self.linear_ = found.linear and found.linear.to_json()
        self.network_ = self._scoring(found.network)
        self.val_score_, self.cost_, self.budget_ = found.val_score, found.cost, found.budget
        self.precision_ = found.precision
        return found

    def _search(self, task: Task, kind: str, seed: int) -> SearchResult:
        """The result of ``auto`` within minutes or two numbers of FLOPs, or of ``search`` within one number of them."""
        shared_options = ("flops", "threads", "workers", "progress", "precision")
        more: dict[str, Any] = {"seed": seed, **{name: getattr(self, name) for name in shared_options}}
        if self.minutes is None and not isinstance(self.flops, tuple | list):
            if self.precision == AUTO_PRECISION:
                more["precision"] = PRECISION_OF_FLOPS
            space = self._space(kind, task.shape, task.goal)
            return search(task, space, method=deepcopy(self.method), recipe=self.recipe, **more)
        budget = "two flops" if self.minutes is None else "minutes"
        for name in ("flops", "recipe", "method"):
            if getattr(self, name) is not None and name not in budget:
                raise ValueError(f"{type(self).__name__}: {budget} decide {name}, too: give one of them.")
        return auto(task, space=deepcopy(self.space), minutes=self.minutes, class_weight=None, **more)

    def _space(self, kind: str, shape: KindShape, objective: Objective) -> SearchSpace:
        """A copy of the space, which keeps what it works out, so that the argument stays as it is given."""
        if self.space is None:
            return kind_named(kind).space(shape, objective)
        return deepcopy(self.space)

    def _scoring(self, network: nn.Module) -> nn.Module:
        """The network for predictions; for rows in double precision, so that one does not depend on the others."""
        if self.kind_ == "rows":
            network = network.double()
        return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

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
        with torch.random.fork_rng(devices=[]):  # the weights that are drawn here are replaced below
            architecture = Architecture(self.architecture_)
            first = second = self.shape_
            made, steps, outputs = self.preprocessing_, None, self.objective_.outputs
            if isinstance(made, JoinedTokens):
                first, second = made.first.shape, made.second.shape
                steps = first.steps, second.steps
            space = own = self._space(self.kind_, first, self.objective_)
            if frozenset(architecture) in LINEAR_SPACES:
                space = linear_space_of(architecture)
            if space.name != self.space_:
                raise ValueError(f"The network is of {self.space_}, and 'space' is {own.name} now: fit it again.")
            network = build_network(space, architecture, first, outputs, ensemble=state.get("ensemble_", 1))
            if (averaged := state.get("linear_")) is not None:
                model = build_network(linear_space_of(averaged), averaged, second, outputs)
                network = WithLinear(network, model, steps)
        self.network_ = self._scoring(network)
        self.network_.load_state_dict(torch.load(BytesIO(weights), weights_only=True))

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is told of the examples: also images, and tables with missing values."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _scores_of(self, X: Any) -> Tensor:
        """The network's scores of new examples, shape ``(n, outputs)``."""
        check_is_fitted(self)
        if (kind := kind_of_examples(X)) != self.kind_:
            raise ValueError(f"X holds {kind}, and {type(self).__name__} was fitted on {self.kind_}: give such.")
        inputs = network_inputs(self._checked_examples(X, kind), self.shape_, self.preprocessing_)
        if kind == "rows":
            inputs = inputs.double()
        parts = inputs.split(examples_at_once(self.objective_, PREDICTED_AT_ONCE))
        with torch.no_grad(), torch_threads(self.threads):
            return torch.cat([self.network_(part) for part in parts])

    def _checked_pair(self, X: Any, y: Any, kind: ExampleKind, **more: Any) -> tuple[Any, Any]:
        """Examples to learn from; and ``y``, of rows of numbers as scikit-learn checks it."""
        if kind == "rows" and is_mixed(X):
            validate_data(self, X, skip_check_array=True)
            return as_table(X, names=column_names(X), name="X"), y
        if kind == "rows":
            return tuple(validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", **more))
        if kind == "texts":
            checked_texts(X, "X")
        return self._checked_examples(X, kind), y

    def _checked_examples(self, X: Any, kind: ExampleKind) -> Any:
        """New rows as an array of so many columns, images as a tensor, or a list of texts."""
        if kind == "rows" and is_mixed(X):
            return validate_data(self, X, reset=False, skip_check_array=True)
        if kind == "rows":
            return validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        if kind == "images":
            return image_tensor(X)
        if isinstance(X, str):
            raise ValueError("X is a single text: give a list of texts.")
        return list(map(str, X))
