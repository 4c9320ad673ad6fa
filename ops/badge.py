"""A badge: a label and a few words beside it as a small SVG that asks no other host. Pure."""

import math

from ops.render import render

TEMPLATE = "badge.svg.j2"
MARGIN_PX = 10

# Of 11 px Verdana and DejaVu Sans the wider; a browser that has neither fits its font into the same length.
_LETTERS_OF_PX = (
    (3.0, "'il"),
    (4.0, " ,.fj"),
    (4.5, "!Irt"),
    (5.0, '"()-/:;J[\\]|'),
    (5.5, "s"),
    (6.0, "?Lcz"),
    (6.5, "FPakovxy"),
    (7.0, "$*0123456789ETY_`bdeghnpqu{}"),
    (7.5, "ABCKRSVXZ"),
    (8.0, "NU"),
    (8.5, "&DGHOQ"),
    (9.0, "#+<=>^w~"),
    (9.5, "M"),
    (10.5, "m"),
    (12.0, "%"),
)
WIDTHS_PX = {letter: width_px for width_px, letters in _LETTERS_OF_PX for letter in letters}
OTHERS_PX = 11.0


def badge(label: str, text: str, *, colour: str, title: str) -> str:
    """The SVG. `title` is what is read out, and shown where the pointer rests."""
    return render(
        TEMPLATE,
        label=label,
        text=text,
        title=title,
        colour=colour,
        label_px=text_px(label) + MARGIN_PX,
        text_px=text_px(text) + MARGIN_PX,
        margin_px=MARGIN_PX,
    )


def text_px(text: str) -> int:
    """How wide a text is at 11 px, in whole pixels."""
    return math.ceil(sum(WIDTHS_PX.get(letter, OTHERS_PX) for letter in text))
