"""Table of the page's keys, used by `static/keys.js`, by the help on the page, and by the documentation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PageKey:
    """One or more keys with one action.

    Attributes
    ----------
    names
        The values of ``KeyboardEvent.key``; Shift is part of the value.
    label
        Name for users.
    words
        What the key does.
    action
        The name of the action: one of the application or of a panel, or a function of `saves.js` or `navigation.js`.
    local
        Whether a script of the page carries it out, because it needs the page's own camera or widgets.
    """

    names: tuple[str, ...]
    label: str
    words: str
    action: str
    local: bool = False


POINTER = (
    ("drag", "turn the scene"),
    ("Shift + drag, two fingers", "move the scene"),
    ("wheel, pinch", "zoom at the pointer"),
    ("click, tap", "explain a cell, a line or a layer; open a group"),
    ("double click", "come closer"),
    ("drop a file", "run the model on it"),
)
"""Actions of mouse and fingers on the picture, and what they do."""

KEYS = (
    PageKey(("?", "F1"), "?", "show this help", "help", local=True),
    PageKey(
        ("/",),
        "/",
        "search the layers; Enter flies to the first one, or to a channel such as conv2d 3",
        "search",
        local=True,
    ),
    PageKey(("f", "F"), "f", "fly to the layer that is picked or highlighted", "fly", local=True),
    PageKey(("r", "R", "Home"), "r", "show everything", "home"),
    PageKey(("ArrowLeft",), "← →", "previous, next sample", "previous"),
    PageKey(("ArrowRight",), "← →", "previous, next sample", "next"),
    PageKey((" ",), "Space", "play, pause", "play"),
    PageKey(("t", "T"), "t", "start, end the tour; during it ← → go to the stops, Space pauses", "tour"),
    PageKey(("z",), "z", "open the highlighted group, close the group around a layer", "group"),
    PageKey(
        ("d",),
        "d D",
        "what if: mute the channel, neuron or connection of the pick, or undo that; D undoes the last change",
        "mute",
    ),
    PageKey(
        ("D",),
        "d D",
        "what if: mute the channel, neuron or connection of the pick, or undo that; D undoes the last change",
        "undo",
    ),
    PageKey(("b",), "b", "bookmark this view", "bookmark", local=True),
    PageKey(("k",), "k K", "add a keyframe of the camera here, remove the last one", "keyframe", local=True),
    PageKey(("K",), "k K", "add a keyframe of the camera here, remove the last one", "removeKeyframe", local=True),
    PageKey(("w", "W"), "w", "save a scene file that opens as it is shown", "write", local=True),
    PageKey(("Escape",), "Esc", "close a menu; clear the pick", "clear"),
    PageKey((), "Tab", "next control; arrow keys go through the perspectives and the layers", ""),
    PageKey((), "↑ ↓ - +", "with the picture focused: turn up and down, zoom", ""),
)


def described() -> tuple[tuple[str, str], ...]:
    """Return label and action of each key, without repetitions."""
    return tuple(dict.fromkeys((key.label, key.words) for key in KEYS))


def key_actions() -> dict[str, list[object]]:
    """Return for each value of ``KeyboardEvent.key`` its action, and whether a script of the page carries it out."""
    return {name: [key.action, key.local] for key in KEYS for name in key.names}


def table() -> str:
    """Return the table for the documentation, in Markdown."""
    lines = [f"| {label} | {words} |" for label, words in POINTER]
    lines += [f"| `{label}` | {words} |" for label, words in described()]
    return "\n".join(["| mouse, fingers, key | what it does |", "|---|---|", *lines])
