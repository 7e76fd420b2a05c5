"""One outer step of FOMAML and of MAML: speed and peak memory against learn2learn, or a textbook loop.

Run: ``python benchmarks/inner_loop.py --output inner_loop.json``. Conv-4 of 32 channels, 5 classes with 5 support and
15 query images of 28 x 28 pixels, 5 inner steps, 4 tasks, one thread; the allocator is tuned for both sides.

The baseline is learn2learn's ``MAML`` where it can be imported. Elsewhere it is the loop that learn2learn and higher
run: copies of the module's parameters, ``torch.autograd.grad`` with or without ``create_graph``, gradient descent out
of place, ``functional_call``, and one ``torch.autograd.grad`` of the query loss. Both sides start from the same
weights, and their gradients must agree before anything is timed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

import torch
from figure import Figure, one_thread, parser_of, report, times_as_fast
from ratio import compare
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

from lit_metanas.io.text import hardware
from lit_metanas.meta import FOMAML, MAML, JointInnerLoop, Learner, LinearHead, Parameters
from lit_metanas.relaxations import Argmax
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Episode, Split

PEAK = Path("/proc/self/clear_refs")
TARGETS = {"FOMAML": 1.6, "MAML": 1.3}
WAY, SHOT, QUERY, TASKS, STEPS, RATE = 5, 5, 15, 4, 5, 0.1
SHAPE = (1, 28, 28)
SPACE = LayeredSpace(kernels=(3,), pools=("max",), activations=("ReLU",), dropouts=(0.0,))

Step = Callable[[], dict[str, Tensor]]
"""One outer step; returns the outer gradient by the supernet's names."""


def episodes(dtype: torch.dtype = torch.float32) -> list[Episode]:
    """The meta-batch: a random pattern for each class, with noise."""
    generator = torch.Generator().manual_seed(0)

    def split(patterns: Tensor, examples: int) -> Split:
        labels = torch.arange(WAY).repeat_interleave(examples)
        images = patterns[labels] + torch.randn(len(labels), *SHAPE, generator=generator)
        return Split(images.to(dtype), labels)

    made = []
    for number in range(TASKS):
        patterns = torch.randn(WAY, *SHAPE, generator=generator)
        made.append(Episode(f"{number}", WAY, split(patterns, SHOT), None, split(patterns, QUERY)))
    return made


def start(dtype: torch.dtype) -> tuple[Parameters, Learner]:
    """The weights from which both sides start, and what adapts them here."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        supernet = SPACE.supernet(SHAPE)
    supernet.to(memory_format=torch.channels_last)
    head = LinearHead(way=WAY)
    weights = {name: value.detach() for name, value in supernet.named_parameters()}
    logits = {choice.name: torch.zeros(len(choice.labels)) for choice in SPACE.choices}
    parameters = Parameters(weights, logits, head.initial(supernet.features, torch.Generator().manual_seed(1)))
    parameters = parameters.map(lambda value: value.to(dtype))
    return parameters, Learner(supernet, Argmax(), head, "transductive")


def own(method: str, dtype: torch.dtype = torch.float32) -> Step:
    """The step of this package."""
    parameters, learner = start(dtype)
    inner_loop = JointInnerLoop(steps=STEPS, learning_rate=RATE, groups=("weights", "head"))
    meta_gradient = {"FOMAML": FOMAML, "MAML": MAML}[method](task_map="loop")
    tasks = episodes(dtype)
    generator = torch.Generator().manual_seed(2)

    def step() -> dict[str, Tensor]:
        noises = [learner.draw_noise(parameters.logits, task, generator, steps=STEPS) for task in tasks]
        gradients, _ = meta_gradient(learner, inner_loop, parameters, tasks, noises, 0.0)
        return gradients.flat(("weights", "head"))

    return step


class Conv4(nn.Module):
    """The network as the few-shot papers write it: four times convolution, batch-norm, ReLU and max-pooling."""

    def __init__(self, *, width: int = 32) -> None:
        super().__init__()
        blocks = [
            nn.Sequential(
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width, track_running_stats=False),
                nn.ReLU(),
                nn.MaxPool2d(2),
            )
            for channels in (SHAPE[0], width, width, width)
        ]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, WAY)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, way)``."""
        scores: Tensor = self.head(self.blocks(inputs).mean((2, 3)))
        return scores


NAMES = {"0.weight": "3.weight", "1.weight": "norm.batch.scale", "1.bias": "norm.batch.shift"}


def renamed(name: str) -> str:
    """The supernet's name of a parameter of ``Conv4``."""
    block = re.fullmatch(r"blocks\.(\d)\.(.+)", name)
    return name if block is None else f"weights.body.layers.{int(block[1]) + 1}.conv.{NAMES[block[2]]}"


def plain_network(dtype: torch.dtype) -> Conv4:
    """``Conv4`` with the common weights, in PyTorch's default layout."""
    network = Conv4().to(dtype)
    values = start(dtype)[0].flat()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(values[renamed(name)])
    return network


