"""One's own pairs of texts."""

import pytest
from shown_pairs import shown

from lit_metanas.inputs import TokenShape
from lit_metanas.inputs.preprocessing import UNKNOWN
from lit_metanas.kinds import Characters, ParallelTask
from lit_metanas.kinds.pairs import parallel_texts
from lit_metanas.kinds.texts.table_files import text_key
from lit_metanas.objectives import Translation
from lit_metanas.tasks import check_task

LETTERS = "abcdefghij"
ASCII = Characters(characters="".join(map(chr, range(32, 127))))
KNOWN = {"preprocessing": ASCII, "target_preprocessing": ASCII}


@pytest.fixture
def write(tmp_path):
    def write(content, name="pairs.tsv"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write


def number_rows(number):
    return [(str(i), "".join(LETTERS[int(digit)] for digit in str(i))) for i in range(number)]


def tsv(rows, names=("source", "target")):
    return "\n".join("\t".join(row) for row in [names, *rows])


def every(task):
    return [shown(task, part) for part in ("train", "val", "test")]


def together(task):
    return [pair for part in every(task) for pair in part]


def test_a_table_is_a_task(write):
    rows = number_rows(50)
    tasks = ParallelTask(write(tsv(rows)))
    task = tasks[0]
    check_task(task)
    assert (len(tasks), task.id, tasks.shape) == (1, "pairs", TokenShape(12, 64))
    assert [len(part) for part in every(task)] == [30, 10, 10]
    assert sorted(pair for part in every(task) for pair in part) == sorted(rows)
    assert task.objective == Translation(task.objective.target)
    assert task.way == task.objective.outputs == 12
    assert (task.objective.metric, task.classes) == ("chrF", ())
    assert task.train.labels.shape == (30, 2)
    assert every(ParallelTask(str(tasks.path), seed=1)[0]) != every(task)
    task = ParallelTask(str(tasks.path), train=0.5, val=0, test=0.1, metric="exact match")[0]
    assert (len(task.train), task.val, len(task.test), task.objective.metric) == (25, None, 5, "exact match")
    with pytest.raises(IndexError):
        tasks[1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", "word,pronunciation\na,x\nc,y\nd,e\n"),
        ("p.tsv", "other\tTarget\na\tx\nc\ty\nd\te\n"),
        ("p.jsonl", '{"src": "a", "tgt": "x"}\n{"src": "c", "tgt": "y"}\n{"tgt": "e", "src": "d"}'),
    ],
)
def test_columns_are_found(write, name, content):
    found = together(ParallelTask(write(content, name), train=0.34, val=0.33, test=0.33, **KNOWN)[0])
    assert sorted(found) == [("a", "x"), ("c", "y"), ("d", "e")]


def test_lines_of_two_files_are_pairs(write):
    rows = number_rows(20)
    one = write("\ufeff" + "\r\n".join(a for a, _ in rows) + "\r\n\r\n", "numbers.txt")
    other = write("\n".join(b for _, b in rows) + "\n\n", "letters.txt")
    assert sorted(together(ParallelTask(one, other, **KNOWN)[0])) == sorted(rows)
    write("a\nb\n\n", "letters.txt")
    with pytest.raises(ValueError, match=r"numbers.txt' has 21 lines and '.*letters.txt' 3 lines: give each text its"):
        ParallelTask(one, other)
    with pytest.raises(ValueError, match="two files have no columns: leave out 'source' and 'target'"):
        ParallelTask(one, other, target="x")


def test_pairs_of_one_source_stay_together(write):
    rows = [(f"{'Word' if copy else 'wORD'}  {i}".replace("  ", " " * (copy + 1)), f"{LETTERS[i % 10]}{copy}")
            for i in range(30) for copy in range(3)]  # fmt: skip
    parts = every(ParallelTask(write(tsv(rows)), seed=3)[0])
    assert sum(map(len, parts)) == 90
    sources = [{text_key(source) for source, _ in part} for part in parts]
    assert [len(part) for part in sources] == [18, 6, 6]
    assert len(set.union(*sources)) == 30


def test_what_repeats_is_told(write):
    path = write(tsv([*number_rows(20), ("3", "d"), ("3", "d"), (" 4 ", "e")]))
    with pytest.warns(UserWarning, match=r"pairs.tsv' repeats 3 pairs: each is taken once"):
        task = ParallelTask(path)[0]
    assert sum(map(len, every(task))) == 20


def test_long_pairs_are_left_out_and_told(write):
    rows = [*number_rows(30), ("7" * 9, "x"), ("x", "b" * 9), ("c" * 8, "d" * 8)]
    tasks = ParallelTask(write(tsv(rows)), preprocessing=Characters(steps=8), target_preprocessing=Characters(steps=8))
    with pytest.warns(UserWarning, match="2 pairs of .* with more than 8 tokens of a source or 8 of a target left"):
        task = tasks[0]
    assert max(len(text) for part in every(task) for pair in part for text in pair) <= 8
    assert sum(map(len, every(task))) == 31
    short = ParallelTask(write(tsv([(f"long {i}", "x") for i in range(9)])), preprocessing=Characters(steps=3))
    with pytest.raises(ValueError, match=r"has no train pairs of at most 3 tokens .* add some, or raise steps"):
        short[0]


def test_vocabularies_are_those_of_what_is_learned_from(write):
    task = ParallelTask(write(tsv([(chr(0x4E00 + i), chr(0x3041 + i)) for i in range(20)])))[0]
    assert set(task.preprocessing.characters) == {source for source, _ in shown(task, "train")}
    assert set(task.objective.target.characters) == {target for _, target in shown(task, "train")}
    assert (task.test.inputs[:, 0] == UNKNOWN).all()
    assert (task.test.labels == UNKNOWN).all()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("source\ttarget\na\tb\n\tc\n", "There is no source at line 3"),
        ("source\ttarget\na\tb\nc\t \n", "There is no target at line 3"),
        ("source\ttarget\na\tb\nc\td\n", "has 2 examples, too few for a train, val and test part"),
        ("source\n" + "\n".join("abcdef"), "has the columns source: let its first line"),
    ],
)
def test_a_malformed_table_is_told(write, content, told):
    with pytest.raises(ValueError, match=told) as caught:
        ParallelTask(write(content))[0]
    assert len(str(caught.value).splitlines()) == 1


def test_more_pairs_than_a_collection_may_have_are_refused(write, monkeypatch):
    monkeypatch.setattr(parallel_texts, "MOST_SENTENCES", 5)
    lines = write("\n".join("abcdef"), "lines.txt")
    with pytest.raises(ValueError, match="has more than 5 pairs: take fewer"):
        ParallelTask(lines, lines)
