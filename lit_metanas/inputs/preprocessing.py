"""What turns raw examples into a network's inputs."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.inputs.shapes import Shape


class Preprocessing(ABC):
    """Turns raw examples into a network's inputs. It is stored with an exported network, as plain values.

    Attributes:
        kind: what it is called in ``model.json``.
        noun: what raw examples are, in the plural.

    Example:
        >>> class Letters(lm.Preprocessing):
        ...     kind = "letters"
        ...     shape = lm.TokenShape(vocabulary=128, steps=4)
        ...     def encode(self, raw):
        ...         return torch.tensor([[ord(letter) for letter in text.ljust(4, chr(0))[:4]] for text in raw])
        ...     def show(self, inputs):
        ...         return ["".join(map(chr, row)).rstrip(chr(0)) for row in inputs.tolist()]
        ...     def to_plain(self):
        ...         return {}
        ...     @classmethod
        ...     def from_plain(cls, plain):
        ...         return cls()
        >>> letters = Letters()
        >>> letters.show(letters.encode(["no", "yes"]))
        ['no', 'yes']
    """

    kind: ClassVar[str]
    noun: ClassVar[str] = "examples"

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Of one input."""

    @abstractmethod
    def encode(self, raw: Sequence[Any]) -> Tensor:
        """The inputs of raw examples, shape ``(n, *shape)``, padded and cut to the shape's steps.

        Raises:
            ValueError: one of them is no such example.
        """

    @abstractmethod
    def show(self, inputs: Tensor) -> list[str]:
        """Each input as a person reads it, in a line."""

    @abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """All that it depends on, as JSON holds it."""

    def described(self) -> dict[str, Any]:
        """Its kind and all that it depends on, as JSON holds it."""
        return {"kind": self.kind, **self.to_plain()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its kind and ``to_plain``, worked out once.

        Raises:
            ValueError: ``to_plain`` holds what JSON does not.
        """
        try:
            described = json.dumps([self.kind, self.to_plain()], sort_keys=True)
        except TypeError as error:
            raise ValueError(
                f"{type(self).__name__}: what 'to_plain' tells is not plain ({error}): give only what JSON holds."
            ) from None
        return hashlib.sha256(described.encode()).hexdigest()

    @classmethod
    def checked(cls, preprocessing: Preprocessing, place: str) -> Self:
        """What made the inputs of a meta-training, if it is of this kind.

        Args:
            preprocessing: of raw examples.
            place: where one's own examples are from, as the message begins.

        Raises:
            ValueError: it is for other examples.
        """
        if not isinstance(preprocessing, cls):
            raise ValueError(
                f"'{place}' holds {cls.noun}, and the checkpoint was meta-trained on {preprocessing.noun}: give one "
                f"that was meta-trained on {cls.noun}."
            )
        return preprocessing

    @classmethod
    @abstractmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: something is missing, or out of its range.
        """
