"""A tiny module that searches: its logits move along a straight line, one step a batch."""

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from lit_metanas.records import Cost, Protocol
from lit_metanas.spaces import Architecture, LayeredSpace
from lit_metanas.tasks import Episode, Split

BATCHES = 4


def episode(number: int) -> Episode:
    split = Split(torch.zeros(5, 1, 4, 4), torch.arange(5))
    return Episode(id=f"episode {number}", way=5, train=split, val=None, test=split)


class Drifting(LightningModule):
    """After ``k`` batches the logits are ``k * direction``; validation accuracy is read from a list."""

    def __init__(self, accuracies: list[float] | None = None, batches: int = 100) -> None:
        super().__init__()
        self.space = LayeredSpace(
            kernels=(3, 5), pools=("max",), dropouts=(0.0,), skips=("none", "residual"), shared=True
        )
        self.direction = {c.name: torch.linspace(0, 0.5, len(c.labels)) for c in self.space.choices}
        self.accuracies = accuracies or [0.5]
        self.whole = batches
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.automatic_optimization = False
        self.register_buffer("trained", torch.tensor(0))
        self.register_buffer("validated", torch.tensor(0))
        self.test_values: list[float] = []
        self.seed = 7
        self.shape = (1, 4, 4)

    @property
    def progress(self) -> float:
        assert self.trainer.state.fn == "fit", "only a training has progress"
        return int(self.trained) / self.whole

    def probabilities(self) -> dict[str, Tensor]:
        return {name: torch.softmax(int(self.trained) * value, 0) for name, value in self.direction.items()}

    def architecture(self) -> Architecture:
        return self.space.derive(self.probabilities())

    def cost(self) -> Cost:
        return Cost(flops=10**9, seconds=2.0)

    def result_fields(self) -> dict[str, object]:
        measured = {"parameters": 123, "flops": 456, "meta_cost": self.cost(), "seed": 7}
        return {"protocol": Protocol("episodes", 5, 1, "support"), **measured}

    def training_step(self, batch: list[Episode], batch_idx: int) -> None:
        self.trained += 1
        self.log("train/loss", torch.tensor(1.25), batch_size=len(batch))
        self.log("train/accuracy", torch.tensor(0.612), batch_size=len(batch))

    def validation_step(self, batch: list[Episode], batch_idx: int) -> None:
        value = self.accuracies[min(int(self.validated) // BATCHES, len(self.accuracies) - 1)]
        if not self.trainer.sanity_checking:
            self.validated += 1
        self.log("val/accuracy", torch.tensor(value), batch_size=len(batch))
        self.log("val/accuracy_relaxed", torch.tensor(value + 0.125), batch_size=len(batch))
        self.log("val/accuracy_one_hot", torch.tensor(value), batch_size=len(batch))

    def on_test_start(self) -> None:
        self.test_values = []

    def test_step(self, batch: list[Episode], batch_idx: int) -> None:
        self.test_values += [0.5 + 0.1 * batch_idx] * len(batch)
        self.log("test/accuracy", torch.tensor(0.5), batch_size=len(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader(episodes: int = 3) -> DataLoader:
    """``BATCHES`` batches, each a list of episodes."""
    batches = [[episode(i) for i in range(episodes)] for _ in range(BATCHES)]
    return DataLoader(batches, batch_size=None)
