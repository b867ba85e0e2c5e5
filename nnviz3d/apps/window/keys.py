"""Table of the window's keys, used for the keys themselves, the help on the screen, and the documentation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """One or more keys with one action.

    Attributes
    ----------
    names
        Names in the window's events: the character, or the X11 name; ``Shift+`` before it if Shift is part of the key.
    label
        Name for users.
    words
        What the key does.
    action
        Name of the method to call, of `window.controls.Controls` or of one of the objects that it makes for its keys.
    repeats
        Whether the action repeats while the key is held.
    """

    names: tuple[str, ...]
    label: str
    words: str
    action: str
    repeats: bool = False


MOUSE = (
    ("drag", "turn the scene"),
    ("Shift + drag", "move the scene, as the middle and the right button do"),
    ("wheel", "zoom at the pointer"),
    ("click", "pick a cell, a line or a layer; open a group"),
    ("double click", "fly to the layer"),
)
"""Mouse actions, and what they do."""

PAGE = (
    "page",
    "nnviz3d serve can also draw a digit, set any factor, find samples by name, list what differs, and lead a training",
)
"""What the page can do and the window cannot."""

KEYS = (
    Key(("Up", "Down"), "↑ ↓", "fly forward, back", "fly"),
    Key(("Shift+Left", "Shift+Right"), "Shift + ← →", "fly left, right", "fly"),
    Key(("/",), "/", "search layers, groups and channels: conv, conv2d 3; Return flies there", "begin_search"),
    Key(("f",), "f", "fly to the layer under the pointer", "fly_to_layer"),
    Key(("r", "R", "Home"), "r", "show everything", "home"),
    Key(
        ("Tab",),
        "Tab",
        "next perspective, such as filters or gradients; with Shift the previous",
        "next_perspective",
    ),
    Key(
        ("ISO_Left_Tab", "Shift+Tab"),
        "Tab",
        "next perspective, such as filters or gradients; with Shift the previous",
        "previous_perspective",
    ),
    Key(("Return",), "Return", "let the model compute the perspective that Tab has named", "compute_perspective"),
    Key(("Left",), "← →", "previous, next sample", "previous_sample", repeats=True),
    Key(("Right",), "← →", "previous, next sample", "next_sample", repeats=True),
    Key((" ",), "Space", "play, pause", "play"),
    Key(
        ("t", "T"),
        "t",
        "start, end the tour from input to decision; ← → choose its stop, Space pauses, Esc ends",
        "toggle_tour",
    ),
    Key((",",), ", .", "0.25 s back, forward in time", "back", repeats=True),
    Key((".",), ", .", "0.25 s back, forward in time", "forward", repeats=True),
    Key(("<",), "< >", "one recorded step of a training back, forward", "previous_step", repeats=True),
    Key((">",), "< >", "one recorded step of a training back, forward", "next_step", repeats=True),
    Key(("-", "_"), "- +", "show one layer less, more", "reveal_less", repeats=True),
    Key(("+", "="), "- +", "show one layer less, more", "reveal_more", repeats=True),
    Key(("c",), "c C", "explain the next, previous class", "next_class", repeats=True),
    Key(("Shift+c",), "c C", "explain the next, previous class", "previous_class", repeats=True),
    Key(("x",), "x", "cells: activation, gradient, gradient × activation, difference, change", "next_quantity"),
    Key(("b",), "b", "next sample or model to subtract", "next_against"),
    Key(("j",), "j", "fly to the next layer or channel that differs most", "next_difference"),
    Key(("0",), "0", "find the dead channels of all layers; fly to the next one", "next_dead"),
    Key(("a",), "a", "next attribution method", "next_method"),
    Key(
        ("Shift+e",), "E", "tell, or find, the samples that activate the picked channel most", "tell_strongest_samples"
    ),
    Key(("i",), "i", "show, hide the arithmetic of what is picked", "toggle_arithmetic"),
    Key(("u",), "u", "unfold, fold the channels of the layer under the pointer", "unfold"),
    Key(
        ("d",),
        "d D",
        "what if: mute the channel, neuron or connection of the pick, or undo that; D undoes the last change",
        "mute",
    ),
    Key(
        ("Shift+d",),
        "d D",
        "what if: mute the channel, neuron or connection of the pick, or undo that; D undoes the last change",
        "undo",
    ),
    Key(
        ("Shift+a",),
        "A",
        "what if: mute, halve, double, freeze what is picked, or change nothing: the next of these",
        "next_change",
    ),
    Key(
        ("Shift+s",),
        "S",
        "what if: choose whether the channel, the number or the whole layer of the pick is changed",
        "next_place",
    ),
    Key(("Shift+x",), "X Z", "what if: undo all changes; Z tells them", "reset_changes"),
    Key(("Shift+z",), "X Z", "what if: undo all changes; Z tells them", "tell_changes"),
    Key(("Shift+p",), "P", "what if: paint over the input by dragging on its picture, or erase paint", "next_tool"),
    Key(("z",), "z", "open the group under the pointer, close the group around a layer", "toggle_group"),
    Key(("o",), "o", "next order of channels: index, mean, contribution", "next_channel_order"),
    Key(
        ("p",),
        "p",
        "channels: activations, inputs that maximize them, best samples",
        "next_channel_pictures",
    ),
    Key(("e",), "e", "points: embedding of the next layer", "next_embedding"),
    Key(("l",), "l", "points: colour by label, prediction, score, or the next column of a table", "next_point_colors"),
    Key(("Shift+l",), "L", "points: choose by a lasso, by a box, or no longer; drag around them", "next_shape"),
    Key(
        ("Shift+n",), "N", "points: pick the nearest one of the picked one, and then the next nearest", "next_neighbour"
    ),
    Key(("y",), "y", "points: all, wrong predictions, the class of the picked one", "next_point_filter"),
    Key(("Shift+y",), "Y", "points: hide, show those that are not searched for", "isolate_points"),
    Key(("[",), "[ ]", "lower, raise the threshold: more, fewer cells", "lower_threshold", repeats=True),
    Key(("]",), "[ ]", "lower, raise the threshold: more, fewer cells", "raise_threshold", repeats=True),
    Key(("m",), "m", "next colour map", "next_colormap"),
    Key(("n",), "n", "next colour scale: per layer, one for all, symmetric", "next_normalization"),
    Key(("g",), "g", "strongest lines by weight, by contribution", "next_ranking"),
    Key(("v",), "v V", "bookmark this view, or remove its bookmark; V shows the next bookmark", "keep_bookmark"),
    Key(("Shift+v",), "v V", "bookmark this view, or remove its bookmark; V shows the next bookmark", "next_bookmark"),
    Key(("k",), "k K", "add a keyframe of the camera here, remove the last one", "add_keyframe"),
    Key(("Shift+k",), "k K", "add a keyframe of the camera here, remove the last one", "remove_keyframe"),
    Key(("s",), "s", "save a picture", "save"),
    Key(("w",), "w", "write a scene file that opens as it is shown, and records its keyframes", "write"),
    Key(("Escape",), "Esc", "clear the pick, then the highlighted layer; stop the model", "clear"),
    Key(("h", "H", "?", "F1"), "h", "show, hide this help", "toggle_help"),
    Key(("q", "Q"), "q", "quit", "quit"),
)


def described() -> tuple[tuple[str, str], ...]:
    """Return label and action of each mouse action and key, without repetitions, and what only the page can do."""
    return tuple(dict.fromkeys([*MOUSE, *((key.label, key.words) for key in KEYS), PAGE]))


def table() -> str:
    """Return the table for the documentation, in Markdown."""
    lines = [
        f"| {label if (label, words) in (*MOUSE, PAGE) else f'`{label}`'} | {words} |" for label, words in described()
    ]
    return "\n".join(["| mouse, key | what it does |", "|---|---|", *lines])
