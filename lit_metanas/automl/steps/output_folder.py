"""The folder of one `auto`: an exported network, a report, and what lets an interrupted search go on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from typing import Any

from lit_metanas.automl.steps.time_plan import MOST_MEMBERS, BudgetPlan
from lit_metanas.automl.steps.views import Views, without_preprocessing
from lit_metanas.callbacks.figures import save
from lit_metanas.comparisons.search_result import FRONT, FRONT_NAME, SearchResult
from lit_metanas.comparisons.single_task import result_of
from lit_metanas.comparisons.target_search import comparison_row
from lit_metanas.estimators.estimator import Estimator
from lit_metanas.estimators.meta_training import KEPT_SCORE, KeptScores
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.io.files import write_whole
from lit_metanas.io.json_files import read_json
from lit_metanas.io.own_folder import check_files, check_only, check_tree, own_folder, remove_files, remove_partial
from lit_metanas.io.text import markdown_lines, writable
from lit_metanas.records.budget import Cost
from lit_metanas.records.plain import from_plain, to_plain
from lit_metanas.records.record import SearchOutcome, SearchRecord
from lit_metanas.records.record_lines import read_record_lines, write_record_lines
from lit_metanas.records.result_files import (
    PREDICTIONS,
    kept_networks,
    read_results,
    write_architectures,
    write_predictions,
    write_results,
)
from lit_metanas.records.rows import ResultRow
from lit_metanas.report.figures.fronts import MEASURED, draw_tested
from lit_metanas.report.report_verb import write_report
from lit_metanas.spaces.any_input import LinearSpace
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.supernet import NetworkCost
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import Child, Recipe, build_network, chosen_child
from lit_metanas.training.export.exported_program import CARD, EXPORTED, WEIGHTS
from lit_metanas.training.export.hub_card import check_card_place, tells_int8
from lit_metanas.training.export.onnx_program import INT8, ONNX, Int8Loss

METHOD = "auto"
"""The row's name in tables."""

FRONT_FILES = ("front.md", "front.png")
"""Beside the networks of a front."""

FRONT_CAPTION = (
    "Networks to which the search found none that is as {small} and does clearly better on the validation part. Each "
    "was trained by itself on all but the test part, and tested once. The bars are 95 % intervals."
)

READ_DATA = "data"
"""The setting that is a digest of the data as they were read; an output of an earlier version lacks it."""

STATE, RESULTS, ARCHITECTURES, RECORDS = "auto.json", "results.json", "architectures.json", "records.jsonl"

EXPORTED_NAMES = re.compile("|".join(map(re.escape, EXPORTED)))
"""The names of the files of a front's network."""


@dataclass(frozen=True)
class FinishedPoint:
    """A network of a front.

    Attributes:
        folder: its name.
        architecture: the network's.
        recipe: how it was trained.
        training_cost: of that training.
        latency: see ``SearchResult``.
        view: see ``SearchResult``.
        space: that it is of, by its name.
        validated: see ``SearchResult``; None where there is none.
        learned: how many examples it was trained on; 0 is as many as the best one.
    """

    folder: str
    architecture: Architecture
    recipe: Recipe
    training_cost: Cost
    latency: float
    view: str = ""
    space: str = ""
    validated: float | None = None
    learned: int = 0


@dataclass(frozen=True)
class FinishedAuto:
    """What the files of a result do not tell.

    Attributes:
        training_cost: of the training after the search.
        latency: see ``SearchResult``.
        view: see ``SearchResult``.
        front: the networks of a front, each in a folder of its own.
        traded: see ``SearchResult``.
        linear_model: see ``SearchResult``.
        validated: see ``SearchResult``; None where there is none.
        linear_view: the preprocessing of a linear model that is averaged with the networks.
        untried: see ``SearchResult``.
        unreturned: see ``SearchResult``.
    """

    training_cost: Cost
    latency: float
    view: str = ""
    front: tuple[FinishedPoint, ...] = ()
    traded: str = ""
    linear_model: str = ""
    validated: float | None = None
    linear_view: str = ""
    untried: int = 0
    unreturned: int = 0


