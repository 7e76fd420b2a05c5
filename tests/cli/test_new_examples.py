"""From one's own texts and sounds to a searched, exported network, and to the classes of new ones."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from exported_script import answers
from kind_data import tone
from untrained import export_untrained

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.kinds.read_examples import read_new_examples

SMALL = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,), dropouts=(0.0,), readouts=("max",))


def searched(task: lm.Task) -> lm.SearchResult:
    return lm.search(task, SMALL, method=lm.RandomArchitecture(), recipe=lm.Recipe(epochs=15), seed=0, progress=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[lm.SearchResult, Path]:
    """A network that was searched for a table of texts, and a folder with the table and the export."""
    folder = tmp_path_factory.mktemp("whole")
    rows = [f"please {verb} the paper {number} times,{verb}ing" for verb in ("fold", "cut") for number in range(20)]
    (folder / "help.csv").write_text("sentence,intent\n" + "\n".join(rows))
    result = searched(lm.TextTask(str(folder / "help.csv"))[0])
    result.export(folder / "out")
    return result, folder


@pytest.fixture
def result(whole: tuple[lm.SearchResult, Path], here: Path) -> lm.SearchResult:
    """The same, with a copy of the folder as the working folder."""
    found, folder = whole
    shutil.copytree(folder, here, dirs_exist_ok=True)
    return found


ALONE = """
import json, pathlib, re, sys, torch
about = json.loads(pathlib.Path("out/model.json").read_text())
steps, words = about["input"]["shape"][2], about["input"]["preprocessing"]["words"]
numbers = {word: 2 + place for place, word in enumerate(words)}
rows = []
for text in sys.argv[1:]:
    found = [numbers.get(word, 1) for word in re.findall(r"\\w+|[^\\w\\s]", text.lower())][:steps] or [1]
    rows.append(found + [0] * (steps - len(found)))
