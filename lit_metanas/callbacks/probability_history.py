"""The probabilities of all candidates over meta-training, and their file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lit_metanas.io.files import existing_file, write_whole
from lit_metanas.io.json_files import read_json
from lit_metanas.records.plain import from_plain

HISTORY_SCHEMA = 1
"""Version of the file. A reader of an older version refuses a newer one."""

MOST_MOMENTS, MOST_LABELS = 1000, 5000
"""Most moments that a history keeps, and most labels of all choices in a file: each is a row of a figure."""


@dataclass(frozen=True)
class Moment:
    """The probabilities at one validation: batches trained, share of the training, and one number a label."""

    step: int
    progress: float
    probabilities: dict[str, list[float]]


@dataclass
class ProbabilityHistory:
    """The course of the probabilities of each choice."""

    labels: dict[str, list[str]]  # of the candidates of each choice
    moments: list[Moment] = field(default_factory=list)  # one for each validation, in order

    def add(self, moment: Moment) -> None:
        """Append a moment. Above ``MOST_MOMENTS`` every second one is removed, so that the file stays short."""
        self.moments.append(moment)
        if len(self.moments) > MOST_MOMENTS:
            del self.moments[1:-1:2]  # the first and the last stay

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return {"schema": HISTORY_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], source: str = "The history") -> ProbabilityHistory:
        """Read a document of ``to_json``; a foreign, newer or damaged one raises ValueError."""
        known = isinstance(document, Mapping) and {"schema", "labels", "moments"} <= document.keys()
        if not known or type(document["schema"]) is not int:
            raise ValueError(f"{source} is not a history of probabilities: give the file that `fit` wrote.")
        if document["schema"] != HISTORY_SCHEMA:
            raise ValueError(
                f"{source} has schema {document['schema']}, this version reads {HISTORY_SCHEMA}: update lit-metanas."
            )
        try:
            return from_plain(cls, {name: document[name] for name in ("labels", "moments")}, "it")
        except ValueError as error:
            raise ValueError(f"{source} is damaged ({error}): make it again with `fit`.") from None

    def __post_init__(self) -> None:
        """Refuse moments that do not fit the labels, or are not in order."""
        sizes, last = {name: len(labels) for name, labels in self.labels.items()}, 0
        for moment in self.moments:
            if moment.step < last or not 0 <= moment.progress <= 1:
                raise ValueError("its moments are not in order")
            last = moment.step
            if {name: len(values) for name, values in moment.probabilities.items()} != sizes:
                raise ValueError("a moment has the probabilities of other choices")
            if not all(0 <= value <= 1.001 for values in moment.probabilities.values() for value in values):
                raise ValueError("a probability is not between 0 and 1")

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the history as JSON, atomically."""
        write_whole(path, f"{json.dumps(self.to_json())}\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ProbabilityHistory:
        """Read a file of ``write``; ValueError for a foreign, damaged or too large one."""
        file = existing_file(path, "file", "fit with an ArchitectureLogger, or give its right path")
        history = cls.from_json(read_json(file, "give the file that a fit wrote"), f"'{file}'")
        if len(history.moments) > MOST_MOMENTS or sum(map(len, history.labels.values())) > MOST_LABELS:
            raise ValueError(
                f"'{file}' has more than {MOST_MOMENTS} moments or {MOST_LABELS} labels: give the file that a fit "
                "wrote."
            )
        return history
