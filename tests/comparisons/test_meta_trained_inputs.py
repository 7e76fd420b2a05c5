"""Searches from a meta-trained checkpoint give a network the inputs that it knows: its vocabulary, its features."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from cipher_tasks import quiet_trainer

import lit_metanas as lm
from lit_metanas.kinds import stored_preprocessing
from lit_metanas.training.meta_weights import META_KEY, MetaCheckpoint

SPACE = lm.SequenceSpace(operations=("conv_3",), widths=(8,), depths=(1,), dropouts=(0.0,), readouts=("max",))
FEATURES = lm.kinds.LogMel(rate=4000, bins=8, window=0.05, hop=0.025, steps=20)
SIZES = {"way": 2, "query": 1, "tasks_per_step": 1, "steps_per_epoch": 1, "val_episodes": 1}


def meta_train(source: lm.TaskSource, path: Path, **options: object) -> str:
    run = quiet_trainer()
    run.fit(lm.MetaSearch(space=SPACE, **options), lm.EpisodeDataModule(source, **SIZES))
    run.save_checkpoint(path)
    return str(path)


class Sentences(lm.kinds.TextSource):
    """Six sentences of each of six classes, of which each subset has two."""

    def __init__(self, word: str, preprocessing: lm.kinds.Words | None = None, end: str = "") -> None:
        super().__init__(preprocessing)
        self.word = word
        self.end = end

    def sentences(self, subset: lm.tasks.Subset) -> dict[str, list[str]]:
        first = 2 * ("train", "val", "test").index(subset)
        word, end = self.word, self.end
        return {f"class{c}": [f"{word} {word}{c} number {n}{end}" for n in range(6)] for c in (first, first + 1)}


@pytest.fixture(scope="module")
def of_texts(tmp_path_factory: pytest.TempPathFactory) -> str:
    return meta_train(Sentences("red"), tmp_path_factory.mktemp("texts") / "last.ckpt")


def recordings(folder: Path, words: int, rate: int) -> str:
    for word in range(words):
        (folder / f"word{word}").mkdir(parents=True)
        for take in range(5):
            radians = 2 * np.pi * (200 + 150 * word + 5 * take) * np.arange(rate // 2) / rate
            soundfile.write(folder / f"word{word}" / f"{take}.wav", 0.3 * np.sin(radians), rate)
    return str(folder)


@pytest.fixture(scope="module")
def of_sounds(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("sounds")
    source = lm.kinds.AudioFolder(recordings(folder / "words", 6, 4000), features=FEATURES, fractions=(0.4, 0.3, 0.3))
    return meta_train(source, folder / "last.ckpt")


@pytest.fixture
def table(tmp_path: Path) -> str:
    rows = [f"{colour} or number {n} of blue,{colour}" for colour in ("red", "green") for n in range(6)]
    (tmp_path / "own.csv").write_text("\n".join(["text,label", *rows]))
    return str(tmp_path / "own.csv")


def searched(
    tasks: lm.tasks.TaskCollection, checkpoint: str, folder: Path, **methods: lm.Searcher
) -> lm.comparisons.TargetSearch:
    methods = methods or {"meta-searched": lm.MetaSearchedArchitecture(checkpoint)}
    options = {"recipe": lm.Recipe(epochs=1), "directory": str(folder)}
    module = lm.comparisons.TargetSearch(space=SPACE, methods=methods, **options)
    quiet_trainer().search(module, lm.tasks.TargetTaskDataModule(tasks))
    return module


def test_a_checkpoint_keeps_the_vocabulary_of_its_source(of_texts: str) -> None:
    source = Sentences("red")
    assert MetaCheckpoint.read(of_texts).inputs.preprocessing == source.preprocessing
    assert lm.MetaSearchedArchitecture(of_texts).preprocessing == source.preprocessing
    assert lm.MetaSearchedArchitecture(of_texts, inherit=False).preprocessing is None


def test_own_texts_are_encoded_by_the_vocabulary_of_the_checkpoint(of_texts: str, table: str, tmp_path: Path) -> None:
    tasks = lm.TextTask(table)
    own = tasks[0].preprocessing
    darts = lm.DARTSSearcher(epochs=1, start=of_texts)
    module = searched(tasks, of_texts, tmp_path / "out", m=lm.MetaSearchedArchitecture(of_texts), darts=darts)
    assert len(module.results) == 2
    assert tasks[0].preprocessing == Sentences("red").preprocessing != own
    said = tasks[0].preprocessing.show(tasks[0].test.inputs)
    assert any(text.startswith("red ") for text in said)
    assert not any("blue" in text for text in said)  # no word of the meta-training
    drawn = lm.tasks.DrawnTasks(Sentences("blue"), way=2, train=2, val=1, test=1, tasks=1)
    searched(drawn, of_texts, tmp_path / "drawn")
    assert drawn[0].preprocessing == Sentences("red").preprocessing


def test_an_own_vocabulary_is_refused_in_a_sentence(of_texts: str, table: str, tmp_path: Path) -> None:
    given = lm.kinds.Words(words=Sentences("red").preprocessing.words[::-1])  # as many words, of other numbers
    told = r"^The checkpoint was meta-trained with another vocabulary or preprocessing of inputs than task 'own' has: "
    told += "leave 'preprocessing' of its data out"
    for searcher in (lm.MetaSearchedArchitecture(of_texts), lm.DARTSSearcher(epochs=1, start=of_texts)):
        with pytest.raises(ValueError, match=told):
            lm.search(lm.TextTask(table, preprocessing=given)[0], SPACE, method=searcher, progress=False)
        made = lm.TextTask(table, preprocessing=searcher.preprocessing)[0]
        assert lm.search(made, SPACE, method=searcher, recipe=lm.Recipe(epochs=1), progress=False).test_score >= 0
    with pytest.raises(ValueError, match=told):
        searched(lm.TextTask(table, preprocessing=given), of_texts, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Heard of 10 sounds")
def test_own_sounds_have_the_features_of_the_checkpoint(of_sounds: str, tmp_path: Path) -> None:
    root = recordings(tmp_path / "own", 2, 16000)
    tasks = lm.AudioFolderTask(root)
    assert len(searched(tasks, of_sounds, tmp_path / "out").results) == 1
    assert tasks[0].preprocessing == FEATURES
    of_the_same_shape = lm.kinds.LogMel(rate=8000, bins=8, window=0.05, hop=0.025, steps=20)
    with pytest.raises(ValueError, match="leave 'features' of its data out"):
        searched(lm.AudioFolderTask(root, features=of_the_same_shape), of_sounds, tmp_path / "other")


def test_another_kind_of_input_is_refused_in_a_sentence(of_sounds: str, table: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"own.csv' holds texts, and the checkpoint was meta-trained on sounds: give"):
        searched(lm.TextTask(table), of_sounds, tmp_path / "out")


def test_meta_training_goes_on_with_its_own_vocabulary(of_texts: str, tmp_path: Path) -> None:
    source = Sentences("blue")
    meta_train(source, tmp_path / "on.ckpt", start=of_texts)
    assert source.preprocessing == Sentences("red").preprocessing
    given = Sentences("blue", lm.kinds.Words(words=source.preprocessing.words[::-1]))
    with pytest.raises(ValueError, match="The weights were meta-trained with another vocabulary or preprocessing"):
        meta_train(given, tmp_path / "off.ckpt", start=of_texts)


@pytest.mark.parametrize("verb", ["fit", "test"])
def test_a_loaded_checkpoint_gives_other_data_its_vocabulary(verb: str, of_texts: str) -> None:
    source = Sentences("blue", end=" is long")
    data = lm.EpisodeDataModule(source, **SIZES, test_episodes=20)
    assert data.shape != Sentences("red").shape
    model = lm.MetaSearch(space=SPACE)
    run = quiet_trainer(max_epochs=2 if verb == "fit" else 1)
    getattr(run, verb)(model, datamodule=data, ckpt_path=of_texts)
    assert source.preprocessing == model.preprocessing == Sentences("red").preprocessing
    loaded = lm.MetaSearch.load_from_checkpoint(of_texts, space=SPACE)
    if verb == "fit":
        assert (run.global_step, int(model.outer_steps)) == (2, 2)  # the first step is the checkpoint's
        return
    (found,) = getattr(quiet_trainer(), verb)(loaded, data)  # the data have the checkpoint's vocabulary before this run
    assert found == pytest.approx({name: float(run.callback_metrics[name]) for name in found}, nan_ok=True)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("made", [lm.kinds.Words(words=("yes", "no")), FEATURES], ids=lambda made: made.kind)
def test_a_deep_nest_in_a_stored_preprocessing_is_told_in_a_short_sentence(made: lm.Preprocessing) -> None:
    nest: list[object] = []
    for _ in range(5000):
        nest = [nest]
    stored = made.described()
    for name in stored.keys() - {"kind"}:
        with pytest.raises(ValueError, match=r"^[^\n]{10,250}$"):
            stored_preprocessing.read_preprocessing({**stored, name: nest})


@pytest.mark.parametrize(
    "inputs",
    [
        {"digest": 3, "preprocessing": None},
        {"digest": "0" * 64, "preprocessing": {"kind": "words", "size": 5, "least": 1, "steps": 3, "words": ["a"]}},
        {"digest": "0" * 64, "preprocessing": {"kind": "static vectors", "tokenizer": {"file": "/etc/passwd"}}},
        [],
    ],
)
def test_a_damaged_description_of_inputs_is_told(inputs: object, of_texts: str, tmp_path: Path) -> None:
    content = torch.load(of_texts, weights_only=True)
    content[META_KEY]["inputs"] = inputs
    torch.save(content, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match=r"bad.ckpt' is damaged or was not written by MetaSearch"):
        MetaCheckpoint.read(tmp_path / "bad.ckpt")
