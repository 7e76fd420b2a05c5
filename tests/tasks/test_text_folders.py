"""Folders of text files, and data sets of the package ``datasets``."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from lit_metanas.io import packages
from lit_metanas.kinds import (
    BytePairs,
    NumberWords,
    SentenceSource,
    TextDataset,
    TextFolder,
    TextTask,
)
from lit_metanas.kinds.texts import text_folders

SUBSETS = ("train", "val", "test")


def test_rows_whose_class_is_not_told_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Part:
        features: ClassVar = {
            "sentence": SimpleNamespace(dtype="string"),
            "label": SimpleNamespace(dtype="int64", names=["bad", "good"]),
            "fine": SimpleNamespace(dtype="int64", names=["a", "b"]),
        }

        def __len__(self) -> int:
            return 3

        def with_format(self, _: None) -> dict[str, list[object]]:
            return {"sentence": ["a", "b", "c"], "label": [1, -1, 0], "fine": [-1, -1, -1]}

    (tmp_path / "state.json").touch()
    monkeypatch.setattr(text_folders, "is_dataset", lambda path: True)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_from_disk=lambda path: Part(), DatasetDict=dict))
    with pytest.warns(UserWarning, match="a number below 0 in place of a class in 1 row: left out"):
        rows = list(text_folders.read_text_dataset(tmp_path, "sentence", "label"))
    assert [(row.where, row.text, row.label) for row in rows] == [("row 0", "a", "good"), ("row 2", "c", "bad")]


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
    source = TextFolder(str(folder), train=["poem", "song"], test=["letter"])
    assert source.name == "texts"
    assert source.classes("train") == ("poem", "song")
    assert source.sentences("test") == {"letter": [f"This letter is\nthe text {i}." for i in range(5)]}


def test_a_folder_is_a_target_task(folder):
    task = TextTask(str(folder))[0]
    assert (task.id, task.classes) == ("texts", ("letter", "poem", "recipe", "song"))
    assert [len(part) for part in (task.train, task.val, task.test)] == [12, 4, 4]


def test_malformed_folders_are_told(folder, tmp_path):
    with pytest.raises(ValueError, match=r"has 1 class folder: give a sub-folder of text files for each of two"):
        TextFolder(str(tmp_path))
    (folder / "song" / "5.txt").write_bytes(b"good\n\xff\n")
    with pytest.raises(ValueError, match=r"song/5.txt' is not UTF-8 in line 2"):
        TextFolder(str(folder))
    (folder / "song" / "5.txt").write_text("  \n")
    with pytest.raises(ValueError, match=r"There is no text at song/5.txt of"):
        TextFolder(str(folder))
    (folder / "song" / "5.txt").unlink()
    (folder / "novel").mkdir()
    with pytest.warns(UserWarning, match=r"has a sub-folder without text files, left out: 'novel'\."):
        TextFolder(str(folder))


def test_sentences_in_memory_are_checked():
    with pytest.raises(ValueError, match="'mine' holds no texts"):
        SentenceSource({}, name="mine")
    with pytest.raises(ValueError, match="The text at sentence 1 of class 'b' of 'mine' is a int"):
        SentenceSource({"a": ["x"], "b": ["y", 3]}, name="mine")
    with pytest.raises(ValueError, match="SentenceSource: seed = -1"):
        SentenceSource({"a": ["x"], "b": ["y"]}, seed=-1)


def test_a_folder_that_is_no_saved_data_set_is_told(folder):
    with pytest.raises(FileNotFoundError, match=r"There is no folder 'absent': give one that save_to_disk"):
        TextDataset("absent")
    with pytest.raises(ValueError, match=r"is no saved data set \(dataset_info.json or dataset_dict.json\)"):
        TextDataset(str(folder))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BytePairs().fitted(["a"]), r"BytePairs needs the package tokenizers .* 'lit-metanas\[text\]'"),
        (NumberWords, r"NumberWords needs the package unicode_rbnf .* 'lit-metanas\[translation\]'"),
        (lambda: TextDataset("."), r"TextDataset needs the package datasets .* 'lit-metanas\[datasets\]'"),
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


@pytest.fixture
def datasets():
    return pytest.importorskip("datasets", reason="needs the extra datasets")


@pytest.mark.filterwarnings("default")  # of the package's own dependencies
def test_a_saved_data_set_is_read(datasets, tmp_path):
    names = ["low", "high", "mid"]
    text, label = datasets.Value("string"), datasets.ClassLabel(names=names)
    features = datasets.Features({"idx": datasets.Value("int32"), "sentence": text, "label": label})
    rows = {"idx": list(range(12)), "sentence": [f"say {i}" for i in range(12)], "label": [i % 3 for i in range(12)]}
    whole = datasets.Dataset.from_dict(rows, features=features)
    whole.save_to_disk(str(tmp_path / "one"))
    found = TextDataset(str(tmp_path / "one"), train=["low", "mid"], test=["high"])
    assert found.name == "one"
    assert found.sentences("test") == {"high": ["say 1", "say 4", "say 7", "say 10"]}
    parts = datasets.DatasetDict({"train": whole.select(range(6)), "test": whole.select(range(6, 12))})
    parts.save_to_disk(str(tmp_path / "two"))
    both = TextDataset(str(tmp_path / "two"), train=["low", "mid"], test=["high"])
    assert both.sentences("train") == found.sentences("train")
    assert TextTask(str(tmp_path / "two"), val=0.0)[0].classes == ("high", "low", "mid")
    with pytest.raises(ValueError, match="has no column 'labels': did you mean 'label'"):
        TextDataset(str(tmp_path / "one"), label="labels")


@pytest.mark.filterwarnings("default")
def test_a_damaged_data_set_is_told(datasets, tmp_path):
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [None, "x"]}).save_to_disk(str(tmp_path / "nolabel"))
    with pytest.raises(ValueError, match=r"The label at row 0 of .* is a NoneType"):
        TextDataset(str(tmp_path / "nolabel"))
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "dataset_info.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read by the package datasets"):
        TextDataset(str(tmp_path / "junk"))
    (file,) = (tmp_path / "nolabel").glob("*.arrow")
    file.write_bytes(b"junk" * 100)
    with pytest.raises(ValueError, match="cannot be read by the package datasets"):
        TextDataset(str(tmp_path / "nolabel"))