print(json.dumps(torch.export.load("out/model.pt2").module()(torch.tensor(rows)).softmax(1).tolist()))
"""


def test_texts_of_a_table(result: lm.SearchResult, capsys: pytest.CaptureFixture[str]) -> None:
    assert result.test_accuracy == 1.0
    new = ["please cut the paper 3 times", "please fold the paper 4 times", "", "unknown \N{SNOWMAN} words"]
    by_name = result.predict(new)
    assert [next(iter(row)) for row in by_name[:2]] == ["cuting", "folding"]
    exported = lm.load("out")
    expected = torch.tensor([[row[name] for name in exported.classes] for row in by_name])
    torch.testing.assert_close(exported.predict(new), expected, atol=1e-5, rtol=0)
    Path("alone.py").write_text(ALONE)
    (alone,) = answers("alone.py", *new)
    torch.testing.assert_close(torch.tensor(alone), expected, atol=1e-5, rtol=0)
    Path("new.txt").write_text("please cut the paper 3 times\nplease fold the paper 4 times\n\n", encoding="utf-8")
    assert main(["predict", "out", "new.txt"]) == 0
    assert "please cut the paper 3 times: cuting" in capsys.readouterr().out
    with Path("predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == new[:2]
    assert [row["class"] for row in rows] == ["cuting", "folding"]


def test_sounds_of_a_folder(here: Path) -> None:
    for name, pitch in (("high", 900.0), ("low", 300.0)):
        for number in range(12):
            tone(here / "sounds" / name / f"{number}.wav", [pitch] * (1 + number % 3), number)
    result = searched(lm.AudioFolderTask("sounds")[0])
    assert result.test_accuracy == 1.0
    files = [str(here / "sounds" / name / "0.wav") for name in ("high", "low")]
    assert [next(iter(row)) for row in result.predict(files)] == ["high", "low"]
    result.export("out")
    exported = lm.load("out")
    expected = torch.tensor([[row[name] for name in exported.classes] for row in result.predict(files)])
    torch.testing.assert_close(exported.predict(files), expected, atol=1e-5, rtol=0)
    assert main(["predict", "out", "sounds", "--output", "all.json"]) == 0
    rows = json.loads(Path("all.json").read_text())
    assert len(rows) == 24
    assert all(row["class"] in row["file"] for row in rows)
    Path("sounds/low/3.wav").write_bytes(b"no sound")
    sentence = "^1 of 24 sounds cannot be read, and are left out. 'sounds/low/3.wav' is not a readable sound"
    with pytest.warns(UserWarning, match=sentence):
        assert main(["predict", "out", "sounds", "--output", "all.json"]) == 1
    assert json.loads(Path("all.json").read_text()) == [row for row in rows if row["file"] != "sounds/low/3.wav"]


def new_texts(path: str | Path, kind: str = "texts") -> list[str]:
    return [text for _, text in read_new_examples([str(path)], kind).examples]


def test_a_line_ends_where_an_editor_ends_it(tmp_path: Path) -> None:
    lines = ["one\u2028two", "three\x0cfour\x85five", "six"]
    (tmp_path / "new.txt").write_bytes("\r\n".join(lines).encode())
    assert new_texts(tmp_path / "new.txt") == lines


def test_empty_lines_are_counted(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("one\n\n \ntwo\n\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"new.txt' has 2 empty lines: they get no answers, and those of later"):
        assert new_texts(tmp_path / "new.txt") == ["one", "two"]


@pytest.mark.usefixtures("result")
def test_what_a_prediction_lacks_gets_a_sentence(refusal: Callable[..., str]) -> None:
    Path("empty").mkdir()
    for words, sentence in (
        (["out"], "There are no new texts: give them right after the folder, as in `lit-metanas predict out FILE`."),
        (["out", "absent.txt"], "There is no file 'absent.txt': give the path of one."),
        (["out", "empty"], "There are no new examples in"),
        (["out", "help.csv", "--output=out.txt"], "The output"),
        (["absent", "new.txt"], "There is no 'model.json' in 'absent': give the folder of an exported network."),
        (["out/weights.pt", "new.txt"], "There is no 'model.json' in 'out/weights.pt': give the folder of an exported"),
    ):
        assert sentence in refusal("predict", *words)
    about = json.loads(Path("out/model.json").read_text())
    about["input"]["preprocessing"] = None
    Path("out/model.json").write_text(json.dumps(about))
    sentence = "'out' does not tell how inputs are made of files, since its task had no p"
    assert sentence in refusal("predict", "out", "help.csv")


@pytest.mark.usefixtures("result")
def test_another_kind_of_example_gets_a_sentence(refusal: Callable[..., str]) -> None:
    Path("a.wav").write_bytes(b"RIFF")
    Path("latin.txt").write_bytes("gr\xfc\xdfe\n".encode("latin-1"))
    for name, kind, sentence in (
        ("absent.wav", "sounds", "There is no file or folder 'absent.wav': give sounds, or a folder with some."),
        ("a.wav", "sounds", "The exported network is for texts: say so by --kind texts."),
        ("latin.txt", "texts", "'latin.txt' is not UTF-8 in line 1: save it in that encoding."),
    ):
        assert sentence in refusal("predict", "out", name, "--kind", kind)


def test_the_texts_of_a_table_are_those_of_its_column(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("utterance,intent\nbook a flight,travel\n")
    assert new_texts(tmp_path / "new.csv") == ["book a flight"]
    (tmp_path / "lines.csv").write_text("book a flight\nyes, please\n")
    assert new_texts(tmp_path / "lines.csv") == ["book a flight", "yes, please"]
    (tmp_path / "some.csv").write_text("text,n\none,1\n,2\n")
    with pytest.warns(UserWarning, match=r"some\.csv' has 1 empty text: they get no answers"):
        assert new_texts(tmp_path / "some.csv") == ["one"]
    (tmp_path / "one.csv").write_text("book a flight\n")
    assert new_texts(tmp_path / "one.csv") == ["book a flight"]
    (tmp_path / "flats.csv").write_text("area,street\n70,High Street\n")
    words = r"flats.csv' has the columns area, street, and none is called 'text' or alike"
    with pytest.raises(ValueError, match=words):
        new_texts(tmp_path / "flats.csv")


READS = lm.SequenceSpace(operations=("conv_3",), depths=(1,), widths=(8,), readouts=("each",))
WRITES = lm.EncoderDecoderSpace(READS, decoders=("gru",), decoder_depths=(1,), heads=2, target_steps=6)


def test_the_sources_of_a_table_of_pairs_are_read(
    here: Path, capsys: pytest.CaptureFixture[str], refusal: Callable[..., str]
) -> None:
    letters = lm.kinds.Characters(steps=12).fitted(["адрабгъу", "a d r"])
    export_untrained(WRITES, letters.shape, (), preprocessing=letters, objective=lm.Translation(letters))
    Path("g2p.csv").write_text("phones,word\na d,адр\n,абгъ\n", encoding="utf-8")
    Path("new.tsv").write_text("note\tletters\tphones\n1\tадр\t\n", encoding="utf-8")
    Path("one.jsonl").write_text('{"word": "адр"}\n{"word": "абгъ", "n": 1}\n', encoding="utf-8")
    Path("new.txt").write_text("адр, абгъ\n", encoding="utf-8")
    for name, sources in (("g2p.csv", ["адр", "абгъ"]), ("one.jsonl", ["адр", "абгъ"]), ("new.txt", ["адр, абгъ"])):
        assert main(["predict", "out", name, "--csv"]) == 0
        assert [row["text"] for row in csv.DictReader(capsys.readouterr().out.splitlines())] == sources
    told = "'new.tsv' has the columns note, letters, phones, and none is called 'source' or alike: call that of the te"
    assert told in refusal("predict", "out", "new.tsv")
    Path("new.tsv").write_text("letters\tphones\nадр\t\n", encoding="utf-8")
    assert new_texts("new.tsv", "pairs") == ["адр"]
    Path("one.csv").write_text("number\n12\n")
    assert new_texts("one.csv", "pairs") == ["12"]
    Path("one.csv").write_text("target\n12\n")
    with pytest.raises(ValueError, match="has the columns target, and none is called 'source'"):
        new_texts("one.csv", "pairs")


def test_questions_are_read_as_auto_reads_them(here: Path, refusal: Callable[..., str]) -> None:
    passage, asked = "Ada lives in Rome,\nthey say.", ["Where does Ada live?", "Who lives in Rome?"]
    made = lm.kinds.QuestionWords(lm.kinds.Words(least=1, steps=24), newest_first=False).fitted([passage, *asked])
    exported = export_untrained(READS, made.shape, (), preprocessing=made, objective=lm.Span(3))
    told = {"context": passage, "qas": [{"question": question} for question in asked]}
    Path("new.json").write_text(json.dumps({"data": [{"paragraphs": [told]}]}))
    with Path("new.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["n", "context", "question"], *([1, passage, question] for question in asked)])
    Path("new.txt").write_text("\n".join(f"{question}\t{passage}".replace(",\n", ", ") for question in asked))
    found = exported.show([(question, passage) for question in asked])
    for name in ("new.json", "new.csv", "new.txt"):
        assert main(["predict", "out", name, f"--output={name}.predicted.json"]) == 0
        written = [row["written"] for row in json.loads(Path(f"{name}.predicted.json").read_text())]
        assert written == (found if name != "new.txt" else [answer.replace("\n", " ") for answer in found])
    Path("new.csv").write_text(f"question,context\n{asked[0]},Rome\n,Rome\n{asked[1]},\n")
    with pytest.warns(UserWarning, match=r"'new.csv' has 2 empty texts: they get no answers"):
        assert new_texts("new.csv", "questions") == [f"{asked[0]}\tRome"]
    Path("new.csv").write_text("who,where\nAda,Rome\n")
    told = "'new.csv' has the columns who, where: call those of questions and their passages"
    assert told in refusal("predict", "out", "new.csv")
