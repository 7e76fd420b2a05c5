"""What all figures share: colours that colour-blind readers tell apart, a quiet style, files and pixels."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from lit_metanas.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy import uint8
    from numpy.typing import NDArray

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#3A9AD9", "#000000", "#7F3C8D")
"""Okabe and Ito's palette, its yellow and sky blue darkened to be legible on white, and one more."""

INK = "#222222"
"""Text."""

FAINT = "#8A8A8A"
"""What helps to read but says nothing itself."""


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that belongs to no window system and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    blank = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(blank)
    return blank


def quiet(axes: Axes) -> None:
    """Leave only the left and lower frame, thin ticks, dark grey text."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, width=0.6, color=FAINT)


def pixels(drawn: Figure) -> NDArray[uint8]:
    """The figure as RGB, shape ``(height, width, 3)``."""
    import numpy
    from PIL import Image

    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png")
    buffer.seek(0)
    with Image.open(buffer) as image:
        return numpy.asarray(image.convert("RGB"))


def save(drawn: Figure, path: str | os.PathLike[str]) -> None:
    """Write the figure as a PNG file, atomically."""
    with replacing(path) as temporary:
        drawn.savefig(temporary, format="png")
