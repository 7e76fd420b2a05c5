"""Several search spaces as one, and their networks, which may take a long series window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.shapes import SeriesShape, Shape, as_shape
from lit_metanas.objectives.objective import Objective
from lit_metanas.spaces.architecture import Architecture, Choice, check_given
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.space import ONE_BY_ONE, SearchSpace, ShapeType
from lit_metanas.spaces.supernet import ChildNetwork, Supernet

FAMILY = "family"  # the choice among the spaces
HEAD_WEIGHTS = frozenset({"head.weight", "head.bias"})  # weights that have the same names in all families

WINDOWS_AT_ONCE = 256
"""Windows of a batch that are computed together: those of hours of sound would not fit into memory."""

Value = TypeVar("Value")


def under(label: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """Values under the names that they have in a union, whose family has a label."""
    return {f"{label}.{name}": value for name, value in named.items()}


def within(label: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """The inverse of ``under``, without the values of others."""
    return {name.removeprefix(f"{label}."): named[name] for name in named if name.startswith(f"{label}.")}


def in_family(label: str, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels of a network of a family, in the union."""
    return {FAMILY: label, **under(label, labels)}


class UnionSupernet(Supernet):
    """Holds the weights of all families, and refuses to compute."""

    refusal = f"UnionSpace: a supernet only holds weights: take the space of one family, or {ONE_BY_ONE}."

    def __init__(self, families: Mapping[str, Supernet]) -> None:
        super().__init__()
        for label, supernet in families.items():
            self.add_module(label, supernet)
        self.features = max(supernet.features for supernet in families.values())

    def flops(self, mixture: Mixture) -> int:
        """Refused, too."""
        raise ValueError(self.refusal)


