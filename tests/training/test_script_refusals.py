"""What the scripts of exports say of files that they do not read, and how they read unusual ones."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lit_metanas.training.export.standalone_parts import each_file, lines_of_table, named_answer
from lit_metanas.training.export.standalone_predict import read_inputs
from lit_metanas.training.export.standalone_rows import encoded_rows
from lit_metanas.training.export.standalone_series import scaled_series
from lit_metanas.training.export.standalone_sounds import heard_sound

NUMBER = {"kind": "number", "mean": 0.0, "deviation": 1.0, "gaps": False}
ROWS = {"names": ["a", "b"], "columns": [NUMBER, NUMBER]}
SERIES = {"names": ["a"], "means": [0.0], "deviations": [1.0], "every": 1, "steps": 3}


@pytest.mark.parametrize(
    ("read", "made", "table", "reason"),
    [
        (encoded_rows, ROWS, "a,b\n1,2\n1,inf", "it has an infinite number; rows before: 1"),
        (encoded_rows, ROWS, "a,a\n1,2", "it does not name the column 'a' once"),
        (encoded_rows, ROWS, "a,b\n1,2,3", "it has 3 values for 2 columns"),
        (scaled_series, SERIES, "b\n1", "it does not name the column 'a' once"),
        (scaled_series, SERIES | {"names": []}, "a,b\n1,2", "it has 2 columns, and 1 were learned from"),
        (scaled_series, SERIES, "a,b\n1,2\n3", "it has 1 values for 2 columns"),
        (scaled_series, SERIES, "a\ninf", "it has an infinite number"),
        (scaled_series, SERIES, "a\nnan", "it has no value"),
    ],
)
def test_a_table_that_does_not_fit_is_named(
    read: Callable[..., Any], made: dict[str, Any], table: str, reason: str, here: Path
) -> None:
    Path("x.csv").write_text(table)
    with pytest.raises(SystemExit, match=rf"^x.csv cannot be read \({reason}.*\): fix it\.$"):
        read(Path("x.csv"), made)


def test_arrays_of_another_layout_kind_or_shape_are_named(here: Path) -> None:
    about = {"shape": ["image", 1, 4, 6]}
    for array in (np.asfortranarray(np.zeros((2, 1, 4, 6), "f4")), np.zeros((2, 1, 4, 6), "i2")):
        np.save("x.npy", array)
        with pytest.raises(SystemExit, match="does not hold uint8 or float32 or float64 or int64, row by row: convert"):
            read_inputs(Path("x.npy"), about, np)
    np.save("x.npy", np.zeros((2, 1, 6, 4), "f4"))
    with pytest.raises(SystemExit, match=r"has inputs of shape \[1, 6, 4\], and the network is for image \[1, 4, 6\]"):
        read_inputs(Path("x.npy"), about, np)
    with pytest.raises(SystemExit, match=r"^x.txt is not read by this script: give .npy of tokens \[2, 5\], or run"):
        read_inputs(Path("x.txt"), {"shape": ["tokens", 2, 5]}, np)


def test_decimal_commas_become_points_where_a_whole_column_has_numbers(here: Path) -> None:
    Path("x.csv").write_bytes("é;b;c\n1.234,5;a,b;\n-2;3;4\n5".encode("cp1252"))
    assert lines_of_table(Path("x.csv")) == [["é", "b", "c"], ["1234.5", "a,b", ""], ["-2", "3", "4"], ["5"]]
    Path("x.tsv").write_text('a\tb\n"1\t2\n')
    assert lines_of_table(Path("x.tsv")) == [["a", "b"], ['"1', "2"]]


def test_the_other_files_are_read_though_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    def read(file: Path) -> str:
        if file.name == "bad":
            raise SystemExit("bad: leave it out.")
        return file.name

    found = each_file([Path("bad"), Path("good")], read)
    assert next(found) == "good"
    with pytest.raises(SystemExit):
        next(found)
    assert capsys.readouterr() == ("", "bad: leave it out.\n")


def test_answers_are_all_probabilities_or_numbers_alone() -> None:
    goal = {"kind": "several labels", "thresholds": [0.3, 0.8]}
    found = named_answer([log(2), log(3)], {"classes": ["a", "b"], "objective": goal}, torch)
    assert found == {"labels": ["a"], "p(a)": pytest.approx(2 / 3), "p(b)": pytest.approx(3 / 4)}
    assert named_answer([2.5], {"classes": ["a"], "objective": {"means": [0.0]}}, torch) == {"prediction": 2.5}


def test_sounds_of_other_formats_are_read_by_soundfile(here: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    tones = np.sin(np.arange(400) / 9)[:, None] * [0.5, 0.25]
    soundfile.write("x.flac", tones, 8000)
    np.testing.assert_allclose(heard_sound(Path("x.flac"), 8000, 1, np), tones.mean(1), atol=1e-4)
