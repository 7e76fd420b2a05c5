import re
from pathlib import Path

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from lit_metanas.callbacks import EpisodeProgressBar
from lit_metanas.callbacks.progress_bar import clock_time, episodes_in


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


def test_a_resumed_training_counts_on_and_times_what_was_done_since():
    said = line("meta-train", 10.0, start=(0.0, 500, 0.5), done=600, share=0.6)
    assert "600/1000 episodes  10.0/s  elapsed 0:10  left 0:40" in said


def test_the_step_that_exceeds_the_budget_counts():
    for episodes in (1, 3):  # a step takes a share of 1 / 43.4
        done = [(step * episodes, min(step / 43.4, 1)) for step in range(1, 45)]
        said = [line("meta-train", 1.0, done=n, share=share, step=episodes) for n, share in done]
        assert all(f"/{44 * episodes} episodes" in each for each in said)
    for steps in range(1, 200):  # where shares are those of whole steps, there is no further one
        said = [line("meta-train", 1.0, done=3 * n, share=n / steps, step=3) for n in range(1, steps + 1)]
        assert all(f"/{3 * steps} episodes" in each for each in said)


def test_times_read_well():
    assert [clock_time(seconds) for seconds in (7.4, 59.6, 3723)] == ["0:07", "1:00", "1:02:03"]


def test_episodes_of_a_batch(batches):
    batch = next(iter(batches(3)))
    assert episodes_in(batch) == 3
    assert episodes_in(batch[0]) == 1
    assert episodes_in([1, 2]) == 1


def trainer_with(bar, tmp_path, **arguments):
    return Trainer(
        callbacks=[bar], logger=False, default_root_dir=tmp_path, accelerator="cpu", enable_model_summary=False,
        enable_checkpointing=False, log_every_n_steps=1, **arguments,
    )  # fmt: skip


def test_log_file_gets_few_plain_lines(module, batches, tmp_path, capfd):
    trainer = trainer_with(EpisodeProgressBar(interval=1000), tmp_path, max_epochs=5, num_sanity_val_steps=1)
    trainer.fit(module, batches(), batches())
    lines = capfd.readouterr().err.splitlines()
    ours = [line for line in lines if "episodes" in line]
    assert len(ours) == 2  # at the start and at the end
    assert re.search(r"meta-train  60/60 episodes  [\d.]+/s  elapsed [\d:]+  left 0:00", ours[-1])
    assert "loss 1.250  accuracy 61.2 %  val 50.0 %" in ours[-1]
    assert not any("\r" in line or "\x1b" in line for line in ours)


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


def test_total_follows_the_modules_progress(drifting, batches, tmp_path, capfd):
    # The module would stop after 16 batches of 3 episodes; the trainer's own limit is far away.
    bar = EpisodeProgressBar(interval=1e-9)
    trainer = trainer_with(bar, tmp_path, max_epochs=1000, limit_val_batches=0)
    module = drifting(batches=16)
    original = module.training_step

    def stopping(batch, batch_idx):
        original(batch, batch_idx)
        trainer.should_stop = int(module.trained) >= 8

    module.training_step = stopping
    trainer.fit(module, batches(), batches())
    ours = [line for line in capfd.readouterr().err.splitlines() if "episodes" in line]
    assert all("/48 episodes" in line for line in ours)


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
