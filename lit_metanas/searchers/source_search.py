"""One architecture for a whole task source, found by meta-training candidates."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable

from lit_metanas.episodes.episode_data import EpisodeDataModule
from lit_metanas.estimators.meta_training import MetaTrainingEstimator
from lit_metanas.lock import alone
from lit_metanas.meta import Head
from lit_metanas.modules.meta_checkpoint import MetaCheckpoint, write_meta_checkpoint
from lit_metanas.modules.meta_search import default_weight_optimizer
from lit_metanas.records.budget import Budget
from lit_metanas.records.chosen import Chosen
from lit_metanas.records.files import write_architectures
from lit_metanas.records.record import Found
from lit_metanas.searchers.halving import Halving
from lit_metanas.spaces import SearchSpace, Shape, inherit


class SourceSearch(LightningModule):
    """Searches one architecture for all tasks of a source by halving over meta-trainings.

    Candidates are judged by meta-validation episodes only. It writes ``architectures.json`` and ``start.ckpt``, from
    both of which ``fit`` of ``MetaSearch`` goes on with the rest of the budget.

    Args:
        space: what is searched.
        shape: channels, height and width of an input.
        searcher: which candidates are trained, and for how long.
        flops: the whole training budget, of which the searcher's rungs are shares.
        method: the row's name in tables.
        head: features to scores; prototypes by default.
        weight_optimizer: steps the weights; MetaSearch's by default.
        seed: of candidates, initial weights and training.
        directory: where both files are written.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        shape: Shape,
        searcher: Halving,
        flops: float,
        method: str = "halving",
        head: Head | None = None,
        weight_optimizer: OptimizerCallable = default_weight_optimizer,
        seed: int = 0,
        directory: str = "search",
    ) -> None:
        super().__init__()
        self.space = space
        self.shape = shape
        self.searcher = searcher
        self.flops = flops
        self.method = method
        self.head = head
        self.weight_optimizer = weight_optimizer
        self.seed = seed
        self.directory = Path(directory)

    def on_predict_start(self) -> None:
        """Refuse several processes.

        Raises:
            ValueError: there are several.
        """
        if self.trainer.world_size > 1:
            raise ValueError(
                f"SourceSearch runs in one process, not in {self.trainer.world_size}, each of which would do the whole "
                "search: set trainer.devices and trainer.num_nodes to 1."
            )

    def predict_step(self, batch: EpisodeDataModule, batch_idx: int) -> Found:
        """Search with all episodes of a data module, and write what was found.

        Raises:
            ValueError: another search is at work in the directory.
        """
        estimator = MetaTrainingEstimator(
            data=batch,
            space=self.space,
            shape=self.shape,
            flops=self.flops,
            seed=self.seed,
            head=self.head,
            weight_optimizer=self.weight_optimizer,
            device=self.device,
        )
        budget = Budget(flops=self.flops)
        name = batch.source.name
        begin = perf_counter()
        with alone(self.directory, "search", "model.init_args.directory"):
            with torch.inference_mode(False), torch.enable_grad():
                found = self.searcher.run(estimator, self.space, budget, self.seed, problem=name)
            self._write(found, budget, name, perf_counter() - begin)
        return found

    def _write(self, found: Found, budget: Budget, problem: str, seconds: float) -> None:
        assert found.weights is not None
        cost = budget.spent
        restricted = self.space.restricted(found.architecture)
        weights = inherit(found.weights, restricted.supernet(self.shape).state_dict())
        logits = {choice.name: torch.zeros(len(choice.labels)) for choice in restricted.choices}
        labels = {choice.name: list(choice.labels) for choice in restricted.choices}
        checkpoint = MetaCheckpoint(weights, logits, labels, {}, self.shape, cost)
        write_meta_checkpoint(self.directory / "start.ckpt", checkpoint)
        chosen = Chosen(
            task_id=problem,
            method=self.method,
            space=self.space.name,
            architecture=found.architecture,
            value=max(trial.value for trial in found.record.trials if trial.architecture == found.architecture),
            seed=self.seed,
            cost=cost,
            shape=self.shape,
        )
        write_architectures(self.directory / "architectures.json", [chosen])
        print(f"{self.method}: {found.architecture}, {len(found.record.trials)} trainings in {seconds:.0f} s.")
