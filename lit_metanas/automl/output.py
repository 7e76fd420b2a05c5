"""The output folder of ``auto``: an exported network, a report, and what an interrupted search goes on from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lit_metanas.automl.budget_plan import BudgetPlan
from lit_metanas.automl.options import MEASURES, TEACHER
from lit_metanas.comparisons.search_result import FRONT, FRONT_NAME, SearchResult
from lit_metanas.comparisons.target_search import comparison_row
from lit_metanas.estimators.input_variants import InputVariant, InputVariants, joined
from lit_metanas.estimators.meta_training import KEPT_SCORE
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.io.files import (
    check_files,
    check_only,
    check_tree,
    own_folder,
    remove_files,
    remove_partial,
    write_whole,
)
from lit_metanas.io.json_files import read_json
from lit_metanas.io.text import writable
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record_lines import read_record_lines, write_record_lines
from lit_metanas.records.result_files import (
    ERRORS,
    EXAMPLE_ROWS,
    PREDICTIONS,
    kept_networks,
    write_architectures,
    write_example_rows,
    write_results,
    write_row_file,
)
from lit_metanas.records.rows import ShownPrediction
from lit_metanas.report.figures.fronts import FRONT_FILES, write_front
from lit_metanas.report.report_verb import write_report
from lit_metanas.spaces.any_input import linear_space_of
from lit_metanas.tasks.task import Task
from lit_metanas.training.encoders.encoded_task import seen_task, whole_network
from lit_metanas.training.ensembles import WithLinear, build_network
from lit_metanas.training.export.exported_program import EXPORTED, WEIGHTS, check_export_place
from lit_metanas.training.export.network_description import DESCRIPTION, read_description
from lit_metanas.training.export.onnx_program import ONNX

METHOD = "auto"  # the method's name in tables
MOST_MEMBERS = 1000  # networks of an ensemble that a file may name; more would fill the memory

READ_DATA = "data"  # the setting that is a digest of the data as they were read
READ_SHARE = "sample"  # the setting that is the share of the files which were read; there is none if all were

STATE, RESULTS, ARCHITECTURES, RECORDS = "auto.json", "results.json", "architectures.json", "records.jsonl"

EXPORTED_NAMES = re.compile("|".join(map(re.escape, EXPORTED)))  # the names of the files of a front's network


class OutputFolder:
    """A search in its folder: ``auto.json`` has its settings, the plan, and the result once it has finished."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.trainings = own_folder(path, "trainings")  # all trainings, until the search has finished
        self.report = own_folder(path, "report")
        self.front = own_folder(path, FRONT)  # a front's table, figure and networks
        self.settings = json.loads(json.dumps(settings))
        self.plan: BudgetPlan | None = None
        self._done: dict[str, Any] | None = None
        check_files(path, (STATE, RESULTS, ARCHITECTURES, RECORDS, PREDICTIONS, ERRORS, EXAMPLE_ROWS, *EXPORTED))
        teacher = [TEACHER] * (self.settings.get(TEACHER) is not None)  # was trained first
        if (path / STATE).is_file():
            self._read_state(path / STATE)
        elif any(not entry.name.startswith(".") and entry.name not in teacher for entry in path.iterdir()):
            raise ValueError(f"'{writable(str(path))}' holds other files: give an 'output' that is empty or new.")
        for folder in self._networks():
            check_files(folder, EXPORTED)
        for folder in (path, self.trainings, self.report, self.front, *self._networks()):
            remove_partial(folder)
        if self._done is None:
            self._check_place()

    def keep(self, plan: BudgetPlan) -> None:
        """Write the plan, so that a search which goes on has the same."""
        self.plan = plan
        self._write_state()

    def write(self, task: Task, result: SearchResult, *, seed: int) -> None:
        """Export the network, and write report, predictions and records; a stopped search may go on."""
        result.export(self.path)
        rows = comparison_row(task, result, method=METHOD, seed=seed, weights=WEIGHTS)
        write_results(self.path / RESULTS, [rows.result])
        write_architectures(self.path / ARCHITECTURES, [rows.chosen])
        write_row_file(self.path / PREDICTIONS, ShownPrediction, result.predictions)
        write_row_file(self.path / ERRORS, ShownPrediction, result.errors)
        write_example_rows(self.path / EXAMPLE_ROWS, result.examples)
        write_record_lines(self.path / RECORDS, [rows.record])
        write_report(self.report, [rows.result], networks=kept_networks(self.path), searched=result)
        if result.front:
            for folder in self._networks():
                if folder.name not in result.front_names:  # of an earlier front
                    remove_files(folder, EXPORTED_NAMES)
            write_front(self.front, result)
        if not result.stopped:
            self._done = result.to_plain()
            self._write_state()
            remove_files(self.trainings, KEPT_SCORE)

    def finished(self, variants: InputVariants) -> SearchResult | None:
        """The result of a finished search, read from its files; None if it has not finished."""
        if self._done is None:
            return None
        remove_files(self.trainings, KEPT_SCORE)  # a process may have been killed before it had done so
        try:
            (record,) = read_record_lines(self.path / RECORDS)
            result = SearchResult.from_plain(self._done, record)
            if result.front and result.traded not in MEASURES:
                raise ValueError("'traded' is no measure")
            front = [
                self._with_network(one, own_folder(self.front, name), variants)
                for name, one in zip(result.front_names, result.front, strict=True)
            ]
            return replace(self._with_network(result, self.path, variants), front=tuple(front))
        except (FileNotFoundError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"'{self.path}' has a finished search that cannot be read ({str(error).rstrip('.')}): delete the "
                "folder, or give another 'output'."
            ) from error

    def add_onnx(self, result: SearchResult, say: Callable[[str], None]) -> bool:
        """Add the ONNX files that are missing; returns whether there were any."""
        if result.stopped:
            say("stopped: there are no ONNX files yet; the same call adds them once it has finished.")
            return False
        folders = [self.path, *(own_folder(self.front, name) for name in result.front_names)]
        pairs = zip(folders, (result, *result.front), strict=True)
        lacking = [(folder, one) for folder, one in pairs if not (folder / ONNX).is_file()]
        if lacking:
            say("translating the network to ONNX, which may take minutes.")
        for folder, one in lacking:
            one.add_onnx(folder)
        return bool(lacking)

    def _read_state(self, file: Path) -> None:
        kept = _state_in(file)
        before = kept["settings"]
        if others := [name for name in {**before, **self.settings} if before.get(name) != self.settings.get(name)]:
            raise ValueError(
                f"'{writable(str(self.path))}' holds the result of other data or settings ({', '.join(others)}): give "
                "another 'output', or delete this one."
            )
        self._done = kept.get("done")
        if kept.get("plan") and self._done is None:
            self.plan = from_plain(BudgetPlan, kept["plan"], f"'plan' in '{file}'")

    def _networks(self) -> list[Path]:
        """The folders of the front's networks that are there; a link among them is a ValueError."""
        names = sorted(entry.name for entry in self.front.glob("*") if FRONT_NAME.fullmatch(entry.name))
        return [own_folder(self.front, name) for name in names]

    def _check_place(self) -> None:
        """Before a search, refuse foreign files that its end would replace or remove."""
        check_export_place(self.path, card=True)
        check_tree(self.report)
        check_only(self.trainings, KEPT_SCORE)
        if self.settings["pareto"] is None:
            return
        check_files(self.front, FRONT_FILES)
        for folder in self._networks():
            check_only(folder, EXPORTED_NAMES)
            check_export_place(folder, card=True)

    def _write_state(self) -> None:
        state = {"settings": self.settings, "plan": to_plain(self.plan), "done": self._done}
        write_whole(self.path / STATE, json.dumps(state, indent=1))

    def _with_network(self, result: SearchResult, folder: Path, variants: InputVariants) -> SearchResult:
        """A result with its network, whose weights are read, and the parts of its task."""
        network, variant = _fresh_network(result, variants)
        network = whole_network(variant.task, network)
        network.load_state_dict(read_weights(folder / WEIGHTS))
        seen = seen_task(variant.task)
        return replace(
            result,
            network=network.to(variant.task.train.inputs.device).eval(),
            objective=read_description(folder / DESCRIPTION).objective,  # with what it learned of validation examples
            preprocessing=seen.preprocessing,
            tested=seen.test,
        )