class OutputFolder:
    """What is known of a search in its folder, in ``auto.json``.

    Args:
        path: the folder.
        settings: what decides the result, as plain values.

    Attributes:
        plan: how the budget is divided; None where that is not known yet.

    Raises:
        ValueError: the folder holds something else, or a search with other settings; a part of it is a link; or there
            is something in it that the search would replace or remove, and has not written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self.plan: BudgetPlan | None = None
        self._done: FinishedAuto | None = None
        file, place = path / STATE, f"'{writable(str(path))}'"
        check_files(path, (STATE, RESULTS, ARCHITECTURES, RECORDS, PREDICTIONS, *EXPORTED))
        if file.is_file():
            kept = read_json(file, "delete the folder, or give another 'output'")
            before = kept.get("settings") if isinstance(kept, dict) else None
            if not isinstance(before, dict):
                raise ValueError(f"'{file}' is damaged: delete the folder, or give another 'output'.")
            earlier = READ_DATA not in before  # which an earlier version has written
            if earlier:
                self.settings.pop(READ_DATA, None)
            others = [name for name in {**before, **self.settings} if before.get(name) != self.settings.get(name)]
            if earlier and others == ["task"]:
                raise ValueError(
                    f"{place} holds the result of other data, or of an earlier version that read sounds or grey images "
                    "otherwise: give another 'output', or delete this one."
                )
            if others:
                raise ValueError(
                    f"{place} holds the result of other data or settings ({', '.join(others)}): give another 'output', "
                    "or delete this one."
                )
            self.plan = from_plain(BudgetPlan, kept["plan"], f"'plan' in '{file}'") if kept.get("plan") else None
            if kept.get("done"):
                self._done = from_plain(FinishedAuto, kept["done"], f"'done' in '{file}'")
        elif any(not entry.name.startswith(".") for entry in path.iterdir()):
            raise ValueError(f"{place} holds other files: give an 'output' that is empty or new.")
        for folder in self._networks():
            check_files(folder, EXPORTED)
        for folder in (path, self.trainings, self.report, self.front, *self._networks()):
            remove_partial(folder)
        if self._done is None:
            self._check_place()

    @property
    def trainings(self) -> Path:
        """Where trainings are kept until the search has ended."""
        return own_folder(self.path, "trainings")

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return own_folder(self.path, "report")

    @property
    def front(self) -> Path:
        """The folder of a front's table, figure and networks."""
        return own_folder(self.path, FRONT)

    def _networks(self) -> list[Path]:
        """The folders of the front's networks that are there, by their names.

        Raises:
            ValueError: one is a link or not a folder.
        """
        names = sorted(entry.name for entry in self.front.iterdir()) if self.front.is_dir() else []
        return [own_folder(self.front, name) for name in names if FRONT_NAME.fullmatch(name)]

    def _check_place(self) -> None:
        """Look, before a search, at what its end replaces and removes.

        Raises:
            ValueError: it is not all of a search.
        """
        check_card_place(self.path)
        check_tree(self.report)
        check_only(self.trainings, KEPT_SCORE)
        if self.settings["pareto"] is None:
            return
        check_files(self.front, FRONT_FILES)
        for folder in self._networks():
            check_only(folder, EXPORTED_NAMES)
            check_card_place(folder)
        for entry in sorted(self.front.glob("[!.]*")):
            if FRONT_NAME.fullmatch(entry.name) or not entry.is_dir():
                continue
            raise ValueError(
                f"'{writable(str(entry))}' is no network of this search, which clears '{self.front}' of earlier ones: "
                "move it elsewhere, or give another output folder."
            )

    def keep(self, plan: BudgetPlan) -> None:
        """Write how the budget is divided, so that a search which goes on divides it in the same way."""
        self.plan = plan
        self._write_state()

    def write(self, task: Task, result: SearchResult, *, seed: int) -> None:
        """Export the network and write report, predictions and records; a search that was stopped may go on.

        Args:
            task: the data as the network had them.
            result: what was found.
            seed: of the search.
        """
        result.export(self.path)
        rows = comparison_row(task, result, method=METHOD, seed=seed, weights=WEIGHTS)
        write_results(self.path / RESULTS, [rows.result])
        write_architectures(self.path / ARCHITECTURES, [rows.chosen])
        write_predictions(self.path / PREDICTIONS, result.predictions)
        record = replace(rows.record, method=METHOD, seed=seed, space=result.record.space or result.space)
        write_record_lines(self.path / RECORDS, [record])
        networks = kept_networks(self.path)
        architectures = [network.row for network in networks]
        write_report(
            self.report,
            [rows.result],
            architectures=architectures,
            networks=networks,
            looked_at=networks,
        )
        if result.front:
            self._write_front(result)
        if not result.stopped:
            front = tuple(
                FinishedPoint(
                    name,
                    one.architecture,
                    one.recipe,
                    one.training_cost,
                    one.latency,
                    one.view,
                    one.space,
                    _known(one.validated),
                    one.images[0],
                )
                for name, one in zip(result.front_names, result.front, strict=True)
            )
            self._done = FinishedAuto(
                result.training_cost,
                result.latency,
                result.view,
                front,
                result.traded,
                linear_model=result.linear_model,
                validated=_known(result.validated),
                unreturned=result.unreturned,
                linear_view=result.linear_view,
                untried=result.untried,
            )
            self._write_state()
            remove_files(self.trainings, KEPT_SCORE)

    def without_onnx(self, result: SearchResult, *, int8: bool) -> list[tuple[Path, SearchResult]]:
        """The networks of a finished search, that of the result first, which lack an ONNX file, each with its folder.

        Args:
            result: of the search.
            int8: whether each is to have ``model_int8.onnx``, too.

        Raises:
            ValueError: a card cannot be read.
        """
        folders = [self.path, *(own_folder(self.front, name) for name in result.front_names)]
        pairs, wanted = zip(folders, (result, *result.front), strict=True), self._wants_int8(int8)
        return [(folder, one) for folder, one in pairs if not _has_onnx(folder, int8=wanted)]

    def add_onnx(self, lacking: Sequence[tuple[Path, SearchResult]], *, int8: bool) -> Int8Loss | None:
        """Write ``model.onnx`` of networks of a finished search.

        A model card that is there stays, but for what weights of 8 bits cost.

        Args:
            lacking: see ``without_onnx``.
            int8: whether each gets ``model_int8.onnx``, too.

        Returns:
            What the weights of 8 bits of the first cost; None where these are not written now.

        Raises:
            ValueError: no such file can be made of the network, or a card cannot be read.
        """
        loss, wanted = None, self._wants_int8(int8)
        for folder, one in lacking:
            told = one.add_onnx(folder, int8=wanted)
            loss = told if folder == self.path else loss
        return loss

    def _wants_int8(self, int8: bool) -> bool:
        """Whether there are to be weights of 8 bits: where they are asked for, or have been before."""
        return int8 or (self.path / INT8).is_file()

    def finished(self, views: Views) -> SearchResult | None:
        """The result of a search that has ended, read from its files; None where it has not.

        Raises:
            ValueError: a file is missing or damaged.
        """
        plan = self.plan
        if self._done is None or plan is None or plan.training is None:
            return None
        remove_files(self.trainings, KEPT_SCORE)  # a process may have been killed before it had done so
        try:
            return self._read(self._done, views, (plan.search, plan.training), plan.pace or nan)
        except (FileNotFoundError, RuntimeError, TypeError, ValueError) as error:
            cause = str(error).rstrip(".")
            raise ValueError(
                f"'{self.path}' has a finished search that cannot be read ({cause}): delete the folder, or give "
                "another 'output'."
            ) from error

    def _read(self, done: FinishedAuto, views: Views, budget: tuple[float, float], pace: float) -> SearchResult:
        """What the files of a finished search tell.

        Raises:
            FileNotFoundError: one is missing.
            RuntimeError: weights are of another network.
            TypeError: a recipe has an unknown field.
            ValueError: one is damaged.
        """
        rows, records = read_results(self.path / RESULTS), read_record_lines(self.path / RECORDS)
        if len(rows) != 1 or len(records) != 1 or (chosen := rows[0].architecture) is None:
            raise ValueError(f"'{RESULTS}' and '{RECORDS}' do not tell of one search")
        row = rows[0]
        if not 1 <= row.ensemble <= MOST_MEMBERS:
            raise ValueError(f"'{RESULTS}' tells of an ensemble of {row.ensemble} networks")
        own = FinishedPoint(
            folder="",
            architecture=chosen,
            recipe=Recipe(**without_preprocessing(row.recipe)),  # type: ignore[arg-type]
            training_cost=done.training_cost,
            latency=done.latency,
            view=done.view,
            space=row.space,
            validated=done.validated,
        )
        files = _FinishedFiles(
            done=done,
            row=row,
            record=records[0],
            views=views,
            budget=budget,
            pace=pace,
            threads=self.settings["threads"],
        )
        front = tuple(files.result(own_folder(self.front, point.folder), point) for point in done.front)
        best = files.result(self.path, own, row.ensemble, row.linear)
        return replace(best, front=front, traded=done.traded, unreturned=done.unreturned)

    def _write_front(self, result: SearchResult) -> None:
        """The front as a table and a figure, beside the folders of its networks; not those of an earlier front."""
        for folder in self._networks():
            if folder.name not in result.front_names:
                remove_files(folder, EXPORTED_NAMES)
        heading, *rows = result.front_table()
        lines = markdown_lines([heading, ("---",) * len(heading), *rows])
        table, figure = FRONT_FILES
        save(draw_tested(result), self.front / figure)
        title = f"# {result.metric.capitalize()} against {MEASURED.get(result.traded, result.traded)}"
        caption = FRONT_CAPTION.format(small="fast" if result.traded == "latency" else "small")
        text = f"{title}\n\n{caption}\n\n{lines}\n\n![Front]({figure})\n"
        write_whole(self.front / table, text)

    def _write_state(self) -> None:
        state = {"settings": self.settings, "plan": to_plain(self.plan), "done": to_plain(self._done)}
        write_whole(self.path / STATE, json.dumps(state, indent=1))


