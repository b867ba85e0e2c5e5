"""The client's viewer: when it draws, what it says, and what it does if the graphics card fails."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.primitives import DrawList, Label, Labels, Lines, Points, Voxels
from tests.support.client_page import ClientPage, client_page

POSE = CameraPose((0.0, 0.0, 12.0), (0.0, 0.0, 0.0))
VIRIDIS = colormap("viridis")


@pytest.fixture(scope="module")
def page(webgl):
    with client_page(webgl, (400, 300)) as opened:
        yield opened


def block(name: str, x: float, values: np.ndarray) -> Voxels:
    cell = 2 / max(values.shape)
    return Voxels(name, values.astype(np.float32), (x, -1.0, -1.0), (cell, cell, cell), VIRIDIS, (0.0, 1.0))


def at(page: ClientPage, x: float, y: float = 0.0) -> np.ndarray:
    """Return the colour of the picture where a point of the plane through the target is."""
    pixels = page.pixels()
    height, width = pixels.shape[:2]
    unit = height / (2 * 12 * np.tan(np.radians(POSE.field_of_view / 2)))
    return pixels[int(height / 2 - y * unit), int(width / 2 + x * unit)].astype(int)


LAST = VIRIDIS.table[-1].astype(int)


def is_yellow(color: np.ndarray) -> bool:
    """Whether a colour is the last one of the map, at any brightness that a lit face has."""
    return bool(np.abs(color / max(color.max(), 1) - LAST / LAST.max()).max() < 0.06 and color.max() > 120)


def picture(*blocks: Voxels) -> DrawList:
    return DrawList(tuple(blocks))


def rendered(page: ClientPage, drawer: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return a moving picture with the full walk and with the coarse one, and whether a drawer, an expression, used it."""
    *pixels, swapped = page.page.evaluate(
        f"""() => {{
          const r = viewer.renderer, gl = r.graphics.gl, [width, height] = r.size;
          const pixels = (coarse) => {{
            r.render(viewer.pose, {{ careful: false, coarse }});
            const found = new Uint8Array(width * height * 4);
            gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, found);
            return Array.from(found);
          }};
          return [pixels(false), pixels(true), Boolean({drawer}?.coarse)];
        }}"""
    )
    fine, coarse = (np.array(one, dtype=int).reshape(300, 400, 4)[..., :3] for one in pixels)
    return fine, coarse, swapped


