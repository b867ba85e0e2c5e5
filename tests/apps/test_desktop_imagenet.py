"""The window on EfficientNet-Lite0 with photographs: real keys and clicks; pixels, state, and the model's numbers.

All tests share one window; each leaves it as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from nnviz3d.scene.colors import score
from nnviz3d.scene.spec import SceneSpec, read_scene
from tests.apps.test_desktop import PATIENCE, SIZE, Shown, saved, shown, wait_until, words, x_server
from tests.support.imagenet import Photographs, photographs
from tests.support.screen import shows

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
PALACE, DAISY = 698, 985
MIDDLE = (SIZE[0] // 2, SIZE[1] // 2)
BRUSH = "brush: drag over the input's picture · P: eraser · D: undo · Esc: end"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    """The network and its photographs, with mirrored and turned ones, because an embedding needs five samples."""
    found = photographs(tmp_path_factory.mktemp("imagenet"))
    for name in ("china", "flower"):
        with Image.open(found.folder / f"{name}.png") as picture:
            ImageOps.mirror(picture).save(found.folder / f"{name}_mirrored.png")
            ImageOps.flip(picture).save(found.folder / f"{name}_turned.png")
    return found


@pytest.fixture(scope="module")
def window(network: Photographs) -> Iterator[Shown]:
    names = ("china", "flower", *(f"{name}_{how}" for name in ("china", "flower") for how in ("mirrored", "turned")))
    inputs = [text for name in names for text in ("--input", f"{name}.png")]
    arguments = ("efficientnet_lite0.keras", *inputs, "--classes", "efficientnet_lite0.txt")
    with x_server() as display, shown(display, network.folder, *arguments) as window:
        window.folder = network.folder
        yield window


@pytest.fixture
def first(window: Shown) -> Iterator[np.ndarray]:
    """The picture at the beginning of a test, and at its end."""
    picture = saved(window)
    yield picture
    assert np.array_equal(saved(window), picture), "the test leaves the window as it was"


def says(window: Shown, *lines: str, patience: float = PATIENCE) -> None:
    wait_until(
        lambda: shows(window.screen(), words(*lines)),
        f"the window says: {' / '.join(lines)}",
        patience=patience,
        pause=0.3,
    )


def state(window: Shown) -> SceneSpec:
    """Return what the window shows as a scene file says it."""
    before = len(window.lines)
    window.press("w")
    line = window.said(before + 1)[-1]
    name = re.match(r"saved (my\S*\.toml)", line)
    assert name is not None, line
    return read_scene(Path(window.folder) / name[1])


def differs(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the scene, without the panels at its edges, shows other cells."""
    middle = np.s_[SIZE[1] // 6 : 5 * SIZE[1] // 6]
    return bool(np.mean(np.abs(one[middle].astype(int) - other[middle])) > 1)


def fly_to(window: Shown, place: str, told: str) -> np.ndarray:
    """Search a place by the keyboard, fly to it, and return the picture there."""
    window.press("slash")
    window.do("type", place)
    window.press("Return")
    says(window, told)
    window.still()
    return saved(window)


def pick_in_the_middle(window: Shown, layer: str) -> tuple[tuple[int, int, int], str]:
    """Click in the middle of the picture; returns the index of the number that is picked there, and what is printed."""
    before = len(window.lines)
    window.click(*MIDDLE)
    line = window.said(before + 1)[-1]
    found = re.fullmatch(rf"{layer} \[(\d+), (\d+), (\d+)\](?: = |: )(.*)", line)
    assert found is not None, line
    row, column, channel, told = found.groups()
    return (int(row), int(column), int(channel)), told


def test_search_flies_to_a_layer_where_a_click_picks_a_number_of_the_model(window, network, first):
    there = fly_to(window, "stem", "stem · Conv2D")
    assert differs(there, first)
    assert state(window).look.layer == "stem"
    index, told = pick_in_the_middle(window, "stem")
    assert float(told) == pytest.approx(network.numbers["stem"][0][index], rel=1e-4, abs=1e-5)
    pick = state(window).look.pick
    assert (pick.layer, pick.index) == ("stem", index)
    picked = saved(window)
    assert not np.array_equal(picked, there), "the number and its receptive field are marked"
    window.press("i")
    says(window, "arithmetic: shown")
    window.press("i")
    says(window, "arithmetic: hidden")
    assert np.array_equal(saved(window), picked)
    window.press("Escape")
    assert np.array_equal(saved(window), there)
    window.press("Escape", "r")


def test_muted_channel_changes_the_picture_and_gives_the_scores_of_a_model_without_it(window, network, first):
    near = fly_to(window, "head_relu", "head_relu · ReLU")
    index, told = pick_in_the_middle(window, "head_relu")
    assert float(told) == pytest.approx(network.numbers["head_relu"][0][index], rel=1e-4, abs=1e-4)
    picked = saved(window)
    window.press("d")
    before, after = network.numbers["scores"][0], network.scores_without(index[2])
    best = np.argsort(-np.maximum(before, after), kind="stable")[:3]
    assert PALACE in best
    scores = [f"{network.classes[i]}: {score(float(before[i]))} → {score(float(after[i]))}" for i in best]
    assert before.argmax() == after.argmax() == PALACE
    was, now = (score(float(one[PALACE])) for one in (before, after))
    answer = f"Without channel {index[2]} of head_relu, the answer stays {network.classes[PALACE]} ({was} → {now})."
    says(window, answer, " · ".join([*scores, "D: undo"]))
    muted = state(window).look
    assert (muted.interventions, muted.quantity) == ((f"mute head_relu[{index[2]}]",), "change")
    assert differs(saved(window), picked)
    window.press("D")
    says(window, "nothing is changed")
    wait_until(lambda: np.array_equal(saved(window), picked), "the numbers are the model's again")
    assert state(window).look.interventions is None
    window.press("Escape")
    assert np.array_equal(saved(window), near)
    window.press("Escape", "r")


def test_paint_over_the_photograph_changes_the_layers_and_is_undone(window, first):
    window.press("P")
    says(window, BRUSH)
    window.drag((100, 150), (170, 190))
    window.press("Escape")
    wait_until(lambda: differs(saved(window), first), "the blocks show the change by the paint")
    window.press("D")
    wait_until(lambda: np.array_equal(saved(window), first), "the paint is undone")


def test_next_sample_shows_the_numbers_of_the_other_photograph(window, network, first):
    window.press("Right")
    wait_until(lambda: differs(saved(window), first), "the model has run on the flower")
    assert state(window).source.sample == 1
    fly_to(window, "head_relu", "head_relu · ReLU")
    index, told = pick_in_the_middle(window, "head_relu")
    assert float(told) == pytest.approx(network.numbers["head_relu"][1][index], rel=1e-4, abs=1e-4)
    assert network.numbers["scores"][1].argmax() == DAISY
    window.press("Escape", "Escape", "r", "Left")
    wait_until(lambda: np.array_equal(saved(window), first), "the first photograph is there again")


def test_bookmark_comes_back_to_its_view(window, first):
    there = fly_to(window, "block3b", "block3b · group of 9 layers")
    window.press("v")
    says(window, "bookmark 1: Activations · china.png · block3b · V: next bookmark")
    window.press("Escape", "r")
    assert np.array_equal(saved(window), first)
    window.press("V")
    says(window, "bookmark 1 of 1: Activations · china.png · block3b")
    assert np.array_equal(saved(window), there)
    assert state(window).look.layer == "block3b"
    window.press("v")
    says(window, "removed the bookmark: Activations · china.png · block3b")
    window.press("Escape", "r")


def test_tab_goes_through_the_perspectives_and_returns(window, first):
    last = first
    for title, sentence in (
        ("Filters", "the weights of a convolution, filter by filter"),
        ("Neurons", "each neuron as a ball, its strongest weights as lines"),
        ("Network", "the layers, and how they are connected"),
    ):
        window.press("shift+Tab")
        says(window, f"{title}: {sentence}")
        last, before = saved(window), last
        assert differs(last, before), title
    window.press("Tab", "Tab", "Tab")
    says(window, "Activations: each layer's numbers for the sample, from input to output")


def test_gradients_are_computed_of_one_class_and_of_the_next(window, network, first):
    window.press("Tab", "Tab", "Tab")
    says(window, "Gradients: not captured; press Return to let the model compute it")
    window.press("Return")
    says(window, "Gradients: which numbers would raise the score of a class")
    of_palace = saved(window)
    assert differs(of_palace, first)
    fly_to(window, "head_relu", "head_relu · ReLU")
    index, told = pick_in_the_middle(window, "head_relu")
    shown_number = re.search(r"\bgradient (\S+),", told)
    slope = network.numbers["gradient of head_relu"][0][index]
    assert float(shown_number[1]) == pytest.approx(slope, rel=0.02, abs=1e-6)
    window.press("Escape", "Escape", "r")
    scores = network.numbers["scores"][0]
    best, second = (f"{network.classes[i]} · {score(float(scores[i]))}" for i in np.argsort(-scores)[:2])
    window.press("c")
    says(window, f"explained: {second}")
    assert differs(saved(window), of_palace)
    assert state(window).look.target == f"scores[{np.argsort(-scores)[1]}]"
    window.press("C")
    says(window, f"explained: {best}")
    assert np.array_equal(saved(window), of_palace)
    window.press("shift+Tab", "shift+Tab", "shift+Tab")
    says(window, "Activations: each layer's numbers for the sample, from input to output")


def test_decision_is_computed_and_its_map_is_shown(window, first):
    window.press("Tab", "Tab", "Tab")
    says(window, "Gradients: which numbers would raise the score of a class")
    window.press("Tab")
    says(window, "Decisions: not captured; press Return to let the model compute it")
    window.press("Return")
    says(window, "Decisions: where in the sample the decision comes from", patience=4 * PATIENCE)
    assert differs(saved(window), first)
    window.press("shift+Tab")
    says(window, "Gradients: which numbers would raise the score of a class")
    window.press("shift+Tab", "shift+Tab", "shift+Tab")
    says(window, "Activations: each layer's numbers for the sample, from input to output")


def test_lasso_around_the_embedded_photographs_says_how_many_they_are(window, first):
    window.press("L")
    says(window, "This scene shows no points; Tab leads to the embedding")
    window.press(*["Tab"] * 6)
    says(window, "Embedding: not captured; press Return to let the model compute it")
    window.press("Return")
    says(window, "Embedding: all samples as points: alike for the network is near")
    assert differs(saved(window), first)
    window.press("L", "L")
    window.drag((2, 2), (SIZE[0] - 2, SIZE[1] - 2))
    counts = "by prediction: daisy (3), palace (2), boathouse (1)"  # a palace upside down stands at the water
    says(window, f"6 of 6 samples, {counts} · Y: hide the others · y: all points")
    window.press("y")
    window.press(*["shift+Tab"] * 6)
