"""A font that has the letters of a text: labels are called in any language."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def find_font(text: str, size: int) -> Font:
    """The font to write a text in.

    Pillow's own has the letters of English only. For others it is DejaVu Sans, which Matplotlib brings (Latin, Greek,
    Cyrillic and more), then the first font of this machine that has all of them. If there is none, letters that are
    missing are written as boxes.

    Args:
        text: What is to be written.
        size: In pixels.
    """
    if text.isascii():
        return ImageFont.load_default(size=size)
    return ImageFont.truetype(_path(frozenset(map(ord, text))), size)


@lru_cache(maxsize=1024)
def _path(codes: frozenset[int]) -> str:
    from matplotlib import get_data_path
    from matplotlib.font_manager import findSystemFonts

    own = str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    if _has(own, codes):
        return own
    return next((path for path in sorted(findSystemFonts()) if _has(path, codes)), own)


@lru_cache(maxsize=1024)
def _has(path: str, codes: frozenset[int]) -> bool:
    from matplotlib.ft2font import FT2Font

    try:
        return codes <= FT2Font(path).get_charmap().keys()
    except (OSError, RuntimeError):  # no font that FreeType can read
        return False
