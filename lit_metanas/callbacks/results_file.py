"""Keeps test scores as rows of ``results.json``."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer

from lit_metanas.callbacks.searching import Tested, searches
from lit_metanas.records.budget import Cost
from lit_metanas.records.files import merge_results
from lit_metanas.records.hardware import hardware
from lit_metanas.records.interval import t_interval
from lit_metanas.records.result import Result


class ResultsFile(Callback):
    """Writes the test's scores as one row of ``results.json``, beside the rows of other methods, tasks and seeds.

    A row of the same method, task, protocol and seed is replaced.

    Args:
        path: the file; it may exist.
        method: the row's name in tables.
        task_id: the target task, or the name of the series of episodes.
        config: where the run's configuration is kept.
    """

    def __init__(self, path: str, method: str, task_id: str = "test episodes", config: str = "") -> None:
        self.path = path
        self.method = method
        self.task_id = task_id
        self.config = config

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Merge the row into the file.

        Raises:
            ValueError: the module keeps no test scores, or the file is not one of results.
        """
        if not trainer.is_global_zero:
            return
        merge_results(self.path, [self._result(pl_module)])

    def _result(self, module: LightningModule) -> Result:
        """The row: what was measured, and what the module knows."""
        if not isinstance(module, Tested) or not len(module.test_values):
            raise ValueError(
                f"ResultsFile needs test scores, but {type(module).__name__} kept none in test_values: "
                "test on at least one episode, or remove the callback."
            )
        values = tuple(float(value) for value in module.test_values)
        interval = t_interval(values)
        fields = dict(module.result_fields())
        if searches(module):
            fields = {"space": module.space.name, "architecture": module.architecture(), **fields}
        return Result(
            method=self.method,
            task_id=self.task_id,
            space=fields.get("space", ""),
            architecture=fields.get("architecture"),
            recipe=fields.get("recipe", {}),
            seed=fields["seed"],
            protocol=fields["protocol"],
            value=interval.mean,
            ci95=interval.half,
            cost=fields.get("cost", Cost()),
            meta_cost=fields.get("meta_cost", Cost()),
            parameters=fields["parameters"],
            flops=fields["flops"],
            values=values,
            hardware=hardware(),
            config=self.config,
        )
