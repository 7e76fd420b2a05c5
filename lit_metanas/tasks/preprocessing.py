"""What turns raw examples, such as sentences or sound, into a network's inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from torch import Tensor

from lit_metanas.tasks.inputs import Shape


class Preprocessing(ABC):
    """Turns raw examples into a network's inputs. It is stored beside an exported network, as plain values.

    Attributes:
        kind: what it is called in ``model.json``.
        noun: what raw examples are, in the plural.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
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

    @classmethod
    @abstractmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            ValueError: something is missing, or out of its range.
        """
