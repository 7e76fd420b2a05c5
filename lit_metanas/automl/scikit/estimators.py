"""Searches behind scikit-learn's interface: examples with labels or numbers in, a classifier or regressor out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lit_metanas.automl.options import shared
from lit_metanas.automl.scikit.auto_estimator import AutoEstimator
from lit_metanas.io.text import printable
from lit_metanas.kinds.given_pairs import ExampleKind
from lit_metanas.kinds.labelled_examples import ClassifiedExamples, LabelledExamples, LabelSetExamples, NumberedExamples
from lit_metanas.objectives import Regression, SeveralLabels
from lit_metanas.tasks.labels import ClassWeight, Groups, label_list

try:
    from sklearn.base import ClassifierMixin, RegressorMixin
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import check_array, column_or_1d
except ImportError:  # an estimator says so when one is made
    ClassifierMixin, RegressorMixin = type("ClassifierMixin", (), {}), type("RegressorMixin", (), {})


@dataclass(kw_only=True, eq=False, repr=False)
class AutoClassifier(ClassifierMixin, AutoEstimator):
    """A classifier of scikit-learn: it searches an architecture for one's own examples, and trains it.

    It takes a table (two dimensions) of numbers, categories and dates, such as a data frame; images (three or four); or
    a list of texts. A part of each class chooses among architectures; then the chosen network is trained on all
    examples, so that only new ones, as by ``cross_val_score``, show what it is worth. Gaps of a table (None and NaN)
    are information; see ``lm.kinds.Columns``. Pickles hold weights and plain values. It needs
    ``pip install 'lit-metanas[sklearn]'``.

    Args:
        minutes: how long ``fit`` may take, by ``auto``. None searches by ``recipe`` and ``method``.
        flops: training FLOPs of the search; or two numbers, for ``auto``: of its search, and of the training after it.
        space: what can be built; None takes that of the kind of examples.
        metric: by which networks are chosen, by its name in torchmetrics or scikit-learn; see ``lm.Classification`` and
            ``lm.objectives.SeveralLabels``. None takes the accuracy, or the balanced accuracy if the rarest class has
            less than a third of the examples that a class has on average.
        class_weight: ``balanced`` gives all classes the same weight in training, and None each example. ``auto`` is
            ``balanced`` if networks are chosen by balanced accuracy. Or a weight for each class.
        recipe: how networks are trained; None takes ``Recipe()``.
        method: the searcher; None is the default of ``search``.
        validation_fraction: share of each class by which architectures are chosen, one example at least.
        random_state: seed of split, search and training: a number, or numpy's ``RandomState``; None draws one.
        threads: torch's threads in the last training and in predictions; None leaves them as they are.
        workers: processes that train networks side by side, with the same result for any number of FLOPs; ``auto`` is
            one for each core.
        precision: of the trainings: ``32-true``, ``bf16-mixed``, or ``auto``, which is the second one if minutes are
            given and this machine gains from it. Predictions are always those of float32.
        progress: whether progress is shown on stderr.

    Attributes:
        classes_: the labels, sorted; of several labels the columns of ``y``, which are numbered if they have no names.
        n_features_in_: number of the columns of a table.
        feature_names_in_: their names, if they have any.
        kind_: ``rows``, ``images`` or ``texts``.
        shape_: shape of an input of the network.
        preprocessing_: what makes inputs of examples.
        objective_: what the network was trained for.
        space_: the name of the space, that of linear models if ``auto`` took one of them alone.
        architecture_: a label for each choice.
        ensemble_: number of networks whose scores are averaged.
        linear_: the linear model whose scores are averaged with theirs.
        network_: the trained network; inputs in, scores out.
        val_score_: ``objective_.metric`` on the validation examples in the search; NaN if none was scored.
        cost_: of the search.
        budget_: two numbers of ``flops`` that repeat a fit of ``auto``; None if it was stopped, and of other searches.
        precision_: the precision of the trainings, which repeats them together with ``budget_``.

    Raises:
        ValueError: scikit-learn is not installed; or, by ``fit``, there are fewer than two classes, or two examples of
            a class; examples or labels are malformed; or a parameter is out of its range.
        KeyboardInterrupt: Ctrl-C came in ``fit``; if there was any network, the classifier is fitted with the best so
            far.

    Example:
        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(60, 3))
        >>> y = np.where(X[:, 0] > 0, "right", "left")
        >>> classifier = lm.AutoClassifier(flops=1e7, recipe=lm.Recipe(epochs=20)).fit(X, y)
        >>> classifier.classes_.tolist(), classifier.predict_proba(X[:5]).shape, classifier.score(X, y) > 0.8
        (['left', 'right'], (5, 2), True)
    """

    class_weight: ClassWeight | Mapping[Any, float] = shared("class_weight")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is told: an example may have several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of each example, shape ``(n,)``; of several labels 0 or 1, ``(n, classes)``.

        It is the most probable one, unless classes count alike in training, and some are rare.
        """
        scores = self._scores_of(X)
        if isinstance(self.objective_, SeveralLabels):
            return self.objective_.chosen(self.objective_.predictions(scores)).long().numpy()
        found: NDArray[Any] = self.classes_[scores.argmax(1).numpy()]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities in the order of ``classes_``, shape ``(n, classes)``; of several labels one for each by itself.

        Raises:
            NotFittedError: ``fit`` was not called.
            ValueError: the examples are of another kind, or have another number of columns.
        """
        scores = self._scores_of(X)  # first of all, as this refuses an estimator that is not fitted
        return self.objective_.values(scores.double()).numpy()

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(str(label) for label in self.classes_)

    def _checked(self, X: Any, y: Any, kind: ExampleKind) -> tuple[Any, NDArray[Any]]:
        """Examples and labels, as many of both; several labels have two dimensions."""
        rows = len(getattr(y, "shape", ())) == 2 or (
            isinstance(y, list) and bool(y) and isinstance(y[0], list | np.ndarray)
        )
        if rows and type_of_target(y, input_name="y") == "multilabel-indicator":
            y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
            X, y = self._checked_pair(X, y, kind, multi_output=True)
            return X, check_array(y, dtype=np.int64, input_name="y")
        if y is not None and np.asarray(y).dtype.kind in "OSU":  # before numpy makes texts of missing labels
            labels = np.asarray(y, dtype=object).ravel()
            label_list(labels, len(labels), noun=kind)
        X, y = self._checked_pair(X, y, kind)
        y = column_or_1d(y, warn=True)
        if type_of_target(y) == "continuous":
            raise ValueError("y looks continuous: use AutoRegressor (Unknown label type: continuous).")
        check_classification_targets(y)
        return X, y

    def _examples(
        self, y: NDArray[Any], kind: ExampleKind, groups: Groups | None, names: Sequence[str]
    ) -> LabelledExamples:
        if y.ndim == 1 and len(only := np.unique(y)) == 1:
            raise ValueError(f"There is one class, '{printable(str(only[0]), 60)}': give examples of two or more.")
        if y.ndim == 1:
            return ClassifiedExamples(len(y), y, noun=kind, group=groups)
        return LabelSetExamples(len(y), y, noun=kind, group=groups, classes=names or [*map(str, range(y.shape[1]))])

    def _keep_labels(self, y: NDArray[Any], names: Sequence[str], examples: LabelledExamples, grouped: bool) -> None:
        self.classes_ = np.unique(y) if y.ndim == 1 else np.array(names or range(y.shape[1]))


@dataclass(kw_only=True, eq=False, repr=False)
class AutoRegressor(RegressorMixin, AutoEstimator):
    """A regressor of scikit-learn: it searches an architecture for one's own examples, and trains it.

    Examples, parameters and attributes are those of ``AutoClassifier``, but for ``class_weight`` and ``classes_``. The
    examples that choose among architectures are drawn by quantiles of ``y``. ``score`` is R² for any ``metric``.

    Attributes:
        targets_: the names of the numbers that are predicted for an example.
        objective_: what the network was trained for, with the scale of ``y``.
        val_score_: ``objective_.metric``, by default R², on the validation examples in the search; NaN without any.

    Raises:
        ValueError: scikit-learn is not installed; or, by ``fit``, ``y`` is constant, examples or numbers are malformed,
            or a parameter is out of its range.
        KeyboardInterrupt: Ctrl-C came in ``fit``; if there was any network, the regressor is fitted with the best so
            far.

    Example:
        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(60, 3))
        >>> y = 200 + 30 * X[:, 0]
        >>> regressor = lm.AutoRegressor(flops=1e7, recipe=lm.Recipe(epochs=20)).fit(X, y)
        >>> regressor.predict(X[:5]).shape, regressor.score(X, y) > 0.8
        ((5,), True)
    """

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is told: there may be several numbers for an example."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The number of each example, shape ``(n,)``; or ``(n, targets)``, as ``y`` had it.

        Raises:
            NotFittedError: ``fit`` was not called.
            ValueError: the examples are of another kind, or have another number of columns.
        """
        scores = self._scores_of(X)  # first of all, as this refuses an estimator that is not fitted
        numbers: NDArray[np.float64] = self._goal.values(scores).numpy()
        return numbers[:, 0] if self._flat else numbers

    def predict_interval(self, X: Any) -> NDArray[np.float64]:
        """Both ends of the 90 % interval of each number, shape ``(n, 2)`` or ``(n, targets, 2)``; see ``Regression``.

        Raises:
            NotFittedError: ``fit`` was not called.
            ValueError: there are no intervals, or the examples are malformed.
        """
        middle = self.predict(X)
        if (reaches := self._goal.reaches) is None:
            raise ValueError(
                "There are no intervals: give AutoRegressor 'minutes', or two numbers of 'flops' as in (1e9, 1e9), 45 "
                "examples or more, and no groups."
            )
        reach = reaches[0] if self._flat else np.array(reaches)
        return np.stack([middle - reach, middle + reach], axis=-1)

    def _checked(self, X: Any, y: Any, kind: ExampleKind) -> tuple[Any, NDArray[Any]]:
        X, y = self._checked_pair(X, y, kind, y_numeric=True, multi_output=True)
        return X, check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")

    def _examples(
        self, y: NDArray[Any], kind: ExampleKind, groups: Groups | None, names: Sequence[str]
    ) -> LabelledExamples:
        return NumberedExamples(len(y), y, noun=kind, classes=names or None, group=groups)

    def _keep_labels(self, y: NDArray[Any], names: Sequence[str], examples: LabelledExamples, grouped: bool) -> None:
        self.targets_, self._flat = tuple(examples.names), y.ndim == 1
        if grouped:  # errors on examples of groups that were learned from say too little of new groups
            self.objective_ = replace(self._goal, reaches=None)

    @property
    def _goal(self) -> Regression:
        assert isinstance(self.objective_, Regression)
        return self.objective_

    @property
    def _names(self) -> tuple[str, ...]:
        return self.targets_
