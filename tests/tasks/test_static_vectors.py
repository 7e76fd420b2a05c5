"""Static word vectors."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from lit_metanas.inputs import SeriesShape
from lit_metanas.kinds import SentenceSource, StaticVectors
from lit_metanas.kinds.texts import static_vectors
from lit_metanas.tasks import check_task, draw_task

WORDS = ("?", "good", "day", "night")


@pytest.fixture
def matrix():
    return torch.randn(6, 5, dtype=torch.float16)


@pytest.fixture
def files(tmp_path, matrix):
    numbers = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="?"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=9)
    tokenizer.enable_truncation(1)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    save_file({"embedding": matrix}, tmp_path / "vectors.safetensors")
    return str(tmp_path / "tokenizer.json"), str(tmp_path / "vectors.safetensors")


def test_rows_are_looked_up(files, matrix):
    vectors = StaticVectors(*files, steps=3)
    assert vectors.shape == SeriesShape(6, 3)
    found = vectors.encode(["good day", "night night night night", "", "strange"])
    assert found.dtype == torch.float32
    assert torch.equal(found[0, :5, :2], matrix[[1, 2]].float().T)
    assert found[0, :, 2].tolist() == 6 * [0.0]
    assert torch.equal(found[1, :5], matrix[[3, 3, 3]].float().T)
    assert found[:, 5].tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert found[2, :5].abs().sum() == 0  # the unknown token of an empty sentence
    assert torch.equal(found[3, :5, 0], matrix[0].float())
    assert vectors.show(vectors.encode(["good night", "", "day"])) == ["good night", "", "day"]


def test_a_source_keeps_numbers_and_looks_up_what_is_drawn(files, monkeypatch):
    looked_up = []
    once = StaticVectors.look_up
    monkeypatch.setattr(
        StaticVectors, "look_up", lambda self, tokens: looked_up.append(len(tokens)) or once(self, tokens)
    )
    texts = {name: [f"{word} {i}" for i in range(30)] for name, word in (("a", "good"), ("b", "day"), ("c", "night"))}
    source = SentenceSource(texts, test=["a", "b", "c"], preprocessing=StaticVectors(*files, steps=4))
    task = draw_task(source, way=2, train=2, val=1, test=1)
    check_task(task)
    assert task.shape == SeriesShape(6, 4)
    assert sum(looked_up) == 2 * 4
    assert {tokens.dtype for tokens in source._tokens.values()} == {torch.int32}


def test_plain_values_name_the_files_by_their_digests(files):
    vectors = StaticVectors(*files, steps=3, tensor="embedding")
    plain = json.loads(json.dumps(vectors.to_plain()))
    assert plain["vectors"]["file"] == files[1]
    assert len(json.dumps(plain)) < 1000
    assert StaticVectors.from_plain(plain) == vectors
    save_file({"embedding": torch.zeros(6, 5)}, files[1])
    with pytest.raises(
        ValueError, match=r"vectors.safetensors' is not the file that the network was trained with: put"
    ):
        StaticVectors.from_plain(plain)
    os.remove(files[1])
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*vectors.safetensors'"):
        StaticVectors.from_plain(plain)
    with pytest.raises(ValueError, match="has no file 'vectors' with its sha256"):
        StaticVectors.from_plain(plain | {"vectors": {"file": files[1]}})
    with pytest.raises(ValueError, match="has no 'steps'"):
        StaticVectors.from_plain({"tokenizer": plain["tokenizer"]})


def test_the_digest_is_of_the_files_not_of_their_paths_and_is_worked_out_once(files, tmp_path, monkeypatch):
    vectors = StaticVectors(*files, steps=3)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    moved = [str(shutil.copy(file, elsewhere)) for file in files]
    assert StaticVectors(*moved, steps=3).digest == vectors.digest
    save_file({"embedding": torch.zeros(6, 5)}, moved[1])
    other = StaticVectors(*moved, steps=3)
    assert other.digest != vectors.digest
    read = []
    once = static_vectors.read_bytes
    monkeypatch.setattr(static_vectors, "read_bytes", lambda *given: read.append(given) or once(*given))
    again = StaticVectors(*files, steps=3)
    assert len({again.digest for _ in range(5)} | {vectors.digest}) == 1
    assert len(read) == 4  # each file to be used, and for its digest


def test_malformed_files_are_told(files, tmp_path, matrix):
    tokenizer, vectors = files
    junk = tmp_path / "junk"
    junk.write_bytes(b"\xff\x00junk")
    with pytest.raises(ValueError, match=r"junk' is no tokenizer of the package tokenizers"):
        StaticVectors(str(junk), vectors)
    with pytest.raises(ValueError, match=r"junk' is no file of safetensors"):
        StaticVectors(tokenizer, str(junk))
    with pytest.raises(FileNotFoundError, match="There is no file 'absent'"):
        StaticVectors("absent", vectors)
    with pytest.raises(ValueError, match="holds the tensors embedding: say which by 'tensor'"):
        StaticVectors(tokenizer, vectors, tensor="other")
    save_file({"a": matrix, "b": matrix + 1}, junk)
    with pytest.raises(ValueError, match="holds the tensors a, b: say which by 'tensor'"):
        StaticVectors(tokenizer, str(junk))
    assert StaticVectors(tokenizer, str(junk), tensor="b").encode(["good"])[0, 0, 0] == (matrix + 1)[1, 0]
    save_file({"a": matrix[:3].clone()}, junk)
    with pytest.raises(ValueError, match=r"has 4 pieces, but '.*junk' has 3 rows"):
        StaticVectors(tokenizer, str(junk))
    for wrong in (torch.full((6, 5), torch.nan), torch.zeros(6), torch.zeros(6, 5, dtype=torch.int64)):
        save_file({"a": wrong}, junk)
        with pytest.raises(ValueError, match=r"tensor a in '.*junk' is no matrix of finite"):
            StaticVectors(tokenizer, str(junk))
