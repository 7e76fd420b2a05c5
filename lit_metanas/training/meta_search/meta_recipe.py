"""The recipe of a meta-training with the prototype loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, Literal, get_args

from torch.optim import AdamW

from lit_metanas.io.settings import settings_of
from lit_metanas.kinds.augmentation import ImageAugmentation
from lit_metanas.meta import PrototypeHead, PrototypeLoss
from lit_metanas.records.record import RecipeFields, RecipeValue

Distance = Literal["plain", "scaled", "cosine"]  # how queries are compared with the class means

_HEADS: Mapping[Distance, dict[str, Any]] = {
    "plain": {"scale": 0.1, "learned": False, "unit": False},
    "scaled": {"scale": 1.0, "learned": True, "unit": False},
    "cosine": {"scale": 10.0, "learned": True, "unit": True},
}
"""Arguments of ``PrototypeHead``, all of them: a configuration that lies over another one must leave none of its."""

Changes = Literal["none", "flip", "cut", "colour"]
"""How the images of training episodes are changed, each of these more than the one before."""

_AUGMENTATIONS: Mapping[Changes, dict[str, float]] = {
    "none": {"flip": 0.0, "zoom": 1.0, "colour": 0.0},
    "flip": {"flip": 0.5, "zoom": 1.0, "colour": 0.0},
    "cut": {"flip": 0.5, "zoom": 0.5, "colour": 0.0},
    "colour": {"flip": 0.5, "zoom": 0.5, "colour": 0.4},
}
"""Arguments of ``ImageAugmentation``."""


@dataclass(frozen=True)
class MetaRecipe:
    """How a network is meta-trained with the prototype loss; not a part of its architecture.

    Attributes:
        learning_rate: of AdamW at the start; it falls to zero as a half cosine.
        weight_decay: of AdamW.
        label_smoothing: share of each label that is spread evenly over all classes, from 0, below 1.
        distance: ``plain`` takes a tenth of the squared distance to a class mean, ``scaled`` multiplies the squared
            distance by a number that is meta-trained from 1 on (Oreshkin et al. 2018, Section 3.1), and ``cosine``
            compares angles alone, with such a number from 10 on (Gidaris and Komodakis 2018, Section 3.2).
        way: classes a training episode; None takes those of the data.
        query: query images a class of a training episode; None takes those of the data.
        augmentation: of the images of training episodes: ``none``; ``flip`` mirrors half of them; ``cut`` also takes
            half of the area or more; ``colour`` also changes brightness, contrast and saturation by up to 40 %. None
            takes that of the data.

    Raises:
        ValueError: a number is out of its range, or the distance or the augmentation is unknown. ``EpisodeDataModule``
            refuses the sizes of episodes.

    Example:
        >>> recipe = lm.training.MetaRecipe(label_smoothing=0.1, distance="scaled")
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(shared=True), **recipe.parts())
        >>> recipe.parts()["head"].learned
        True
    """

    learning_rate: float = 1e-2
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    distance: Distance = "plain"
    way: int | None = None
    query: int | None = None
    augmentation: Changes | None = None

    def __post_init__(self) -> None:
        for name, (holds, wanted) in _LIMITS.items():
            value = getattr(self, name)
            if value is None or isinstance(value, bool | str) or not holds(value):
                raise ValueError(f"MetaRecipe: {name} is {value}; give {wanted}.")
        if self.distance not in _HEADS:
            raise ValueError(f"MetaRecipe: distance is '{self.distance}'; use {', '.join(get_args(Distance))}.")
        if self.augmentation is not None and self.augmentation not in _AUGMENTATIONS:
            raise ValueError(
                f"MetaRecipe: augmentation is '{self.augmentation}'; use {', '.join(get_args(Changes))}, or leave it "
                "to the data."
            )

    def replace(self, changes: RecipeFields) -> MetaRecipe:
        """The recipe with new values of some fields.

        Raises:
            ValueError: a name is not a field, or a value is out of its range.
        """
        names = [field.name for field in fields(self)]
        for name in changes:
            if name not in names:
                raise ValueError(f"The recipe of a meta-training has no field '{name}': use {', '.join(names)}.")
        return MetaRecipe(**{**asdict(self), **changes})

    @property
    def given(self) -> dict[str, RecipeValue]:
        """All fields but those that the data decide."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def episodes(self) -> dict[str, Any]:
        """The arguments of ``EpisodeDataModule`` that it decides; those that it leaves to the data are absent."""
        parts: dict[str, Any] = {name: self.given[name] for name in ("way", "query") if name in self.given}
        if self.augmentation is not None:
            parts["augmentation"] = ImageAugmentation(**_AUGMENTATIONS[self.augmentation])
        return parts

    def parts(self) -> dict[str, Any]:
        """The arguments of ``MetaSearch`` that it decides."""
        return {
            "head": PrototypeHead(**_HEADS[self.distance]),
            "meta_gradient": PrototypeLoss(label_smoothing=self.label_smoothing),
            "weight_optimizer": partial(AdamW, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True),
        }

    def configuration(self) -> dict[str, Any]:
        """What it decides, as plain values: a configuration to lay over one of ``fit`` or ``test``."""
        optimizer = {"lr": self.learning_rate, "weight_decay": self.weight_decay, "fused": True}
        model = {
            "head": {"class_path": "PrototypeHead", "init_args": dict(_HEADS[self.distance])},
            "meta_gradient": {"class_path": "PrototypeLoss", "init_args": {"label_smoothing": self.label_smoothing}},
            "weight_optimizer": {"class_path": "torch.optim.AdamW", "init_args": optimizer},
        }
        over, data = {"model": {"init_args": model}}, self.episodes
        if "augmentation" in data:
            # All arguments, so that none of another configuration's is left.
            changes = settings_of(data["augmentation"])["arguments"]
            data["augmentation"] = {"class_path": "ImageAugmentation", "init_args": changes}
        if data:
            over["data"] = {"init_args": data}
        return over


_LIMITS: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": (lambda value: 0 < value < math.inf, "a number above 0, such as 0.01"),
    "weight_decay": (lambda value: 0 <= value < math.inf, "a number from 0"),
    "label_smoothing": (lambda value: 0 <= value < 1, "a share from 0, below 1"),
}
