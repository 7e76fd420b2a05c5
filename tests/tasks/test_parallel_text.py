"""One's own pairs of texts: a file as a task, a table and a folder as tasks of many languages."""

import pytest

from lit_metanas.inputs import SeriesShape, TextPreprocessing, TokenShape
from lit_metanas.inputs.tokens import UNKNOWN
from lit_metanas.kinds import Characters, ParallelTable, ParallelTask, Words
from lit_metanas.kinds.pairs import text_pairs
from lit_metanas.kinds.pairs.text_pairs import TextPair, TextShares, text_key
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


def shown(task, part):
    """The pairs of a part of a task, from its tensors."""
    split = getattr(task, part)
    sources = task.preprocessing.show(split.inputs)
    return list(zip(sources, task.goal.target.show(split.labels), strict=True))


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
        ("p.csv", 'word,pronunciation\n"a, b",x\nc,"y ""z"""\nd,e\n'),
        ("p.tsv", 'other\tTarget\n"a, b"\tx\nc\t"y ""z"""\nd\te\n'),
        ("p.jsonl", '{"src": "a, b", "tgt": "x"}\n{"src": "c", "tgt": "y \\"z\\""}\n\n{"tgt": "e", "src": "d"}'),
    ],
)
def test_columns_are_found(write, name, content):
    found = together(ParallelTask(write(content, name), train=0.34, val=0.33, test=0.33, **KNOWN)[0])
    as_it_is = name == "p.tsv"  # whose quotes are letters like others
    quoted = ('"a, b"', '"y ""z"""') if as_it_is else ("a, b", 'y "z"')
    assert sorted(found) == sorted([(quoted[0], "x"), ("c", quoted[1]), ("d", "e")])


def test_columns_are_named(write):
    path = write(tsv([(a, b, "x") for a, b in number_rows(20)], ("eng", "deu", "source")))
    task = ParallelTask(path, source="deu", target="eng", **KNOWN)[0]
    assert {(b, a) for a, b in number_rows(20)} == set(together(task))
    with pytest.raises(ValueError, match="source and target must be columns of their own, not eng, eng"):
        ParallelTask(path, source="eng", target="eng")


def test_two_columns_with_unusual_names_may_be_a_pair_already(write):
    told = r"has the columns 0, a: let its first line call that of the texts 'source' and that of their translations"
    with pytest.raises(ValueError, match=told):
        ParallelTask(write(tsv(number_rows(9)[1:], names=number_rows(9)[0])))


def test_lines_of_two_files_are_pairs(write):
    rows = number_rows(20)
    one = write("\ufeff" + "\r\n".join(a for a, _ in rows) + "\r\n\r\n", "numbers.txt")
    other = write("\n".join(b for _, b in rows) + "\n\n", "letters.txt")
    assert sorted(together(ParallelTask(one, other, **KNOWN)[0])) == sorted(rows)
    write("a\nb\n\n", "letters.txt")
    with pytest.raises(ValueError, match=r"numbers.txt' has 21 lines and '.*letters.txt' 3 lines: give each text its"):
        ParallelTask(one, other)
    with pytest.raises(ValueError, match="two files have no columns: leave out 'source', 'target' and 'group'"):
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


def test_targets_must_be_tokens(write):
    class Vectors(TextPreprocessing):
        kind, steps, shape = "vectors", 4, SeriesShape(3, 4)
        token_lists = show = to_plain = from_plain = None

    with pytest.raises(ValueError, match=r"Translation: the target's preprocessing makes series .* makes tokens"):
        ParallelTask(write(tsv(number_rows(9))), target_preprocessing=Vectors())[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "has no rows"),
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


def test_other_files_are_told(write):
    with pytest.raises(ValueError, match=r"is no table: give a file whose name ends in \.csv, \.tsv, \.jsonl"):
        ParallelTask(write("a", "p.txt"))
    with pytest.raises(ValueError, match=r"train = 0\.9, val = 0.2, test = 0.2 must be shares"):
        ParallelTask(write("x"), train=0.9)


def test_more_pairs_than_a_collection_may_have_are_refused(write, monkeypatch):
    monkeypatch.setattr(text_pairs, "MOST_SENTENCES", 5)
    lines = write("\n".join("abcdef"), "lines.txt")
    with pytest.raises(ValueError, match="has more than 5 pairs: take fewer"):
        ParallelTask(lines, lines)


LANGUAGES = ("deu", "fra", "nld", "pol", "swe", "tur")


@pytest.fixture
def table(write):
    """Sixty numbers in each of six languages, whose letters are shifted."""
    rows = [
        (code, str(i), "".join(chr(97 + (shift + int(digit)) % 20) for digit in str(i)))
        for shift, code in enumerate(LANGUAGES)
        for i in range(60)
    ]
    return write(tsv(rows, ("lang", "source", "target")), "numbers.tsv")


def test_each_pair_of_languages_is_a_task(table):
    subsets = [ParallelTable(table, subset, fractions=(0.5, 0.17, 0.33)) for subset in ("train", "val", "test")]
    assert [len(tasks) for tasks in subsets] == [3, 1, 2]
    assert sorted(name for tasks in subsets for name in tasks.names) == sorted(LANGUAGES)
    tasks = ParallelTable(table, meta_val=["swe"], meta_test=["tur", "deu"])
    assert [task.id for task in tasks] == ["numbers/test/tur", "numbers/test/deu"]
    assert ParallelTable(table, "train", meta_test=["tur"]).names == LANGUAGES[:-1]
    for task in tasks:
        check_task(task)
        assert task.shape == tasks.shape == TokenShape(12, 64)
        assert sum(map(len, every(task))) == 60