class UnionSpace(SearchSpace):
    """Several spaces as one: a choice among them, ``family``, and the choices of each.

    The choices of a family have its label in front, such as ``grid.width``, and matter only where it is chosen. If the
    families take different kinds of input, the space is used ``restricted`` to one of them.

    Args:
        families: the spaces, by labels that are names in Python, such as ``grid``.
        window: steps of a series that a network takes at once; None has no limit. It takes a longer series in several
            windows, and its scores are the mean of theirs. It is trained on one window of each series, drawn anew in
            each step.

    Raises:
        ValueError: there are no spaces, their networks score different things, or the window has no steps.

    Example:
        >>> space = lm.spaces.UnionSpace({"steps": lm.SequenceSpace(widths=(16,)), "grid": lm.GridSpace(widths=(8,))})
        >>> architecture = space.sample(torch.Generator().manual_seed(1))
        >>> architecture["family"], "grid.block" in architecture, "steps.width" in architecture
        ('grid', True, False)
        >>> space.child(architecture, lm.SeriesShape(9, 32), way=3)(torch.rand(2, 9, 32)).shape
        torch.Size([2, 3])
    """

    def __init__(self, families: Mapping[str, SearchSpace], window: int | None = None) -> None:
        check_given(self.name, {"families": families})
        if window is not None and window < 1:
            raise ValueError(f"{self.name}: window = {window} must be at least one step, or None.")
        self.families = dict(families)
        self.window = window
        for label in self.families:
            if not label.isidentifier() or hasattr(UnionSupernet, label):
                raise ValueError(f"{self.name}: '{label}' cannot be the label of a family: take a name such as 'grid'.")
        self.scored, *others = dict.fromkeys(own.scored for own in self.families.values())
        if others:
            raise ValueError(f"{self.name}: 'families' score different things, such as inputs and steps: divide them.")
        found = [Choice(FAMILY, tuple(self.families))]
        for label, own in self.families.items():
            chosen = ((FAMILY, frozenset({label})),) * (len(self.families) > 1)
            for choice in own.choices:
                conditions = (*chosen, *under(label, dict(choice.active_if)).items())
                group = f"{label}.{choice.group}" * bool(choice.group)
                found.append(Choice(f"{label}.{choice.name}", choice.labels, group, conditions))
        self.choices = tuple(found)

    @property
    def shapes(self) -> tuple[ShapeType, ...]:  # type: ignore[override]
        """The kinds of input that all families take."""
        first, *others = (self.families[label] for label in self._labels)
        return tuple(kind for kind in first.shapes if all(kind in own.shapes for own in others))

    @property
    def size(self) -> int:
        """Those of all families."""
        return sum(self.families[label].size for label in self._labels)

    def architectures(self) -> Iterator[Architecture]:
        """Those of one family after the other."""
        for label in self._labels:
            found = (Architecture(in_family(label, one)) for one in self.families[label].architectures())
            yield from self._buildable(found)

    def check_objective(self, objective: Objective) -> None:
        """Refuse an objective that a family refuses."""
        for own in self.families.values():
            own.check_objective(objective)

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """The canonical architecture of the family that is chosen."""
        label, own = self._split(super().canonical(labels))
        return Architecture(in_family(label, self.families[label].canonical(own)))

    def violation(self, architecture: Architecture) -> str | None:
        """Why ``architecture`` cannot be built, or None."""
        label, own = self._split(architecture)
        if label not in self._labels:
            return f"its family '{label}' is left out"
        return self.families[label].violation(Architecture(own))

    def recorded(self, space: str, architecture: Architecture) -> Architecture | None:
        """What a record of this space, or of a family's, stands for here."""
        for label, own in self.families.items():
            found = own.recorded(space or self.name, architecture)
            if found is not None:
                return super().recorded("", Architecture(in_family(label, found)))  # which may be left out here
        return super().recorded(space, architecture)

    def equivalent(self, labels: Mapping[str, str], below: Callable[[int], int]) -> dict[str, str]:
        """Labels of the same canonical architecture, as the family draws them."""
        label, own = self._split(labels)
        return {**labels, **under(label, self.families[label].equivalent(own, below))}

    def proposed_labels(self, choice: Choice) -> tuple[str, ...]:
        """Those that its family proposes."""
        for label, own in self.families.items():
            for each in own.choices:
                if choice.name == f"{label}.{each.name}":
                    return own.proposed_labels(each)
        return choice.labels

    def supernet(self, shape: Shape) -> UnionSupernet:
        """What holds the weights of all families, and refuses to compute."""
        self.check_shape(shape)
        return UnionSupernet({label: self.families[label].supernet(self._window(shape)) for label in self._labels})

    def first_weights(self, shape: Shape) -> dict[str, Tensor]:
        """Those of all families."""
        parts = (under(label, self.families[label].first_weights(self._window(shape))) for label in self._labels)
        return {name: tensor for part in parts for name, tensor in part.items()}

    def build(self, architecture: Architecture, shape: Shape, way: int) -> ChildNetwork:
        """The family's child with newly initialised weights."""
        label, own = self._split(self.canonical(architecture))
        window = self._window(shape)
        child = self.families[label].build(Architecture(own), window, way)
        if isinstance(window, SeriesShape) and window != as_shape(shape):
            child = WindowedChild(child, window.steps)
        child.family = label
        return child

    def child(
        self, architecture: Architecture, shape: Shape, way: int, weights: Mapping[str, Tensor] | None = None
    ) -> nn.Module:
        """Build the plain network; it inherits from its own family alone."""
        child = self.build(architecture, shape, way)
        if own := within(child.family, weights or {}):
            child.inherit(own | {name: value for name, value in (weights or {}).items() if name in HEAD_WEIGHTS})
        return child

    def training_scores(self, child: nn.Module, inputs: Tensor, targets: Tensor) -> list[Tensor]:
        """The scores that the family's child is trained on."""
        return self.families[str(getattr(child, FAMILY))].training_scores(child, inputs, targets)

    def supernet_weights(self, child: nn.Module) -> dict[str, Tensor]:
        """The weights of a trained child, under the names by which another one inherits them."""
        found = super().supernet_weights(child)
        outputs = {name: found.pop(name) for name in HEAD_WEIGHTS & found.keys()}
        return under(str(getattr(child, FAMILY, "")), found) | outputs

    def restricted(self, labels: Mapping[str, str]) -> Self:
        """The space in which the named choices have just the given label."""
        space = super().restricted(labels)
        space.families = {label: own.restricted(within(label, labels)) for label, own in self.families.items()}
        return space

    def check_shape(self, shape: Shape) -> None:
        """Refuse inputs that a family does not take."""
        for label in self._labels:
            self.families[label].check_shape(shape)

    @property
    def _labels(self) -> tuple[str, ...]:
        # The families that may be chosen.
        return self.choices[0].labels

    def _window(self, shape: Shape) -> Shape:
        # What a network takes at once.
        whole = as_shape(shape)
        if self.window is None or not isinstance(whole, SeriesShape) or whole.steps <= self.window:
            return shape
        # A series is divided into as few windows as there can be, all of the same length.
        windows = -(-whole.steps // self.window)
        return SeriesShape(whole.features, -(-whole.steps // windows))

    def _split(self, labels: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        return labels[FAMILY], within(labels[FAMILY], labels)


class WindowedChild(ChildNetwork):
    """A network for windows, which takes whole series."""

    # While it is trained it takes one window of each series, drawn by PyTorch's global generator. Otherwise its
    # features are the mean over all windows that are not empty; since a linear layer is behind them, so are its scores.
    # Its FLOPs are those of a window.

    def __init__(self, window: ChildNetwork, steps: int) -> None:
        super().__init__()
        self.window = window
        self.steps = steps
        self.features, self.flops = window.features, window.flops

    @property
    def head(self) -> nn.Linear:  # type: ignore[override]
        """The classifier of each window."""
        return self.window.head

    def embed(self, inputs: Tensor) -> Tensor:
        """Features, shape ``(n, features)``, of inputs ``(n, values, steps)`` of any length."""
        windows, sounding = divided(inputs, self.steps)
        if self.training:
            drawn = (torch.rand(len(inputs), device=inputs.device) * sounding.sum(1)).long()
            return self.window.embed(windows[torch.arange(len(inputs), device=inputs.device), drawn])
        alone = windows.flatten(0, 1)
        if torch.compiler.is_compiling():  # an exported program has no loop over batches of any size
            features = self.window.embed(alone)
        else:
            features = torch.cat([self.window.embed(some) for some in alone.split(WINDOWS_AT_ONCE)])
        weights = (sounding / sounding.sum(1, keepdim=True)).to(features)
        return torch.einsum("nw,nwf->nf", weights, features.unflatten(0, (-1, windows.shape[1])))

    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """What the network for windows inherits."""
        self.window.inherit(weights)

    def _tensors(self) -> dict[str, Tensor]:
        return self.window._tensors()


def divided(inputs: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The windows of each series, and which of them are not empty; the first never is."""
    windows = -(-inputs.shape[-1] // steps)
    whole = F.pad(inputs, (0, windows * steps - inputs.shape[-1]))
    sounding = step_mask(whole).unflatten(1, (windows, steps)).any(2)
    first = torch.arange(windows, device=inputs.device) == 0
    return whole.unflatten(2, (windows, steps)).movedim(2, 1), sounding | first
