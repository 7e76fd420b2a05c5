"""A search behind scikit-learn's interface: examples and numbers in, a regressor out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lit_metanas.automl.scikit.auto_estimator import AutoEstimator
from lit_metanas.kinds.given_pairs import ExampleKind
from lit_metanas.kinds.labelled_examples import LabelledExamples, NumberedExamples
from lit_metanas.objectives.regression import Regression
from lit_metanas.tasks.labels import Groups

try:
    from sklearn.base import RegressorMixin
except ImportError:  # `AutoRegressor` says so when one is made
    RegressorMixin = type("RegressorMixin", (), {})


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
        scores = self._scores_of(X)
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
        from sklearn.utils.validation import check_array

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
