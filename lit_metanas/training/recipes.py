"""The recipe of a child's training: its learning rates, its batches, and the average of its weights."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Subset, TensorDataset

from lit_metanas.inputs.shapes import ImageShape, RowShape, Shape, describe_shape
from lit_metanas.io.allocator import is_out_of_memory
from lit_metanas.kinds.augmentation import AUGMENTATIONS, NO_AUGMENTATION
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.record import RecipeFields
from lit_metanas.tasks.task import Split

SMALLEST_BATCH = 2  # examples of a batch, of which batch-norm needs two

ADAMW, MUON = OPTIMIZERS = ("adamw", "muon")

_LEAST = {"int": 1, "float": 0}  # the smallest values of fields, by their types


@dataclass(frozen=True)
class Recipe:
    """How a child network is trained on one task; it is no part of the architecture.

    Attributes:
        epochs: passes over the train part.
        batch_size: examples a step; a smaller train part is one batch.
        learning_rate: at its highest; it falls to zero as a half cosine.
        weight_decay: of all weights in each step, and no part of the gradient.
        label_smoothing: of the cross-entropy.
        inherit: start from the weights of the search, if it has any.
        augmentation: how the examples of each step are changed at random: ``none``, ``light`` or ``strong``. Images are
            turned, zoomed and moved a little, and become brighter or darker, if the whole train part lies in [0, 1];
            ``strong`` does more of it, also changes contrast and colours, and covers a rectangle. Sounds and other
            series with one answer each are moved in time, and in all series blocks of bands and of steps are hidden. In
            texts, words are replaced by the unknown one, which must be token 1. Rows of numbers get noise. Validation
            and test examples are never changed.
        mirror: whether half of the images of each step are mirrored. Letters, digits and arrows must not be.
        mixup: each example becomes a random mean of itself and another one, with the same mean of their losses (Zhang
            et al. 2018): the parameter of the Beta distribution that weights are drawn from; 0 mixes nothing. Only for
            classes or numbers of images or rows.
        warmup: share of the steps in which the learning rate rises from near zero in a line. With 0.3 the learning
            rate is that of the one-cycle policy (Smith and Topin 2018).
        average: the network that is scored and kept has averaged weights, exponentially and over about this share of
            the steps (Polyak and Juditsky 1992); 0 keeps the last ones. The statistics of batch norm are averaged, too.
        optimizer: ``adamw``, or ``muon`` for orthogonal steps of hidden layers; see ``lm.training.Muon``.

    Raises:
        ValueError: a number is out of its range, or the augmentation or the optimizer is unknown.

    Example:
        >>> recipe = lm.Recipe(epochs=100, label_smoothing=0.1)
        >>> recipe.replace({"learning_rate": 1e-3}).epochs
        100
    """

    epochs: int = 30
    batch_size: int = 50
    learning_rate: float = 1e-2
    weight_decay: float = 1e-3
    label_smoothing: float = 0.0
    inherit: bool = True
    augmentation: str = NO_AUGMENTATION
    mirror: bool = False
    mixup: float = 0.0
    warmup: float = 0.0
    average: float = 0.0
    optimizer: str = ADAMW

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), _LEAST.get(str(field.type))
            if least is not None and value < least:
                raise ValueError(f"Recipe: {field.name} is {value}; it must be at least {least}.")
        for name in ("label_smoothing", "warmup", "average"):
            if (value := getattr(self, name)) > 1:
                raise ValueError(f"Recipe: {name} is {value}; it must be at most 1.")
        for name, known in (("augmentation", AUGMENTATIONS), ("optimizer", OPTIMIZERS)):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"Recipe: {name} is '{value}'; use {', '.join(known)}.")

    @property
    def changes_examples(self) -> bool:
        """Whether the examples of each step are changed at random."""
        return self.augmentation != NO_AUGMENTATION or self.mirror or self.mixup > 0

    def replace(self, changes: RecipeFields) -> Recipe:
        """The recipe with new values of fields that can be searched; ValueError for others, or values out of range."""
        names = [field.name for field in fields(self) if field.name != "inherit"]
        for name in changes:
            if name not in names:
                raise ValueError(f"A recipe has no field '{name}' to be searched: use {', '.join(names)}.")
        return Recipe(**{**asdict(self), **changes})


def check_changes(recipe: Recipe, shape: Shape, objective: Objective) -> None:
    """Refuse changes of examples that would make targets wrong, or that inputs of a shape cannot have."""
    if recipe.augmentation != NO_AUGMENTATION and not objective.augmentable:
        raise ValueError(
            f"Recipe: augmentation is '{recipe.augmentation}', and it would hide words of the answers of questions: "
            f"set it to '{NO_AUGMENTATION}'."
        )
    if recipe.mirror and not isinstance(shape, ImageShape):
        raise ValueError(f"Recipe: mirror is for images, and the inputs are {describe_shape(shape)}: leave it out.")
    if recipe.mixup and not (objective.scored == "input" and isinstance(shape, ImageShape | RowShape)):
        raise ValueError("Recipe: mixup is for classes or numbers of images or rows: set it to 0.")


def learning_rates(optimizer: Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    """The learning rates of so many steps: a line up, if there is a warm-up, and a half cosine down to zero."""
    rising = round(recipe.warmup * steps)
    if not rising:
        return CosineAnnealingLR(optimizer, T_max=steps)
    falling = max(1, steps - rising)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return (1 + math.cos(math.pi * min(1.0, (step - rising) / falling))) / 2

    return LambdaLR(optimizer, factor)


def batches(split: Split, batch_size: int, seed: int, places: Tensor | None = None) -> DataLoader[tuple[Tensor, ...]]:
    """Batches of inputs, labels, and weights if there are any, of all examples or of those at some places."""
    # They are shuffled in each epoch, and have no last batch of one example.
    tensors = (one for one in (split.inputs, split.labels, split.weights) if one is not None)
    data: Dataset[tuple[Tensor, ...]] = TensorDataset(*tensors)
    number = len(split)
    if places is not None:
        data, number = Subset(data, places.tolist()), len(places)
    shuffled = RandomSampler(range(number), generator=torch.Generator().manual_seed(seed))
    drop_last = images_an_epoch(number, batch_size) < number
    return DataLoader(data, batch_size=None, sampler=BatchSampler(shuffled, min(batch_size, number), drop_last))


def images_an_epoch(images: int, batch_size: int) -> int:
    """The images that an epoch of training sees: batch-norm needs two, so a last batch of a single one is left out."""
    return images - int(images > 1 and images % min(batch_size, images) == 1)


def with_halved_batch(recipe: Recipe, error: Exception, examples: int) -> Recipe:
    """A recipe of smaller batches of so many examples, and a warning, after memory has run out."""
    size = min(recipe.batch_size, examples)
    if not is_out_of_memory(error) or size <= SMALLEST_BATCH:
        raise error
    half = max(SMALLEST_BATCH, size // 2)
    warnings.warn(
        f"Memory has run out in a training with batches of {size} examples: it goes on with {half}.", stacklevel=3
    )
    return replace(recipe, batch_size=half)


_Tensors = tuple[Tensor, ...] | list[Tensor]


class WeightAverage(AveragedModel):
    """A copy of a network whose weights and batch-norm statistics are the averages of a training."""

    # After the step `n` of a training the averages move to the weights by `1 / (window + 1)` of the difference, and in
    # the first steps by `9 / (9 + n)`, so that they forget how the training began.

    def __init__(self, network: nn.Module, window: float = 0.0) -> None:
        # With `use_buffers` the statistics of batch norm are averaged like the weights that they belong to. Those of
        # the last weights would not fit, and to compute them again would take another pass over the examples.
        super().__init__(network, multi_avg_fn=self._move, use_buffers=True)
        self.window = window

    @torch.no_grad()
    def _move(self, averages: _Tensors, current: _Tensors, number: Tensor | int) -> None:
        share = max(1 / (self.window + 1), 9 / (9 + int(number)))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, current, share)
        else:  # the number of batches that batch norm has seen
            torch._foreach_copy_(averages, current)