class TestBlocks:
    def test_a_block_has_the_colour_of_its_numbers_where_it_projects(self, page):
        page.show(picture(block("a", -2.0, np.ones((1, 1, 1))), block("b", 1.0, np.zeros((1, 1, 1)))), POSE)
        assert is_yellow(at(page, -1.0))
        dark = at(page, 2.0)
        assert dark[2] > dark[0] > dark[1]

    def test_threshold_reveal_and_spare_cells_hide_cells(self, page):
        row = block("a", -2.0, np.ones((4, 1, 1)))
        page.show(picture(replace(row, cell=(1.0, 1.0, 1.0), reveal=0.5)), POSE)
        assert is_yellow(at(page, -1.5, -0.5))
        assert not is_yellow(at(page, 1.5, -0.5))
        page.show(picture(replace(row, cell=(1.0, 1.0, 1.0), count=3)), POSE)
        assert is_yellow(at(page, 0.5, -0.5))
        assert not is_yellow(at(page, 1.5, -0.5))
        numbers = np.array([1.0, 0.1, 0.1, 1.0], dtype=np.float32).reshape(4, 1, 1)
        page.show(picture(replace(row, values=numbers, cell=(1.0, 1.0, 1.0), threshold=0.5)), POSE)
        assert [is_yellow(at(page, x, -0.5)) for x in (-1.5, -0.5, 0.5, 1.5)] == [True, False, False, True]

    @pytest.mark.parametrize("threshold", [0.0, 0.05, 0.6])
    def test_the_walk_of_coarse_pictures_finds_the_same_cells(self, page, threshold):
        values = np.random.default_rng(0).random((48, 70, 37)) ** 8
        what = picture(replace(block("a", -1.0, values), threshold=threshold, count=36 * 70 + 5))
        page.show(what, replace(POSE, position=(7.0, 5.0, 9.0)))
        fine, coarse, swapped = rendered(page, "r.drawers.get('Voxels a')")
        assert swapped, "the cells are too large for the walk of coarse pictures"
        differs = np.abs(fine - coarse).max(-1) > 8
        assert (fine.max(-1) > 60).mean() > 0.02
        # A ray through an edge between cells may meet either of them.
        assert differs.mean() < 0.002

    def test_bundles_of_faint_lines_are_as_bright_in_coarse_pictures(self, page):
        rng = np.random.default_rng(0)
        ends = rng.uniform(-1.5, 1.5, (200, 2, 3)).astype(np.float32)
        colors = np.tile(np.float32([1.0, 0.8, 0.6, 0.03]), (200, 1))
        page.show(DrawList((Lines("l", ends, colors),)), POSE)
        fine, coarse, _ = rendered(page, "null")
        empty = fine[0, 0]
        assert np.abs((coarse - empty).mean() / (fine - empty).mean() - 1) < 0.2

    def test_coarse_picture_of_a_large_cloud_has_fewer_points_and_says_so(self, page):
        count = 61_000
        places = np.random.default_rng(0).uniform(-1.5, 1.5, (count, 3)).astype(np.float32)
        colors = np.ones((count, 4), dtype=np.float32)
        # Only the points after the first 60,000 are visible.
        sizes = np.where(np.arange(count) < 60_000, 0.0, 3.0).astype(np.float32)
        page.show(DrawList((Points("cloud", places, colors, sizes),)), POSE)
        fine, coarse, _ = rendered(page, "null")
        lit = [(one.max(-1) > 60).sum() for one in (fine, coarse)]
        assert 0.9 * lit[0] < lit[1] < lit[0], "60,000 points of 61,000, from the whole cloud"
        told = page.page.evaluate("client.withCountOfPoints(shown[0]).primitives[1].rows[0].text")
        assert told == "60,000 of 61,000 points are drawn while the picture moves"

    def test_ranks_in_javascript_skip_no_cell_that_is_shown(self, page):
        rng = np.random.default_rng(0)
        values = (rng.random((37, 21, 18)) ** 8).astype(np.float32)
        values[5, 6, 7], values[30, 20, 17] = np.nan, -np.inf
        found = page.page.evaluate(
            """([data, shape]) => {
              const levels = client.rankLevels({ data: Float32Array.from(data.map(Number)), shape });
              const texels = Array.from(levels.data);
              const ranks = [0, 0.001, 0.3, 5].map((bound) => client.thresholdRank(levels.bounds, bound));
              const ranges = ranks.map((rank) => client.shownRange(levels, shape, rank));
              return { texels, shape: levels.shape, ranks, ranges };
            }""",
            [[str(v).replace("inf", "Infinity").replace("nan", "NaN") for v in values.T.ravel()], values.T.shape],
        )
        levels = np.array(found["texels"]).reshape(*found["shape"], 4)
        shown_at = [np.ones(values.T.shape, dtype=bool), *(~(np.abs(values.T) < b) for b in (0.001, 0.3, 5))]
        for rank, shown, ranges in zip(found["ranks"], shown_at, found["ranges"], strict=True):
            where = np.argwhere(shown)
            for k in range(4):
                side = 2 << k
                for cell in where:
                    assert levels[(*(cell // 2), k)] >= rank, (cell, side)
            first, end = (np.array(corner[::-1]) for corner in ranges)
            assert (where >= first).all()
            assert (where < end).all()
            assert (end - first).max() <= max(values.shape)
        assert found["ranks"] == sorted(found["ranks"])
        assert (levels[..., 0] < found["ranks"][-1]).mean() > 0.9


class TestFailures:
    def test_a_block_too_large_for_the_browser_is_named_and_the_others_are_drawn(self, page):
        page.page.evaluate(
            "() => { window.most = viewer.renderer.graphics.largest; viewer.renderer.graphics.largest = 8; }"
        )
        page.show(picture(block("big <b>", -2.0, np.ones((9, 9, 9))), block("small", 1.0, np.ones((2, 2, 2)))), POSE)
        problems = page.page.evaluate("problems")
        assert len(problems) == 1
        assert problems[0].startswith("big <b> is not drawn: 9 x 9 x 9 cells are too many for this browser's graphics")
        assert is_yellow(at(page, 1.5, 0.5))
        page.page.evaluate("() => { viewer.renderer.graphics.largest = window.most; }")
        page.show(picture(block("small", 1.0, np.ones((2, 2, 2)))), POSE)
        assert page.page.evaluate("problems") == []

    def test_the_picture_returns_after_the_graphics_card_was_lost(self, page):
        page.show(picture(block("a", -1.0, np.ones((2, 2, 2)))), POSE)
        before = page.pixels()
        page.page.evaluate(
            "() => { window.card = viewer.renderer.graphics.gl.getExtension('WEBGL_lose_context'); card.loseContext(); }"
        )
        page.page.wait_for_function("() => problems.length === 1 && viewer.renderer.lost")
        assert "graphics card" in page.page.evaluate("problems")[0]
        page.page.evaluate("() => { drawn.length = 0; card.restoreContext(); }")
        page.rest()
        assert page.page.evaluate("problems") == []
        np.testing.assert_array_equal(page.pixels(), before)

    def test_many_cells_are_uploaded_over_several_frames_and_all_arrive(self, page):
        many = np.ones((160, 160, 40))
        page.send(picture(*(block(f"{k}", 1.2 * k - 2.4, many * (k % 2)) for k in range(4))))
        waiting = page.page.evaluate(
            """(pose) => {
              drawn.length = 0;
              viewer.home(pose);
              viewer.show(shown[0]);
              return viewer.renderer.waiting.length;
            }""",
            asdict(POSE),
        )
        assert waiting == 4
        page.rest()
        assert page.page.evaluate("viewer.renderer.waiting.length") == 0
        assert is_yellow(at(page, -0.7))


class TestLoop:
    def test_nothing_is_drawn_while_nothing_changes(self, page):
        page.show(picture(block("a", -1.0, np.ones((2, 2, 2)))), POSE)
        page.page.evaluate("() => { drawn.length = 0; }")
        page.page.wait_for_timeout(400)
        assert page.page.evaluate("drawn.length") == 0
        assert page.page.evaluate("viewer.frame") is None

    def test_a_moving_picture_is_rough_and_a_resting_one_is_whole_and_smooth(self, page):
        page.show(picture(block("a", -1.0, np.ones((2, 2, 2)))), POSE)
        before = page.pixels()
        page.page.evaluate(
            """async (pose) => {
              drawn.length = 0;
              for (let i = 0; i < 6; ++i) {
                viewer.look({ ...pose, position: [0.1 * i, 0, 12] });
                await new Promise(requestAnimationFrame);
              }
              viewer.look(pose);
            }""",
            asdict(POSE),
        )
        page.rest()
        drawn = page.page.evaluate("drawn")
        assert any(how["moving"] for how in drawn)
        assert [how["moving"] for how in drawn[-2:]] == [False, False]
        np.testing.assert_array_equal(page.pixels(), before)

    def test_text_is_in_a_coarse_picture_where_frames_are_slow(self, page):
        words = Label((-1.0, -1.0, -1.0), ("a name that is long",), span=(2.0, 2.0, 2.0))
        page.show(DrawList((block("a", -1.0, np.ones((2, 2, 2))), Labels("names", (words,)))), POSE)
        whole = page.pixels().astype(float)
        shown = page.page.evaluate(
            """async (pose) => {
              const pace = { ...viewer.pace };
              Object.assign(viewer.pace, { coarse: true, slow: true });
              viewer.changes.last = performance.now();
              viewer.look({ ...pose });
              await new Promise(requestAnimationFrame);
              viewer.changes.last = Infinity;  // so that it does not rest
              Object.assign(viewer.pace, pace);
              await new Promise(requestAnimationFrame);
              return [viewer.words.style.display, viewer.picture.width];
            }""",
            asdict(POSE),
        )
        assert shown == ["none", 160]
        coarse = page.pixels().astype(float)
        page.page.evaluate("() => { drawn.length = 0; viewer.changes.last = 0; }")
        page.rest()
        assert page.page.evaluate("viewer.words.style.display") == "block"
        np.testing.assert_array_equal(page.pixels(), whole)
        below = slice(212, 232)
        assert whole[below].max() > 180
        assert coarse[below].max() > 120
        assert np.abs(coarse - whole).mean() < 5

    def test_text_returns_after_slow_frames_in_another_size(self, page):
        words = Label((-1.0, -1.0, -1.0), ("a name that is long",), span=(2.0, 2.0, 2.0))
        page.show(DrawList((block("a", -1.0, np.ones((2, 2, 2))), Labels("names", (words,)))), POSE)
        whole = page.pixels()
        height = page.page.evaluate(
            """async (pose) => {
              const pace = { ...viewer.pace };
              Object.assign(viewer.pace, { coarse: true, slow: true });
              viewer.changes.last = performance.now();
              viewer.element.style.bottom = "60px";
              viewer.look({ ...pose });
              await new Promise(requestAnimationFrame);
              const found = viewer.picture.height;
              viewer.element.style.bottom = 0;
              Object.assign(viewer.pace, pace);
              drawn.length = 0;
              viewer.look(pose);
              return found;
            }""",
            asdict(POSE),
        )
        assert height == 96, "a coarse frame of the smaller picture was drawn"
        page.rest()
        np.testing.assert_array_equal(page.pixels(), whole)

    def test_saved_picture_is_the_shown_one(self, page):
        page.show(picture(block("a", -1.0, np.ones((2, 2, 2)))), POSE)
        shown = page.pixels()
        saved = page.page.evaluate(
            """async () => {
              const bitmap = await createImageBitmap(await viewer.save());
              const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
              context.drawImage(bitmap, 0, 0);
              return Array.from(context.getImageData(0, 0, bitmap.width, bitmap.height).data);
            }"""
        )
        pixels = np.array(saved, dtype=np.uint8).reshape(*shown.shape[:2], 4)[..., :3]
        assert np.abs(pixels.astype(int) - shown).max() <= 1
