"""What the training of a child costs besides its steps, against a plain PyTorch loop of the same steps.

Run: ``python benchmarks/child_throughput.py --output child_throughput.json``. One training on a task of texts, one of
speech, one of pairs of texts, each with one thread: the same network, initial weights, batches, optimizer and schedule
on both sides, which is checked by the trained weights. The sides run in turn; CPU time, from the untrained network on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from figure import Figure, one_thread, parser_of, report, times_as_fast
from ratio import compare
from torch import nn

from lit_metanas.io.text import hardware
from lit_metanas.kinds import Characters, Docstrings, ParallelTask, SpokenWords
from lit_metanas.spaces import Architecture, EncoderDecoderSpace, SearchSpace, SequenceSpace
from lit_metanas.tasks import Task, draw_task
from lit_metanas.training import Child, Recipe
from lit_metanas.training.child import fit_child

TARGET = 0.95
SMALL = {"activations": ("ReLU",), "dropouts": (0.0,), "skips": ("residual",)}


@dataclass(frozen=True)
class Case:
    """One training.

    Attributes:
        task: what is trained on.
        space: of the network.
        architecture: the network.
        recipe: how it is trained.
    """

    task: Task
    space: SearchSpace
    architecture: Architecture
    recipe: Recipe

    def child(self) -> Child:
        """A new network, the same each time."""
        torch.manual_seed(0)
        return Child(
            space=self.space,
            architecture=self.architecture,
            shape=self.task.shape,
            way=self.task.way,
            recipe=self.recipe,
            objective=self.task.objective,
        )


def cases(epochs: int) -> dict[str, Case]:
    """A task of each kind, and a network of two layers for it."""
    layers = SequenceSpace(operations=("conv_3",), depths=(2,), readouts=("max",), **SMALL)
    strided = SequenceSpace(operations=("conv_3",), depths=(2,), readouts=("max",), stride=2, **SMALL)
    read = SequenceSpace(operations=("gru",), depths=(1,), readouts=("each",), **SMALL)
    writing = EncoderDecoderSpace(read, decoders=("gru",), decoder_depths=(1,), target_steps=8)
    texts = draw_task(Docstrings(), way=5, train=60, val=5, test=5)
    words = draw_task(SpokenWords(), way=5, train=60, val=5, test=5)
    given = {"text": (texts, layers), "speech": (words, strided), "translation": (pairs(500), writing)}
    return {
        name: Case(task, space, space.sample(torch.Generator().manual_seed(0)), Recipe(epochs=epochs))
        for name, (task, space) in given.items()
    }


def pairs(number: int) -> Task:
    """Numbers, and the same backwards."""
    rows = [f"{each}\t{str(each)[::-1]}" for each in range(1000, 1000 + 7 * number, 7)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backwards.tsv"
        path.write_text("\n".join(["source\ttarget", *rows]), encoding="utf-8")
        made = {"preprocessing": Characters(steps=8), "target_preprocessing": Characters(steps=8)}
        return ParallelTask(str(path), **made)[0]


def plain_loop(case: Case) -> nn.Module:
    """The textbook loop."""
    network, recipe, train, goal = case.child().network, case.recipe, case.task.train, case.task.goal
    number = len(train)
    assert number % recipe.batch_size == 0  # else torch's sampler draws each order twice, and the batches differ
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * -(-number // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    generator = torch.Generator().manual_seed(0)
    network.train()
    for _ in range(recipe.epochs):
        for places in torch.randperm(number, generator=generator).split(recipe.batch_size):
            inputs, targets = train.inputs[places], train.labels[places]
            (scores,) = case.space.training_scores(network, inputs, targets)
            loss = goal.loss(scores, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network


def fit(case: Case) -> nn.Module:
    """What estimators and searches do."""
    child = case.child()
    fit_child(child, case.task.train, seed=0)
    return child.network


def check_equal(name: str, case: Case) -> None:
    """Both sides end in the same weights."""
    for (key, one), other in zip(plain_loop(case).state_dict().items(), fit(case).state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, msg=lambda message, key=key: f"{name}, {key}: {message}")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--epochs", type=int, default=30, help="passes over 300 examples (default 30)")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of trainings (default 7)")
    options = parser.parse_args()
    one_thread()
    print(f"Trainings of {options.epochs} epochs, {options.rounds} rounds, one thread; {hardware()}")
    figures = []
    for name, case in cases(options.epochs).items():
        check_equal(name, case)
        calls: dict[str, Callable[[], object]] = {"child": lambda case=case: fit(case)}
        plain, row = compare(
            ("plain loop", lambda case=case: plain_loop(case)), calls, options.rounds, targets={"child": TARGET}
        )
        figures.append(times_as_fast(row, f"{name}: a plain loop's time over a child's"))
        figures.append(Figure(f"{name}: plain loop", 1e3 * plain.seconds, "ms"))
    report(figures, options.output, "child_throughput")


if __name__ == "__main__":
    main()
