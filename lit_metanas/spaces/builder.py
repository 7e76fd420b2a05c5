"""The builder of a search space's body, which makes layers that may be choices; and networks of layers in a row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from lit_metanas.spaces.architecture import Choice, check_dropouts
from lit_metanas.spaces.mixed_layers import (
    CountedFlops,
    MixedChannels,
    MixedChoice,
    MixedDepth,
    MixedDropout,
    MixedNorm,
    SlicedConv2d,
    Sum,
    add_candidates,
)
from lit_metanas.spaces.mixture import Number, OpenChoice, OpenNumber, largest
from lit_metanas.spaces.supernet import BranchDropout, ChannelDropout, UnsharedScale

Make = Callable[[], nn.Module]  # makes a layer, for instance `nn.ReLU`

Conditions = dict[str, frozenset[str]]


class Builder:
    """Builds the layers of a body: those of a supernet, or the plain ones of a child.

    A supernet's layers mix the candidates that are left of a choice. A child's hold one, under the same names.

    Args:
        labels: the candidates that are left of each choice; None finds the choices out, which are then in ``choices``.
        mixed: whether layers are those of a supernet.

    Attributes:
        labels: the candidates that are left of each choice, if they are known.
        mixed: whether layers are those of a supernet.
        sliced: whether a number has been open, so that a child's weights may be leading parts of the supernet's.
        choices: those that were asked for, in order.

    Example:
        >>> from torch import nn
        >>> build = lm.Builder()
        >>> _ = build.choice("activation", {"relu": nn.ReLU, "tanh": nn.Tanh})
        >>> build.choices["activation"].labels
        ('relu', 'tanh')
        >>> build = lm.Builder({"activation": ("tanh",)}, mixed=False)
        >>> build.choice("activation", {"relu": nn.ReLU, "tanh": nn.Tanh})
        ChosenLayer(
          (tanh): Tanh()
        )
    """

    def __init__(self, labels: Mapping[str, Sequence[str]] | None = None, *, mixed: bool = True) -> None:
        self.choices: dict[str, Choice] = {}
        self.labels = labels
        self.mixed = mixed
        self.sliced = False
        self._conditions: list[tuple[str, frozenset[str]]] = []
        self._part = ""  # what stands in front of the names of choices

    def choice(
        self,
        name: str,
        candidates: Mapping[str, Make | None] | Mapping[int, Make | None],
        *,
        norm: Number | Make | None = None,
    ) -> nn.Module:
        """A choice among layers.

        Choices that are asked for within a candidate matter only where it is chosen. A sampled candidate's gate stands
        behind the norm. Convolutions from ``conv`` that differ in nothing but their size are mixed as one.

        Args:
            name: of the choice; the same name again is the same choice.
            candidates: for each label (a text, or a number, which stands for its text) what makes the layer; None adds
                nothing and is for layers of a ``sum``.
            norm: channels of a batch-norm behind the chosen layer, or what makes another norm; None for none.

        Raises:
            ValueError: a candidate is a layer, where a function that makes one is expected.
        """
        layers: dict[str, nn.Module | None] = {}
        makers = {str(label): make for label, make in candidates.items()}
        whole, left = self._ask(name, candidates)
        for label in left:
            make = makers[label]
            if isinstance(make, nn.Module):
                raise ValueError(
                    f"Candidate '{label}' of '{whole}' is a layer: give what makes it, for instance nn.ReLU or "
                    "partial(build.conv, 16, 32, 3)."
                )
            with self.where(name, (label,)):
                layers[label] = None if make is None else make()
        behind = None
        if norm is not None and any(layer is not None for layer in layers.values()):
            behind = norm() if callable(norm) else self.norm(norm)
        if self.mixed:
            return MixedChoice(whole, layers, behind)
        return ChosenLayer(layers, behind)

    def number(self, name: str, numbers: Sequence[int]) -> Number:
        """A choice among numbers, for the channels of ``conv`` and ``norm``; small ones take the leading weights.

        Times or divided by a plain number (``//``) it is open, too; other arithmetic with it is refused, as
        supernet and child would differ. In a child it is the chosen number.

        Args:
            name: of the choice.
            numbers: the candidates.
        """
        whole, left = self._ask(name, numbers)
        self.sliced = self.sliced or len(numbers) > 1
        if self.mixed:
            return OpenNumber(whole, tuple(map(int, left)))
        return int(left[0])

    def question(self, name: str, labels: Sequence[str | int]) -> OpenChoice:
        """A choice that a layer of one's own looks at, in ``forward``; in a child it has one label."""
        whole, left = self._ask(name, labels)
        return OpenChoice(left, whole * self.mixed)

    def conv(
        self,
        channels: Number,
        width: Number,
        size: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        bias: bool = False,
    ) -> nn.Conv2d:
        """A convolution that keeps the image's size, but for the stride; numbers of channels may be open.

        Raises:
            ValueError: the size is even.
        """
        if size % 2 == 0:
            raise ValueError(f"A kernel of size {size} has no centre: use an odd size.")
        if self.mixed:
            return SlicedConv2d(channels, width, size, stride=stride, depthwise=depthwise, bias=bias)
        before, after = largest(channels), largest(width)
        return nn.Conv2d(before, after, size, stride, size // 2, groups=before if depthwise else 1, bias=bias)

    def norm(self, width: Number, *, affine: bool = True, shared: bool = True) -> nn.Module:
        """Batch-norm of so many channels, which may be open.

        Args:
            width: number of channels.
            affine: whether there is a scale and a shift.
            shared: whether the supernet has them, too.
        """
        if self.mixed:
            return MixedNorm(width, affine=affine and shared)
        if affine and not shared:
            return UnsharedScale(largest(width))
        return nn.BatchNorm2d(largest(width), affine=affine)

    def channels(self, width: Number) -> nn.Module:
        """Weighs the channels of an open width, behind the norm that would cancel the weights."""
        return MixedChannels(width)

    def dropout(self, name: str, rates: Sequence[float], width: Number) -> nn.Module:
        """A choice among probabilities that a channel is dropped; ``width`` is the number of channels."""
        return self._drop(name, rates, width, ChannelDropout)

    def branch_dropout(self, name: str, rates: Sequence[float]) -> nn.Module:
        """A choice among probabilities that an example loses a branch (stochastic depth, Huang et al. 2016).

        It stands behind the last layer of the branch, whose input is then added.
        """
        return self._drop(name, rates, 1, BranchDropout)

    def depth(self, name: str, layers: Sequence[Make], depths: Sequence[int], *, averaged: bool = False) -> nn.Module:
        """A choice how many of some layers are computed, one after the other.

        Choices that are asked for within a layer matter only where it is computed.

        Args:
            name: of the choice.
            layers: what makes each of the layers, from input to output.
            depths: the candidates' numbers of layers.
            averaged: whether outputs are averaged over their pixels before they are mixed, as they must be where they
                differ in size or width.

        Raises:
            ValueError: a depth is not a number of layers.
        """
        if not depths or min(depths) < 1 or max(depths) > len(layers):
            raise ValueError(f"'{name}' has {len(layers)} layers, and depths {list(depths)}: give 1 to {len(layers)}.")
        whole, labels = self._ask(name, depths)
        left, made = list(map(int, labels)), []
        for place, make in enumerate(layers[: max(left)], start=1):
            with self.where(name, [str(depth) for depth in depths if depth >= place]):
                made.append(make())
        if self.mixed:
            return MixedDepth(whole, made, left, averaged)
        return nn.Sequential(*made)

    def sum(self, *layers: nn.Module) -> nn.Module:
        """The sum of what layers make of the same inputs, for instance of ``nn.Identity()`` and a block."""
        return Sum(layers)

    def _drop(
        self, name: str, rates: Sequence[float], width: Number, plain: type[ChannelDropout | BranchDropout]
    ) -> nn.Module:
        check_dropouts(f"'{self._part}{name}'", rates)
        by_label = {f"{rate:g}": rate for rate in rates}
        whole, left = self._ask(name, by_label)
        if self.mixed:
            return MixedDropout(whole, [by_label[label] for label in left], width)
        return plain(by_label[left[0]])

    def _ask(self, name: str, candidates: Iterable[str | int]) -> tuple[str, tuple[str, ...]]:
        # The whole name of a choice, and the labels that are left of it.
        name, labels = self._part + name, tuple(map(str, candidates))
        conditions = _open_conditions(self._conditions, self.choices)
        if (before := self.choices.get(name)) is not None:
            if before.labels != labels:
                raise ValueError(f"Choice '{name}' is asked for twice, with {before.labels} and with {labels}.")
            conditions = _either(dict(before.active_if), conditions, name)
        self.choices[name] = Choice(name, labels, self._part + name.rpartition(".")[2], tuple(conditions.items()))
        if self.labels is None:
            return name, labels
        if name in self.labels:
            return name, tuple(label for label in labels if label in self.labels[name])
        if any(allowed.isdisjoint(self.labels.get(other, ())) for other, allowed in conditions.items()):
            return name, labels[:1]  # of a child in which it does not matter
        raise ValueError(f"Choice '{name}' is new: the choices of a body may not depend on the shape of an image.")

    @contextmanager
    def where(self, name: str, labels: Collection[str]) -> Iterator[None]:
        """Choices that are asked for within matter only where a choice, asked for before, has one of the labels."""
        self._conditions.append((self._part + name, frozenset(labels)))
        try:
            yield
        finally:
            self._conditions.pop()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Choices that are asked for within have a name in front, and their groups, too, as in ``text.width``."""
        before, self._part = self._part, f"{self._part}{name}."
        try:
            yield
        finally:
            self._part = before


class ChosenLayer(nn.Module):
    """The one candidate of a choice in a child, and the batch-norm behind it."""

    def __init__(self, candidates: Mapping[str, nn.Module | None], norm: nn.Module | None) -> None:
        super().__init__()
        self.key = next(iter(add_candidates(self, candidates).values()), None)
        self.norm = norm

    def forward(self, inputs: Tensor) -> Tensor | None:
        """The layer's output for inputs of shape ``(n, channels, ...)``; None for nothing."""
        if self.key is None:
            return None
        outputs: Tensor = getattr(self, self.key)(inputs)
        return outputs if self.norm is None else self.norm(outputs)


def _open_conditions(conditions: Sequence[tuple[str, frozenset[str]]], choices: Mapping[str, Choice]) -> Conditions:
    spelled: Conditions = {}
    for name, labels in conditions:
        spelled[name] = spelled.get(name, frozenset(choices[name].labels)) & labels
    return {name: labels for name, labels in spelled.items() if labels != frozenset(choices[name].labels)}


def _either(one: Conditions, other: Conditions, name: str) -> Conditions:
    for weak, strong in ((one, other), (other, one)):
        if all(name in strong and strong[name] <= labels for name, labels in weak.items()):
            return weak
    differing = [name for name in one if one[name] != other.get(name)]
    if one.keys() == other.keys() and len(differing) == 1:
        return {**one, differing[0]: one[differing[0]] | other[differing[0]]}
    raise ValueError(f"Choice '{name}' is asked for in two places that depend on different choices.")


@dataclass(frozen=True, kw_only=True)
class StackLayout:
    """The open questions of a network of layers in a row."""

    questions: Mapping[str, tuple[str, ...]]  # labels of what each layer asks for
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    shared: bool  # whether all layers have the same labels


class LayerStack(nn.Module):
    """Layers under their places from 1 on, of which the first few are computed, as the choice ``depth`` says."""

    layers: nn.ModuleDict

    def __init__(self, build: Builder, layout: StackLayout) -> None:
        super().__init__()
        self.depth = build.question("depth", layout.depths)
        self.depths = [int(label) for label in self.depth.labels]

    def places(self, build: Builder, layout: StackLayout) -> Iterator[tuple[int, str]]:
        """Each layer's place and its choices' prefix: those that are asked for in the loop matter if it is computed."""
        for place in range(1, max(self.depths) + 1):
            with build.where("depth", [str(depth) for depth in layout.depths if depth >= place]):
                yield place, "" if layout.shared else f"layer{place}."

    def computed_depths(self) -> list[int]:
        """The numbers of layers that are computed: the sampled one, or all."""
        return [int(label) for label in self.depth.computed_labels()]

    def computed_layers(self) -> list[nn.Module]:
        """The layers up to the largest computed depth."""
        return list(self.layers.values())[: max(self.computed_depths())]

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return sum(map(count.computed, self.computed_layers()))