@dataclass(frozen=True)
class _FinishedFiles:
    """What the files of a finished search tell of all its networks.

    Attributes:
        done: from the folder's state.
        row: of the results.
        record: of the search.
        views: the preprocessings of the same data.
        budget: see ``SearchResult``.
        pace: see ``SearchResult``.
        threads: see ``SearchResult``.
    """

    done: FinishedAuto
    row: ResultRow
    record: SearchRecord
    views: Views
    budget: tuple[float, float]
    pace: float
    threads: int | None

    def result(
        self, folder: Path, point: FinishedPoint, ensemble: int = 1, linear: Architecture | None = None
    ) -> SearchResult:
        """A network or an ensemble, alone or with a linear model, and its test.

        Args:
            folder: with the weights.
            point: what else is known of it.
            ensemble: how many networks are averaged.
            linear: the linear model that is averaged with them.

        Raises:
            FileNotFoundError: there are no weights.
            RuntimeError: they are of another network.
            ValueError: they are damaged, a preprocessing is unknown or cannot be applied, or the linear model reads
                other examples.
        """
        found = SearchOutcome(point.architecture, None, self.record, untried=self.done.untried)
        child, task, size = self._child(found, point, ensemble, linear)
        child.network.load_state_dict(read_weights(folder / WEIGHTS))
        told = result_of(
            task,
            child.space,
            found,
            child.to(task.train.inputs.device),
            learned=point.learned or self.row.images[0],
            cost=self.row.cost,
            training_cost=point.training_cost,
            meta_cost=self.row.meta_cost,
            validated=nan if point.validated is None else point.validated,
            size=size,
        )
        return replace(
            told,
            view=point.view,
            budget=self.budget,
            pace=self.pace,
            latency=point.latency,
            latency_batch=self.views.limits.latency_batch,
            linear_model=self.done.linear_model,
            linear=linear,
            linear_view=self.done.linear_view,
            threads=self.threads,
        )

    def _child(
        self, found: SearchOutcome, point: FinishedPoint, ensemble: int, linear: Architecture | None
    ) -> tuple[Child, Task, NetworkCost | None]:
        """A network with fresh weights, the task that it is of, and its size where that is not one of its space.

        Raises:
            ValueError: a preprocessing is unknown or cannot be applied, or the linear model reads other examples.
        """
        view = self.views.labelled(point.view)
        task = view.task
        space = self.views.space if point.space == self.views.space.name else LinearSpace()
        child = chosen_child(task, space, found, point.recipe, seed=0)  # whatever the seed, as its weights are read
        if ensemble > 1:
            child.network = build_network(space, point.architecture, task.shape, task.way, ensemble=ensemble)
        if linear is None:
            return child, task, None
        other = self.views.in_space(LinearSpace()).labelled(self.done.linear_view)
        if (joined := self.views.joined(view, other)) is None:
            raise ValueError(f"'{RESULTS}' tells of a linear model that reads other examples")
        model = build_network(LinearSpace(), linear, other.task.shape, task.way)
        child.network = joined.network(child.network, model)
        return child, joined.view.task, joined.size(point.architecture, linear, ensemble)


def _has_onnx(folder: Path, *, int8: bool) -> bool:
    """Whether nothing is missing; of weights of 8 bits that is their loss in the card, too, which is written last."""
    names = (ONNX, CARD, *((INT8,) if int8 else ()))
    return all((folder / name).is_file() for name in names) and (not int8 or tells_int8(folder))


def _known(value: float) -> float | None:
    """A number, or None for NaN, which JSON does not have."""
    return None if isnan(value) else value


def kept_in(folder: OutputFolder | None, estimator: Estimator) -> Estimator:
    """An estimator whose trainings are kept in a folder, if there is one."""
    return estimator if folder is None else KeptScores(estimator, folder.trainings, folder.settings)
