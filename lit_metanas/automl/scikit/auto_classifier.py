"""A search behind scikit-learn's interface: examples and labels in, a classifier out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.automl.options import shared
from lit_metanas.automl.scikit.auto_estimator import AutoEstimator, divided_examples, with_weight
from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.io.text import printable
from lit_metanas.kinds.given_data import ExampleKind
from lit_metanas.kinds.labelled_examples import LabelSetExamples
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.tasks.class_balance import ClassWeight, balanced_task
from lit_metanas.tasks.labels import Groups, group_names, label_list
from lit_metanas.tasks.number_targets import are_numbers
from lit_metanas.tasks.splits import split_examples
from lit_metanas.tasks.task import Task

try:
    from sklearn.base import ClassifierMixin
except ImportError:  # `AutoClassifier` says so when one is made
    ClassifierMixin = type("ClassifierMixin", (), {})


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

    metric: str | None = shared("metric")
    class_weight: ClassWeight | Mapping[Any, float] = shared("class_weight")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn is told: an example may have several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any, groups: Groups | None = None, sample_weight: Any = None) -> Self:
        """Search, and train what was found.

        Args:
            X: a table ``(n, columns)``; images ``(n, height, width)``, ``(n, channels, height, width)`` or
                ``(n, height, width, channels)``, uint8 or floats in [0, 1]; or texts.
            y: one label an example; or several, as an array ``(n, classes)`` of 0 and 1, as by scikit-learn's
                ``MultiLabelBinarizer``. The probabilities from which on labels are predicted are learned on the
                validation examples with ``minutes`` or two numbers of ``flops``, and else a half.
            groups: which examples belong together, such as those of a patient, one group an example: none is learned
                from while others of its group choose among architectures. None has no groups.
            sample_weight: how much each example counts in trainings, shape ``(n,)``, from 0 on; one of weight 0 is left
                out. None is 1 each. Validation scores do not depend on it.

        Raises:
            ValueError: see the class.
            KeyboardInterrupt: see the class.
        """
        from sklearn.base import clone

        kind = self._kind_of(X)
        names = [str(name) for name in getattr(y, "columns", ())]
        checking = clone(self)  # gets the numbers and names of columns, which are kept where all goes well
        X, y = checking._checked(X, y, kind)
        if sample_weight is not None:
            X, y, groups, sample_weight = with_weight(X, y, groups, sample_weight)
        classes = np.unique(y) if y.ndim == 1 else np.array(names or range(y.shape[1]))
        seed = self._drawn_seed()
        named = group_names(groups, len(y), kind, name="groups")
        columns = tuple(map(str, getattr(checking, "feature_names_in_", ())))
        task = self._task(X, y, classes, kind, seed, named, columns, sample_weight)
        found = self._learn(task, kind, seed)
        self.classes_ = classes
        self._keep_columns(checking)
        return self._ended(found)

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of each example, shape ``(n,)``; of several labels 0 or 1, ``(n, classes)``.

        It is the most probable one, unless classes count alike in training, and some are rare.
        """
        scores = self._scores_of(X)
        if isinstance(self.objective_, SeveralLabels):
            return self.objective_.chosen(self.objective_.predictions(scores)).long().numpy()
        best = scores.argmax(1).numpy()
        found: NDArray[Any] = self.classes_[best]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities in the order of ``classes_``, shape ``(n, classes)``; of several labels one for each by itself.

        Raises:
            NotFittedError: ``fit`` was not called.
            ValueError: the examples are of another kind, or have another number of columns.
        """
        scores = self._scores_of(X)
        return self.objective_.values(scores.double()).numpy()

    @property
    def _names(self) -> tuple[str, ...]:
        """Of the classes, as texts."""
        return tuple(str(label) for label in self.classes_)

    def _checked(self, X: Any, y: Any, kind: ExampleKind) -> tuple[Any, NDArray[Any]]:
        """Examples and labels, as many of both; several labels have two dimensions."""
        from sklearn.utils.multiclass import check_classification_targets, type_of_target
        from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

        rows = len(getattr(y, "shape", ())) == 2 or (
            isinstance(y, list) and bool(y) and isinstance(y[0], list | np.ndarray)
        )
        if rows and type_of_target(y, input_name="y") == "multilabel-indicator":
            y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
            X, y = self._checked_pair(X, y, kind, multi_output=True)
            y = check_array(y, dtype=np.int64, input_name="y")
            check_consistent_length(X, y)
            return X, y
        if y is not None and np.asarray(y).dtype.kind in "OSU":  # before numpy makes texts of missing labels
            labels = np.asarray(y, dtype=object).ravel()
            label_list(labels, len(labels), noun=kind)
        X, y = self._checked_pair(X, y, kind)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        if type_of_target(y) == "continuous":
            raise ValueError("y looks continuous: use AutoRegressor (Unknown label type: continuous).")
        check_classification_targets(y)
        return X, y

    def _task(
        self,
        X: Any,
        y: NDArray[Any],
        classes: NDArray[Any],
        kind: ExampleKind,
        seed: int,
        groups: Sequence[str] | None,
        columns: tuple[str, ...],
        sample_weight: NDArray[np.float32] | None,
    ) -> Task:
        """The examples as a task, whose test part, which nobody looks at, is the validation part.

        Raises:
            ValueError: there is one class, or one has a single example, or there are too few groups.
        """
        several = y.ndim == 2
        if several:
            divided = self._by_label(y, classes, kind, seed, groups)
        else:
            divided = self._by_class(y, classes, seed, groups)
        train, val, made, raw = divided_examples(X, kind, divided, columns, sample_weight)
        task = Task(
            id=kind,
            way=len(classes),
            train=train,
            val=val,
            test=val,
            classes=tuple(map(str, classes)),
            vocabulary=None if made is None else vocabulary_of(made.shape),
            preprocessing=made,
            raw=raw,
            objective=SeveralLabels(len(classes)) if several else None,
        )
        task, why = balanced_task(task, self.metric, self.class_weight)
        if why and self.progress:
            print(f"{type(self).__name__}: {why}", file=sys.stderr)
        return replace(task, objective=task.goal)  # the metric is decided

    def _by_class(
        self, y: NDArray[Any], classes: NDArray[Any], seed: int, groups: Sequence[str] | None
    ) -> list[tuple[Tensor, Tensor]]:
        """Places and class indices of the examples to learn from, and of those to choose by."""
        labels = np.searchsorted(classes, y)
        names = [printable(str(label), 60) for label in classes]
        if len(names) < 2:
            raise ValueError(f"There is one class, '{names[0]}': give examples of two or more.")
        members = [np.flatnonzero(labels == place).tolist() for place in range(len(names))]
        few = next((name for name, places in zip(names, members, strict=True) if len(places) < 2), None)
        if few is not None:
            if are_numbers([label for label, places in zip(classes.tolist(), members, strict=True) for _ in places]):
                raise ValueError("y looks continuous: use AutoRegressor, or give classes of two examples or more.")
            raise ValueError(f"Class '{few}' has 1 example, and one is to choose architectures by: give two at least.")
        parts = split_examples(
            {str(label): places for label, places in enumerate(members)},
            train=None,
            val=self.validation_fraction,
            test=0.0,
            seed=seed,
            culprit=lambda label: f"Class '{names[int(label)]}'",
            groups=groups,
        )
        if not parts[1]:
            raise ValueError("There are too few groups to choose by: give examples of more, or leave 'groups' out.")
        return [(torch.tensor(part), torch.from_numpy(labels[part])) for part in parts[:2]]

    def _by_label(
        self, y: NDArray[Any], classes: NDArray[Any], kind: ExampleKind, seed: int, groups: Sequence[str] | None
    ) -> list[tuple[Tensor, Tensor]]:
        """The same of several labels, of which ``y`` has 0 or 1 for each."""
        examples = LabelSetExamples(len(y), y, noun=kind, group=groups, classes=[*map(str, classes)])
        return examples.divided(val=self.validation_fraction, test=0.0, seed=seed)[:2]
