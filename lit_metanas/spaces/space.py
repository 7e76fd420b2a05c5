"""The search space: a set of choices, and how to build networks from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import (
    ImageShape,
    KindShape,
    RowShape,
    SeriesShape,
    Shape,
    TextRowShape,
    TokenShape,
    as_shape,
    describe_shape,
    plain_shape,
)
from lit_metanas.objectives.objective import Objective, Scored
from lit_metanas.spaces.architecture import Architecture, Choice, labels_of, restrict
from lit_metanas.spaces.body_networks import BodyChild, BodySupernet
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.choice_space import ChoiceSpace
from lit_metanas.spaces.supernet import ChildNetwork, NetworkCost, Supernet
from lit_metanas.tasks.task import Split

Solver = Callable[[Split, Objective, float, int, int, Callable[[], None] | None], bool]
"""Takes examples, objective, weight decay, passes, seed, and what is called after each pass; returns whether it trained
a network, which it does not for some objectives."""

ShapeType = type[KindShape]

INPUT_KINDS: Mapping[ShapeType, tuple[Shape, str, str]] = {
    ImageShape: (ImageShape(3, 32, 32), "images", "LayeredSpace"),
    SeriesShape: (SeriesShape(4, 32), "series", "SequenceSpace"),
    TokenShape: (TokenShape(32, 32), "sequences of tokens", "SequenceSpace"),
    RowShape: (RowShape(8), "rows of numbers", "MLPSpace"),
    TextRowShape: (TextRowShape(8, 32, 32), "rows of numbers with a text", "TextRowSpace"),
}
"""Of each kind a shape, for which a body is built to find its choices, its name, and the space to take usually."""

SCORED_PARTS: Mapping[Scored, tuple[str, str]] = {
    "input": ("an input", "SequenceSpace with other readouts than 'each'"),
    "step": ("each step of an input", "SequenceSpace with readouts=['each']"),
    "target": ("each step of a text to be written", "EncoderDecoderSpace"),
}
"""What networks give scores for, in words, and the space to take for such scores."""

ONE_BY_ONE = "search by a method that trains one network after the other"
"""What to do where a supernet cannot be computed."""


class SearchSpace(ChoiceSpace):
    """A set of choices and how to build a network from them.

    A space defines ``body``, from which everything else follows. One that needs networks of its own sets ``choices``
    and defines ``supernet``, ``build`` and ``cost`` instead.

    Attributes:
        shapes: the kinds of input that the networks take, for instance ``(SeriesShape, TokenShape)``.
        child_class: of the children that ``build`` makes of a body.
        supernet_class: of the supernets that ``supernet`` makes of a body.
        shares_weights: whether there is a supernet, from whose weights children begin.
        scored: what networks give scores for: an input, each step of it, or each step of what they write.

    Example:
        >>> from functools import partial
        >>> from torch import nn
        >>> class Block(lm.SearchSpace):
        ...     def body(self, shape, build):
        ...         width = build.number("width", (8, 16))
        ...         kernels = {str(size): partial(build.conv, shape[0], width, size) for size in (3, 5)}
        ...         return nn.Sequential(build.choice("kernel", kernels, norm=width), nn.ReLU())
        >>> space = Block()
        >>> space.size
        4
        >>> space.cost(space.canonical({"width": "8", "kernel": "3"}), shape=(1, 28, 28), way=5)
        NetworkCost(parameters=133, flops=56488)
        >>> space.supernet(shape=(1, 28, 28)).features
        16
    """

    shapes: ClassVar[tuple[ShapeType, ...]] = (ImageShape,)
    child_class: type[BodyChild] = BodyChild
    supernet_class: type[BodySupernet] = BodySupernet
    shares_weights: ClassVar[bool] = True
    scored: Scored = "input"

    @cached_property
    def choices(self) -> tuple[Choice, ...]:  # type: ignore[override]
        """The open questions, in a fixed order: those of the body."""
        build = Builder()
        with torch.device("meta"):
            self.body(INPUT_KINDS[self.shapes[0]][0], build)
        return tuple(build.choices.values())

    def body(self, shape: Shape, build: Builder) -> nn.Module:
        """Build the network up to its features, of layers some of which are choices.

        It is called once to find the choices, and again for each supernet and each child.

        Args:
            shape: of one input, of one of the kinds in ``shapes``: for images channels, height and width. The choices
                may not depend on it.
            build: makes the layers that are open; others are ordinary modules.

        Returns:
            A module from inputs of ``shape`` to features, shape ``(n, features, ...)``. They are then averaged over the
            pixels or steps, and a linear classifier is put behind them: it ends in neither ``Flatten`` nor ``Linear``.
        """
        raise NotImplementedError(f"{self.name} has no body: define it, or choices, supernet, build and cost.")

    def check_shape(self, shape: Shape) -> None:
        """Refuse inputs of a kind that the networks do not take, by a ValueError."""
        kind = type(as_shape(shape))
        if kind not in self.shapes:
            taken, other = " and ".join(INPUT_KINDS[kind][1] for kind in self.shapes), INPUT_KINDS[kind][2]
            if ImageShape in self.shapes and kind is RowShape:
                other += ", or give images by height and width"
            raise ValueError(
                f"{self.name} is for {taken}, and the inputs are {describe_shape(shape)}: take another space, such as "
                f"{other}."
            )

    def check_objective(self, objective: Objective) -> None:
        """Refuse an objective that wants other scores than the networks have, by a ValueError."""
        if objective.scored != self.scored:
            wanted, other = SCORED_PARTS[objective.scored]
            raise ValueError(
                f"{type(objective).__name__} wants scores for {wanted}, and {self.name} has them for "
                f"{SCORED_PARTS[self.scored][0]}: take {other}."
            )

    def supernet(self, shape: Shape) -> Supernet:
        """Build the network that holds all candidates, for inputs of ``shape``.

        Raises:
            ValueError: the space has none.
        """
        self.check_shape(shape)
        if not self.shares_weights:
            raise ValueError(f"{self.name} has no supernet: take another space, or {ONE_BY_ONE}.")
        body = self.body(shape, Builder(labels_of(self.choices)))
        return self.supernet_class(body, shape, self.choices, refusal=self._refusal())

    def _refusal(self) -> str:
        """Why a supernet of what is left of the choices only holds weights, and cannot be computed; empty if it can."""
        return ""

    def first_weights(self, shape: Shape) -> dict[str, Tensor]:
        """What all children inherit at first, drawn by PyTorch's global generator: by default a whole supernet.

        Where it is empty, each child draws its own weights, and inherits what a given parent has.
        """
        if not self.shares_weights:
            return {}
        return {name: parameter.detach() for name, parameter in self.supernet(shape).named_parameters()}

    def build(self, architecture: Architecture, shape: Shape, way: int) -> ChildNetwork:
        """The child with newly initialised weights: see ``child``."""
        self.check_shape(shape)
        build = Builder({name: (label,) for name, label in self.canonical(architecture).items()}, mixed=False)
        return self.child_class(self.body(shape, build), shape, way, sliced=build.sliced)

    def child(
        self, architecture: Architecture, shape: Shape, way: int, weights: Mapping[str, Tensor] | None = None
    ) -> nn.Module:
        """Build the plain network that ``architecture`` describes: inputs in, ``(n, way)`` scores out.

        Args:
            architecture: one label for each active choice.
            shape: of one input.
            way: number of classes.
            weights: a supernet's parameters to inherit; batch-norm statistics, too, where they are among them, and
                classifiers where they fit ``way`` classes.

        Raises:
            ValueError: the architecture cannot be built, or the weights are of another space.
        """
        child = self.build(architecture, shape, way)
        if weights is not None:
            child.inherit(weights)
        return child

    def solver(self, child: nn.Module) -> Solver | None:
        """What trains a child as a whole; by default None, since a child is trained step by step.

        Args:
            child: that is to be trained.
        """
        return None

    def training_scores(self, child: nn.Module, inputs: Tensor, targets: Tensor) -> list[Tensor]:
        """The scores that a child is trained on: its classifier's, then those of auxiliary classifiers if it has any.

        Args:
            child: that is trained.
            inputs: shape ``(n, *shape)``.
            targets: class indices ``(n,)``, or the targets of another objective; for networks that write a text, which
                are trained on each token given those before it.

        Returns:
            Each of shape ``(n, way)``, or ``(n, steps, way)``.
        """
        return [child(inputs)]

    def supernet_weights(self, child: nn.Module) -> dict[str, Tensor]:
        """The weights of a trained child, under the names by which ``child(..., weights=...)`` inherits them.

        Tensors may be leading slices of the supernet's. Empty for a network of another library: nothing is inherited.
        """
        if not isinstance(child, ChildNetwork):
            return {}
        return child.supernet_weights()

    def output_weights(self, features: int, way: int) -> dict[str, Tensor]:
        """New parameters that depend on the number of outputs, under the names by which ``child`` inherits them.

        Args:
            features: length of the longest feature vector of a child.
            way: number of outputs.
        """
        head = nn.Linear(features, way)
        return {"head.weight": head.weight.detach(), "head.bias": head.bias.detach()}

    def restricted(self, labels: Mapping[str, str]) -> Self:
        """The space in which the named choices have just the given label.

        Its supernet's parameters are a subset (by name; by slice for widths) of this space's.

        Raises:
            ValueError: a choice is unknown, or the label is not among its candidates that are left.
        """
        space = copy(self)
        space.choices = restrict(self.choices, {name: (str(label),) for name, label in labels.items()}, self.name)
        return space

    def limited(self, refusal: Callable[[Architecture], str | None]) -> Self:
        """The space without architectures that are refused, such as those that are too large: see ``violation``.

        Args:
            refusal: the reason why an architecture is not wanted; None where it is.
        """
        space, own = copy(self), self.violation
        space.refusals = (*self.refusals, refusal)
        space.violation = lambda architecture: own(architecture) or refusal(architecture)  # type: ignore[method-assign]
        return space

    def cost(self, architecture: Architecture, shape: Shape, way: int) -> NetworkCost:
        """Parameters and multiply-adds of the child network."""
        # Shapes of two kinds are equal where their numbers are. Isomorphic networks may cost different amounts.
        key = (Architecture(architecture), tuple(plain_shape(shape)), way)
        if key not in self._costs:
            with torch.random.fork_rng(devices=[]):
                child = self.build(architecture, shape, way)
            self._costs[key] = NetworkCost(sum(own.numel() for own in child.parameters()), child.flops)
        return self._costs[key]

    @cached_property
    def _costs(self) -> dict[tuple[Architecture, tuple[int | str, ...], int], NetworkCost]:
        # Costs that were asked for; a restricted space's networks have the same.
        return {}
