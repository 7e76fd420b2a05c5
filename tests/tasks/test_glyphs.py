"""The embedded source: classes, distortions, cache."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from lit_metanas.kinds import Glyphs
from lit_metanas.kinds.images import glyphs as glyphs_module
from lit_metanas.kinds.images.glyphs import SCRIPTS, letters, master
from lit_metanas.tasks import TaskSource


@contextmanager
def only(chosen):
    """The source has these letters."""
    clear = glyphs_module._numbered.cache_clear
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glyphs_module, "letters", lambda: chosen)
        clear()
        yield chosen
    clear()


@pytest.fixture(scope="module")
def few_letters():
    """Every fortieth letter only, so that a test can render all of them."""
    with only(letters()[::40]) as few:
        yield few


@pytest.fixture
def _all_letters():
    """All, whichever tests ran before."""
    with only(letters()):
        yield


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory, few_letters) -> Glyphs:
    source = Glyphs(cache=str(tmp_path_factory.mktemp("glyphs")), pool=6)
    source.prepare()
    return source


@pytest.mark.usefixtures("_all_letters")
def test_scripts_are_split_and_classes_disjoint():
    glyphs = Glyphs()
    assert sum(len(scripts) for scripts in SCRIPTS.values()) == len(set().union(*SCRIPTS.values())) == 15
    names = {subset: set(glyphs.classes(subset)) for subset in SCRIPTS}
    assert len(names["train"] | names["val"] | names["test"]) == sum(map(len, names.values())) == len(letters())
    assert 1300 <= len(letters()) <= 1500
    assert all(one.faces and one.held_out_faces and not {*one.faces} & {*one.held_out_faces} for one in letters())
    assert min(len(names["val"]), len(names["test"])) >= 100
    for subset, scripts in SCRIPTS.items():
        assert set(glyphs.groups(subset)) == set(scripts)
        assert len(glyphs.groups(subset)) == len(glyphs.classes(subset))


def test_no_two_classes_look_alike():
    whole = [master(letter.code_point, "DejaVuSans") for letter in letters()]
    masters = [one.view(28, 2, 28, 2).mean((1, 3)) for one in whole]
    for side in (0, 1):  # the ink is in the middle
        inked = [one.any(side).nonzero().flatten().tolist() for one in whole]
        assert max(abs(own[0] + own[-1] - 55) for own in inked) <= 1
    correlation = np.corrcoef(torch.stack(masters).flatten(1).numpy())
    np.fill_diagonal(correlation, 0)
    assert correlation.max() <= 0.921


def test_images_are_ink_on_nothing_and_none_is_blank(glyphs):
    for subset in SCRIPTS:
        for index in range(len(glyphs.classes(subset))):
            images = glyphs.inputs(subset, index, range(6))
            assert (images.shape, images.dtype) == ((6, 1, 28, 28), torch.uint8)
            assert (images.flatten(1).float().mean(1) > 2).all()
            assert (images.flatten(1).amax(1) > 40).all()
            assert images.float().mean() < 127
            assert images[..., 0, 0].float().mean() < 60


def test_an_instance_depends_on_letter_number_and_seed_only(glyphs, tmp_path):
    whole = glyphs.inputs("test", 3, range(30))
    assert torch.equal(glyphs.inputs("test", 3, [27, 4, 12]), whole[[27, 4, 12]])
    fresh = Glyphs(cache=str(tmp_path), pool=1)
    assert torch.equal(fresh.inputs("test", 3, [25]), whole[[25]])
    assert len({image.numpy().tobytes() for image in whole}) == 30
    other = Glyphs(seed=1, cache=str(tmp_path), pool=1)
    assert not torch.equal(other.inputs("test", 3, [25]), whole[[25]])
    assert not torch.equal(glyphs.inputs("test", 3, [25], held_out=True), whole[[25]])
    assert glyphs.inputs("test", 3, []).shape == (0, 1, 28, 28)


@pytest.mark.parametrize("instances", [[[3, 1], [0], [], [2, 2]], [[3, 1], [9], [0], []]])
def test_classes_are_picked_at_once_if_the_cache_has_all(tmp_path, few_letters, instances):
    source, classes = Glyphs(cache=str(tmp_path), pool=5), [1, 0, 2, 1]
    expected = TaskSource.inputs_of_classes(source, "train", classes, instances)
    assert torch.equal(source.inputs_of_classes("train", classes, instances), expected)


def test_a_damaged_cache_file_is_rendered_again(tmp_path, few_letters):
    first = Glyphs(cache=str(tmp_path), pool=3)
    first.prepare()
    want = first._kept
    intact = first.cache_file.read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {first.cache_file.name}
    middle = len(intact) // 2
    flipped = intact[:middle] + bytes([intact[middle] ^ 255]) + intact[middle + 1 :]
    for damaged in (b"", flipped):
        first.cache_file.write_bytes(damaged)
        again = Glyphs(cache=str(tmp_path), pool=3)
        again.prepare()
        assert again.cache_file.read_bytes()[:4] == intact[:4]
        assert torch.equal(again._kept, want)
    np.savez(first.cache_file, images=np.array([{}], dtype=object))  # code in a file is not run, but replaced
    assert torch.equal(Glyphs(cache=str(tmp_path), pool=3)._kept, want)
