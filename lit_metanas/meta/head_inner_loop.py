"""Only the head moves."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from lit_metanas.episodes.task import Episode
from lit_metanas.meta.adaptation import Adaptation
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.noise import row
from lit_metanas.meta.parameters import Group, Parameters
from lit_metanas.meta.update_rule import Tensors, UpdateRule


class HeadInnerLoop(InnerLoop):
    """Adapt the head on features that are computed once (Raghu et al. 2020, ANIL).

    The support set's mixture and dropout masks are therefore the same in all steps.

    Args:
        steps: number of steps.
        learning_rate: of the head.
        rule: what a step does with a gradient; ``SGD()`` where None.
        restart: whether the relaxation's progress runs from 0 to 1 inside every task.
    """

    def __init__(
        self, *, steps: int, learning_rate: float = 0.1, rule: UpdateRule | None = None, restart: bool = False
    ) -> None:
        super().__init__(steps=steps, learning_rate=learning_rate, rule=rule, restart=restart)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The head moves."""
        return ("head",)

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Embed the support set once, then step on the head."""
        learner, noise, episode = adaptation.learner, adaptation.noise, adaptation.episode
        support = episode.support
        mixture = learner.mixture(parameters.logits, noise, 0, self.progress(0, adaptation.progress))
        features = learner.features(parameters.weights, support.inputs, mixture, noise=row(noise.support, 0))
        if not adaptation.differentiate.second_order:
            features = features.detach()

        def loss(moving: Tensors) -> tuple[Tensor, Tensor]:
            head = parameters.updated(moving).head
            scores = learner.head.scores(head, features, features, support.labels, episode.way)
            value = cross_entropy(scores, support.labels)
            return value, value.detach()

        state = self.rule.start(parameters.flat(self.groups))
        for step in range(self.steps):
            moving = parameters.flat(self.groups)
            gradients, _ = adaptation.differentiate(loss, moving)
            moved, state = self.rule(moving, gradients, state, self.rates(parameters, moving, step), step)
            parameters = parameters.updated(moved)
        return parameters

    def support_images(self, episode: Episode, step: int) -> int:
        """The support set is embedded before the first step only."""
        return 0 if step else len(episode.support)
