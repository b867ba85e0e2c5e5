"""The text of a view: written and read again, the same in Python and in the browser, and refused in one sentence."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnviz3d.client.bundle import bundle
from nnviz3d.data.records import RANKINGS
from nnviz3d.errors import SceneError
from nnviz3d.scene.look import LookSpec, PickSpec, PoseSpec
from nnviz3d.scene.points_look import PointsSpec, runs_of
from nnviz3d.scene.view_text import ViewState, decode_view, encode_view

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = st.one_of(
    st.text(min_size=1, max_size=12), st.sampled_from(["conv2d_1", "a/b:c", "a,b~c!", "é→😀", "%2C", "+ &"])
)
COUNTS = st.integers(0, 10**15 - 1)
FIXED = st.integers(0, 10**8).map(lambda n: n / 1e5)
SHARES = st.integers(0, 10**5).map(lambda n: n / 1e5)
PLACES = st.integers(-(10**9), 10**9).map(lambda n: n / 1e5)
POINTS = st.tuples(PLACES, PLACES, PLACES)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


RUNS = st.sets(st.integers(0, 10**9 - 1) | st.integers(0, 20), max_size=9).map(lambda some: runs_of(sorted(some)))
POINT_CHOICES = st.builds(
    PointsSpec,
    name=maybe(NAMES),
    of_class=maybe(COUNTS),
    wrong=maybe(st.just(True)),
    column=maybe(NAMES),
    value=maybe(NAMES),
    low=maybe(PLACES),
    high=maybe(PLACES),
    isolated=maybe(st.just(True)),
    chosen=maybe(RUNS),
)
LOOKS = st.builds(
    LookSpec,
    time=maybe(st.integers(0, 360_000_000).map(lambda n: n / 1e5)),
    layer=maybe(NAMES),
    threshold=maybe(SHARES),
    colormap=maybe(st.sampled_from(["inferno", "ember-ice"])),
    normalize=maybe(st.sampled_from(["layer", "symmetric"])),
    ranking=maybe(st.sampled_from(RANKINGS)),
    quantity=maybe(st.sampled_from(["activation", "gradient_x_activation"])),
    against=maybe(COUNTS),
    target=maybe(NAMES),
    method=maybe(NAMES),
    map_opacity=maybe(SHARES),
    unfold=maybe(NAMES),
    unfolded=maybe(SHARES),
    channel_order=maybe(st.just("mean")),
    embedding=maybe(NAMES),
    colored_by=maybe(NAMES),
    points=maybe(POINT_CHOICES),
    step=maybe(COUNTS),
    pick=maybe(st.builds(PickSpec, layer=NAMES, index=maybe(st.lists(COUNTS, max_size=4).map(tuple)))),
    opened=maybe(st.lists(NAMES, max_size=4).map(tuple)),
    interventions=maybe(
        st.lists(st.sampled_from(["mute conv2d[3]", "scale a/b[0,5,3]->é by -0.5", "freeze a,b~c!"]), max_size=3).map(
            tuple
        )
    ),
)


@st.composite
def poses(draw: st.DrawFn) -> PoseSpec:
    position, target = draw(st.tuples(POINTS, POINTS).filter(lambda pair: pair[0][0] != pair[1][0]))
    up = draw(st.sampled_from([(0.0, 1.0, 0.0), (0.0, 0.6, 0.8)]))
    return PoseSpec(
        position=position,
        target=target,
        up=up,
        field_of_view=draw(st.sampled_from([26.0, 40.5])),
        aspect=draw(maybe(st.integers(1000, 300_000).map(lambda n: n / 1e5))),
    )


VIEWS = st.builds(ViewState, sample=maybe(COUNTS), look=LOOKS, pose=maybe(poses()))


@settings(max_examples=200, deadline=None)
@given(VIEWS)
def test_view_is_read_as_it_was_written(view: ViewState) -> None:
    text = encode_view(view)
    assert re.fullmatch(r"[A-Za-z0-9._~,!-]*", text), "no character is changed in an address"
    assert decode_view(text) == view


def test_text_of_a_view_is_short() -> None:
    look = LookSpec(time=4.5, layer="conv2d_1", threshold=0.25)
    pose = PoseSpec(position=(1.5, 2, 8), target=(0, 0, 0))
    assert encode_view(ViewState(sample=3, look=look, pose=pose)) == "1~s3~t4.5~p1.5,2,8,0,0,0~lconv2d_1~h0.25"
    assert encode_view(ViewState()) == "1"


def test_fields_that_make_the_text_too_long_are_left_out() -> None:
    many = tuple(f"a_rather_long_name_of_a_group_{i}" for i in range(1000))
    view = ViewState(sample=1, look=LookSpec(layer="dense", opened=many))
    assert decode_view(encode_view(view)) == ViewState(sample=1, look=LookSpec(layer="dense"))


WRONG = [
    "",
    "2~s1",
    "1~",
    "1~s",
    "1~s-1",
    "1~s1.5",
    "1~s1~s2",
    "1~Z1",
    "1~t1e5",
    "1~t3601",
    "1~tNaN",
    "1~h1.01",
    "1~h-0.1",
    "1~cjet",
    "1~nbad",
    "1~qfoo",
    "1~l",
    "1~l!",
    "1~l!FF",
    "1~l!e2",
    "1~l<script>",
    "1~l" + "a" * 1001,
    "1~p1,2,3",
    "1~p1,2,3,1,2,3",
    "1~p0,5,0,0,0,0",
    "1~p1,2,3,0,0,0,0,0,0",
    "1~p1,2,9999999999,0,0,0",
    "1~p1,2,3,0,0,0,0,1,0,0.5",
    "1~k0",
    "1~x,1",
    "1~xa,1,b",
    "1~xa," + ",".join("1" * 40),
    "1~wa,",
    "1~Imute,",
    "1~Imute",
    "1~Ipaint!20a",
    "1~yz",
    "1~yw1",
    "1~yn",
    "1~yna,nb",
    "1~yw,",
    "1~yl1e5",
    "1~yc-1",
    "1~ys3-2",
    "1~ys3-3",
    "1~ys3.4",
    "1~ys4.3",
    "1~ys1.",
    "1~ys0-999999999",
    "1~ys" + ".".join(str(2 * k) for k in range(1200)),
    "1" + "~" * 7000,
    "\u0000",
    "1~l\ud800",
]
LOOSE = {"1~Imute", "1~Ipaint!20a", "1~cjet", "1~nbad", "1~qfoo", "1~xa," + ",".join("1" * 40)}
"""Texts whose names and lengths are checked by what the view is applied to in the browser."""


@pytest.mark.parametrize("text", WRONG)
def test_text_that_is_no_view_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(SceneError, match="is not understood") as error:
        decode_view(text)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text("1~stplhx,.!-0Fa", max_size=60).map(lambda text: f"1~{text}")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        view = decode_view(text)
    except SceneError:
        return
    assert decode_view(encode_view(view)) == view or "." in text, "numbers are rounded once"


def examples() -> list[ViewState]:
    found: list[ViewState] = []

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(VIEWS)
    def collect(view: ViewState) -> None:
        found.append(view)

    collect()
    return found


def plain(view: ViewState) -> dict[str, Any]:
    """Return the object that the browser reads for a view."""
    data = json.loads(json.dumps(view.model_dump(exclude_none=True)))
    return {**data.pop("look"), **data}


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Any:
    page = chromium.new_page()
    page.goto("about:blank")
    script = bundle("view_text.js").replace("export {", "window.views = {")
    page.evaluate(f"() => {{ {script} }}")
    yield page
    page.close()


READ = """(texts) => texts.map((text) => {
  try { return { view: window.views.decodeView(text) }; } catch (error) { return { problem: error.message }; }
})"""


def test_browser_reads_and_writes_the_same_texts(page: Page) -> None:
    views = examples()
    assert len(views) > 100
    texts = [encode_view(view) for view in views]
    read = page.evaluate(READ, texts)
    assert [one.get("view") for one in read] == [plain(view) for view in views]
    assert page.evaluate("(views) => views.map(window.views.encodeView)", [plain(view) for view in views]) == texts


def test_browser_refuses_what_python_refuses(page: Page) -> None:
    wrong = [text for text in WRONG if not re.search("[\ud800-\udfff]", text)]
    for text, found in zip(wrong, page.evaluate(READ, wrong), strict=True):
        assert ("problem" in found) == (text not in LOOSE), (text[:80], found)
        assert "problem" not in found or found["problem"].startswith("The view in the address is not understood (")


def test_browser_and_python_agree_on_damaged_texts(page: Page) -> None:
    chance = random.Random(4)
    texts = []
    for view in examples():
        text = list(encode_view(view))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            text[at : at + chance.randint(0, 1)] = chance.choice(["", "~", ",", "!", "-", ".", "0", "9", "s", "é"])
            if not text:
                break
        texts.append("".join(text))
    accepted = 0
    for text, found in zip(texts, page.evaluate(READ, texts), strict=True):
        try:
            view = decode_view(text)
        except SceneError:
            continue
        accepted += 1
        assert found.get("view") == plain(view), text
    assert accepted > 3


def test_numbers_are_rounded_alike(page: Page) -> None:
    numbers = [0.000005, 0.000015, 0.0312548828125, -0.0312548828125, 1234.567891, -0.000001, 2.5, 999999.999999, 3e-9]
    views = [
        {"pose": {"position": [n, 0, 1e4], "target": [0, 0, 0], "up": [0, 1, 0], "field_of_view": 26}} for n in numbers
    ]
    in_browser = page.evaluate("(views) => views.map(window.views.encodeView)", views)
    assert in_browser == [
        encode_view(ViewState(pose=PoseSpec(position=(n, 0, 1e4), target=(0, 0, 0)))) for n in numbers
    ]


def test_pose_steps_back_in_a_narrower_picture_as_in_python(page: Page) -> None:
    spec = PoseSpec(position=(1, 2, 10), target=(0, 0, 2), up=(0, 2, 0), aspect=1.6)
    for aspect in (0.5, 1.6, 3.0):
        found = page.evaluate(
            "([pose, aspect]) => window.views.poseInPicture(pose, aspect)", [spec.model_dump(), aspect]
        )
        pose = spec.pose(aspect)
        assert found["position"] == pytest.approx(pose.position)
        assert found["up"] == pytest.approx(pose.up)
