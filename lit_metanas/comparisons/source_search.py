"""One architecture for a whole task source, by meta-training candidates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import LightningModule

from lit_metanas.estimators.meta_training import KEPT_SCORE, KeptScores, MetaTrainingEstimator
from lit_metanas.inputs.shapes import plain_shape
from lit_metanas.io.files import check_files, check_only, has_content, own_folder, own_path, remove_files, write_whole
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.settings import settings_of, tensor_digest
from lit_metanas.io.text import number_of
from lit_metanas.kinds.stored_preprocessing import InputMeaning
from lit_metanas.records import (
    ArchitectureRow,
    Budget,
    ResultRow,
    SearchOutcome,
    SearchRecord,
    merge_record_lines,
    read_architectures,
    read_record_lines,
    write_architectures,
)
from lit_metanas.searchers.halving.rungs import Halving
from lit_metanas.spaces import SearchSpace
from lit_metanas.tasks.episode_data import EpisodeDataModule
from lit_metanas.training.meta_search.meta_recipe import MetaRecipe
from lit_metanas.training.meta_weights import MetaCheckpoint, weights_within, write_meta_checkpoint
from lit_metanas.training.preemption import end_at_sigterm

OUTPUTS = ("start.ckpt", "architectures.json", "records.jsonl", "recipe.yaml")


class SourceSearch(LightningModule):
    """Searches one architecture for all tasks of a source, among meta-trainings.

    Only meta-validation episodes score candidates.

    The search writes ``architectures.json`` and ``start.ckpt``, from which ``fit`` of ``MetaSearch`` continues with the
    rest of the budget; ``recipe.yaml``, the recipe that was chosen with the architecture, as a configuration for
    ``fit`` and ``test``; and ``records.jsonl``, all that it tried.

    Each training is kept until the search has ended. A search that was interrupted continues when it is started again
    in its directory. A finished search is not repeated under the same settings.

    Args:
        space: the search space.
        searcher: chooses the candidates and the length of their training.
        flops: the whole training budget, which the searcher's rungs share.
        method: the row's name in tables.
        recipe: training hyper-parameters of candidates, unless the searcher chooses them.
        seed: seed of candidates, initial weights and training.
        directory: folder of the files.

    Attributes:
        results: empty, as the search sees no target task.
        records: the search's record, once the search has ended.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> source = lm.kinds.ArraySource(torch.rand(48, 8, 8), torch.arange(48) % 12, fractions=(0.5, 0.25, 0.25))
        >>> episodes = lm.EpisodeDataModule(source, way=2, query=2, steps_per_epoch=2, val_episodes=2)
        >>> space = lm.LayeredSpace(kernels=(1, 3), depths=(1,), widths=(2,), shared=True)
        >>> with TemporaryDirectory() as folder:
        ...     halving = lm.searchers.SuccessiveHalving(candidates=2)
        ...     found = lm.comparisons.SourceSearch(space=space, searcher=halving, flops=1e5, directory=folder).search(
        ...         episodes
        ...     )
        ... # doctest: +ELLIPSIS
        halving: activation=... in ... s.
        >>> found.architecture["depth"]
        '1'
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        searcher: Halving,
        flops: float,
        method: str = "halving",
        recipe: MetaRecipe | None = None,
        seed: int = 0,
        directory: str = "search",
    ) -> None:
        super().__init__()
        self.space = space
        self.searcher = searcher
        self.flops = flops
        self.method = method
        self.recipe = recipe or MetaRecipe()
        self.seed = seed
        self.directory = own_path(directory, "directory")
        self.results: tuple[ResultRow, ...] = ()
        self.records: tuple[SearchRecord, ...] = ()

    def on_predict_start(self) -> None:
        """Refuse several processes; from now on SIGTERM ends the search."""
        if self.trainer.world_size > 1:
            raise ValueError(
                f"SourceSearch runs in one process, not in {self.trainer.world_size}: each of them would do the whole "
                "search. Set trainer.devices and trainer.num_nodes to 1."
            )
        end_at_sigterm(self.trainer)

    def predict_step(self, batch: EpisodeDataModule, batch_idx: int) -> dict[str, str]:
        """Search with all episodes of a data module; returns the chosen labels. See ``search``."""
        found = self.search(batch)
        self.records = (replace(found.record, method=self.method),)
        return found.architecture.to_json()

    def search(self, data: EpisodeDataModule) -> SearchOutcome:
        """Search with all episodes of a data module and write the outcome, unless that was done before.

        Raises:
            ValueError: another search runs in the directory, a part of it is a link, or a foreign file lies among its
                trainings.
        """
        settings = self._settings(data)
        text = json.dumps(settings, indent=1, sort_keys=True)
        finished = self.directory / "finished.json"
        with directory_lock(self.directory, "search", "model.init_args.directory"):
            check_files(self.directory, (finished.name, *OUTPUTS))
            if has_content(finished, text.encode()) and (known := self._read_outcome(data.source.name)) is not None:
                print(f"The search in '{self.directory}' was already finished: nothing was done.")
                return known
            check_only(self._trainings, KEPT_SCORE)
            finished.unlink(missing_ok=True)
            found = self._search(data, settings)
            write_whole(finished, text)
            remove_files(self._trainings, KEPT_SCORE)
        return found

    @property
    def _trainings(self) -> Path:
        return own_folder(self.directory, "trainings")

    def _settings(self, data: EpisodeDataModule) -> dict[str, Any]:
        """The settings that decide the result, as plain values; the first episodes stand for all images."""
        parts = ("space", "searcher", "flops", "method", "recipe", "seed")
        described = settings_of(data)
        described["arguments"].pop("num_workers", None)
        episodes = [data.stream("train")[0, 0], data.stream("val")[0, 0]]
        digest = tensor_digest(*(tensor for each in episodes for tensor in (each.support.inputs, each.query.inputs)))
        return {
            **{part: settings_of(getattr(self, part)) for part in parts},
            "shape": plain_shape(data.source.shape),
            "data": described,
            "episodes": digest,
        }

    def _read_outcome(self, problem: str) -> SearchOutcome | None:
        """The outcome that an earlier search wrote, without weights; None if a file is absent."""
        if not all((self.directory / name).is_file() for name in OUTPUTS):
            return None
        _, architectures, records, _ = (self.directory / name for name in OUTPUTS)
        search = (problem, self.method, self.seed, self.space.name)
        kept = [r for r in read_record_lines(records) if (r.task_id, r.method, r.seed, r.space) == search]
        chosen = [row for row in read_architectures(architectures) if row.method == self.method]
        if not kept or not chosen:
            return None
        return SearchOutcome(chosen[0].architecture, None, kept[0], recipe=chosen[0].recipe)

    def _search(self, batch: EpisodeDataModule, settings: dict[str, Any]) -> SearchOutcome:
        budget, source = Budget(flops=self.flops), batch.source
        with torch.inference_mode(False), torch.enable_grad():
            estimator = MetaTrainingEstimator(
                data=batch,
                space=self.space,
                flops=self.flops,
                seed=self.seed,
                recipe=self.recipe,
                device=self.device,
            )
            kept = KeptScores(estimator, self._trainings, settings)
            found = self.searcher.run(kept, self.space, budget, self.seed, problem=source.name)
        assert found.weights is not None
        checkpoint = MetaCheckpoint.of_architecture(
            found.architecture,
            self.space,
            found.weights,
            source.shape,
            budget.spent,
            weights_within(found.weights, "head."),
        )
        start, architectures, records, recipe = (self.directory / name for name in OUTPUTS)
        write_meta_checkpoint(start, replace(checkpoint, inputs=InputMeaning.of(source.preprocessing)))
        chosen = ArchitectureRow(
            task_id=source.name,
            method=self.method,
            space=self.space.name,
            architecture=found.architecture,
            value=found.value,
            seed=self.seed,
            cost=budget.spent,
            recipe=found.recipe,
            shape=checkpoint.shape,
        )
        write_architectures(architectures, [chosen])
        head = f"# The recipe that {self.method} chose, for fit and test: -c CONFIG -c {recipe.name}\n"
        write_whole(recipe, head + yaml.safe_dump(self.recipe.replace(found.recipe).configuration(), sort_keys=False))
        record = replace(found.record, method=self.method, seed=self.seed, space=self.space.name)
        merge_record_lines(records, [record])
        trainings = number_of(len(record.trials), "training")
        chosen_recipe = "".join(f" {name}={value}" for name, value in found.recipe.items())
        print(f"{self.method}: {found.architecture}{chosen_recipe}, {trainings} in {budget.spent.seconds:.0f} s.")
        return found
