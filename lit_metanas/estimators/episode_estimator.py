"""Performance estimation on episodes with the weights of a meta-trained supernet, without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from lit_metanas.estimators.estimator import Estimator, Measure, Score, network_measures
from lit_metanas.inputs.batches import inputs_like, join_inputs
from lit_metanas.io.settings import tensor_digest
from lit_metanas.kinds.stored_preprocessing import InputMeaning
from lit_metanas.meta import Parameters, evaluate, task_generator
from lit_metanas.meta.learner import EVALUATION
from lit_metanas.records.budget import TRAINING_PASSES, Cost
from lit_metanas.records.record import RecipeFields
from lit_metanas.relaxations import Argmax
from lit_metanas.spaces import Architecture, one_hot
from lit_metanas.spaces.architecture import check_positive
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks.episode_data import EpisodeDataModule
from lit_metanas.tasks.task import Episode
from lit_metanas.training.meta_search.meta_checkpoint import MetaCheckpoint
from lit_metanas.training.meta_search.meta_learned import MetaLearned


class EpisodeEstimator(Estimator):
    """Accuracy of a child of a meta-trained supernet on meta-validation episodes, without training.

    If batch-norm uses running statistics, each child gets its own, over images of meta-training episodes, because those
    of another child do not fit (Yu and Huang 2019, Universally slimmable networks, Section 3.4). An estimate costs one
    query and the forward multiply-adds of all its images; images of inner steps count three times.

    Args:
        model: the supernet with its head and inner loop: trained, or started from a checkpoint.
        data: gives meta-training episodes for the statistics, and meta-validation episodes for the score.
        episodes: number of meta-validation episodes that score a child; None takes all of ``data``.
        statistics: number of meta-training episodes that give the statistics.

    Raises:
        ValueError: a number of episodes is below 1, or the model is not built.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 12, fractions=(0.5, 0.25, 0.25))
        >>> data, space = lm.EpisodeDataModule(source, way=2, query=2), lm.LayeredSpace(widths=(2, 4), shared=True)
        >>> model = lm.MetaSearch(
        ...     space=space, shape=data.shape, relaxation=lm.relaxations.Uniform(), meta_gradient=lm.meta.Sandwich()
        ... )
        >>> estimator = lm.estimators.EpisodeEstimator(model, data, episodes=5)
        >>> found = lm.searchers.QuerySearcher(trials=4).run(estimator, space, lm.Budget(), seed=0, problem="patterns")
        >>> 0 <= found.value <= 1
        True
    """

    def __init__(
        self, model: MetaLearned, data: EpisodeDataModule, *, episodes: int | None = None, statistics: int = 16
    ) -> None:
        self.episodes = data.val_episodes if episodes is None else episodes
        check_positive("EpisodeEstimator", {"episodes": self.episodes, "statistics": statistics})
        if not model.built:
            raise ValueError("EpisodeEstimator: the model is not built yet: give it the shape of its inputs.")
        self.model = model
        self.data = data
        self.statistics = statistics

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query and its multiply-adds, at any fidelity."""
        del fidelity
        data, loop, learner = self.data, self.model.inner_loop, self.model.learner
        support = data.eval_way * data.eval_shot
        looks = support * (learner.head.starts_from_support + learner.looks_again) + data.eval_way * data.eval_query
        looks += TRAINING_PASSES * sum(loop.support_images(self._episodes[0], step) for step in range(loop.steps))
        images = self.episodes * looks
        if self._recalibrates:
            images += self.statistics * data.way * (data.shot + data.query)
        forward = self.model.supernet.flops(one_hot(self.model.space.choices, architecture))
        return Cost(queries=1, flops=forward * images)

    @property
    def settings(self) -> RecipeFields:
        """Digests of weights and examples, and the numbers of episodes."""
        weights = self.model.meta_parameters().flat(("weights", "head"))
        return {
            "weights": tensor_digest(*(weights[name] for name in sorted(weights))),
            "examples": self._examples,
            "episodes": self.episodes,
            "statistics": self.statistics,
        }

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Parameters, flops and latency of the child."""
        model = self.model
        return network_measures(model.space, model.shape, self.data.eval_way, torch.device("cpu"))

    @property
    def meta_cost(self) -> Cost:
        """Cost of the supernet's meta-training."""
        return self.model.cost()

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Score a child; ``start`` replaces weights of the supernet."""
        model = self.model
        parameters = self._parameters(architecture)
        parameters = parameters._replace(
            weights={name: (start or {}).get(name, value) for name, value in parameters.weights.items()}
        )
        statistics = self._statistics(architecture, parameters) or None
        learner = replace(model.learner, relaxation=Argmax(), statistics=statistics)
        dropout, shares = model.inner_loop.steps > 0, []
        for index, episode in enumerate(self._episodes):
            generator = task_generator(model.seed, EVALUATION, index)
            scores, _ = evaluate(learner, model.inner_loop, parameters, episode, generator, support_dropout=dropout)
            shares.append(float((scores.argmax(1) == episode.query.labels).double().mean()))
        return Score(sum(shares) / len(shares), self.cost(architecture, fidelity))

    def start(self, architecture: Architecture) -> MetaCheckpoint:
        """A child with its own statistics, which ``write_meta_checkpoint`` writes for ``MetaSearch`` to start from."""
        model = self.model
        parameters = self._parameters(architecture)
        alone = MetaCheckpoint.of_architecture(
            architecture, model.space, parameters.weights, model.shape, model.cost(), parameters.head
        )
        return replace(
            alone,
            statistics=self._statistics(architecture, parameters),
            derived=model.space.canonical(architecture),
            inputs=InputMeaning.of(model.preprocessing),
        )

    @property
    def _recalibrates(self) -> bool:
        return self.model.learner.batch_norm == "running"

    def _parameters(self, architecture: Architecture) -> Parameters:
        """The supernet's parameters, under logits whose largest are the child's."""
        parameters = self.model.meta_parameters()
        gates = one_hot(self.model.space.choices, architecture)
        return parameters._replace(
            logits={name: gate.weights.to(parameters.logits[name]) for name, gate in gates.items()}
        )

    def _statistics(self, architecture: Architecture, parameters: Parameters) -> dict[str, Tensor]:
        """Batch-norm means and variances of a child; empty if batch-norm keeps none."""
        if not self._recalibrates:
            return {}
        mixture = one_hot(self.model.space.choices, architecture)
        return embed_and_record(self.model.supernet, parameters.weights, mixture, self._images)[1]

    @cached_property
    def _episodes(self) -> list[Episode]:
        """The meta-validation episodes, drawn once."""
        stream = self.data.stream("val")
        return [stream[0, index].trainable() for index in range(self.episodes)]

    @cached_property
    def _examples(self) -> str:
        """The digest of all examples, made once."""
        parts = [part for episode in self._episodes for part in (episode.support, episode.query)]
        examples = [tensor for part in parts for tensor in (part.inputs, part.labels)]
        if self._recalibrates:
            examples.append(self._images)
        return tensor_digest(*examples)

    @cached_property
    def _images(self) -> Tensor:
        """The images of the first meta-training episodes."""
        stream = self.data.stream("train")
        drawn = [stream[0, index] for index in range(self.statistics)]
        images = join_inputs([part.inputs for episode in drawn for part in (episode.support, episode.query)])
        return inputs_like(images, next(self.model.supernet.parameters()))
