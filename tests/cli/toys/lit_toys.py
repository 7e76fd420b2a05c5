"""The smallest module and data that the command line can drive."""

import time
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Part:
    """Something nested.

    Args:
        width: features.
    """

    def __init__(self, width: int = 3) -> None:
        self.width = width


class ToyModel(LightningModule):
    """Linear regression.

    Args:
        part: gives the width.
        rate: learning rate.
        interrupt: the batch of epoch 1 in which the user presses Ctrl-C.
        pause: seconds that a batch takes.
    """

    def __init__(self, part: Part, rate: float = 0.1, interrupt: int | None = None, pause: float = 0) -> None:
        super().__init__()
        if rate <= 0:
            raise ValueError(f"rate = {rate} must be above 0.")
        self.rate = rate
        self.interrupt = interrupt
        self.pause = pause
        self.layer = nn.Linear(part.width, 1)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        if self.current_epoch == 1 and batch_idx == self.interrupt:
            raise KeyboardInterrupt
        time.sleep(self.pause)
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", self.layer(batch[0]).square().mean())

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test/loss", self._adapted(batch))

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self._adapted(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.rate)

    def _adapted(self, batch: list[Tensor]) -> Tensor:
        with torch.enable_grad():
            loss = self.layer(batch[0]).square().mean()
            (gradient,) = torch.autograd.grad(loss, [self.layer.weight])
        print(f"adapted with a gradient of shape {tuple(gradient.shape)}")
        return gradient.norm()


class ScheduledModel(ToyModel):
    """The same with momentum and a scheduler, whose states are in checkpoints."""

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.LRScheduler]]:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.rate, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2)]


class Counting(Callback):
    """Counts batches, and keeps their number."""

    def __init__(self) -> None:
        self.count = 0

    def on_train_batch_end(self, *args: object) -> None:
        self.count += 1

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self.count = state_dict["count"]


class ToyData(LightningDataModule):
    """Eight random inputs.

    Args:
        width: features.
        file: something that has to be there.
    """

    def __init__(self, width: int = 3, file: str | None = None) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width = {width} must be at least 1.")
        if file is not None and not Path(file).is_file():
            raise FileNotFoundError(f"There is no file '{file}'.")
        inputs = torch.rand(8, width, generator=torch.Generator().manual_seed(0))
        self.loader = DataLoader(TensorDataset(inputs), batch_size=4)

    def train_dataloader(self) -> DataLoader:
        return self.loader

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader
