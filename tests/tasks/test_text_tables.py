"""Tables of texts and labels: as a source, and as one target task."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from lit_metanas.inputs import TokenShape
from lit_metanas.kinds import TextTable, TextTask, Words
from lit_metanas.kinds.texts import table_files
from lit_metanas.tasks import check_task, draw_episode

SUBSETS = ("train", "val", "test")
LONG = "word " * 199_999 + "end"
INTENTS = ("book", "cancel", "pay", "play", "search", "weather")


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.csv"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return write


@pytest.fixture
def table(write):
    rows = [f"please {intent} number {i},{intent}" for intent in INTENTS for i in range(8)]
    return write("\n".join(["sentence,intent", *rows]))


def read(path, **options):
    """All texts of a table by label."""
    source = TextTable(path, **options)
    return {name: list(texts) for subset in SUBSETS for name, texts in source.sentences(subset).items()}


def test_classes_are_split_by_a_seed_and_by_lists(table):
    parts = [TextTable(table, fractions=(0.5, 0.17, 0.33)).classes(subset) for subset in SUBSETS]
    assert [len(part) for part in parts] == [3, 1, 2]
    assert set().union(*parts) == set(INTENTS)
    assert parts != [TextTable(table, fractions=(0.5, 0.17, 0.33), seed=1).classes(subset) for subset in SUBSETS]
    source = TextTable(table, train=["pay", "book"], test=["play", "weather"])
    assert [source.classes(subset) for subset in SUBSETS] == [("pay", "book"), (), ("play", "weather")]
    assert source.name == "table"
    episode = draw_episode(source, "test", seed=0, epoch=0, index=0, way=2, shot=1, query=3)
    check_task(episode)
    assert episode.shape == source.shape
    with pytest.raises(ValueError, match=r"has no class 'pray' \(named in val\): did you mean 'pay'\?"):
        TextTable(table, val=["pray"])


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("t.CSV", '\ufefflabel,text\r\nx,"a, b"\r\n\r\ny,c', {"x": ["a, b"], "y": ["c"]}),
        ("t.csv", "number,Sentence,Intent\n1,a,x\n2,c,y\n", {"x": ["a"], "y": ["c"]}),
        ("t.csv", "words,kind\na,x\nc,y\nd,y\n", {"x": ["a"], "y": ["c", "d"]}),
        ("t.csv", 'text,label\n"a\nb",x\n"say ""no""",y\n', {"x": ["a\nb"], "y": ['say "no"']}),
        ("t.tsv", 'text\tlabel\n"open\tx\n5" screen\ty\n', {"x": ['"open'], "y": ['5" screen']}),
        ("t.csv", f"text,label\n{LONG},x\nb,y\n", {"x": [LONG], "y": ["b"]}),
        ("t.tsv", f"text\tlabel\n{LONG}\tx\nb\ty\n", {"x": [LONG], "y": ["b"]}),
        (
            "t.jsonl",
            f'{{"text": "{LONG}", "label": 1, "more": [1]}}\n\n{{"text": "b", "label": 2}}',
            {"1": [LONG], "2": ["b"]},
        ),
    ],
    ids=["marks", "usual names", "repeated", "quotes", "quotes of TSV", "long", "long TSV", "long JSON, numbers"],
)
def test_texts_and_labels_are_read_as_they_are(write, name, content, found):
    assert read(write(content, name)) == found


