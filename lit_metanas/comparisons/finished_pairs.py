"""Finished pairs of method and task, kept so that an interrupted comparison continues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.files import has_content, write_whole
from lit_metanas.io.own_folder import check_files, check_tree, own_folder
from lit_metanas.records.record import SearchRecord
from lit_metanas.records.record_lines import merge_record_lines, read_record_lines, write_record_lines
from lit_metanas.records.result_files import (
    merge_architectures,
    merge_results,
    read_architectures,
    read_results,
    write_architectures,
    write_results,
)
from lit_metanas.records.rows import ArchitectureRow, ResultRow


class ComparisonRow(NamedTuple):
    """The result of one method on one task, the chosen architecture, and the record of the search."""

    result: ResultRow
    chosen: ArchitectureRow
    record: SearchRecord

    @property
    def whole_record(self) -> SearchRecord:
        """The record with the method, seed and space that the searcher did not know."""
        row = self.chosen
        return replace(self.record, method=row.method, seed=row.seed, space=self.record.space or row.space)

    @classmethod
    def of(
        cls,
        result: ResultRow,
        record: SearchRecord,
        *,
        value: float | None = None,
        metric: str = "validation accuracy",
        shape: Shape = (0, 0, 0),
        way: int = 0,
        classes: tuple[str, ...] = (),
        weights: str = "",
    ) -> ComparisonRow:
        """Make the row of the chosen architecture from that of the result; zeros in ``shape`` mean no input."""
        assert result.architecture is not None
        if value is None:
            value = record.value_of(result.architecture, result.recipe)
        chosen = ArchitectureRow(
            task_id=result.task_id,
            method=result.method,
            space=result.space,
            architecture=result.architecture,
            value=value,
            seed=result.seed,
            metric=metric,
            cost=result.cost,
            recipe=result.recipe,
            shape=shape,
            way=way,
            classes=classes,
            weights=weights,
            ensemble=result.ensemble,
            linear=result.linear,
        )
        return cls(result, chosen, record)


class FinishedPairs:
    """A folder for each task and method, complete once it has its ``result.json``."""

    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        self.directory = directory
        check_files(directory, ("search.json", "results.json", "architectures.json", "records.jsonl"))
        check_tree(own_folder(directory, "children"))
        text = _text(settings)
        file = directory / "search.json"
        if file.is_file() and not has_content(file, text.encode()):
            raise ValueError(
                f"'{directory}' holds a search with another space, recipe, budget or seed (see '{file.name}'): give "
                "another directory, or delete this one."
            )
        if not file.is_file():
            write_whole(file, text)

    def folder(self, task_id: str, method: str) -> Path:
        """The folder of one pair, and of its child network."""
        return own_folder(self.directory, "children", _name(task_id), _name(method))

    def read(self, task_id: str, method: str, settings: Mapping[str, Any]) -> ComparisonRow | None:
        """A pair that was finished under the same settings, or None; under others it is unmarked."""
        folder = self.folder(task_id, method)
        result, file = folder / "result.json", folder / "settings.json"
        if not result.is_file():
            return None
        if not has_content(file, _text(settings).encode()):
            result.unlink()
            return None
        try:
            (record,) = read_record_lines(folder / "record.jsonl")
            (row,), (chosen,) = read_results(result), read_architectures(folder / "architecture.json")
        except (ValueError, FileNotFoundError) as error:
            raise ValueError(
                f"The kept files of '{method}' on task '{task_id}' are damaged: delete '{folder}', and run the same "
                f"command again ({error})."
            ) from None
        return ComparisonRow(row, chosen, record)

    def write(self, pair: ComparisonRow, settings: Mapping[str, Any]) -> None:
        """Keep a pair; the result comes last, as it marks the pair as finished."""
        folder = self.folder(pair.result.task_id, pair.result.method)
        write_architectures(folder / "architecture.json", [pair.chosen])
        write_record_lines(folder / "record.jsonl", [pair.record])
        write_whole(folder / "settings.json", _text(settings))
        write_results(folder / "result.json", [pair.result])

    def conclude(self, pairs: list[ComparisonRow]) -> None:
        """Merge all pairs into ``results.json``, ``architectures.json`` and ``records.jsonl``."""
        # A search without any score leaves no record.
        merge_results(self.directory / "results.json", [pair.result for pair in pairs])
        merge_architectures(self.directory / "architectures.json", [pair.chosen for pair in pairs])
        if records := [pair.whole_record for pair in pairs if _has_score(pair.record)]:
            merge_record_lines(self.directory / "records.jsonl", records)


def _has_score(record: SearchRecord) -> bool:
    return any(trial.scored and isfinite(trial.value) for trial in record.trials)


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=1, sort_keys=True)


def _name(text: str) -> str:
    """A file name for any text, one to one."""
    quoted = quote(text, safe=" ")
    if quoted.strip("."):
        return quoted
    return quoted.replace(".", "%2E")
