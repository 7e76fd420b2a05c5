"""Both layouts of Omniglot give the same source."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_metanas.kinds import Omniglot
from lit_metanas.tasks import draw_episode

ALPHABETS = {"Greek": (0, 3), "Korean": (0, 2), "Ulog": (1, 2), "Angelic": (1, 2)}
DRAWERS = 4


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    """Write the same random characters as PNG files and as one compact file."""
    generator = np.random.default_rng(0)
    packed, owner, alphabet, number, split = [], [], [], [], []
    for a, (name, (part, characters)) in enumerate(ALPHABETS.items()):
        for c in range(characters):
            folder = tmp_path / "omniglot-py" / ("images_background", "images_evaluation")[part] / name
            (folder / f"character{c + 1:02d}").mkdir(parents=True)
            for drawer in range(DRAWERS):
                ink = generator.integers(0, 16, (28, 28), dtype=np.uint8)
                flat = ink.ravel()
                packed.append(flat[0::2] << 4 | flat[1::2])
                owner.append(len(alphabet))
                file = folder / f"character{c + 1:02d}" / f"{len(alphabet):04d}_{drawer + 1:02d}.png"
                Image.fromarray(255 - 17 * ink).save(file)
            alphabet.append(a)
            number.append(c + 1)
            split.append(part)
    np.savez(
        tmp_path / "omniglot.npz",
        images_u4=np.array(packed),
        char_index=np.array(owner, np.uint16),
        char_alphabet=np.array(alphabet, np.uint8),
        char_number=np.array(number, np.uint8),
        char_split=np.array(split, np.uint8),
        alphabet_names=np.array(list(ALPHABETS)),
        split_names=np.array(["background", "evaluation"]),
    )
    return str(tmp_path), str(tmp_path / "omniglot.npz")


def test_layouts_are_equal(both):
    folder, file = (Omniglot(root, validation_alphabets=("Korean",)) for root in both)
    for subset in ("train", "val", "test"):
        assert folder.classes(subset) == file.classes(subset)
        assert folder.groups(subset) == file.groups(subset)
        for c in range(len(file.classes(subset))):
            assert folder.instances(subset, c) == file.instances(subset, c) == DRAWERS
            assert torch.equal(folder.inputs(subset, c, range(DRAWERS)), file.inputs(subset, c, range(DRAWERS)))
    assert file.inputs("test", 0, [3, 1]).shape == (2, 1, 28, 28)
    assert file.classes("test")[0] == "Angelic/character01"


def test_rotated_classes_are_in_training_only(both):
    plain = Omniglot(both[1], rotations=False, validation_alphabets=("Korean",))
    turned = Omniglot(both[1], validation_alphabets=("Korean",))
    for subset in ("val", "test"):
        assert turned.classes(subset) == plain.classes(subset)
    assert len(set(turned.classes("train"))) == len(turned.classes("train")) == 4 * len(plain.classes("train")) == 12
    for c in range(12):
        turns = c // 3
        want = np.rot90(plain.inputs("train", c % 3, [2])[0, 0].numpy(), turns)
        assert np.array_equal(turned.inputs("train", c, [2])[0, 0].numpy(), want)
        assert turned.groups("train")[c] == "Greek" + ("", "/rot090", "/rot180", "/rot270")[turns]
        assert turned.instances("train", c, held_out=True) == 0


def test_many_classes_are_picked_together_each_turned_its_way(both):
    plain = Omniglot(both[1], rotations=False, validation_alphabets=("Korean",))
    turned = Omniglot(both[1], validation_alphabets=("Korean",))
    classes = [7, 0, 11, 4, 7, 9, 2]  # of 3 characters, turned four ways
    instances = [[1, 0], [2], [0, 2, 1], [1], [2], [], [0, 1]]
    want = [
        np.rot90(plain.inputs("train", place % 3, [instance])[0, 0].numpy(), place // 3)
        for place, chosen in zip(classes, instances, strict=True)
        for instance in chosen
    ]
    found = turned.inputs_of_classes("train", classes, instances)
    assert found.dtype == torch.uint8
    assert found.is_contiguous()
    assert np.array_equal(found[:, 0].numpy(), np.stack(want))
    episode = draw_episode(turned, "train", seed=0, epoch=0, index=0, way=5, shot=1, query=2)
    assert episode.query.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_full_size_drawings_are_reduced_to_28(both):
    file = next(Path(both[0]).glob("omniglot-py/images_background/Greek/character01/*_01.png"))
    drawing = np.full((105, 105), True)
    drawing[40:60, 20:80] = False  # black ink on white
    Image.fromarray(drawing).save(file)
    image = Omniglot(both[0], validation_alphabets=("Korean",)).inputs("train", 0, [0])[0, 0]
    assert (image.shape, image[13, 13], image[2, 2]) == ((28, 28), 255, 0)
    assert image.float().sum() / 255 == pytest.approx(20 * 60 / (105 / 28) ** 2, rel=0.05)


def test_errors_of_omniglot(both, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^There is no Omniglot at .*nowhere"):
        Omniglot(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"has no background alphabet 'Balinese' for validation"):
        Omniglot(both[1]).classes("train")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(Path(both[1]).read_bytes()[:500])
    with pytest.raises(ValueError, match=r"damaged.npz' is damaged or not an .npz file"):
        Omniglot(str(damaged)).classes("train")
    with np.load(both[1]) as stored:
        np.savez(tmp_path / "one.npz", **{**stored, "char_index": np.zeros_like(stored["char_index"])})
    with pytest.raises(ValueError, match=r"one\.npz' is not a compact Omniglot file"):
        Omniglot(str(tmp_path / "one.npz")).classes("train")
    empty = Path(both[0]) / "omniglot-py" / "images_background" / "Greek" / "character09"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"character09 has no images"):
        Omniglot(both[0]).classes("train")
