"""Data modules: the same episodes on any number of processes and workers, and after a resume."""

from multiprocessing import active_children
from types import SimpleNamespace

import pytest
import torch
from coded_source import CodedSource
from lightning.pytorch import Callback, LightningModule, Trainer
from meta_toys import make_trainer

from lit_metanas.tasks import DrawnTasks, EpisodeDataModule, TargetTaskDataModule


class Reader(LightningModule):
    """Notes which episodes it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[str]] = []
        self.judged: list[list[str]] = []
        self.predicted: list[str] = []
        self.interrupt_at = -1

    def training_step(self, batch, batch_idx):
        assert all(episode.query.inputs.dtype == self.weight.dtype for episode in batch)
        if len(self.seen) == self.interrupt_at:
            raise RuntimeError("interrupted in the middle of a step")
        self.seen.append([episode.id for episode in batch])
        return self.weight * batch[0].support.inputs.mean()

    def validation_step(self, batch, batch_idx):
        self.judged.append([episode.id for episode in batch])

    def test_step(self, batch, batch_idx):
        self.judged.append([episode.id for episode in batch])

    def predict_step(self, batch, batch_idx):
        self.predicted.append(batch.id)
        return batch.id

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Saver(Callback):
    """Saves after each step."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/step={trainer.global_step}.ckpt")


def trainer(tmp_path, **more) -> Trainer:
    return make_trainer(default_root_dir=tmp_path, **more)


def data(**more) -> EpisodeDataModule:
    small = {"tasks_per_step": 4, "eval_tasks_per_step": 4, "steps_per_epoch": 3, "val_episodes": 6, "test_episodes": 2}
    return EpisodeDataModule(CodedSource(), way=3, **(small | more))


def on_rank(module, rank: int, world: int):
    module.trainer = SimpleNamespace(global_rank=rank, world_size=world)
    module.prepare_data()
    return module


def want(epochs: range, first: int = 0) -> list[list[str]]:
    """The ids of four episodes a step, three steps an epoch, in a plain loop."""
    steps = [[f"coded/train/{e}/{4 * step + i}" for i in range(4)] for e in epochs for step in range(3)]
    return steps[first:]


def test_ranks_share_each_step_and_agree_with_one_process():
    def batches(rank: int, world: int, loader: str):
        module = on_rank(data(), rank, world)
        module.setup("fit")
        return [list(batch) for batch in getattr(module, loader)()]

    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        whole, halves = batches(0, 1, loader), [batches(rank, 2, loader) for rank in (0, 1)]
        assert len(halves[0]) == len(halves[1]) == len(whole)
        for alone, first, second in zip(whole, *halves, strict=True):
            assert [e.id for e in alone[0::2]] == [e.id for e in first]
            assert [e.id for e in alone[1::2]] == [e.id for e in second]
            for a, b in zip(alone[1::2], second, strict=True):
                assert torch.equal(a.query.inputs, b.query.inputs)


@pytest.mark.parametrize("world", [3, 8])
def test_evaluation_has_the_same_episodes_on_any_number_of_processes(world):
    def batches(rank: int, world: int) -> list[list[str]]:
        module = on_rank(data(val_episodes=7), rank, world)
        return [[episode.id for episode in batch] for batch in module.val_dataloader()]

    ranks = [batches(rank, world) for rank in range(world)]
    assert len({len(each) for each in ranks}) == 1  # or a process would wait for another's collective
    places = [[f"coded/val/0/{place}" for place in range(rank, 7, world)] for rank in range(world)]
    assert [[name for batch in each for name in batch] for each in ranks] == places


def test_a_resume_whose_steps_would_take_other_numbers_of_tasks_is_refused(tmp_path):
    trainer(tmp_path, max_epochs=1, callbacks=[Saver()]).fit(Reader(), data())
    path = tmp_path / "step=2.ckpt"
    with pytest.raises(ValueError, match="with 4 tasks a step, and 1 process would take 1: give"):
        trainer(tmp_path, max_epochs=1).fit(Reader(), data(tasks_per_step=None), ckpt_path=path)
    trainer(tmp_path).test(Reader(), data(tasks_per_step=None), ckpt_path=path, verbose=False)
    reader = Reader()
    trainer(tmp_path, max_epochs=1).fit(reader, data(tasks_per_step=2), ckpt_path=path)  # as was asked for
    assert reader.seen == [["coded/train/0/4", "coded/train/0/5"]]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_epochs_differ_and_validation_does_not(tmp_path, num_workers):
    reader = Reader()
    trainer(tmp_path, max_epochs=2, precision="64-true" if num_workers else None).fit(
        reader, data(num_workers=num_workers)
    )
    assert reader.seen == want(range(2))
    once = [[f"coded/val/0/{i}" for i in range(4)], ["coded/val/0/4", "coded/val/0/5"]]
    assert reader.judged == once * 2


