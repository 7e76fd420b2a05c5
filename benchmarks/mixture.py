"""Forward and backward of the layered supernet: soft mixtures, merged kernels, memory layout, one sampled child.

Run: ``python benchmarks/mixture.py --output mixture.json``. Four blocks of 32 channels with kernels 3, 5, 7, max and
average pooling, three activations and three dropout rates; 120 images of 28 x 28 pixels; one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import torch
from ratio import compare, table, write
from torch import Tensor

from lit_metanas.io.text import hardware
from lit_metanas.spaces import Gate, LayeredSpace, Mixture, one_hot
from lit_metanas.spaces.layered.layered_supernet import Mix

TARGETS = {"merged, channels last": 1.4, "sampled child": 2.0}
SHAPE = (1, 28, 28)


def soft(space: LayeredSpace, generator: torch.Generator) -> dict[str, Gate]:
    """Mix all candidates; the logits have gradients."""
    return {
        choice.name: Gate(torch.softmax(torch.randn(len(choice.labels), generator=generator), 0).requires_grad_())
        for choice in space.choices
    }


def sampled(space: LayeredSpace, generator: torch.Generator) -> dict[str, Gate]:
    """Compute one candidate of each choice, drawn uniformly; the logits have gradients."""
    gates = one_hot(space.choices, space.sample(generator))
    return {name: Gate(gate.weights.requires_grad_(), gate.index) for name, gate in gates.items()}


def step(
    mix: Mix, mixtures: list[Mixture], inputs: Tensor, layout: torch.memory_format = torch.contiguous_format
) -> Callable[[], None]:
    """Forward and backward of a supernet of the same weights, with the next of some mixtures in each call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = LayeredSpace(mix=mix).supernet(SHAPE).to(memory_format=layout)
    noise = net.draw_noise(len(inputs), torch.Generator().manual_seed(1))
    turn = cycle(mixtures)

    def run() -> None:
        mixture = next(turn)
        weights = [gate.weights for gate in mixture.values()]
        loss = net(inputs, mixture, noise).square().mean()
        torch.autograd.grad(loss, [*net.parameters(), *weights], allow_unused=True)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20, help="rounds, each of which runs all variants (default 20)")
    parser.add_argument("--batch", type=int, default=120, help="images in a batch (default 120)")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    space, generator = LayeredSpace(), torch.Generator().manual_seed(2)
    images = torch.randn(options.batch, *SHAPE, generator=generator)
    # One input channel is both layouts at once, so the strides must be set by hand.
    last = torch.empty_strided(images.shape, (28 * 28, 1, 28, 1)).copy_(images)
    mixed: list[Mixture] = [soft(space, generator)]
    children: list[Mixture] = [sampled(space, generator) for _ in range(options.repeats + 1)]
    rows = compare(
        ("soft mixture", step("normalised", mixed, images)),
        {
            "merged": step("merged", mixed, images),
            "merged, channels last": step("merged", mixed, last, torch.channels_last),
            "sampled child": step("merged", children, images),
        },
        options.repeats,
        targets=TARGETS,
    )
    print(f"Forward and backward, {options.batch} images, 4 blocks of 32 channels, one thread; {hardware()}")
    print(table(rows))
    if options.output:
        write(options.output, title="mixture", rows=rows, repeats=options.repeats)


if __name__ == "__main__":
    main()
