"""A task, an episode, and a collection of tasks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lit_metanas.inputs.batches import check_brightness, check_padding, check_tokens, has_steps, input_size, join_inputs
from lit_metanas.inputs.example_memory import in_one_piece
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import ImageShape, KindShape, Shape, TextRowShape, TokenShape, shape_of
from lit_metanas.io.text import is_text, number_of, writable
from lit_metanas.objectives import Classification, Objective


# Not frozen, for Lightning's precision plugins refuse frozen dataclasses in batches; treat all three as immutable.
@dataclass(eq=False, repr=False)
class Split:
    """Labelled examples.

    Attributes:
        inputs: images ``(n, channels, height, width)``, float32 in [0, 1], or uint8, which a training divides by 255
            batch by batch; series ``(n, features, steps)``, float32, of which the last feature is the mask; tokens
            ``(n, steps)``, int64; or rows of a table ``(n, numbers)``, float32. See ``Shape``.
        labels: class indices in ``[0, way)``, shape ``(n,)``, int64; or the targets of another objective, such as
            numbers ``(n, targets)``, float32.
        weights: how much each example counts in the loss that trains a child, shape ``(n,)``, float32; None is 1 each.
            Supernets are trained without them, and scores do not depend on them.

    Example:
        >>> lm.Split(inputs=torch.rand(4, 1, 8, 8), labels=torch.tensor([0, 1, 0, 1]))
        Split(4 examples, shape (1, 8, 8))
    """

    inputs: Tensor
    labels: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({number_of(len(self), 'example')}, shape {tuple(self.inputs.shape[1:])})"

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Split:
        """Return the same examples on another device."""
        return self._changed(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def trainable(self) -> Split:
        """With copies of tensors that were made in inference mode, which have no gradients; call it outside of it."""
        return self._changed(lambda tensor: tensor.clone() if tensor.is_inference() else tensor)

    def spread(self, most: int) -> Split:
        """At most so many of the examples, spread evenly over them."""
        if len(self) <= most:
            return self
        return self.at(self.spread_places(most))

    def portion(self, most: int) -> Split | Portion:
        """The same examples as ``spread`` gives, without a copy of them."""
        if len(self) <= most:
            return self
        return Portion(self, self.spread_places(most))

    def spread_places(self, most: int) -> Tensor:
        """The places of at most so many of the examples, spread evenly over them."""
        return _spread_places(len(self), most, self.labels.device)

    def places_but(self, places: Tensor) -> Tensor:
        """The places of all examples but some, in order."""
        others = torch.ones(len(self), dtype=torch.bool, device=self.labels.device).index_fill(0, places, value=False)
        return others.nonzero()[:, 0]

    def at(self, places: Tensor | slice) -> Split:
        """A copy of the examples at some places."""
        return self._changed(lambda tensor: tensor[places])

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Split:
        return Split(change(self.inputs), change(self.labels), None if self.weights is None else change(self.weights))


@dataclass(frozen=True, eq=False)
class Portion:
    """Some of the examples of a split, which has all of them in memory once."""

    split: Split
    places: Tensor

    def __len__(self) -> int:
        return len(self.places)

    def portion(self, most: int) -> Portion:
        """At most so many of the examples, spread evenly over them."""
        if len(self) <= most:
            return self
        return Portion(self.split, self.places[_spread_places(len(self), most, self.places.device)])


def _spread_places(number: int, most: int, device: torch.device) -> Tensor:
    return torch.linspace(0, number - 1, min(most, number), device=device).round().long()


def join_parts(*parts: Split) -> Split:
    """The examples of several parts as one."""
    inputs, labels = [part.inputs for part in parts], [part.labels for part in parts]
    weights = None
    if any(part.weights is not None for part in parts):
        weights = torch.cat(
            [
                torch.ones(len(part), device=part.labels.device) if part.weights is None else part.weights
                for part in parts
            ]
        )
    if (joined := in_one_piece(inputs)) is None:
        joined = join_inputs(inputs)
    return Split(joined, torch.cat(labels) if labels[0].dim() == 1 else join_inputs(labels), weights)


@dataclass(eq=False, repr=False)
class Task:
    """One problem, mostly of classification, with its train, validation and test examples.

    Attributes:
        id: a name that identifies the task in records and results.
        way: number of classes; of another objective, of outputs.
        train: examples to learn from.
        val: examples to choose architectures by; an episode has none, and an empty part counts as none.
        test: examples to be judged by.
        classes: the names of the classes, in the order of their labels; of symbols, from 1 on, in transcription; of
            targets that are numbers.
        vocabulary: number of tokens, where inputs are sequences of such.
        preprocessing: what made the inputs of raw examples, and makes those of new ones; None for images.
        objective: what is wanted of a network; None is to tell ``way`` classes apart.
        test_names: where the test examples came from, such as files or places in a table, one each; may be empty.
        raw: the examples of the three parts as ``preprocessing`` takes them; empty where they are not known.
        grouped: whether examples that belong together, such as those of a patient, are in one part.

    Raises:
        ValueError: a name cannot be written in UTF-8, or ``way`` is not the number of the objective's outputs.

    Example:
        >>> part = lm.Split(torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]))
        >>> lm.Task("toy", way=2, train=part, val=part, test=part, classes=("cat", "dog"))
        Task('toy', 2 classes, train 4, val 4, test 4, shape (1, 8, 8))
    """

    _part_names: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    id: str
    way: int
    train: Split
    val: Split | None
    test: Split
    classes: tuple[str, ...] = ()
    vocabulary: int | None = None
    preprocessing: Preprocessing | None = None
    objective: Objective | None = None
    test_names: tuple[str, ...] = ()
    raw: tuple[Any, ...] = ()
    grouped: bool = False

    def __post_init__(self) -> None:
        """Look at the names, which results are written under, and at the objective."""
        if self.val is not None and not len(self.val):
            self.val = None
        if self.raw and [*map(len, self.raw)] != [len(part or ()) for part in (self.train, self.val, self.test)]:
            self.raw = ()  # those of other parts, from which these were taken
        if self.objective is not None and self.objective.outputs != self.way:
            raise ValueError(
                f"Task '{self.id}' has way = {self.way}, but an objective with {self.objective.outputs} outputs: give "
                "that number."
            )
        for name in (self.id, *self.classes):
            if not is_text(name):
                raise ValueError(f"A task or class is called '{writable(name)}', which is not UTF-8: rename it.")

    def __repr__(self) -> str:
        parts = zip(self._part_names, (self.train, self.val, self.test), strict=True)
        sizes = [f"{name} {len(part)}" for name, part in parts if part is not None]
        goal = number_of(self.way, "class")
        if not isinstance(self.goal, Classification):
            goal = f"{type(self.goal).__name__}, {number_of(self.way, 'output')}"
        shape = tuple(self.train.inputs.shape[1:])
        return f"{type(self).__name__}({', '.join([repr(self.id), goal, *sizes])}, shape {shape})"

    @property
    def shape(self) -> KindShape:
        """Shape of one input."""
        return self.shape_of(self.train.inputs)

    def shape_of(self, inputs: Tensor) -> KindShape:
        """Shape of one of some inputs, shape ``(n, ...)``."""
        made = getattr(self.preprocessing, "shape", None)
        # Which of their numbers are tokens, inputs do not say.
        if isinstance(made, TextRowShape) and tuple(inputs.shape[1:]) == input_size(made):
            return made
        return shape_of(inputs, self.vocabulary)

    @property
    def goal(self) -> Objective:
        """The objective: by default to tell ``way`` classes apart."""
        return self.objective or Classification(self.way)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return the same task on another device."""
        return self._changed(lambda part: part.to(device, non_blocking))

    def trainable(self) -> Self:
        """See ``Split.trainable``."""
        return self._changed(Split.trainable)

    def with_inputs(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return the same task with other inputs, which are made of those of each part."""
        return self._changed(lambda part: replace(part, inputs=change(part.inputs)))

    def _changed(self, change: Callable[[Split], Split]) -> Self:
        return replace(self, train=change(self.train), val=self.val and change(self.val), test=change(self.test))


@dataclass(eq=False, repr=False)
class Episode(Task):
    """A small task without validation part: ``support`` to adapt on, ``query`` to be judged by.

    Example:
        >>> part = lm.Split(torch.rand(4, 1, 8, 8), torch.tensor([0, 0, 1, 1]))
        >>> episode = lm.tasks.Episode("toy", way=2, train=part, val=None, test=part)
        >>> episode.shot, len(episode.query)
        (2, 4)
    """

    _part_names: ClassVar[tuple[str, ...]] = ("support", "val", "query")

    @property
    def support(self) -> Split:
        """The train part: ``way * shot`` examples, ordered by class."""
        return self.train

    @property
    def query(self) -> Split:
        """The test part."""
        return self.test

    @property
    def shot(self) -> int:
        """Support examples a class."""
        return len(self.train) // self.way


def warn_of_data(message: str) -> None:
    """Warn of examples that are not as they should be, on one process only."""
    from lightning.pytorch.utilities import rank_zero_warn  # a second, which data without warnings do without

    rank_zero_warn(message)


def check_task(task: Task) -> None:
    """Check that the parts of a task fit together: shapes, types, labels, finite values.

    Raises:
        ValueError: something does not; one sentence names it.

    Example:
        >>> lm.tasks.check_task(lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2))
    """
    if task.classes and len(task.classes) != task.way and isinstance(task.goal, Classification):
        raise ValueError(
            f"Task '{task.id}' has way = {task.way}, but the class names {', '.join(task.classes)}: name each class "
            "once."
        )
    targets, tested = task.goal.check_targets, task.goal.check_tested
    for name, part, check in (("train", task.train, targets), ("val", task.val, targets), ("test", task.test, tested)):
        if part is not None:
            _check_split(f"The {name} part of task '{task.id}'", part, task, check)
    for name, part in (("training", task.train), ("test", task.test)):
        if not len(part):
            raise ValueError(f"Task '{task.id}' has no {name} examples: give it some.")


def _check_split(name: str, part: Split, task: Task, check: Callable[[str, Tensor], None]) -> None:
    inputs, labels = part.inputs, part.labels
    if not isinstance(inputs, Tensor) or not isinstance(labels, Tensor):
        raise ValueError(f"{name} holds no tensors: make the task with task_from_arrays.")
    noun = "images" if task.train.inputs.dim() == 4 else "inputs"
    if inputs.shape[1:] != task.train.inputs.shape[1:]:
        raise ValueError(f"{name} has {noun} of shape {tuple(inputs.shape)}: give all parts one shape.")
    try:
        shape = task.shape_of(inputs)
    except ValueError as error:
        raise ValueError(f"{name} is malformed. {error}") from None
    one_each, kind = isinstance(task.goal, Classification), task.goal.target_type
    fits, wanted = inputs.is_floating_point(), "floating point, such as float32"
    if isinstance(shape, TokenShape):
        fits, wanted = inputs.dtype == torch.int64, "int64"
    if isinstance(shape, ImageShape):
        fits, wanted = fits or inputs.dtype == torch.uint8, f"{wanted}, or uint8"
    if not fits or inputs.dtype != task.train.inputs.dtype:
        raise ValueError(f"{name} has {noun} of type {inputs.dtype}: give all parts {wanted}.")
    if labels.shape[:1] != inputs.shape[:1] or labels.dtype != kind or (one_each and labels.dim() != 1):
        raise ValueError(
            f"{name} has {len(inputs)} {noun}, but labels of shape {tuple(labels.shape)} and type {labels.dtype}: give "
            f"one {str(kind)[6:]} an {noun[:-1]}."
        )
    check(name, labels)
    if (weights := part.weights) is not None:
        malformed = weights.shape != labels.shape[:1] or not weights.is_floating_point()
        if malformed or not bool(weights.isfinite().all()) or bool((weights < 0).any()):
            raise ValueError(f"{name} has weights that are not one number from 0 on an example: give such, or none.")
    # By the least and the largest number, which are NaN where one is: isfinite would copy all of them.
    if inputs.numel() and not all(bool(torch.isfinite(end)) for end in torch.aminmax(inputs)):
        raise ValueError(f"{name} has {noun} with values that are not finite: leave them out.")
    if isinstance(shape, ImageShape) and inputs.is_floating_point():
        check_brightness(name, inputs)
    elif isinstance(shape, TokenShape):
        check_tokens(name, inputs, shape.vocabulary)
    elif isinstance(shape, TextRowShape):
        check_tokens(name, shape.split(inputs)[1], shape.vocabulary)
    if has_steps(inputs):
        check_padding(name, inputs)


class TaskCollection(Dataset[Task]):
    """Target tasks, each with train, validation and test examples, all of one input shape.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> class OneTask(lm.tasks.TaskCollection):
        ...     shape = task.shape
        ...     def __len__(self):
        ...         return 1
        ...     def __getitem__(self, index):
        ...         return task
        >>> lm.tasks.TargetTaskDataModule(OneTask()).shape
        ImageShape(channels=1, height=8, width=8)
    """

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Shape of one input."""

    def prepare(self) -> None:
        """Do what is done once for all processes: render, cache. Called on one process only."""

    def bring_to(self, shape: Shape) -> None:
        """Take the shape that what is run on the tasks was meta-trained on, if the collection leaves it open.

        Args:
            shape: of one input.
        """

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take what made the inputs that the searches were meta-trained on, if the collection leaves it open.

        Args:
            preprocessing: of raw examples.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of tasks."""

    @abstractmethod
    def __getitem__(self, index: int) -> Task:
        """Return one task; the same index always gives the same task."""


class SingleTask(TaskCollection):
    """A collection of one task, such as that of one's own examples."""

    kept: ClassVar[bool] = True  # whether the task is made once; else its files are read each time

    @abstractmethod
    def make(self) -> Task:
        """Make the task; the same one each time."""

    @cached_property
    def _task(self) -> Task:
        return self.make()

    @property
    def shape(self) -> Shape:
        """Shape of one input."""
        return self[0].shape

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Task:
        if index != 0:
            raise IndexError(f"task {index} of 1")
        return self._task if self.kept else self.make()
