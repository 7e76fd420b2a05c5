"""Scores by meta-training one architecture on a source, kept in files."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from lit_metanas.estimators.estimator import Estimator, EstimatorAround, Score
from lit_metanas.estimators.training_estimator import fresh_weights, overlay
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import finite_tensor, load_plain
from lit_metanas.io.files import write_whole
from lit_metanas.io.settings import tensor_digest
from lit_metanas.meta.inner_loop import Adaptation
from lit_metanas.records.plain import from_plain
from lit_metanas.records.record import Cost, RecipeFields
from lit_metanas.spaces import Architecture, SearchSpace, inherit
from lit_metanas.tasks.episode_data import EpisodeDataModule
from lit_metanas.training import MetaRecipe, MetaSearch
from lit_metanas.training.meta_weights import weights_within
from lit_metanas.training.trainers import quiet_trainer


class MetaTrainingEstimator(Estimator):
    """Accuracy on meta-validation episodes after meta-training with the prototype loss, for ``flops`` at fidelity 1."""

    def __init__(
        self,
        *,
        data: EpisodeDataModule,
        space: SearchSpace,
        flops: float,
        seed: int,
        recipe: MetaRecipe | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.recipe = recipe or MetaRecipe()
        self.data = data.with_training_episodes(**self.recipe.episodes)
        self.space = space
        self.shape = data.source.shape
        self.flops = flops
        self.seed = seed
        self.device = device or torch.device("cpu")
        self._step_flops: dict[Architecture, int] = {}

    @property
    def settings(self) -> RecipeFields:
        """The budget of fidelity 1, the recipe, and the sizes of the episodes."""
        return {"flops": self.flops, **self.recipe.given, "way": self.data.way, "query": self.data.query}

    def with_recipe(self, changes: RecipeFields) -> MetaTrainingEstimator:
        """The same estimator with a changed recipe."""
        other = copy(self)
        other.recipe = self.recipe.replace(changes)
        other.data = self.data.with_training_episodes(**other.recipe.episodes)
        if (other.data.way, other.data.query) != (self.data.way, self.data.query):
            other._step_flops = {}
        return other

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query, and the most FLOPs of a call: those of the fidelity, but at least one step."""
        return Cost(queries=1, flops=max(self.step_flops(architecture), int(fidelity * self.flops)))

    def step_flops(self, architecture: Architecture) -> int:
        """Training FLOPs of one step, the same for all steps."""
        if architecture not in self._step_flops:
            model = self._model(architecture, self.flops)
            parameters, episode = model.meta_parameters(), self.data.stream("train")[0, 0]
            generator = torch.Generator().manual_seed(0)
            noise = model.learner.draw_noise(parameters.logits, episode, generator, steps=model.inner_loop.steps)
            adaptation = Adaptation(model.learner, episode, noise, 0.0)
            one = model.meta_gradient.flops(model.inner_loop, parameters, adaptation)
            self._step_flops[architecture] = self.data.tasks_in_step * one
        return self._step_flops[architecture]

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Meta-train and validate; the weights are on the CPU, by the supernet's names and those of ``head.``."""
        # All architectures see the same episodes. A training anneals its learning rate to zero over its whole steps, so
        # that short ones are comparable, and starts with a new optimizer even if it goes on from weights.
        weights = overlay(fresh_weights(self.space, self.shape, self.seed), start or {})
        step = self.step_flops(architecture)
        model = self._model(architecture, step * max(1, int(fidelity * self.flops) // step))
        model.supernet.load_state_dict(inherit(weights, model.supernet.state_dict()))
        model.head.load_state_dict(weights_within(weights, "head."), strict=False)
        with quiet_trainer(self.device, epochs=-1) as trainer:
            trainer.limit_val_batches = 0
            trainer.fit(model, self.data)
            trainer.limit_val_batches = 1.0
            (metrics,) = trainer.validate(model, self.data, verbose=False)
        spent = replace(model.cost(), queries=1, seconds=0.0)
        assert spent.flops <= self.cost(architecture, fidelity).flops
        named = [*model.supernet.named_parameters(), *model.head.named_parameters(prefix="head")]
        trained = {name: parameter.detach().cpu() for name, parameter in named}
        # The head of another recipe does not fit this one.
        kept = {name: weight for name, weight in weights.items() if name in trained or not name.startswith("head.")}
        return Score(metrics["val/accuracy"], spent, overlay(kept, trained))

    def _model(self, architecture: Architecture, flops: float) -> MetaSearch:
        with torch.random.fork_rng(devices=[]):
            return MetaSearch(
                space=self.space,
                shape=self.shape,
                architecture=architecture.to_json(),
                flops=flops,
                seed=self.seed,
                **self.recipe.parts(),
            )


KEPT_SCORE = re.compile(r"[0-9a-f]{64}\.pt")  # the names of the files of `KeptScores`


class KeptScores(EstimatorAround):
    """Keeps an estimator's scores, but no failures, in a folder, for searches that repeat the same calls."""

    def __init__(self, estimator: Estimator, folder: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(estimator)  # its scores must depend on settings, architecture, fidelity and start alone
        self.folder = folder
        self._settings = settings

    def with_recipe(self, changes: RecipeFields) -> KeptScores:
        """The same folder for the estimator with a changed recipe, which must be among its settings."""
        return KeptScores(self.estimator.with_recipe(changes), self.folder, self._settings)

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Read the score, or estimate and keep it; a damaged file counts as absent."""
        file = self.folder / f"{self._digest(architecture, fidelity, start)}.pt"
        with suppress(*DAMAGED):
            return _score(load_plain(file))
        begin = perf_counter()
        score = self.estimator(architecture, fidelity=fidelity, start=start)
        weights = score.weights and {name: tensor.detach().cpu().clone() for name, tensor in score.weights.items()}
        cost = replace(score.cost, seconds=perf_counter() - begin)
        content = io.BytesIO()  # a full disk is then an OSError, which a search does not count as a failed training
        torch.save({"value": score.value, "cost": asdict(cost), "weights": weights}, content)
        write_whole(file, content.getbuffer())
        return score

    def _digest(self, architecture: Architecture, fidelity: float, start: dict[str, Tensor] | None) -> str:
        """The file name of a call; equal calls have equal names."""
        names = None if start is None else list(start)
        settings = [{**self._settings}, {**self.settings}]
        call = [settings, architecture.to_json(), fidelity, names, tensor_digest(*(start or {}).values())]
        return hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()


def _score(kept: Mapping[str, Any]) -> Score:
    """A kept score; one of ``DAMAGED`` if the file holds none."""
    weights = kept["weights"]
    if weights is not None:
        weights = {str(name): finite_tensor(tensor, *tensor.shape) for name, tensor in weights.items()}
    if not isinstance(kept["value"], float) or not isfinite(kept["value"]):
        raise ValueError("a score is not a number")
    return Score(kept["value"], from_plain(Cost, kept["cost"], "its cost"), weights)