def textbook(method: str, dtype: torch.dtype = torch.float32) -> Step:
    """The step as a loop over tasks in plain PyTorch."""
    network, tasks, second_order = plain_network(dtype), episodes(dtype), method == "MAML"

    def loss(parameters: dict[str, Tensor], split: Split) -> Tensor:
        return cross_entropy(functional_call(network, parameters, (split.inputs,)), split.labels)

    def step() -> dict[str, Tensor]:
        network.zero_grad()
        for task in tasks:
            adapted = {name: parameter.clone() for name, parameter in network.named_parameters()}
            for _ in range(STEPS):
                gradients = torch.autograd.grad(
                    loss(adapted, task.support), list(adapted.values()), create_graph=second_order
                )
                moves = zip(adapted.items(), gradients, strict=True)
                adapted = {name: value - RATE * gradient for (name, value), gradient in moves}
            (loss(adapted, task.query) / TASKS).backward()
        return outer_gradient(network)

    return step


def with_learn2learn(method: str, dtype: torch.dtype = torch.float32) -> Step:
    """The step of learn2learn."""
    import learn2learn

    network, tasks = plain_network(dtype), episodes(dtype)
    wrapper = learn2learn.algorithms.MAML(network, lr=RATE, first_order=method == "FOMAML")

    def step() -> dict[str, Tensor]:
        network.zero_grad()
        for task in tasks:
            learner = wrapper.clone()
            for _ in range(STEPS):
                learner.adapt(cross_entropy(learner(task.support.inputs), task.support.labels))
            (cross_entropy(learner(task.query.inputs), task.query.labels) / TASKS).backward()
        return outer_gradient(network)

    return step


def outer_gradient(network: nn.Module) -> dict[str, Tensor]:
    """What backward left in the parameters, under the supernet's names."""
    found = {renamed(name): parameter.grad for name, parameter in network.named_parameters()}
    return {name: gradient for name, gradient in found.items() if gradient is not None}


BASELINE = ("learn2learn", with_learn2learn) if find_spec("learn2learn") else ("textbook loop", textbook)
SIDES = {"own": own, "baseline": BASELINE[1]}


def check(method: str) -> None:
    """Both sides compute the same gradient, in double precision."""
    first, second = own(method, torch.float64)(), BASELINE[1](method, torch.float64)()
    assert first.keys() == second.keys(), first.keys() ^ second.keys()
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], msg=lambda text, n=name: f"{n}: {text}")


def peak_in(script: str, *words: str) -> Any:
    """What a script prints after ``--peak``, in a process of its own."""
    command = [sys.executable, script, "--peak", *words]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_peaks(method: str, side: str) -> None:
    """Run steps and print, in MB, how far tensors (exactly) and the process (where Linux reports it) grew at most."""
    step = SIDES[side](method)
    found = {}
    if PEAK.exists():
        found["process"] = growth(step, 3)
    step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = [e for e in json.loads(trace.read_text())["traceEvents"] if e.get("name") == "[memory]"]
    events.sort(key=lambda event: event["ts"])
    found["tensors"] = max(accumulate(event["args"]["Bytes"] for event in events)) / 2**20
    print(json.dumps(found))


def growth(step: Step, times: int) -> float:
    """How far, in MB, the process grows at most in some steps."""
    PEAK.write_text("5")  # the peak starts anew
    before = resident("VmHWM")
    for _ in range(times):
        step()
    return resident("VmHWM") - before


def resident(key: str) -> float:
    """An entry of the process's memory in MB."""
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def measure(method: str, repeats: int) -> list[Figure]:
    """Speed and memory of one method."""
    check(method)
    steps = {side: make(method) for side, make in SIDES.items()}
    baseline, mine = compare((BASELINE[0], steps["baseline"]), {method: steps["own"]}, repeats, targets=TARGETS)
    figures = [
        Figure(f"{method}, {BASELINE[0]}", baseline.seconds * 1e3, "ms"),
        Figure(f"{method}, own", mine.seconds * 1e3, "ms"),
        times_as_fast(mine, f"{method}, times as fast"),
    ]
    theirs, ours = ([peak_in(__file__, method, side) for _ in range(5)] for side in ("baseline", "own"))
    for what in ours[0]:
        limit = median(found[what] for found in theirs)
        target = limit if method == "FOMAML" else None
        figures.append(Figure(f"{method}, peak memory of {what}, {BASELINE[0]}", limit, "MB"))
        value = median(found[what] for found in ours)
        figures.append(Figure(f"{method}, peak memory of {what}, own", value, "MB", target, "at most"))
    return figures


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--repeats", type=int, default=20, help="rounds, each of which runs both sides (default 20)")
    parser.add_argument("--peak", nargs=2, metavar=("METHOD", "SIDE"), help="only print one side's peak memory")
    options = parser.parse_args()
    one_thread()
    if options.peak:
        print_peaks(*options.peak)
        return
    if BASELINE[0] != "learn2learn":
        print("learn2learn cannot be imported here: the baseline is a textbook loop.")
    print(f"Outer steps, {TASKS} tasks, {WAY}-way {SHOT}-shot, {STEPS} inner steps, Conv-4, one thread; {hardware()}")
    figures = [figure for method in TARGETS for figure in measure(method, options.repeats)]
    report(figures, options.output, "inner_loop")


if __name__ == "__main__":
    main()