def test_vocabularies_are_those_of_the_meta_train_pairs(table):
    train = ParallelTable(table, "train", meta_val=["swe"], meta_test=["tur"])
    test = ParallelTable(table, "test", meta_val=["swe"], meta_test=["tur"])
    assert train.preprocessings == test.preprocessings
    for tasks in (train, test):
        assert all(UNKNOWN not in task.train.labels for task in tasks)
    words = Words(least=1)
    made = ParallelTable(table, meta_test=["tur"], target_preprocessing=words).preprocessings[1].words
    learned = {
        target for task in ParallelTable(table, "train", meta_test=["tur"]) for _, target in shown(task, "train")
    }
    assert set(made) == learned
    given = Characters(characters="x")
    assert ParallelTable(table, preprocessing=given, target_preprocessing=given).preprocessings == (given, given)
    with pytest.raises(ValueError, match=r"ParallelTable: no pair is left for meta-training, .* hold out fewer, or"):
        ParallelTable(table, meta_test=list(LANGUAGES))[0]


def test_words_of_a_held_out_language_are_told_to_be_unknown(write):
    rows = [(code, f"{i % 5} {i // 5}", f"{code}{i % 5} {code}{i // 5}") for code in LANGUAGES for i in range(40)]
    table = write(tsv(rows, ("lang", "source", "target")), "numbers.tsv")
    options = {"meta_test": ["tur"], "preprocessing": Words(least=1)}
    tasks = ParallelTable(table, target_preprocessing=Words(least=1), **options)
    told = r"\d+ of \d+ words of the targets that 'numbers/test/tur' learns from are unknown: .* 'target_preprocessing'"
    with pytest.warns(UserWarning, match=told) as caught:
        task = tasks[0]
    assert len(caught) == 1  # its sources are numbers, as those of the others
    assert (task.train.labels == UNKNOWN).all()
    ParallelTable(table, **options)[0]
    ParallelTable(table, "train", target_preprocessing=Words(size=1), **options)[0]


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_text_is_in_one_part_of_all_tasks(write, side):
    rows = [(code, f"{i} {code * (side == 'target')}", f"n{i} {code * (side == 'source')}")
            for code in LANGUAGES for i in range(40)]  # fmt: skip
    rows += [(code, rows[0][1], f"other {code}") for code in LANGUAGES]
    path = write(tsv(rows, ("pair", "source", "target")))
    parts = {"train": set(), "val": set(), "test": set()}
    for subset in ("train", "val", "test"):
        for task in ParallelTable(path, subset, fractions=(0.5, 0.2, 0.3), split_by=side, **KNOWN):
            learned = {text_key(source) for source, _ in shown(task, "train")}
            assert not learned & {text_key(source) for part in ("val", "test") for source, _ in shown(task, part)}
            for name, found in parts.items():
                found |= {pair[side == "target"] for pair in shown(task, name)}
    assert min(map(len, parts.values())) > 3
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["val"]
    assert not parts["val"] & parts["test"]


def test_shares_are_about_what_they_are_said_to_be():
    shares = TextShares("x", 0.5, 0.1, 0.2, seed=0)
    found = [shares.part_of(f"text {i}") for i in range(4000)]
    for part, share in (("train", 0.5), ("val", 0.1), ("test", 0.2), (None, 0.2)):
        assert found.count(part) / 4000 == pytest.approx(share, abs=0.03)
    assert shares.part_of("A  b") == shares.part_of(" a b")
    assert found != [TextShares("x", 0.5, 0.1, 0.2, seed=1).part_of(f"text {i}") for i in range(4000)]
    same = [TextPair("a", str(i)) for i in range(50)]
    dealt = TextShares("x", 0.4, 0.3, 0.3, seed=0, split_by="target").deal(same)
    assert sum(map(bool, dealt.values())) == 1  # the same source in one part


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"meta_test": ["tuk"]}, r"numbers.tsv has no pair 'tuk' \(named in test\): did you mean 'tur'\?"),
        ({"meta_test": ["tur"], "meta_val": ["tur"]}, "'tur' .* is named in val and in test"),
        ({"meta_val": ["tur"]}, "there is no pair in 'test': choose another subset"),
        ({"subset": "tests"}, "there is no subset 'tests'"),
        ({"split_by": "both"}, "split_by = 'both' must be source or target"),
        ({"pair": "language"}, "has no column 'language': did you mean 'lang'"),
        ({"metric": "accuracy"}, "there is no metric 'accuracy'"),
    ],
)
def test_wrong_arguments_are_told(table, options, told):
    with pytest.raises(ValueError, match=told):
        ParallelTable(table, **options)[0]


def test_one_language_is_not_enough(write):
    with pytest.raises(ValueError, match=r"Column 'lang' of .* names one pair only, 'deu': .* take ParallelTask"):
        ParallelTable(write(tsv([("deu", "a", "b")], ("lang", "source", "target"))))
    with pytest.raises(ValueError, match="has the columns source, target: say by 'pair' which names the languages"):
        ParallelTable(write(tsv(number_rows(9))))


def test_a_part_that_is_empty_is_told(table):
    with pytest.raises(ValueError, match=r"'numbers/tur' has no test pairs: add some"):
        ParallelTable(table, meta_test=["tur"], train=0.9, val=0.05, test=1e-9)[0]
