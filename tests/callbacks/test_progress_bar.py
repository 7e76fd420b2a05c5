import re
from pathlib import Path

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from lit_metanas.callbacks import EpisodeProgressBar
from lit_metanas.callbacks.progress_bar import clock_time


def line(phase, now, metrics=None, *, start=(0.0, 0, 0.0), done=0, share=0.0, step=1):
    bar = EpisodeProgressBar()
    bar._open(phase)
    bar._start, bar._done, bar._share, bar._step = start, done, share, step
    return bar.line(now, metrics or {})


def test_a_line_has_counts_speed_times_and_metrics():
    metrics = {"train/loss": 1.25, "train/accuracy": 0.612, "val/accuracy": 0.5}
    assert line("meta-train", 100.0, metrics, done=1250, share=0.1) == (
        "meta-train  1250/12500 episodes  12.5/s  elapsed 1:40  left 15:00  loss 1.250  accuracy 61.2 %  val 50.0 %"
    )
    assert line("search", 100.0, done=2, share=0.5) == "search  2/4 tasks  1.2/min  elapsed 1:40  left 1:40"
    assert line("validate", 1.0, {"val/accuracy": 0.5}, done=1) == (
        "validate  1/? episodes  1.0/s  elapsed 0:01  left -:--  accuracy 50.0 %"
    )


def test_times_read_well():
    assert [clock_time(seconds) for seconds in (7.4, 59.6, 3723)] == ["0:07", "1:00", "1:02:03"]


def trainer_with(bar, tmp_path, **arguments):
    return Trainer(
        callbacks=[bar], logger=False, default_root_dir=tmp_path, accelerator="cpu", enable_model_summary=False,
        enable_checkpointing=False, log_every_n_steps=1, **arguments,
    )  # fmt: skip


class SavesBetweenSteps(Callback):
    """Writes a checkpoint when the seventh batch is about to begin."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 1 and batch_idx == 2:
            trainer.save_checkpoint("between.ckpt")


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_training_resumed_within_an_epoch_shows_right_numbers(module, batches, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = trainer_with(EpisodeProgressBar(), tmp_path, max_epochs=2, limit_val_batches=0)
    first.callbacks.append(SavesBetweenSteps())
    first.fit(module, batches(), batches())
    capfd.readouterr()
    second = trainer_with(EpisodeProgressBar(interval=1e-9), tmp_path, max_epochs=2, limit_val_batches=0)
    second.fit(module, batches(), batches(), ckpt_path="between.ckpt", weights_only=False)
    lines = [line for line in capfd.readouterr().err.splitlines() if "episodes" in line]
    assert [re.search(r"\d+/\d+", line)[0] for line in lines[:2]] == ["21/24", "24/24"]
    assert all(re.search(r"left \d:\d\d", line) for line in lines)


def test_test_and_validate_have_their_own_lines(module, batches, tmp_path, capfd):
    trainer = trainer_with(EpisodeProgressBar(interval=1000), tmp_path)
    trainer.test(module, batches(), verbose=False)
    trainer.validate(module, batches(), verbose=False)
    lines = capfd.readouterr().err.splitlines()
    assert any(line.startswith("meta-test  12/12 episodes") for line in lines)
    assert any(line.startswith("validate  12/12 episodes") and "accuracy 50.0 %" in line for line in lines)


def test_other_ranks_are_silent(module, batches, tmp_path, capfd):
    bar = EpisodeProgressBar(interval=1e-9)
    bar.disable()
    trainer_with(bar, tmp_path, max_epochs=1, limit_val_batches=0).fit(module, batches(), batches())
    assert "episodes" not in capfd.readouterr().err


class Searching(LightningModule):
    results = records = ()
    directory = Path()

    def predict_step(self, batch, batch_idx):
        return batch


class Predicting(LightningModule):
    def predict_step(self, batch, batch_idx):
        return batch


@pytest.mark.parametrize(("made", "line"), [(Searching, "search  3/3 tasks"), (Predicting, "predict  3/3 batches")])
def test_a_search_counts_tasks(made, line, tmp_path, capfd):
    trainer = trainer_with(EpisodeProgressBar(interval=1000), tmp_path)
    trainer.predict(made(), DataLoader(range(3), batch_size=None), return_predictions=False)
    assert any(each.startswith(line) for each in capfd.readouterr().err.splitlines())


def test_terminal_gets_one_line_in_place(module, batches, tmp_path, capfd, caplog, monkeypatch):
    caplog.set_level("WARNING", logger="lightning.pytorch")  # which may write to the same terminal
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    trainer_with(EpisodeProgressBar(), tmp_path, max_epochs=2).fit(module, batches(), batches())
    first, *_, last = (line.rstrip() for line in capfd.readouterr().err.split("\r"))
    assert first == ""
    assert last.startswith("meta-train  24/24 episodes")
    assert len(last) <= 59


def test_wrong_interval_is_named():
    with pytest.raises(ValueError, match="interval is 0"):
        EpisodeProgressBar(interval=0)
