"""Letters of all scripts in figures: by fonts that this machine has, or by a sign where none has them."""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL = "DejaVu Sans"
"""matplotlib's own font: Latin, Greek, Cyrillic, Arabic, Hebrew and others, but no Chinese or Thai."""

NO_LETTER = "\N{REPLACEMENT CHARACTER}"
"""Stands for a letter that no font has."""

_PREFERRED = ("Noto Sans", "Source Han Sans", "WenQuanYi", "Microsoft YaHei", "PingFang", "Arial Unicode")


def has_letters(text: str) -> bool:
    """Whether the fonts of this machine have all letters of a text."""
    return all(_font_of(each) is not None for each in text)


def use_fonts(drawn: Figure) -> None:
    """Give each text of a figure the fonts that have its letters; what no font has becomes a sign."""
    from matplotlib.text import Text

    for text in drawn.findobj(Text):
        assert isinstance(text, Text)
        shown = text.get_text()
        fonts = {each: _font_of(each) for each in dict.fromkeys(shown) if not each.isspace()}
        if set(fonts.values()) <= {USUAL}:
            continue
        text.set_text("".join(NO_LETTER if fonts.get(each, USUAL) is None else each for each in shown))
        others = [font for font in dict.fromkeys(fonts.values()) if font not in (None, USUAL)]
        text.set_fontfamily([USUAL, *others])  # matplotlib takes each letter from the first one that has it


@lru_cache(maxsize=1 << 16)
def _font_of(letter: str) -> str | None:
    """The first font that has a letter."""
    if letter.isspace():
        return USUAL
    return next((name for name, letters in _fonts() if ord(letter) in letters()), None)


@cache
def _fonts() -> list[tuple[str, Callable[[], Container[int]]]]:
    """All fonts, the usual one first, each with what reads its letters when first asked for."""
    from matplotlib.font_manager import fontManager, get_font

    files: dict[str, str] = {}
    for entry in fontManager.ttflist:
        # matplotlib's fonts of formulas have other signs at some places, and its font of last resort has frames.
        if not entry.name.startswith(("cm", "STIX", "Last Resort")):
            files.setdefault(entry.name, entry.fname)
    order = sorted(files, key=lambda name: (name != USUAL, not name.startswith(_PREFERRED), name))
    return [(name, cache(partial(_letters, get_font, files[name]))) for name in order]


def _letters(get_font: Callable[[str], Any], file: str) -> Container[int]:
    letters: dict[int, int] = get_font(file).get_charmap()
    return letters.keys()
