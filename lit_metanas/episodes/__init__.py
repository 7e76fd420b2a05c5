"""Where tasks come from: tasks, episodes, and the sources that they are drawn from."""

from lit_metanas.episodes.distortion import Distortion
from lit_metanas.episodes.glyphs import Glyphs
from lit_metanas.episodes.sampling import draw_episode, draw_task
from lit_metanas.episodes.source import Subset, TaskSource
from lit_metanas.episodes.task import Episode, Split, Task

__all__ = ["Distortion", "Episode", "Glyphs", "Split", "Subset", "Task", "TaskSource", "draw_episode", "draw_task"]
