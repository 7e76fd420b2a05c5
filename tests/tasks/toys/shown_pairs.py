"""What tensors of a task of translation stand for."""

import lit_metanas as lm


def shown(task: lm.Task, part: str) -> list[tuple[str, str]]:
    split = getattr(task, part)
    return list(zip(task.preprocessing.show(split.inputs), task.goal.target.show(split.labels), strict=True))
