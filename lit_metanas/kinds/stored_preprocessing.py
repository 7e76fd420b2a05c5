"""Preprocessings and objectives as plain values, in the files of exported networks and in checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.packages import is_own, stored_classes
from lit_metanas.kinds.questions import question_words  # noqa: F401  (whose preprocessing a file may name)
from lit_metanas.kinds.rows import text_rows  # noqa: F401
from lit_metanas.kinds.series import scaled_series  # noqa: F401
from lit_metanas.kinds.sounds import log_mel  # noqa: F401
from lit_metanas.kinds.texts import text_tokens  # noqa: F401
from lit_metanas.objectives import Classification, Objective


def stored_kind(stored: object) -> type[Preprocessing] | None:
    """The kind of a stored preprocessing, of this package or one that is imported; None where there is no such kind."""
    if not isinstance(stored, Mapping) or not isinstance(stored.get("kind"), str):
        return None
    return stored_classes(Preprocessing).get(str(stored["kind"]))  # type: ignore[type-abstract]


def read_preprocessing(stored: object) -> Preprocessing:
    """What was stored under the name of its kind."""
    kind = stored_kind(stored)
    if kind is None or not isinstance(stored, Mapping):
        known = stored_classes(Preprocessing)  # type: ignore[type-abstract]
        own = sorted(name for name, each in known.items() if is_own(each))
        raise ValueError(f"its preprocessing is none of {', '.join(own)}")
    return kind.from_plain({name: value for name, value in stored.items() if name != "kind"})


def describe_objective(objective: Objective) -> dict[str, Any] | None:
    """An objective as JSON holds it; None for classification by accuracy with a temperature of 1."""
    if objective == Classification(objective.outputs):
        return None
    return {"kind": objective.kind, **objective.to_plain()}


def read_objective(stored: object, names: int, read: Callable[[object], Preprocessing]) -> Objective:
    """The inverse of ``describe_objective``: of so many classes or symbols; ``read`` makes stored preprocessings."""
    if stored is None:
        return Classification.from_plain({}, names, read)
    # A file never makes the program import what it names: another package's objective is found once it is imported.
    known = stored_classes(Objective)  # type: ignore[type-abstract]
    if not isinstance(stored, Mapping) or (kind := known.get(str(stored.get("kind")))) is None:
        raise ValueError(f"its objective is none of {', '.join(sorted(known))}; import the package that has others")
    return kind.from_plain({name: value for name, value in stored.items() if name != "kind"}, names, read)


@dataclass(frozen=True)
class InputMeaning:
    """What the numbers mean that go into meta-trained weights, so that these suit no other meaning."""

    digest: str = ""  # of the preprocessing; empty where there is none, or where it is not known
    preprocessing: Preprocessing | None = None  # None also where a file does not hold it, as one from outside

    @classmethod
    def of(cls, preprocessing: Preprocessing | None) -> Self:
        """That of a preprocessing."""
        if preprocessing is None:
            return cls()
        return cls(preprocessing.digest, preprocessing)

    def differs(self, preprocessing: Preprocessing | None) -> bool:
        """Whether both are known, and the numbers mean something else."""
        return bool(self.digest) and preprocessing is not None and preprocessing.digest != self.digest

    def to_plain(self) -> dict[str, Any]:
        """For checkpoints; without the preprocessing where that is of a kind from outside."""
        made = self.preprocessing
        if made is None or not is_own(type(made)):
            return {"digest": self.digest, "preprocessing": None}
        return {"digest": self.digest, "preprocessing": made.described()}

    @classmethod
    def from_plain(cls, plain: object) -> Self:
        """The inverse of ``to_plain``."""
        if not isinstance(plain, Mapping) or not isinstance(plain.get("digest"), str):
            raise ValueError("its inputs are not described")
        stored = plain.get("preprocessing")
        if stored is None:
            return cls(plain["digest"])
        kind = stored_kind(stored)
        if kind is None or not is_own(kind):
            raise ValueError("its preprocessing is of no kind that a checkpoint holds")
        found = cls.of(read_preprocessing(stored))
        if found.digest != plain["digest"]:
            raise ValueError("its preprocessing has another digest")
        return found


# The meaning of images, and of inputs that nobody described.
UNKNOWN_INPUTS = InputMeaning()