def test_columns_are_named_where_they_cannot_be_found(write):
    path = write("id,one,two,three\n1,a,b,x\n2,c,d,y\n")
    with pytest.raises(ValueError, match=r"has the columns id, one, two, three: call that of the texts 'text' and"):
        TextTable(path)
    assert read(path, text="two", label="three") == {"x": ["b"], "y": ["d"]}
    with pytest.raises(ValueError, match=r"has no column 'tree': did you mean 'three'\?"):
        TextTable(path, text="two", label="tree")
    with pytest.raises(ValueError, match=r"has no column 'zzz': it has id, one, two, three"):
        TextTable(path, text="zzz")
    with pytest.raises(ValueError, match="text and label must be columns of their own, not one, one"):
        TextTable(path, text="one", label="one")
    with pytest.raises(ValueError, match="by the arguments 'text' and 'label' of the task's class"):
        TextTable(write("one,two\na,x\nb,y\n"))  # as many different values in both


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"has no rows: give a line with the names"),
        (b"text,label\na,b,x\n", r"Line 2 of '.*' has 3 values for 2 columns: fix it, or put quotes"),
        (b'text,label\n"a,x\nb,y\n', r"is damaged at line 3 \(unexpected end of data\): fix its quotes"),
        (b"text,label\na,x\n ,y\n", r"There is no text at line 3 of '.*': fill it in, or leave this one out"),
        (b"text,label\na,x\nb,\n", r"There is no label at line 3"),
        (b"text,text\na,x\n", r"has two columns 'text'"),
        (b"text,label\n" + b"a" * 1_000_001 + b",x\nb,y\n", "The text at line 2 of '.*' has 1000001 characters"),
        (b",".join(b"%d" % i for i in range(1001)) + b"\n", r"has 1001 columns, more than 1000"),
    ],
)
def test_malformed_tables_are_told(write, content, told):
    with pytest.raises(ValueError, match=told):
        TextTask(write(content))[0]


PIECES = [*(bytes([one]) for one in b',\t"\n\r{}:[x\x00\xff'), b"text", b"label", b"1e9", b"\xef\xbb\xbf"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=30), rows=st.sampled_from([b"", b"text,label\na,x\nb,y\n"]))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_a_table_or_is_refused_in_a_sentence(tmp_path, suffix, pieces, rows):
    path = tmp_path / f"any{suffix}"
    path.write_bytes(rows + b"".join(pieces))
    told = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that stand twice
        try:
            TextTable(str(path))
        except ValueError as error:
            told = str(error)
    assert not told or ("any" in told and "\n" not in told)


def test_large_tables_are_refused(table, monkeypatch):
    for module, name in ((table_files, "MOST_SENTENCES"), (table_files, "MOST_TABLE_VALUES")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 40)
            with pytest.raises(ValueError, match=r"has more than .* rows or .* values: take fewer"):
                TextTable(table)
    monkeypatch.setattr(table_files, "LARGEST_TABLE", 100)
    with pytest.raises(ValueError, match="is larger than 0 MB: give another file"):
        TextTable(table)


def test_a_class_with_one_example_is_told_where_it_is_too_few(write):
    rows = [f"text {i},{name}" for name in "xy" for i in range(5)]
    path = write("\n".join(["text,label", *rows, "alone,z"]))
    source = TextTable(path, train=["x", "z"], test=["y"])
    assert source.instances("train", 1) == 1
    with pytest.raises(ValueError, match=r"Class 'z' of table/train has 1 example, fewer than shot \+ query = 1 \+ 2"):
        draw_episode(source, "train", seed=0, epoch=0, index=0, way=2, shot=1, query=2)
    with pytest.raises(ValueError, match=r"Class 'z' of '.*table.csv' has 1 example, too few"):
        TextTask(path)[0]


def test_a_target_task_splits_each_class(table):
    tasks = TextTask(table, train=0.5, val=0.25, test=0.25, preprocessing=Words(least=1))
    task = tasks[0]
    check_task(task)
    assert tasks[0] is task
    assert (task.id, task.way, task.classes, len(tasks)) == ("table", 6, INTENTS, 1)
    assert [len(part) for part in (task.train, task.val, task.test)] == [24, 12, 12]
    assert task.shape == tasks.shape == TokenShape(task.preprocessing.shape.vocabulary, 32)
    parts = [task.preprocessing.show(part.inputs) for part in (task.train, task.val, task.test)]
    for part, labels in zip(parts, (task.train.labels, task.val.labels, task.test.labels), strict=True):
        assert [INTENTS.index(text.split()[1]) for text in part] == labels.tolist()
    assert not set(parts[0]) & set(parts[1] + parts[2])
    assert TextTask(table, val=0.0)[0].val is None
    with pytest.raises(IndexError):
        tasks[1]
