"""The training hyper-parameters of a child network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Recipe:
    """How a child network is trained on one task; not a part of its architecture.

    Attributes:
        epochs: passes over the train part.
        batch_size: images a step; a smaller train part is one batch.
        learning_rate: of AdamW at the start; it falls to zero as a half cosine.
        weight_decay: of AdamW.
        label_smoothing: of the cross-entropy.
        inherit: start from the weights that a search hands over, where there are any.
    """

    epochs: int = 30
    batch_size: int = 50
    learning_rate: float = 1e-2
    weight_decay: float = 1e-3
    label_smoothing: float = 0.0
    inherit: bool = True

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 1 if name in ("epochs", "batch_size") else 0
            if value < least:
                raise ValueError(f"Recipe: {name} is {value}; it must be at least {least}.")
        if self.label_smoothing > 1:
            raise ValueError(f"Recipe: label_smoothing is {self.label_smoothing}; it must be at most 1.")

    def changed(self, changes: Mapping[str, float | int | str | bool]) -> Recipe:
        """The recipe with new values of numeric fields.

        Raises:
            ValueError: a name is no field of a recipe.
        """
        names = [field.name for field in fields(self) if field.name != "inherit"]
        for name in changes:
            if name not in names:
                raise ValueError(f"A recipe has no number '{name}': use {', '.join(names)}.")
        return Recipe(**{**asdict(self), **changes})
