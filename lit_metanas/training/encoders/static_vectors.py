"""Encoders of texts: the mean of static vectors of tokens, of a folder or of a package that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.io.files import read_regular
from lit_metanas.io.packages import import_extra
from lit_metanas.kinds.texts.pretrained_tokens import PretrainedTokens
from lit_metanas.training.encoders.encoder import UNKNOWN_SOURCE, Encoder
from lit_metanas.training.export.program import LARGEST_PROGRAM

TOKENIZER, VECTORS = "tokenizer.json", "model.safetensors"
"""The files of a folder of static vectors, as model2vec writes them."""

PACKAGES: Mapping[str, tuple[str, str]] = {
    "wordllama": ("tokenizers/l2_supercat_tokenizer_config.json", "weights/l2_supercat_256.safetensors"),
}
"""Packages whose wheels hold static vectors, with the files of their tokenizer and of the vectors."""

SPECIAL = 2
"""Numbers in front of a tokenizer's own: padding, and what is unknown."""


class StaticVectors(nn.Module):
    """The mean of the vectors of an example's tokens, of length 1."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.cat([torch.zeros(SPECIAL, vectors.shape[1]), vectors]))

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape ``(n, steps)``, int64, to ``(n, numbers)``."""
        mean = F.embedding(tokens, self.vectors).sum(1)  # a sum has the same direction
        return mean / (mean * mean).sum(1, keepdim=True).clamp(min=1e-12).sqrt()


def static_encoder(name: str, license: str = UNKNOWN_SOURCE) -> Encoder | None:
    """The encoder of a folder that model2vec has written, or of an installed package; None if it is neither.

    Raises:
        ValueError: a file is missing or damaged, or the package is not installed.
    """
    folder = Path(name)
    if folder.is_dir():
        return _read(folder.name, folder / TOKENIZER, folder / VECTORS, "static vectors of tokens", license)
    if name not in PACKAGES:
        return None
    found = find_spec(name)
    if found is None or found.origin is None:
        raise ValueError(f"The encoder '{name}' is a package that is not installed: pip install {name}")
    tokenizer, vectors = (Path(found.origin).parent / file for file in PACKAGES[name])
    if license == UNKNOWN_SOURCE:
        license = (metadata(name)["License"] or UNKNOWN_SOURCE).splitlines()[0]
    return _read(name, tokenizer, vectors, f"static vectors of {name}", license)


def _read(name: str, tokenizer: Path, vectors: Path, about: str, license: str) -> Encoder:
    read = import_extra("safetensors.torch", "encoders", "An encoder of static vectors").load
    damage = import_extra("safetensors", "encoders", "An encoder of static vectors").SafetensorError
    try:
        tokens = PretrainedTokens.of(read_regular(tokenizer, LARGEST_PROGRAM).decode())
        stored = read(read_regular(vectors, LARGEST_PROGRAM))
    except FileNotFoundError as error:
        raise ValueError(f"The encoder '{name}' lacks '{Path(error.filename).name}': get it again.") from None
    except (ValueError, damage) as error:
        raise ValueError(
            f"The encoder '{name}' is damaged, or was downloaded in part ({error}): get it again."
        ) from None
    table = _table(stored)
    if table is None or len(table) != tokens.shape.vocabulary - SPECIAL:
        raise ValueError(
            f"The encoder '{name}' holds no vector for each of {tokens.shape.vocabulary - SPECIAL:,} tokens: give a "
            "folder of static vectors, as model2vec writes it."
        )
    return Encoder(name, StaticVectors(table), tokens.shape, about, tokens, license)


def _table(stored: Mapping[str, Tensor]) -> Tensor | None:
    """A vector for each token; model2vec may keep several tokens in one row, and a weight for each token."""
    matrices = [one for one in stored.values() if one.dim() == 2]
    if len(matrices) != 1:
        return None
    table = matrices[0].float()
    if "mapping" in stored:
        table = table[stored["mapping"].long()]
    if "weights" in stored:
        table = table * stored["weights"].float()[:, None]
    return table
