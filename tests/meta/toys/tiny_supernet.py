"""A small supernet with batch-norm and dropout, and episodes of noise, in float64."""

from collections.abc import Mapping
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from lit_metanas.meta import Learner, NoInnerLoop, Parameters
from lit_metanas.meta.learner import task_generator
from lit_metanas.relaxations import Softmax
from lit_metanas.spaces import Supernet
from lit_metanas.tasks import Episode, Split

CHOICES = ("conv1", "act1", "conv2", "act2")


class TinySupernet(Supernet):
    """Two layers: convolution 3 or 1, batch-norm, tanh or softplus, dropout 0.3 of channels; then the average."""

    def __init__(self, channels: int = 5, inputs: int = 2) -> None:
        super().__init__()
        self.features = channels
        generator = torch.Generator().manual_seed(0)

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.5)

        self.p = nn.ParameterDict()
        for layer, into in ((1, inputs), (2, channels)):
            self.p[f"conv{layer}_0"] = weight(channels, into, 3, 3)
            self.p[f"conv{layer}_1"] = weight(channels, into, 1, 1)
            self.p[f"gamma{layer}"] = nn.Parameter(1 + weight(channels).detach())
            self.p[f"beta{layer}"] = weight(channels)

    def forward(
        self,
        inputs: torch.Tensor,
        mixture: Mapping,
        noise: Mapping | None = None,
        statistics: Mapping | None = None,
        record: dict | None = None,
    ) -> torch.Tensor:
        for layer in (1, 2):
            kernels = [self.p[f"conv{layer}_0"], self.p[f"conv{layer}_1"]]
            outputs = self._mix(mixture[f"conv{layer}"], [lambda k=k, x=inputs: _convolve(x, k) for k in kernels])
            if statistics is None:
                if record is not None:
                    record[f"mean{layer}"] = outputs.mean((0, 2, 3))
                    record[f"var{layer}"] = outputs.var((0, 2, 3), correction=0)
                outputs = F.batch_norm(
                    outputs, None, None, self.p[f"gamma{layer}"], self.p[f"beta{layer}"], training=True
                )
            else:
                mean, var = statistics[f"mean{layer}"], statistics[f"var{layer}"]
                outputs = (outputs - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
                outputs = outputs * self.p[f"gamma{layer}"][:, None, None] + self.p[f"beta{layer}"][:, None, None]
            acts = [torch.tanh, F.softplus]
            inputs = self._mix(mixture[f"act{layer}"], [lambda a=a, x=outputs: a(x) for a in acts])
            if noise is not None:
                inputs = inputs * ((noise[f"drop{layer}"] >= 0.3).to(inputs) / 0.7)[:, :, None, None]
        return inputs.mean((2, 3))

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {f"drop{layer}": torch.rand(examples, self.features, generator=generator) for layer in (1, 2)}

    def flops(self, mixture: Mapping) -> int:
        return 1

    @staticmethod
    def _mix(gate, candidates):
        if gate.index is not None:
            return gate.weights[gate.index] * candidates[gate.index]()
        return sum(w * candidate() for w, candidate in zip(gate.weights, candidates, strict=True))


def _convolve(inputs, kernel):
    return F.conv2d(inputs, kernel, padding=kernel.shape[-1] // 2)


def episode(index: int, way: int = 3, shot: int = 2, queries: int = 6) -> Episode:
    generator = torch.Generator().manual_seed(100 + index)
    means = torch.randn(way, 2, 4, 4, generator=generator, dtype=torch.float64)

    def split(labels: torch.Tensor) -> Split:
        noise = torch.randn(len(labels), 2, 4, 4, generator=generator, dtype=torch.float64)
        return Split(means[labels] + 0.7 * noise, labels)

    support = split(torch.arange(way).repeat_interleave(shot))
    return Episode(f"task{index}", way, support, None, split(torch.arange(queries) % way))


def parameters_of(supernet: Supernet, head=None) -> Parameters:
    generator = torch.Generator().manual_seed(1)
    logits = {name: torch.randn(2, generator=generator, dtype=torch.float64) * 0.5 for name in CHOICES}
    weights = {name: value.detach().clone() for name, value in supernet.named_parameters()}
    initial = {} if head is None else head.initial(supernet.features, generator)
    return Parameters(weights, logits, {name: value.double() for name, value in initial.items()})


def call(meta_gradient, *, head, relaxation=None, inner_loop=None, batch_norm="support", tasks=2, **options):
    """Everything about one call, and its result."""
    supernet = TinySupernet()
    inner_loop = inner_loop or NoInnerLoop()
    learner = Learner(supernet, relaxation or Softmax(), head, batch_norm)
    parameters = options.pop("parameters", None) or parameters_of(supernet, head)
    episodes = options.pop("episodes", None) or [episode(i) for i in range(tasks)]
    steps = inner_loop.steps
    noises = [
        learner.draw_noise(parameters.logits, one, task_generator(0, 0, place), steps=steps, **options)
        for place, one in enumerate(episodes)
    ]
    gradients, metrics = meta_gradient(learner, inner_loop, parameters, episodes, noises, 0.5)
    return SimpleNamespace(
        learner=learner,
        inner_loop=inner_loop,
        parameters=parameters,
        episodes=episodes,
        noises=noises,
        gradients=gradients,
        metrics=metrics,
    )
