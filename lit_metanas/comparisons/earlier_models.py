"""How a result compares with an earlier model on the same test examples: the start of its search, or its teacher."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.estimators.estimator import latency
from lit_metanas.kinds.texts.text_tokens import JoinedTokens, joined_task
from lit_metanas.objectives import Classification, Distillation
from lit_metanas.objectives.objective import NEVER
from lit_metanas.records.rows import TeacherComparison
from lit_metanas.records.statistics import percent
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import evidence_of, judge
from lit_metanas.training.export.exported_program import program_bytes
from lit_metanas.training.given_models import Lesson, ModelStart, ReadUnder, Teacher


def compare_with_start(result: SearchResult, start: ModelStart, task: Task, read: ReadUnder) -> str:
    """The earlier model's test score, and how far the new one is ahead on the same examples, as a sentence."""
    made, known = start.model.preprocessing, task
    if isinstance(made, JoinedTokens):
        joined = joined_task(task, read(made.second))
        assert joined is not None, made
        known = joined

    def scores(inputs: Tensor) -> Tensor:
        own = start.model.scores(inputs).movedim(-1, 0)
        return start.for_classes(own, torch.full_like(own[0], NEVER), task).movedim(0, -1).to(inputs.device)

    assert result.tested is not None
    goal = start.model.objective or start.objective
    if isinstance(goal, Classification):  # of which the metric may compare probabilities
        goal = replace(goal, way=task.way, metric=result.metric, shift=None)
    before = result.objective.judge(evidence_of(scores, known.test, goal), known.test.labels)
    gain = judge(result.network, result.tested, result.objective).ahead_of(before)
    return (
        f"the model in '{start.place}' has {percent(before.value)} % on the same {len(known.test)} test examples; "
        f"this one is {100 * gain.value:+.1f} ± {100 * gain.half:.1f} points ahead, pair by pair. If the earlier "
        "model has learned from some of them, its score is too high: give a test part that it has not seen."
    )


def compare_with_teacher(result: SearchResult, teacher: Teacher, lesson: Lesson) -> TeacherComparison:
    """A teacher and its student on the same test examples."""
    assert result.tested is not None
    goal, truth, agreement = result.objective, result.tested.labels, Distillation(result.objective)
    by_teacher = agreement.targets(None, lesson.parts["test"])
    own, said = evidence_of(result.network, result.tested, goal), agreement.answers(by_teacher)
    if isinstance(goal, Classification):  # of which the metric may compare probabilities
        said = replace(goal, temperature=1.0).evidence(lesson.parts["test"])
    before = goal.judge(said, truth)
    gain = goal.judge(own, truth).ahead_of(before)
    return TeacherComparison(
        place=teacher.place,
        score=before.value,
        ahead=gain.value,
        half=gain.half,
        agreement=agreement.judge(own, by_teacher).value,
        sizes=(program_bytes(result.export), teacher.size),
        latencies=(result.latency, latency(teacher.model.network, teacher.model.shape)),
        cost=lesson.cost,
        further=lesson.describe(),
    )
