"""A search behind scikit-learn's interface: examples and labels in, a classifier out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from io import BytesIO
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lit_metanas.automl.auto import auto
from lit_metanas.comparisons.search_result import PREDICTED_AT_ONCE, SearchResult
from lit_metanas.comparisons.single_task import search
from lit_metanas.io.packages import import_extra
from lit_metanas.io.text import printable
from lit_metanas.records.budget import Cost
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.any_input import default_space
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.conversion import image_tensor
from lit_metanas.tasks.inputs import (
    KindShape,
    Preprocessing,
    plain_shape,
    read_shape,
    vocabulary_of,
)
from lit_metanas.tasks.splits import in_unit_range, part_sizes, split_classes
from lit_metanas.tasks.tabular import StandardisedColumns
from lit_metanas.tasks.task import Split, Task
from lit_metanas.tasks.text import Words
from lit_metanas.training.child import Recipe
from lit_metanas.training.export.exported_program import export_child, network_inputs
from lit_metanas.training.stored_preprocessing import describe_preprocessing, read_preprocessing
from lit_metanas.training.trainers import torch_threads

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
except ImportError:  # which `AutoClassifier` tells when one is made
    BaseEstimator, ClassifierMixin = (type(name, (), {}) for name in ("BaseEstimator", "ClassifierMixin"))

ExampleKind: TypeAlias = Literal["rows", "images", "texts"]


class AutoClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of scikit-learn: it searches an architecture for one's own examples, and trains it.

    It takes a numeric table (two dimensions), images (three or four) or a list of texts. A part of each class chooses
    among architectures; then the chosen network is trained on all examples. What it is worth is for new examples to
    say, for instance by ``cross_val_score``. Missing values of a table (NaN) take the mean of their column.

    Pickles hold the weights as ``torch.load(weights_only=True)`` reads them, and plain values beside. It needs
    ``pip install 'lit-metanas[sklearn]'``.

    Args:
        minutes: how long ``fit`` may take, by ``auto``, which divides them between search and training. None searches
            by what follows.
        flops: training FLOPs that the search may spend; None is what ``search`` takes by default.
        space: what can be built; None takes ``default_space`` for the kind of examples.
        recipe: how networks are trained; None takes ``Recipe()``.
        method: how it is searched; None is the default of ``search``.
        validation_fraction: share of each class by which architectures are chosen, one example at least.
        random_state: seed of split, search and training: a number, or numpy's ``RandomState``; None draws one.
        threads: torch's threads meanwhile; None leaves them as they are.
        progress: whether it is shown how much of the budget is spent.

    Attributes:
        classes_: the labels, sorted.
        n_features_in_: number of columns, of a table.
        feature_names_in_: their names, where a table of pandas has some.
        kind_: ``rows``, ``images`` or ``texts``.
        shape_: of one input.
        preprocessing_: what makes inputs of rows or texts.
        architecture_: that was chosen, a label for each choice.
        network_: the trained network; inputs in, scores out.
        val_score_: the share of the validation examples that it told rightly in the search; NaN where none was scored.
        cost_: of the search.

    Raises:
        ValueError: scikit-learn is not installed; or, by ``fit``, there are fewer than two classes, or two examples of
            a class; examples or labels are malformed; or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> import lit_metanas as lm
        >>> X = np.random.default_rng(0).normal(size=(60, 3))
        >>> y = np.where(X[:, 0] > 0, "right", "left")
        >>> classifier = lm.AutoClassifier(flops=1e7, recipe=lm.Recipe(epochs=20)).fit(X, y)
        >>> classifier.classes_.tolist(), classifier.predict_proba(X[:5]).shape, classifier.score(X, y) > 0.8
        (['left', 'right'], (5, 2), True)
    """

    def __init__(
        self,
        *,
        minutes: float | None = None,
        flops: float | None = None,
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

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is told of the examples: also images, and tables with missing values."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Search, and train what was found.

        Args:
            X: a table of numbers ``(n, columns)``; images ``(n, height, width)``, ``(n, channels, height, width)`` or
                ``(n, height, width, channels)``, uint8 or floats in [0, 1]; or texts.
            y: one label an example.

        Raises:
            ValueError: see the class.
        """
        from sklearn.utils import check_random_state

        kind = _kind_of(X)
        X, y = self._checked(X, y, kind)
        self.kind_: ExampleKind = kind
        self.classes_, labels = np.unique(y, return_inverse=True)
        seed = int(check_random_state(self.random_state).randint(2**31))
        task = self._task(X, labels, kind, seed)
        found = self._search(task, seed)
        self.shape_: KindShape = task.shape
        self.preprocessing_: Preprocessing | None = task.preprocessing
        self.architecture_ = found.architecture.to_json()
        self.network_ = self._scoring(found.network)
        self.val_score_, self.cost_ = found.val_score, found.cost
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each example, shape ``(n,)``."""
        best = self.predict_proba(X).argmax(axis=1)
        found: NDArray[Any] = self.classes_[best]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities in the order of ``classes_``, shape ``(n, classes)``.

        Raises:
            NotFittedError: ``fit`` was not called.
            ValueError: the examples are of another kind, or have another number of columns.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        if (kind := _kind_of(X)) != self.kind_:
            raise ValueError(f"X holds {kind}, and {type(self).__name__} was fitted on {self.kind_}: give such.")
        inputs = network_inputs(self._checked_examples(X, kind), self.shape_, self.preprocessing_)
        inputs = inputs.double() if kind == "rows" else inputs
        with torch.no_grad(), torch_threads(self.threads):
            scores = torch.cat([self.network_(part) for part in inputs.split(PREDICTED_AT_ONCE)])
        return scores.double().softmax(dim=1).numpy()

    def export(self, folder: str | os.PathLike[str]) -> None:
        """Write the network as a program that runs with torch alone, its weights, and a description in JSON.

        Args:
            folder: gets ``model.pt2``, ``weights.pt`` and ``model.json``; see ``load_exported``.

        Raises:
            NotFittedError: ``fit`` was not called.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        export_child(
            self.network_,
            folder,
            architecture=self.architecture_,
            classes=[str(label) for label in self.classes_],
            shape=self.shape_,
            preprocessing=self.preprocessing_,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Arguments and plain values; weights as an archive of tensors alone."""
        state = dict(super().__getstate__())
        if "network_" in state:
            archive = BytesIO()
            torch.save(state.pop("network_").state_dict(), archive)
            state["weights_"] = archive.getvalue()
            state["shape_"] = plain_shape(self.shape_)
            state["preprocessing_"] = self.preprocessing_ and describe_preprocessing(self.preprocessing_)
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
        self.cost_ = Cost(**state["cost_"])
        with torch.random.fork_rng(devices=[]):
            architecture = Architecture(self.architecture_)
            network = self._space(self.shape_).child(architecture, self.shape_, len(self.classes_))
        self.network_ = self._scoring(network)
        self.network_.load_state_dict(torch.load(BytesIO(weights), weights_only=True))

    def _search(self, task: Task, seed: int) -> SearchResult:
        """What is found within the minutes, or by a search of so many FLOPs.

        Raises:
            ValueError: there are minutes and what they decide.
        """
        more: dict[str, Any] = {"seed": seed, "threads": self.threads, "progress": self.progress}
        space = self._space(task.shape)
        if self.minutes is None:
            method = deepcopy(self.method)
            return search(task, space, method=method, flops=self.flops, recipe=self.recipe, **more)
        given = {"flops": self.flops, "recipe": self.recipe, "method": self.method}
        if wrong := [name for name, value in given.items() if value is not None]:
            raise ValueError(f"{type(self).__name__}: minutes decide {wrong[0]}, too: give one of them.")
        return auto(task, minutes=self.minutes, space=space, **more)

    def _space(self, shape: KindShape) -> SearchSpace:
        """A copy of the space, which keeps what it works out, so that the argument stays as it is given."""
        return default_space(shape) if self.space is None else deepcopy(self.space)

    def _scoring(self, network: nn.Module) -> nn.Module:
        """Of rows in double precision, so that what is said of one does not depend on the others."""
        made: Any = network.double() if self.kind_ == "rows" else network
        scoring: nn.Module = made.eval().to(memory_format=torch.channels_last)  # as it was trained
        return scoring

    def _checked(self, X: Any, y: Any, kind: ExampleKind) -> tuple[Any, NDArray[Any]]:
        """Examples and labels, as many of both."""
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

        if kind == "rows":
            X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        else:
            X = self._checked_examples(X, kind)
            for name in ("n_features_in_", "feature_names_in_"):  # of a table that was fitted before
                self.__dict__.pop(name, None)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        return X, y

    def _checked_examples(self, X: Any, kind: ExampleKind) -> Any:
        """New rows as an array of so many columns, images as a tensor, or a list of texts."""
        from sklearn.utils.validation import validate_data

        if kind == "rows":
            return validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        if kind == "images":
            return image_tensor(X)
        wrong = next((place for place, text in enumerate(X) if not isinstance(text, str)), None)
        if wrong is not None:
            raise ValueError(f"X has an example that is no text, in place {wrong}: give a list of texts.")
        return list(map(str, X))

    def _task(self, X: Any, labels: NDArray[np.int64], kind: ExampleKind, seed: int) -> Task:
        """The examples as a task, whose test part, which nobody looks at, is the validation part.

        Raises:
            ValueError: there is one class, or one has a single example.
        """
        names = [printable(str(label), 60) for label in self.classes_]
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction = {self.validation_fraction} must be above 0 and below 1.")
        if len(names) < 2:
            raise ValueError(f"There is one class, '{names[0]}': give examples of two or more.")
        members = [torch.from_numpy(np.flatnonzero(labels == place))[:, None] for place in range(len(names))]
        few = next((name for name, places in zip(names, members, strict=True) if len(places) < 2), None)
        if few is not None:
            raise ValueError(f"Class '{few}' has 1 example, and one is to choose architectures by: give two at least.")
        share = self.validation_fraction
        sizes = [
            part_sizes(f"Class '{name}'", len(places), train=None, val=share, test=0.0)
            for name, places in zip(names, members, strict=True)
        ]
        train, val, _ = split_classes(members, sizes, seed)
        learned, chosen = train.inputs[:, 0], val.inputs[:, 0]
        inputs, preprocessing = _inputs(X, kind, learned)
        shape = None if preprocessing is None else preprocessing.shape
        held_out = Split(inputs[chosen], val.labels)
        return Task(
            id=kind,
            way=len(names),
            train=Split(inputs[learned], train.labels),
            val=held_out,
            test=held_out,
            classes=tuple(str(label) for label in self.classes_),
            vocabulary=None if shape is None else vocabulary_of(shape),
            preprocessing=preprocessing,
        )


def _inputs(X: Any, kind: ExampleKind, learned: Tensor) -> tuple[Tensor, Preprocessing | None]:
    """The inputs of checked examples, and what makes them; the places of those to learn from are given."""
    if kind == "images":
        return in_unit_range(X), None
    if kind == "rows":
        columns = StandardisedColumns().fitted(X[learned.numpy()])
        return columns.encode(X), columns
    words = Words().fitted(X[place] for place in learned.tolist())
    return words.encode(X), words


def _kind_of(X: Any) -> ExampleKind:
    """What examples are; whatever is neither images nor texts counts as a table, which is looked at more closely."""
    if isinstance(X, Sequence) and not isinstance(X, str) and len(X) and isinstance(X[0], str):
        return "texts"
    size = getattr(X, "ndim", None)
    if size is None and isinstance(X, Sequence) and len(X):
        size = 1 + getattr(X[0], "ndim", _depth(X[0]))
    if size == 1 and len(X) and all(isinstance(each, str) for each in X):
        return "texts"
    return "images" if size in (3, 4) else "rows"


def _depth(value: Any) -> int:
    """How many lists are within each other."""
    return 1 + _depth(value[0]) if isinstance(value, Sequence) and not isinstance(value, str) and len(value) else 0