def test_other_protocol_and_seed_for_evaluation():
    module = data(seed=5, eval_way=4, eval_shot=2, eval_query=1)
    (train, *_), (val, *_) = next(iter(module.train_dataloader())), next(iter(module.val_dataloader()))
    assert (train.way, train.shot, len(train.query)) == (3, 1, 15)
    assert (val.way, val.shot, len(val.query)) == (4, 2, 4)
    (other, *_) = next(iter(data(seed=6, eval_way=4, eval_shot=2, eval_query=1).val_dataloader()))
    assert torch.equal(val.support.inputs, other.support.inputs)
    assert module.shape == (3, 2, 2)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_resume_after_every_step(tmp_path, num_workers):
    """A run that is resumed from any step's checkpoint sees exactly the episodes that were left."""
    trainer(tmp_path, max_epochs=3, callbacks=[Saver()]).fit(Reader(), data())
    for step in (2, 3, 4) if num_workers == 0 else (4,):  # 3 ends an epoch
        reader = Reader()
        resumed = trainer(tmp_path, max_epochs=3)
        resumed.fit(reader, data(num_workers=num_workers), ckpt_path=tmp_path / f"step={step}.ckpt")
        assert reader.seen == want(range(3), first=step), step
        assert resumed.global_step == 9


def test_no_worker_outlives_a_training(tmp_path):
    before = set(active_children())
    episodes = data(num_workers=1)
    for _ in range(2):
        trainer(tmp_path, max_epochs=1).fit(Reader(), episodes)
        assert set(active_children()) <= before
    failing = Reader()
    failing.interrupt_at = 1
    with pytest.raises(RuntimeError, match="interrupted"):
        trainer(tmp_path, max_epochs=1).fit(failing, episodes)
    assert set(active_children()) <= before


def test_resume_after_an_interrupted_step_repeats_that_step(tmp_path):
    reader = Reader()
    reader.interrupt_at = 4
    first = trainer(tmp_path, max_epochs=3)
    with pytest.raises(RuntimeError, match="interrupted"):
        first.fit(reader, data())
    first.save_checkpoint(tmp_path / "interrupted.ckpt")
    resumed = Reader()
    trainer(tmp_path, max_epochs=3).fit(resumed, data(), ckpt_path=tmp_path / "interrupted.ckpt")
    assert reader.seen + resumed.seen == want(range(3))


def test_target_tasks_are_spread_over_ranks():
    tasks = DrawnTasks(CodedSource(), way=3, train=2, val=1, test=2, tasks=5)
    loaders = [on_rank(TargetTaskDataModule(tasks), rank, 2).predict_dataloader() for rank in (0, 1)]
    assert [len(loader) for loader in loaders] == [3, 2]
    ids = [[whole.task.id for whole in loader] for loader in loaders]
    assert ids == [["coded/test/0", "coded/test/2", "coded/test/4"], ["coded/test/1", "coded/test/3"]]


def test_a_process_without_a_task_is_refused():
    data = TargetTaskDataModule(DrawnTasks(CodedSource(), way=3, train=2, val=1, test=2, tasks=3))
    data.trainer = SimpleNamespace(world_size=len(data.tasks))
    data.setup("predict")
    data.trainer = SimpleNamespace(world_size=len(data.tasks) + 1)
    with pytest.raises(ValueError, match="one of which would have none: give more tasks"):
        data.setup("predict")


def test_steps_that_cannot_be_shared_and_damaged_states_are_refused():
    module = data(tasks_per_step=3)
    assert module.trained_batches is None
    with pytest.raises(ValueError, match="tasks_per_step is 3, which 2 processes cannot share evenly: give a multiple"):
        on_rank(module, 0, 2).check_shares()
    with pytest.raises(ValueError, match="its state of EpisodeDataModule is of another kind"):
        module.load_state_dict({"tasks_in_step": True})
    with pytest.raises(IndexError, match="task 5 of 5"):
        DrawnTasks(CodedSource(), way=3, train=2, val=1, test=2, tasks=5)[5]


def test_target_tasks_take_the_shape_of_the_search(tmp_path):
    brought = []

    class Open(DrawnTasks):
        def bring_to(self, shape):
            brought.append(shape)

    quiet = trainer(tmp_path)
    module = TargetTaskDataModule(Open(CodedSource(), way=3, train=2, val=1, test=2, tasks=1))
    reader = Reader()
    quiet.predict(reader, module)
    reader.input_shape = (1, 2, 3)
    quiet.predict(reader, module)
    assert brought == [(1, 2, 3)]
