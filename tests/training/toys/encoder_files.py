"""Files of small encoders: a classifier of torchvision, and static vectors of words."""

from pathlib import Path

import tokenizers
import torch
from safetensors.torch import save_file
from torchvision import models

NAME = "shufflenet_v2_x0_5"


def classifier_file(folder: Path) -> Path:
    """A checkpoint of a classifier of seven classes, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.get_model(NAME, num_classes=7)
    file = folder / "mine.pth"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, file)
    return file


def static_folder(folder: Path) -> Path:
    """A folder as model2vec writes it: three words, of which two share a row, and their weights."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "good": 1, "bad": 2}, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    vectors = torch.tensor([[0.0, 0.1, 1.0], [2.0, 1.0, 0.0]]).half()
    named = {"embeddings": vectors, "mapping": torch.tensor([0, 1, 0]), "weights": torch.tensor([0.5, 1.0, -2.0])}
    save_file(named, folder / "model.safetensors")
    return folder
