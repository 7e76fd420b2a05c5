"""What bf16 gains: training steps of networks for images, and whole trainings of children, against float32.

Run: ``python benchmarks/precision.py --output precision.json``, on a processor with units for bf16; one thread. A step
is a plain loop's: float32 in PyTorch's own layout, float32 with channels last, bf16 with channels last. A training is
of a child: the three of ``child_throughput.py``, the last one with recurrent layers, and one of images. CPU time of
what runs in turn; ``plain_loop.py --precision bf16-mixed`` measures a whole ``fit``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from child_throughput import Case, cases
from figure import Figure, one_thread, parser_of, report, times_as_fast
from plain_loop import SHAPE, SPACE, WAY
from ratio import compare
from references.image_networks import MODELS
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.inputs.batches import at_least_float32
from lit_metanas.io.text import hardware
from lit_metanas.training import Recipe
from lit_metanas.training.child import fit_child
from lit_metanas.training.precision import BF16, FLOAT32, autocast

CLASSES, COLOUR = 12, (3, 32, 32)
RECURRENT, TARGET = "translation", 1 / 0.65
Loss, Layout = Callable[[Tensor], Tensor], torch.memory_format


def prototype_loss(scores: Tensor) -> Tensor:
    return F.cross_entropy(-0.1 * torch.cdist(scores[WAY:], scores[:WAY]).square(), torch.arange(WAY))


def class_loss(scores: Tensor) -> Tensor:
    return F.cross_entropy(scores, torch.arange(len(scores)) % CLASSES)


def networks() -> dict[str, tuple[nn.Module, Tensor, Loss]]:
    """Networks with their inputs and losses."""
    pyramid = SPACE.child(SPACE.sample(torch.Generator()), SHAPE, WAY)
    pyramid.head = nn.Identity()
    found = {"pyramid, 120 grey images of 28x28": (pyramid, torch.rand(2 * WAY, *SHAPE), prototype_loss)}
    for name, make in MODELS.items():
        network, images = nn.Sequential(make(), nn.LazyLinear(CLASSES)), torch.rand(64, *COLOUR)
        network(images)
        found[f"{name}, 64 colour images of 32x32"] = network, images, class_loss
    return found


def steps(network: nn.Module, inputs: Tensor, loss: Loss, layout: Layout, precision: str) -> Callable[[], None]:
    inputs = inputs.contiguous(memory_format=layout)

    def ten_steps() -> None:
        network.to(memory_format=layout)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
        for _ in range(10):
            with autocast(precision, inputs.device):
                scores = network(inputs)
            optimizer.zero_grad()
            loss(at_least_float32(scores)).backward()
            optimizer.step()

    return ten_steps


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--epochs", type=int, default=10, help="of a child's training (default 10)")
    parser.add_argument("--rounds", type=int, default=7, help="of which ratios are medians (default 7)")
    options = parser.parse_args()
    one_thread()
    print(f"Steps, and trainings of {options.epochs} epochs, {options.rounds} rounds, one thread; {hardware()}")
    figures = []
    plain, last = torch.contiguous_format, torch.channels_last
    for name, given in networks().items():
        others = {"float32, channels last": steps(*given, last, FLOAT32), "bf16": steps(*given, last, BF16)}
        rows = compare(("float32", steps(*given, plain, FLOAT32)), others, options.rounds)
        figures += [times_as_fast(row, f"step of {name}: {row.name}") for row in rows[1:]]
        figures.append(Figure(f"step of {name}: float32", 100 * rows[0].seconds, "ms"))
    noise = lm.task_from_arrays(torch.rand(500, *COLOUR), torch.arange(500) % CLASSES)
    images = Case(noise, SPACE, SPACE.sample(torch.Generator()), Recipe(epochs=options.epochs))
    for name, case in {**cases(options.epochs), "images": images}.items():

        def fit(precision: str, case: Case = case) -> None:
            fit_child(case.child(), case.task.train, seed=0, precision=precision)

        targets = {} if name == RECURRENT else {"bf16": TARGET}
        slow, fast = ("float32", lambda fit=fit: fit(FLOAT32)), {"bf16": lambda fit=fit: fit(BF16)}
        _, row = compare(slow, fast, options.rounds, targets=targets)
        figures.append(times_as_fast(row, f"training of a child, {name}: bf16"))
    report(figures, options.output, "precision")


if __name__ == "__main__":
    main()
