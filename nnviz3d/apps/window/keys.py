"""The window's keys: one table for what they do, for the help on the screen, and for the documentation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """A key, or a few that do the same.

    Attributes
    ----------
    names
        As the window calls them: the character, or the name in X11; with ``Shift+`` before it where that matters.
    label
        What people call it.
    words
        What it does.
    action
        The name of the method that does it, of `window.controls.Controls` or `window.key_commands.KeyCommands`.
    repeats
        Whether it goes on doing so while it is held.
    """

    names: tuple[str, ...]
    label: str
    words: str
    action: str
    repeats: bool = False


MOUSE = (
    ("drag", "turn"),
    ("Shift + drag, middle, right", "shift"),
    ("wheel", "zoom to the pointer"),
    ("click", "pick a cell, a line or a layer"),
    ("double click", "fly to the layer"),
)
"""What the hand does, and what comes of it."""

KEYS = (
    Key(("Up", "Down"), "↑ ↓", "fly forward, back", "fly"),
    Key(("Shift+Left", "Shift+Right"), "Shift + ← →", "fly to the left, right", "fly"),
    Key(("f",), "f", "fly to the layer under the pointer", "fly_to_layer"),
    Key(("r", "R", "Home"), "r", "see everything", "home"),
    Key(("Left",), "← →", "previous, next sample", "previous_sample", repeats=True),
    Key(("Right",), "← →", "previous, next sample", "next_sample", repeats=True),
    Key((" ",), "Space", "play, pause", "play"),
    Key((",",), ", .", "a little back, forward in time", "back", repeats=True),
    Key((".",), ", .", "a little back, forward in time", "forward", repeats=True),
    Key(("<",), "< >", "one recorded step of a training back, forward", "previous_step", repeats=True),
    Key((">",), "< >", "one recorded step of a training back, forward", "next_step", repeats=True),
    Key(("-", "_"), "- +", "one layer less, more", "reveal_less", repeats=True),
    Key(("+", "="), "- +", "one layer less, more", "reveal_more", repeats=True),
    Key(("c",), "c C", "next, previous class: what depends on it follows", "next_class", repeats=True),
    Key(("Shift+c",), "c C", "next, previous class: what depends on it follows", "previous_class", repeats=True),
    Key(("x",), "x", "cells: activation, gradient, gradient × activation, difference", "next_quantity"),
    Key(("b",), "b", "next sample to compare with", "next_against"),
    Key(("a",), "a", "next method of attribution", "next_method"),
    Key(("u",), "u", "unfold the channels of the layer under the pointer, fold them up", "unfold"),
    Key(("o",), "o", "next order of channels: index, mean, contribution", "next_channel_order"),
    Key(("p",), "p", "channels: what they answer, the pictures that drive them", "next_channel_pictures"),
    Key(("e",), "e", "next layer by whose answers points are placed", "next_embedding"),
    Key(("k",), "k", "points coloured by label, by prediction", "next_point_colors"),
    Key(("[",), "[ ]", "threshold down, up: more, fewer cells", "lower_threshold", repeats=True),
    Key(("]",), "[ ]", "threshold down, up: more, fewer cells", "raise_threshold", repeats=True),
    Key(("m",), "m", "next colours", "next_colormap"),
    Key(("n",), "n", "next scale: a layer's own, one for all, symmetric", "next_normalization"),
    Key(("g",), "g", "lines by weight, by contribution", "next_ranking"),
    Key(("s",), "s", "save a picture", "save"),
    Key(("Escape",), "Esc", "forget what was picked", "clear"),
    Key(("h", "H", "?", "F1"), "h", "show, hide this", "toggle_help"),
    Key(("q", "Q"), "q", "quit", "quit"),
)


def described() -> tuple[tuple[str, str], ...]:
    """Return what hand and keys are called and do, each line once."""
    return tuple(dict.fromkeys([*MOUSE, *((key.label, key.words) for key in KEYS)]))


def table() -> str:
    """Write the table for the documentation, in Markdown."""
    lines = [f"| {label if (label, words) in MOUSE else f'`{label}`'} | {words} |" for label, words in described()]
    return "\n".join(["| mouse, key | what it does |", "|---|---|", *lines])
