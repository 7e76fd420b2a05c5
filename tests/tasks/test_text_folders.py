"""Folders of text files."""

from pathlib import Path

import pytest

from lit_metanas.io import packages
from lit_metanas.kinds import BytePairs, NumberWords, TextTable


@pytest.fixture
def folder(tmp_path):
    for name in ("letter", "poem", "recipe", "song"):
        (tmp_path / "texts" / name).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "texts" / name / f"{number}.txt").write_text(f"This {name} is\nthe text {number}.\n")
    return tmp_path / "texts"


def test_each_file_is_an_example(folder):
    (folder / "poem" / ".hidden.txt").write_text("hidden")
    (folder / "poem" / "notes.md").write_text("notes")
    source = TextTable(str(folder), train=["poem", "song"], test=["letter"])
    assert (source.name, source.classes("train")) == ("texts", ("poem", "song"))
    assert source.sentences("test") == {"letter": [f"This letter is\nthe text {i}." for i in range(5)]}


def test_malformed_folders_are_told(folder, tmp_path):
    with pytest.raises(ValueError, match=r"has 1 class folder: give a sub-folder of text files for each of two"):
        TextTable(str(tmp_path))
    (folder / "song" / "5.txt").write_bytes(b"good\n\xff\n")
    with pytest.raises(ValueError, match=r"song/5.txt' is not UTF-8 in line 2"):
        TextTable(str(folder))
    (folder / "song" / "5.txt").write_text("  \n")
    with pytest.raises(ValueError, match=r"There is no text at song/5.txt of"):
        TextTable(str(folder))
    (folder / "song" / "5.txt").unlink()
    (folder / "novel").mkdir()
    with pytest.warns(UserWarning, match=r"has a sub-folder without text files, left out: 'novel'\."):
        TextTable(str(folder))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BytePairs().fitted(["a"]), r"BytePairs needs the package tokenizers .* 'lit-metanas\[text\]'"),
        (NumberWords, r"NumberWords needs the package unicode_rbnf .* 'lit-metanas\[translation\]'"),
    ],
)
def test_a_missing_package_is_told(make, message, tmp_path, monkeypatch):
    def absent(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.chdir(tmp_path)
    Path("dataset_info.json").write_text("{}")
    monkeypatch.setattr(packages, "import_module", absent)
    with pytest.raises(ValueError, match=message):
        make()
