"""One task of MetaNAS's search on its own cells: CPU time and memory against a textbook network of the same weights.

Run: ``python benchmarks/metanas_cell.py --output metanas_cell.json``. A support and a query set of 20 images of 28 x 28
pixels, 20 classes, 5 inner steps that move logits and weights in turn, a supernet of four cells; one thread, the tuned
allocator. The textbook network computes each operation of each edge by itself and then the weighted sum, as the paper
describes it; it is timed in PyTorch's layout, and channels-last. All sides take the same inner loop, and what they have
adapted must agree in double precision before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

import torch
import torch.nn.functional as F
from figure import Figure, one_thread, parser_of, report, times_as_fast
from inner_loop import PEAK, growth, peak_in
from ratio import compare
from torch import Tensor, nn

from lit_metanas.io.text import hardware
from lit_metanas.meta import AlternatingInnerLoop, Learner, LinearHead, MetaNAS, Parameters
from lit_metanas.relaxations import AnnealedSoftmax, Relaxation, SampledChild
from lit_metanas.spaces import MetaNASCell, Mixture, Supernet
from lit_metanas.spaces.cells.cell_networks import sources
from lit_metanas.spaces.cells.cell_operations import FactorizedReduction
from lit_metanas.spaces.mixed_layers import MixedNorm
from lit_metanas.tasks import Episode, Split

WAY, STEPS, SHAPE = 20, 5, (1, 28, 28)
TEXTBOOK = "textbook"
TARGETS = {"own": 1.8, "own, sampled child": 4.0}

Step = Callable[[], dict[str, Tensor]]
"""One task; returns the outer gradient by the supernet's names."""


