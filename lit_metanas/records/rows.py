"""Rows of results and of chosen architectures."""

from __future__ import annotations

from dataclasses import dataclass, field

from lit_metanas.inputs.shapes import Shape
from lit_metanas.records.budget import Cost
from lit_metanas.records.record import RecipeValue, Trial
from lit_metanas.spaces.architecture import Architecture


@dataclass(frozen=True)
class Protocol:
    """How a result was measured.

    Attributes:
        name: ``episodes`` (few-shot), ``target`` (many examples a class), or in words what was looked up.
        way: classes a task; 0 where there are none, or no images were seen.
        shot: training examples a class.
        batch_norm: where statistics come from: ``transductive``, ``support`` or ``running``; empty where there are
            none.
        account: what a search's cost and its anytime curve are counted in: ``flops`` or ``queries``.

    Example:
        >>> import lit_metanas as lm
        >>> lm.Protocol("episodes", way=5, shot=1, batch_norm="support").account
        'flops'
    """

    name: str
    way: int
    shot: int
    batch_norm: str
    account: str = "flops"

    def __post_init__(self) -> None:
        """Refuse another account.

        Raises:
            ValueError: it is neither ``flops`` nor ``queries``.
        """
        if self.account not in ("flops", "queries"):
            raise ValueError(f"costs are counted in flops or queries, not in '{self.account[:40]}'")


@dataclass(frozen=True)
class ResultRow:
    """The score of one method, for one seed, on one target task or on a series of episodes.

    Attributes:
        method: the row's name in tables.
        task_id: the target task, or the name of the series of episodes.
        space: the search space's name.
        architecture: the evaluated architecture; None where each episode had its own.
        recipe: the child's training hyper-parameters.
        seed: seed of meta-training and search.
        protocol: how it was measured.
        value: mean score.
        ci95: how far the 95 % confidence interval of ``value`` over examples or episodes reaches.
        cost: of the search on this task.
        meta_cost: of meta-training, paid once.
        parameters: trainable parameters of the network; 0 where that is unknown.
        flops: forward multiply-adds of the network for one input; 0 where that is unknown.
        values: one score an episode, in the episodes' order, for paired comparisons; empty for one task.
        class_values: on one target task, the score of each class by its name; may be empty.
        images: on one target task, how many images the network was trained on, and how many it was tested on.
        curve: anytime curve of the search: (spent in the protocol's account, best validation score so far); empty where
            that had no such scores.
        metric: what ``value`` is.
        hardware: the machine.
        config: where the run's configuration was saved.
        front: of a search with several objectives, what nothing else beat in all of them; else empty.
        ensemble: how many networks of the architecture were trained apart, whose mean scores were tested; parameters
            and multiply-adds are those of all.
        linear: the architecture of a linear model whose scores were averaged with theirs; None where there was none.
        stopped: whether the search was interrupted, or its last training failed, and this is the best so far.

    Example:
        >>> import lit_metanas as lm
        >>> row = lm.ResultRow(
        ...     method="random",
        ...     task_id="letters",
        ...     space="",
        ...     architecture=None,
        ...     recipe={},
        ...     seed=0,
        ...     protocol=lm.Protocol("episodes", way=5, shot=1, batch_norm="support"),
        ...     value=0.9,
        ...     ci95=0.01,
        ...     cost=lm.Cost(),
        ...     meta_cost=lm.Cost(),
        ...     parameters=0,
        ...     flops=0,
        ... )
        >>> row.metric
        'accuracy'
    """

    method: str
    task_id: str
    space: str
    architecture: Architecture | None
    recipe: dict[str, RecipeValue]
    seed: int
    protocol: Protocol
    value: float
    ci95: float
    cost: Cost
    meta_cost: Cost
    parameters: int
    flops: int
    values: tuple[float, ...] = ()
    class_values: dict[str, float] = field(default_factory=dict)
    images: tuple[int, int] = (0, 0)
    curve: tuple[tuple[float, float], ...] = ()
    metric: str = "accuracy"
    hardware: str = ""
    config: str = ""
    front: tuple[Trial, ...] = ()
    ensemble: int = 1
    linear: Architecture | None = None
    stopped: bool = False
    schema: int = field(default=1)

    def __post_init__(self) -> None:
        """Compare the trials of the front.

        Raises:
            ValueError: they do not have the same measures.
        """
        if any(trial.measures.keys() != self.front[0].measures.keys() for trial in self.front):
            raise ValueError("the trials of its front have different measures")


@dataclass(frozen=True)
class ArchitectureRow:
    """The architecture that one method chose for one task, and how good it looked on validation examples.

    Attributes:
        task_id: the task that was searched.
        method: the searcher's row in tables.
        space: the search space's name.
        architecture: the chosen architecture.
        value: its best validation score in the search; NaN where the method scored nothing.
        seed: seed of the search.
        metric: what ``value`` is.
        cost: of the search.
        recipe: the child's training hyper-parameters.
        shape: of an input; zeros where none was seen.
        way: number of classes.
        classes: the classes' names, in the order of their labels.
        weights: file of the trained child's weights, relative to this file; empty where none was kept.
        ensemble: how many networks of the architecture these are of, as ``networks.0``, ``networks.1`` and so on where
            there are several.
        linear: the architecture of a linear model whose scores are averaged with theirs, with weights that are called
            ``linear``, and theirs ``network``; None where there is none. ``shape`` is of an input of the networks
            alone, and ``model.json`` tells what both take.

    Example:
        >>> import lit_metanas as lm
        >>> row = lm.ArchitectureRow("letters", "random", "LayeredSpace", lm.Architecture({"kernel": "3"}), value=0.9)
        >>> row.metric
        'validation accuracy'
    """

    task_id: str
    method: str
    space: str
    architecture: Architecture
    value: float
    seed: int = 0
    metric: str = "validation accuracy"
    cost: Cost = field(default_factory=Cost)
    recipe: dict[str, RecipeValue] = field(default_factory=dict)
    shape: Shape = (1, 28, 28)
    way: int = 0
    classes: tuple[str, ...] = ()
    weights: str = ""
    ensemble: int = 1
    linear: Architecture | None = None


def describe_networks(ensemble: int, linear: Architecture | None) -> str:
    """A network, or how many an ensemble has, and whether there is a linear model beside; arguments as in the rows."""
    networks = "network" if ensemble == 1 else f"ensemble of {ensemble} such networks"
    return networks if linear is None else f"{networks} and a linear model"


def describe_chosen(architecture: Architecture, ensemble: int, linear: Architecture | None) -> str:
    """An architecture, and in brackets what is averaged, where that is more than one network of it."""
    alone = ensemble == 1 and linear is None
    return str(architecture) if alone else f"{architecture} ({describe_networks(ensemble, linear)})"
