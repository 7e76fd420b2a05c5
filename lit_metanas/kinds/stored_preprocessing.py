"""Preprocessings as plain values, in the files of exported networks and in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.packages import loaded_subclasses
from lit_metanas.kinds.questions import QuestionSentences, QuestionWords
from lit_metanas.kinds.rows import QuantileColumns, StandardisedColumns
from lit_metanas.kinds.sounds import LogMel
from lit_metanas.kinds.texts import BytePairs, Characters, StaticVectors, Words
from lit_metanas.kinds.texts.joined_tokens import JoinedTokens

PREPROCESSINGS: tuple[type[Preprocessing], ...] = (
    Words,
    Characters,
    BytePairs,
    StaticVectors,
    JoinedTokens,
    LogMel,
    QuestionWords,
    QuestionSentences,
    StandardisedColumns,
    QuantileColumns,
)
"""Those of this package."""


def known_preprocessings() -> dict[str, type[Preprocessing]]:
    """Those that a file may name: of this package, and of packages that the user has imported."""
    loaded = loaded_subclasses(Preprocessing)  # type: ignore[type-abstract]
    # No other takes the name of one of ours.
    return {one.kind: one for one in (*loaded, *PREPROCESSINGS) if isinstance(getattr(one, "kind", None), str)}


def _in_checkpoints(kind: type[Preprocessing]) -> bool:
    """Whether a checkpoint holds preprocessings of a kind: a stranger's is not to name files that are opened."""
    return kind in PREPROCESSINGS and not kind.reads_files


def stored_kind(stored: object) -> type[Preprocessing] | None:
    """The kind of a stored preprocessing; None where there is no such kind."""
    name = stored.get("kind") if isinstance(stored, Mapping) else None
    return known_preprocessings().get(name) if isinstance(name, str) else None


def read_preprocessing(stored: object) -> Preprocessing:
    """What was stored under the name of its kind.

    Raises:
        ValueError: there is no such kind, or something is missing.
    """
    kind = stored_kind(stored)
    if kind is None or not isinstance(stored, Mapping):
        raise ValueError(f"its preprocessing is none of {', '.join(each.kind for each in PREPROCESSINGS)}")
    return kind.from_plain({name: value for name, value in stored.items() if name != "kind"})


@dataclass(frozen=True)
class InputMeaning:
    """What the numbers mean that go into meta-trained weights, so that these suit no other meaning.

    Attributes:
        digest: of the preprocessing of inputs; empty where there is none, or where it is not known.
        preprocessing: that itself; None where a file does not hold it, as of one that depends on other files.

    Example:
        >>> from lit_metanas.kinds import Words
        >>> words = InputMeaning.of(Words(words=("yes", "no")))
        >>> InputMeaning.from_plain(words.to_plain()) == words, words.differs(None), words.differs(Words(words=("no",)))
        (True, False, True)
    """

    digest: str = ""
    preprocessing: Preprocessing | None = None

    @classmethod
    def of(cls, preprocessing: Preprocessing | None) -> Self:
        """That of a preprocessing."""
        return cls() if preprocessing is None else cls(preprocessing.digest, preprocessing)

    def differs(self, preprocessing: Preprocessing | None) -> bool:
        """Whether both are known, and the numbers mean something else."""
        return bool(self.digest) and preprocessing is not None and preprocessing.digest != self.digest

    def to_plain(self) -> dict[str, Any]:
        """For checkpoints; without the preprocessing where that is of a kind that no file names, or reads files."""
        made = self.preprocessing
        keeps = made is not None and _in_checkpoints(type(made))
        return {"digest": self.digest, "preprocessing": made.described() if made and keeps else None}

    @classmethod
    def from_plain(cls, plain: object) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: it is damaged, or the digest is of another preprocessing.
        """
        if not isinstance(plain, Mapping) or not isinstance(plain.get("digest"), str):
            raise ValueError("its inputs are not described")
        stored = plain.get("preprocessing")
        if stored is None:
            return cls(plain["digest"])
        kind = stored_kind(stored)
        if kind is None or not _in_checkpoints(kind):
            raise ValueError("its preprocessing is of no kind that a checkpoint holds")
        found = cls.of(read_preprocessing(stored))
        if found.digest != plain["digest"]:
            raise ValueError("its preprocessing has another digest")
        return found


UNKNOWN_INPUTS = InputMeaning()
"""Of images, and where it is not known."""
