"""The fields of a search's result."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from torch import nn

from lit_metanas.inputs import Preprocessing, Shape
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.record import PREPROCESSING, Cost, RecipeValue, SearchRecord
from lit_metanas.records.rows import ExampleRow, ShownPrediction, TeacherComparison
from lit_metanas.records.statistics import percent
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.tasks.task import Split
from lit_metanas.training.precision import FLOAT32
from lit_metanas.training.recipes import Recipe


@dataclass(frozen=True, eq=False, repr=False)
class ResultFields:
    """The fields of a ``SearchResult``.

    Attributes:
        task_id: the task.
        space: the search space's name.
        architecture: the chosen architecture.
        recipe: training hyper-parameters of the network, or of each network of an ensemble.
        network: the trained network, in evaluation mode, on the task's device: inputs ``(n, *shape)`` in, scores
            ``(n, classes)`` out, or scores of each step, ``(n, steps, outputs)``.
        classes: the classes' names, in the order of the scores; the symbols' names for transcription, empty for
            translation.
        shape: shape of one input.
        objective: the objective that the network was trained for.
        test_score: score on the test part, by the objective's metric; for classification mostly the share of examples
            that the network classifies correctly.
        ci95: distance from ``test_score`` to the end of its 95 % confidence interval; NaN for one or two test examples.
        class_accuracy: for classification and several labels, the share of the test examples of each class that is
            recognised (recall), by the class's name.
        images: the numbers of images that the network was trained and tested on.
        cost: cost of the search alone: training FLOPs, seconds, and queries, the number of architectures tried.
        training_cost: cost of all training after the search: of the chosen network, or of all that are averaged; with
            ``auto`` also of models that were only compared.
        unreturned: with ``auto``, the FLOPs in ``training_cost`` of models that are not returned: linear models and
            networks that were only compared, and networks whose training diverged; 0 for a stopped search.
        meta_cost: cost of the meta-training that the method starts from, paid once; zero without one.
        parameters: parameters of the network, or of all that are averaged.
        flops: forward multiply-adds for one image, of the network or of all that are averaged.
        record: everything that the search tried.
        untried: number of planned architectures that the budget did not pay for.
        validated: validation score of the chosen model after training on the train part alone. With ``auto``, the score
            that it was chosen by; with other searches NaN unless asked for.
        preprocessing: makes inputs of raw examples; None if these are images.
        predictions: the network's predictions for ten test examples, with the right answers.
        measures: what else is known of the test predictions, by its name. For classification these are accuracy,
            balanced accuracy, log-loss, calibration error, and the AUROC of two classes; for several labels F1, exact
            matches, log-loss and calibration error; for a regression RMSE and MAE.
        examples: a row for each test example: its name, the right answer, and what the network says. A copy that was
            read from files has none.
        errors: for classification, the test errors of the highest loss, at most 20. A copy that was read from files has
            none.
        budget: with ``auto``, the training FLOPs for its search and for the training after it; passing both as
            ``flops``, with the ``precision``, repeats the run exactly. If one number was given for both, their sum may
            be larger, since the training may also spend what the search left. None for other searches.
        pace: training FLOPs a second that ``auto`` measured on this machine to convert minutes; otherwise NaN.
        latency: seconds that the network takes for one input, with ``threads`` of torch; NaN if not measured.
        threads: torch's threads in the search; None if unknown.
        precision: of the networks' trainings, ``32-true`` or ``bf16-mixed``. Weights, scores and exports are float32.
        stopped: whether the search was interrupted, or its last training failed, and this is the best so far.
        failure: with ``auto``, the reason why its last training failed; empty if it did not.
        front: with ``auto`` and ``pareto``, networks that trade the score against a measure, the smallest first,
            including this one; each is trained and tested by itself. Otherwise empty.
        traded: the measure of the front: ``parameters``, ``flops`` or ``latency``; empty without a front.
        view: with ``auto``, the preprocessing that was chosen among several, in words; empty without a choice.
        linear_model: with ``auto``, the score of a linear model, and whether it was taken, alone or with the network,
            or is on the front; empty if none was trained.
        ensemble: with ``auto``, the number of separately trained networks of the architecture whose mean scores
            ``network`` returns; 1 for a single network. The validation score is that of one network.
        linear: with ``auto``, the architecture of a linear model whose scores are averaged with the network's or the
            ensemble's; None without one. The validation score is then that of one network and the linear model
            together.
        teacher: with ``auto`` and a teacher, both on the same test examples; None without one. The validation scores
            are then the agreement with the teacher.
        rival: with ``auto`` on rows, the validation score of gradient-boosted trees of scikit-learn, compared with that
            of the chosen model; empty if there is none.
        linear_view: the linear model's preprocessing, in the form of ``view``.
        ordinal: whether the values in the record only rank the trials.
        command: with ``auto``, the command or call that repeats it, with FLOPs instead of minutes; empty for a stopped
            search and for other searches.
        earlier: with ``auto`` and an exported model as ``start``, that model's score on the same test examples, and the
            paired difference; otherwise empty.
        encoder: the frozen encoder in front of the network, its size and its licence, in words; empty without one.
            ``parameters``, ``flops`` and ``latency`` include it.
        encoding_cost: with ``auto``, cost of the features of encoders: forward FLOPs, once for each example, and
            seconds, fewer where the features were in the cache.
        tested: the test part; of images in files with 8 bits, where ``test`` has floats. A copy or a pickle has none.
    """

    task_id: str
    space: str
    architecture: Architecture
    recipe: Recipe
    network: nn.Module
    classes: tuple[str, ...]
    shape: Shape
    objective: Objective
    test_score: float
    ci95: float
    class_accuracy: dict[str, float]
    images: tuple[int, int]
    cost: Cost
    training_cost: Cost
    meta_cost: Cost
    parameters: int
    flops: int
    record: SearchRecord
    untried: int
    validated: float = math.nan
    preprocessing: Preprocessing | None = None
    predictions: tuple[ShownPrediction, ...] = ()
    budget: tuple[float, float] | None = None
    pace: float = math.nan
    latency: float = math.nan
    threads: int | None = None
    precision: str = FLOAT32
    stopped: bool = False
    front: tuple[ResultFields, ...] = ()
    traded: str = ""
    view: str = ""
    linear_model: str = ""
    ensemble: int = 1
    linear: Architecture | None = None
    linear_view: str = ""
    ordinal: bool = False
    command: str = ""
    tested: Split | None = None
    failure: str = ""
    unreturned: int = 0
    earlier: str = ""
    rival: str = ""
    teacher: TeacherComparison | None = None
    measures: dict[str, float] = field(default_factory=dict)
    examples: tuple[ExampleRow, ...] = ()
    errors: tuple[ShownPrediction, ...] = ()
    encoder: str = ""
    encoding_cost: Cost = field(default_factory=Cost)

    @property
    def metric(self) -> str:
        """The name of the scores' metric, for classification mostly ``accuracy``."""
        return self.objective.metric

    @property
    def val_score(self) -> float:
        """``validated`` if it is known, otherwise the architecture's best score in the search, or NaN."""
        if self.ordinal or not math.isnan(self.validated):
            return self.validated
        return self.record.value_of(self.architecture, self.whole_recipe)

    @property
    def whole_recipe(self) -> dict[str, RecipeValue]:
        """The recipe as records have it, with the preprocessing if one was chosen."""
        return {**asdict(self.recipe), **self.named_view}

    @property
    def named_view(self) -> dict[str, str]:
        """The chosen preprocessing by its name in records; empty without a choice."""
        return {PREPROCESSING: self.view} if self.view else {}

    @property
    def front_names(self) -> list[str]:
        """The folders of the front's networks, in its order, such as ``1-2970-parameters``."""
        numbered = list(enumerate(self.front, start=1))
        if self.traded == "latency":
            return [f"{place}-{1e6 * one.latency:.0f}us" for place, one in numbered]
        return [f"{place}-{getattr(one, self.traded)}-{self.traded}" for place, one in numbered]

    def front_table(self) -> list[tuple[str, ...]]:
        """The front as rows of cells, the heading first; empty without a front."""
        if not self.front:
            return []
        rows: list[tuple[str, ...]] = [
            ("network", "parameters", "multiply-adds", "latency, ms", f"test {self.metric}, %", "architecture")
        ]
        for name, one in zip(self.front_names, self.front, strict=True):
            score = percent(one.test_score, one.ci95)
            labels = ", ".join(f"{choice} {label}" for choice, label in {**one.architecture, **one.named_view}.items())
            if one.space != self.record.space:
                labels = f"{one.space}: {labels}"
            rows.append((name, f"{one.parameters:,}", f"{one.flops:,}", f"{1e3 * one.latency:.3g}", score, labels))
        return rows