class TextbookSupernet(Supernet):
    """A supernet of cells that computes each edge by itself; parameters and their names are the package's.

    Args:
        net: whose parameters it has.
    """

    def __init__(self, net: Supernet) -> None:
        super().__init__()
        assert isinstance(net.body, nn.Module)
        self.body, self.features = net.body, net.features

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """See ``Supernet.forward``; batches are always normalised by themselves."""
        assert statistics is None
        assert record is None
        before = last = apply(self.body.stem, inputs)
        for cell in self.body.cells:
            before, last = last, self.cell(cell, before, last, mixture)
        return last.mean((2, 3))

    def cell(self, cell: nn.Module, before: Tensor, last: Tensor, mixture: Mixture) -> Tensor:
        """All nodes of a cell, side by side."""
        states = [apply(cell.before, before), apply(cell.last, last)]
        for node in cell.nodes:
            edges = []
            for source in range(node):
                choice = cell.edges[f"{source}-{node}"]
                weights = mixture[choice.name].weights.unbind()
                outputs = [apply(layer, states[source]) for _, layer in choice.layers()]
                edges.append(sum(weight * output for weight, output in zip(weights, outputs, strict=True)))
            inputs = cell.inputs[node]
            pairs = zip(mixture[inputs.name].weights.unbind(), inputs.labels, strict=True)
            states.append(sum(weight * sum(edges[source] for source in sources(pair)) for weight, pair in pairs))
        return torch.cat(states[2:], 1)

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Nothing is dropped."""
        return {}

    def flops(self, mixture: Mixture) -> int:
        """Not asked for."""
        raise NotImplementedError


def apply(layer: nn.Module, inputs: Tensor) -> Tensor:
    """What a layer computes, by the functions of PyTorch that its name says."""
    if isinstance(layer, FactorizedReduction):
        shifted = F.pad(inputs, (0, inputs.shape[3] % 2, 0, inputs.shape[2] % 2))[:, :, 1:, 1:]
        halves = [F.conv2d(inputs, layer.first.weight, stride=2), F.conv2d(shifted, layer.second.weight, stride=2)]
        return torch.cat(halves, 1)
    if isinstance(layer, nn.Sequential):
        for part in layer:
            inputs = apply(part, inputs)
        return inputs
    if isinstance(layer, nn.Conv2d):
        return F.conv2d(inputs, layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    if isinstance(layer, MixedNorm):
        return F.batch_norm(inputs, None, None, layer.scale, layer.shift, training=True)
    outputs: Tensor = layer(inputs)
    return outputs


def episode(dtype: torch.dtype) -> Episode:
    """One image of noise for each class, in support and query set."""
    generator = torch.Generator().manual_seed(0)

    def split() -> Split:
        return Split(torch.randn(WAY, *SHAPE, generator=generator).to(dtype), torch.arange(WAY))

    return Episode("0", WAY, split(), None, split())


def make_step(
    channels: int,
    *,
    textbook: bool = False,
    last: bool = True,
    relaxation: Relaxation | None = None,
    dtype: torch.dtype = torch.float32,
) -> Step:
    """One side; ``last`` says channels-last."""
    space, head = MetaNASCell(channels=channels), LinearHead(way=WAY)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = space.supernet(SHAPE).to(dtype)
    if last:
        net.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(1)
    weights = {name: value.detach() for name, value in net.named_parameters()}
    logits = {c.name: 0.1 * torch.randn(len(c.labels), generator=generator).to(dtype) for c in space.choices}
    own = {name: value.to(dtype) for name, value in head.initial(net.features, generator).items()}
    learner = Learner(TextbookSupernet(net) if textbook else net, relaxation or AnnealedSoftmax(), head, "transductive")
    inner_loop = AlternatingInnerLoop(steps=STEPS, learning_rate=0.01, logit_learning_rate=0.01)
    parameters, task, draws = Parameters(weights, logits, own), episode(dtype), torch.Generator().manual_seed(2)
    if last:  # one input channel is both layouts at once: the strides are set by hand, as the package does
        images = [torch.empty_strided((WAY, *SHAPE), (28 * 28, 1, 28, 1), dtype=dtype) for _ in range(2)]
        splits = [Split(i.copy_(s.inputs), s.labels) for i, s in zip(images, (task.support, task.query), strict=True)]
        task = Episode("0", WAY, splits[0], None, splits[1])

    def step() -> dict[str, Tensor]:
        noise = learner.draw_noise(logits, task, draws, steps=STEPS)
        return MetaNAS(task_map="loop")(learner, inner_loop, parameters, [task], [noise], 0.0)[0].flat()

    return step


def sides(channels: int) -> dict[str, Callable[[], Step]]:
    """What makes each side; the first is the baseline."""
    return {
        TEXTBOOK: lambda: make_step(channels, textbook=True, last=False),
        "textbook, channels last": lambda: make_step(channels, textbook=True),
        "own": lambda: make_step(channels),
        "own, sampled child": lambda: make_step(channels, relaxation=SampledChild()),
    }


def check() -> None:
    """Both networks are adapted to the same weights and logits, in double precision."""
    plain, own = (make_step(4, textbook=textbook, dtype=torch.float64)() for textbook in (True, False))
    assert plain.keys() == own.keys()
    for name, value in plain.items():
        torch.testing.assert_close(own[name], value, rtol=1e-7, atol=1e-9, msg=lambda text, n=name: f"{n}: {text}")


def measure(channels: int, repeats: int) -> list[Figure]:
    """CPU time of each side, and memory where Linux reports it."""
    made = {name: make() for name, make in sides(channels).items()}
    calls = {name: step for name, step in made.items() if name != TEXTBOOK}
    rows = compare((TEXTBOOK, made[TEXTBOOK]), calls, repeats, targets=TARGETS)
    figures = []
    for row in rows:
        figures.append(Figure(f"{channels} channels, {row.name}", row.seconds, "s"))
        if row.name != TEXTBOOK:
            figures.append(times_as_fast(row, f"{channels} channels, {row.name}, times as fast"))
    if PEAK.exists():
        limit = median(peak_in(__file__, str(channels), "textbook, channels last") for _ in range(3))
        figures.append(Figure(f"{channels} channels, memory, textbook, channels last", limit, "MB"))
        for name in TARGETS:
            value = median(peak_in(__file__, str(channels), name) for _ in range(3))
            figures.append(Figure(f"{channels} channels, memory, {name}", value, "MB", limit, "at most"))
    return figures


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--channels", type=int, nargs="+", default=[14, 28], help="of the first cells (default 14 28)")
    parser.add_argument("--repeats", type=int, default=7, help="rounds, each of which runs all sides (default 7)")
    parser.add_argument("--peak", nargs=2, metavar=("CHANNELS", "SIDE"), help="only print one side's peak memory")
    options = parser.parse_args()
    one_thread()
    if options.peak:
        channels, side = options.peak
        print(growth(sides(int(channels))[side](), 2))
        return
    check()
    print(f"One task of MetaNAS's search, {WAY} classes, {STEPS} inner steps, four cells, one thread; {hardware()}")
    figures = [figure for channels in options.channels for figure in measure(channels, options.repeats)]
    report(figures, options.output, "metanas_cell")


if __name__ == "__main__":
    main()
