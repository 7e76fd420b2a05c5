"""A tiny task source, space and trainer for meta-search."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_metanas.meta import FOMAML, JointInnerLoop, LinearHead, MetaGradient, PrototypeLoss
from lit_metanas.relaxations import SampledChild, Softmax
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import EpisodeDataModule, Subset, TaskSource
from lit_metanas.tasks.source import SUBSETS
from lit_metanas.training import MetaSearch

QUIET: dict[str, Any] = {
    "accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "max_epochs": 1, "num_sanity_val_steps": 0,
}  # fmt: skip
SHAPE = (1, 8, 8)
SPACE = LayeredSpace(
    kernels=(1, 3), depths=(2,), widths=(4, 6), activations=("ReLU", "Tanh"), pools=("max",), dropouts=(0.0, 0.2)
)


class Patterns(TaskSource):
    """Each class is a stripe pattern of its own width, contrast and brightness; instances add noise."""

    shape = SHAPE

    def classes(self, subset: Subset) -> tuple[str, ...]:
        return tuple(f"{subset}{place}" for place in range(8))

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        return 20

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        number = SUBSETS.index(subset) * 100 + class_index
        return torch.stack([_picture(number) + _noise(1000 * (number + 1) + i) for i in instances]).byte()


def _picture(number: int) -> Tensor:
    frequency, brightness = torch.rand(2, generator=torch.Generator().manual_seed(number)).tolist()
    stripes = torch.sin(torch.arange(8) * (0.3 + 2.5 * frequency))
    return (40 + 80 * brightness + 40 * stripes).expand(SHAPE)


def _noise(seed: int) -> Tensor:
    return torch.randint(0, 96, SHAPE, generator=torch.Generator().manual_seed(seed)).float()


class Losses(Callback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.values.append(float(trainer.callback_metrics["train/loss"]))


def make_model(*, weights_seed: int = 0, **options: Any) -> MetaSearch:
    """A small search; by sampled children, the harder case for processes and resuming, unless options say otherwise."""
    if not {"meta_gradient", "relaxation"} & options.keys():
        options |= {"meta_gradient": PrototypeLoss(), "relaxation": SampledChild()}
    options = {"space": SPACE, "shape": SHAPE, **options}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(weights_seed)
        return MetaSearch(**options)


def adapting(meta_gradient: MetaGradient | None = None, **options: Any) -> dict[str, Any]:
    """Options of a model that adapts weights, logits and a linear head to each task, in one step unless told."""
    given = {"meta_gradient": meta_gradient or FOMAML(), "relaxation": Softmax(), "inner_loop": JointInnerLoop(steps=1)}
    return {**given, "head": LinearHead(way=3), **options}


def make_data(**options: Any) -> EpisodeDataModule:
    sizes = {"way": 3, "shot": 2, "query": 3, "tasks_per_step": 2, "steps_per_epoch": 4}
    source = options.pop("source", None) or Patterns()
    return EpisodeDataModule(source, **{**sizes, "val_episodes": 4, "test_episodes": 6, **options})


def make_trainer(**options: Any) -> Trainer:
    return Trainer(**{**QUIET, "enable_model_summary": False, "log_every_n_steps": 1, **options})


def fit(model: MetaSearch, data: EpisodeDataModule | None = None, **options: Any) -> tuple[Trainer, list[float]]:
    losses = Losses()
    ckpt_path = options.pop("ckpt_path", None)
    trainer = make_trainer(**{**options, "callbacks": [losses, *options.get("callbacks", [])]})
    trainer.fit(model, make_data() if data is None else data, ckpt_path=ckpt_path)
    return trainer, losses.values


def state_of(model: MetaSearch) -> dict[str, Tensor]:
    """Everything that a resumed training must share with an uninterrupted one, as flat tensors."""
    tensors = {f"module {name}": value for name, value in model.state_dict().items()}
    tensors |= {f"statistics {name}": value for name, value in model.statistics.values.items()}
    for place, optimizer in enumerate(model.trainer.optimizers):
        for number, entry in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer {place} {number} {k}": torch.as_tensor(v) for k, v in entry.items()}
        for number, group in enumerate(optimizer.param_groups):
            tensors[f"optimizer {place} group {number} lr"] = torch.tensor(group["lr"], dtype=torch.float64)
    return {name: value.detach().clone() for name, value in tensors.items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Names in the same order, and equal tensors."""
    assert list(one) == list(other)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