def _fresh_network(result: SearchResult, variants: InputVariants) -> tuple[nn.Module, InputVariant]:
    """The network or ensemble of a result, alone or with a linear model, with fresh weights, and the data for it."""
    if not 1 <= result.ensemble <= MOST_MEMBERS:
        raise ValueError(f"'{STATE}' has an ensemble of {result.ensemble} networks")
    variant = variants.labelled(result.view)
    task = variant.task
    space = variants.space if result.space == variants.space.name else linear_space_of(result.architecture)
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn here are replaced by those of the file
        network = build_network(space, result.architecture, task.shape, task.way, ensemble=result.ensemble)
        if result.linear is None:
            return network, variant
        linear = linear_space_of(result.linear)
        other = variants.in_space(linear).labelled(result.linear_view)
        if (both := joined(variant, other)) is None:
            raise ValueError(f"'{STATE}' has a linear model that reads other examples")
        model = build_network(linear, result.linear, other.task.shape, task.way)
    return WithLinear(network, model, both.steps), both


def kept_sample(path: Path) -> float | None:
    """The share of the files that a search in a folder has read; None if there is no search."""
    if not (path / STATE).is_file():
        return None
    check_files(path, [STATE])
    found = _state_in(path / STATE)["settings"].get(READ_SHARE, 1.0)
    if isinstance(found, float) and 0 < found <= 1:
        return found
    return None


def _state_in(file: Path) -> dict[str, Any]:
    kept = read_json(file, "delete the folder, or give another 'output'")
    if not isinstance(kept, dict) or not isinstance(kept.get("settings"), dict):
        raise ValueError(f"'{file}' is damaged: delete the folder, or give another 'output'.")
    return kept
