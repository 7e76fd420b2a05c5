"""Tiny tasks of texts: each letter stands for another one, by a table of the task's own; and tasks of stripes."""

from collections.abc import Sequence
from typing import Any

import torch
from meta_toys import QUIET
from space_toys import one_reader

import lit_metanas as lm

STEPS = 4
LETTERS = lm.kinds.Words(steps=STEPS, least=1).fitted(["a b c d e f g h"])
VOCABULARY = LETTERS.shape.vocabulary
OTHERS = lm.kinds.Words(steps=STEPS, least=1).fitted(["a b c d e f g i"])

READERS = {"activations": ("Identity",), "depths": (1,), "readouts": ("each",)}
WRITERS = lm.EncoderDecoderSpace(
    one_reader(operations=("conv_3", "attention_4"), widths=(16, 32), **READERS), decoders=("attention", "conv"),
    decoder_depths=(1,), decoder_dropouts=(0.0,), target_steps=STEPS + 1,
)  # fmt: skip
IMAGES = lm.LayeredSpace(
    kernels=(1, 3), depths=(2,), widths=(4, 6), activations=("ReLU", "Tanh"), pools=("max",), dropouts=(0.0,)
)


class Ciphers(lm.tasks.TaskCollection):
    """Tasks whose tables are functions of their numbers."""

    shape = LETTERS.shape

    def __init__(self, numbers: Sequence[int], train: int = 40, letters: lm.kinds.Words = LETTERS) -> None:
        self.numbers = numbers
        self.train = train
        self.letters = letters

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> lm.Task:
        number = self.numbers[index]
        table = torch.randperm(VOCABULARY - 2, generator=torch.Generator().manual_seed(number))

        def part(size: int, seed: int) -> lm.Split:
            generator = torch.Generator().manual_seed(10 * number + seed)
            plain = torch.randint(2, VOCABULARY, (size, STEPS), generator=generator)
            return lm.Split(plain, table[plain - 2] + 2)

        goal = lm.Translation(self.letters)
        return lm.Task(
            f"cipher/{number}", way=goal.outputs, train=part(self.train, 0), val=part(40, 1), test=part(40, 2),
            vocabulary=VOCABULARY, preprocessing=self.letters, objective=goal,
        )  # fmt: skip


class Stripes(lm.tasks.TaskCollection):
    """Tasks of telling three widths of stripes apart."""

    shape = (1, 8, 8)

    def __init__(self, tasks: int = 6, first: int = 0, broken: tuple[int, ...] = ()) -> None:
        self.tasks = tasks
        self.first = first
        self.broken = broken

    def __len__(self) -> int:
        return self.tasks

    def __getitem__(self, index: int) -> lm.Task:
        generator = torch.Generator().manual_seed(self.first + index)
        widths = 0.3 + 2 * torch.rand(3, generator=generator)

        def part(size: int) -> lm.Split:
            labels = torch.arange(size) % 3
            rows = torch.sin(torch.arange(8) * widths[labels, None])[:, None, None, :].expand(size, 1, 8, 8)
            return lm.Split(0.5 + 0.2 * rows + 0.3 * torch.rand(size, 1, 8, 8, generator=generator), labels)

        task = lm.Task(f"stripes/{self.first + index}", way=3, train=part(12), val=part(9), test=part(9))
        if index in self.broken:
            task.train.inputs[:] = float("nan")
        return task


def quiet_trainer(**options: Any) -> lm.Trainer:
    return lm.Trainer(**{**QUIET, **options})


def stripe_data(**options: Any) -> lm.TrainingTaskDataModule:
    sizes = {"tasks_per_step": 2, "steps_per_epoch": 3, "val_tasks": 2}
    return lm.TrainingTaskDataModule(Stripes(), Stripes(tasks=2, first=50), **{**sizes, **options})


def stripe_model(**options: Any) -> lm.training.TaskReptile:
    return lm.training.TaskReptile(**{"space": IMAGES, "inner_steps": 2, "batch_size": 8, "seed": 3, **options})
