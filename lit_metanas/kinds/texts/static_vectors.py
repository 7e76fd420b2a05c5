"""Static word vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.shapes import PADDING, SeriesShape
from lit_metanas.inputs.tokens import MOST_TOKEN_STEPS, UNKNOWN, TextPreprocessing, check_range, plain_numbers
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.texts.labelled_text import read_bytes

LARGEST_FILES = {"tokenizer": 1 << 26, "vectors": 1 << 32}  # bytes


@dataclass(frozen=True)
class StaticVectors(TextPreprocessing):
    """A series of word vectors that were trained elsewhere: a tokenizer's pieces, and a row of a matrix for each.

    A source keeps the numbers of the pieces and looks the rows up for what is drawn. An exported network stores the
    paths of both files with their digests, not the rows: the rows in use alone would leave out the words that training
    did not meet, for which such vectors are taken, and all of them are far larger than a network. It needs the packages
    ``tokenizers`` and ``safetensors``: ``pip install 'lit-metanas[text]'``.

    Attributes:
        tokenizer: file of a tokenizer, as the package ``tokenizers`` writes it in JSON.
        vectors: ``.safetensors`` file of a matrix with a row for each of its pieces.
        steps: pieces of an example at most; what is behind them is cut off.
        tensor: name of the matrix, where the file has several tensors.

    Raises:
        FileNotFoundError: a file is absent.
        ValueError: a file is not what it should be, the two do not fit together, or a number is out of its range.

    Example:
        >>> import torch
        >>> from safetensors.torch import save_file
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> import lit_metanas as lm
        >>> tokenizer = Tokenizer(models.WordLevel({"?": 0, "good": 1, "day": 2}, unk_token="?"))
        >>> tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        >>> tokenizer.save("tokenizer.json")
        >>> save_file({"vectors": torch.eye(3)}, "vectors.safetensors")
        >>> vectors = lm.kinds.StaticVectors("tokenizer.json", "vectors.safetensors", steps=3)
        >>> vectors.encode(["good day"])[0]
        tensor([[0., 0., 0.],
                [1., 0., 0.],
                [0., 1., 0.],
                [1., 1., 0.]])
    """

    kind: ClassVar[str] = "static vectors"
    reads_files: ClassVar[bool] = True

    tokenizer: str
    vectors: str
    steps: int = 32
    tensor: str | None = None

    def __post_init__(self) -> None:
        check_range("StaticVectors", steps=(self.steps, 1, MOST_TOKEN_STEPS))
        pieces = self._tokenizer.get_vocab_size()
        if pieces > len(self._matrix):
            raise ValueError(
                f"'{self.tokenizer}' has {pieces} pieces, but '{self.vectors}' has {len(self._matrix)} rows: give "
                "files that belong together."
            )

    @property
    def shape(self) -> SeriesShape:
        """Of one input: the vectors' dimensions and the mask."""
        return SeriesShape(self._matrix.shape[1] + 1, self.steps)

    def token_lists(self, texts: Sequence[str]) -> list[list[int]]:
        """The pieces of each text by number."""
        clean = (text.encode("utf-8", "replace").decode() if text.strip() else "" for text in texts)
        found = (self._tokenizer.encode(text, add_special_tokens=False).ids if text else [] for text in clean)
        return [[UNKNOWN + 1 + number for number in numbers] for numbers in found]

    def look_up(self, tokens: Tensor) -> Tensor:
        """The vectors of tokens, shape ``(n, dimensions + 1, steps)``; that of the unknown token is zero."""
        rows = self._matrix[(tokens - UNKNOWN - 1).clamp(min=0).cpu()].float().to(tokens.device)
        rows = rows * (tokens > UNKNOWN)[..., None]
        return torch.cat([rows, (tokens != PADDING)[..., None]], dim=-1).transpose(1, 2).contiguous()

    def show(self, inputs: Tensor) -> list[str]:
        """Each text, of the pieces whose rows are nearest to its vectors."""
        texts = []
        for series, mask in zip(inputs[:, :-1].cpu(), step_mask(inputs).cpu(), strict=True):
            distances = torch.cdist(series.T[mask], self._matrix.float())
            known = series.T[mask].abs().sum(1) > 0
            texts.append(" ".join(self._tokenizer.decode(distances.argmin(1)[known].tolist()).split()))
        return texts

    def to_plain(self) -> dict[str, Any]:
        """The paths and digests of the files, and the other arguments."""
        paths = {"tokenizer": self.tokenizer, "vectors": self.vectors}
        files = {name: {"file": path, "sha256": _digest(_read(path, name))} for name, path in paths.items()}
        return {**files, "steps": self.steps, "tensor": self.tensor}

    def meaning(self) -> dict[str, Any]:
        """The digests of the files, and the other arguments."""
        plain = self.to_plain()
        return {**plain, **{name: plain[name]["sha256"] for name in ("tokenizer", "vectors")}}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of ``to_plain``.

        Raises:
            FileNotFoundError: a file is absent.
            ValueError: something is missing or out of its range, or a file has changed.
        """
        numbers = plain_numbers("StaticVectors", plain, "steps")
        paths = {}
        for name in LARGEST_FILES:
            stored = plain.get(name)
            if not isinstance(stored, dict) or not all(isinstance(stored.get(key), str) for key in ("file", "sha256")):
                raise ValueError(f"StaticVectors: the stored preprocessing has no file '{name}' with its sha256.")
            paths[name] = stored["file"]
            if _digest(_read(paths[name], name)) != stored["sha256"]:
                raise ValueError(
                    f"'{paths[name]}' is not the file that the network was trained with: put the one with sha256 "
                    f"{stored['sha256']} there."
                )
        tensor = plain.get("tensor")
        return cls(**paths, steps=numbers["steps"], tensor=tensor if isinstance(tensor, str) else None)

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizers = import_extra("tokenizers", "text", "StaticVectors")
        content = _read(self.tokenizer, "tokenizer")
        try:
            made = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # of the package, which has none of its own
            raise ValueError(f"'{self.tokenizer}' is no tokenizer of the package tokenizers: {error}.") from None
        made.no_padding()
        made.no_truncation()
        return made

    @cached_property
    def _matrix(self) -> Tensor:
        safetensors = import_extra("safetensors.torch", "text", "StaticVectors")
        content = _read(self.vectors, "vectors")
        try:
            tensors: dict[str, Tensor] = safetensors.load(content)
        except Exception as error:  # of the package
            raise ValueError(f"'{self.vectors}' is no file of safetensors: {error}.") from None
        named = {name: tensor for name, tensor in tensors.items() if self.tensor in (None, name)}
        if len(named) != 1:
            raise ValueError(
                f"'{self.vectors}' holds the tensors {', '.join(sorted(tensors)) or '(none)'}: say which by 'tensor'."
            )
        ((name, matrix),) = named.items()
        if matrix.dim() != 2 or not matrix.is_floating_point() or not bool(torch.isfinite(matrix).all()):
            raise ValueError(f"The tensor {name} in '{self.vectors}' is no matrix of finite floating-point numbers.")
        return matrix


def _read(path: str, name: str) -> bytes:
    return read_bytes(Path(path), LARGEST_FILES[name])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
