"""Folders below an output: what is ours is removed, what is another's stays."""

import re
from pathlib import Path

import pytest

from lit_metanas.io.files import check_only, own_folder, remove_files, remove_partial, set_aside

OWN = re.compile(r"[a-f]\.pt")


@pytest.fixture
def thesis(tmp_path: Path) -> Path:
    """A folder of a user's."""
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "a.pt").write_text("five years")
    return folder


def test_the_output_itself_may_be_a_link(thesis: Path, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(thesis)
    assert own_folder(tmp_path / "out", "front", "1") == tmp_path / "out" / "front" / "1"
    (thesis / "front").symlink_to("absent")
    with pytest.raises(ValueError, match="out/front' is a link or not a folder, and was left as it is: remove it, or"):
        own_folder(tmp_path / "out", "front", "1")


@pytest.mark.parametrize("name", ["", ".", "..", "../thesis", "/", "a/b", "a/"])
def test_a_name_is_that_of_a_folder_within(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"'{name}' cannot be the name of a folder in "):
        own_folder(tmp_path, name)


def test_files_of_ours_alone_are_removed(thesis: Path, tmp_path: Path) -> None:
    folder = tmp_path / "trainings"
    folder.mkdir()
    for name in ("a.pt", "b.pt", ".a.pt.abcd1234.part", ".keep"):
        (folder / name).write_text("1")
    check_only(folder, OWN)
    (folder / "c.pt").symlink_to(thesis / "a.pt")
    (folder / "d.pt").mkdir()
    (folder / "own.pt").write_text("1")
    for name in ("c.pt", "d.pt", "own.pt"):
        with pytest.raises(ValueError, match=f"trainings/{name}' is not of this search, which clears "):
            check_only(folder, OWN)
        remove_files(folder, OWN)
        assert (folder / name).exists()
        (folder / name).rename(tmp_path / name)
    assert [path.name for path in folder.iterdir()] == [".keep"]
    (folder / ".keep").unlink()
    remove_files(folder, OWN)
    assert not folder.exists()
    assert (thesis / "a.pt").read_text() == "five years"


def test_half_a_file_is_removed_by_the_name_of_the_whole_one(thesis: Path) -> None:
    names = [".[ab].ckpt.abcd1234.part", ".a.ckpt.abcd1234.part", "[ab].ckpt", ".[ab].ckpt.abcd123.part"]
    for name in names:
        (thesis / name).write_text("1")
    (thesis / ".[ab].ckpt.folder12.part").mkdir()
    remove_partial(thesis, "[ab].ckpt")
    assert not (thesis / names[0]).exists()
    assert all((thesis / name).exists() for name in names[1:])
    assert (thesis / ".[ab].ckpt.folder12.part").is_dir()


def test_a_folder_that_is_set_aside_takes_no_links_place(thesis: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.1").symlink_to("absent")
    assert set_aside(thesis) == tmp_path / "thesis.2"
    assert (tmp_path / "thesis.2" / "a.pt").read_text() == "five years"
