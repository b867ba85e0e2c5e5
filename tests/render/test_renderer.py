"""Tests of the depth of all kinds of primitives, and of a window that stays equal to its draw list."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.render import lines as lines_module
from nnviz3d.render import placed_text
from nnviz3d.render import renderer as module
from nnviz3d.render.lines import LineRun
from nnviz3d.render.offscreen import Offscreen, halved
from nnviz3d.render.voxels import VoxelActor
from nnviz3d.scene.camera import CameraPose, fit
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Box, DrawList, Ends, Image, Label, Labels, Lines, Panel
from tests.render.conftest import SIZE
from tests.support.blocks import block, looking, picture_of, told_apart, which_hue
from tests.support.pinhole import pixel_at, to_pixels

FRONT = looking((0.0, 0.0), 14.0)
SLANTED = looking((-30.0, 20.0), 14.0)


def line(*points: tuple[float, float, float], name: str = "line", color=(1.0, 1.0, 1.0, 1.0), **kwargs) -> Lines:
    kwargs = {"width": 6.0, **kwargs}
    return Lines(name, np.array([points], dtype=np.float32), np.array([color], dtype=np.float32), **kwargs)


class TestDepth:
    @pytest.mark.parametrize("pose", [FRONT, SLANTED], ids=("front", "slanted"))
    @pytest.mark.parametrize(("z", "in_front"), [(1.5, True), (-1.5, False)])
    def test_line_is_drawn_in_front_of_a_voxel_or_behind_it(self, shoot, pose, z, in_front):
        voxel = told_apart(np.full((1, 1, 1), 40.0), cell=(2.0, 2.0, 2.0))
        middle = (0.0, 0.0, z)
        picture = shoot(picture_of(voxel, line((-5, 0, z), (5, 0, z))), pose)
        seen = picture[pixel_at(middle, pose, SIZE)]
        if in_front:
            assert seen.min() > 200
        else:
            # The cube is at the position of the line's middle.
            assert which_hue(seen) == 40
        assert picture[pixel_at((-3.5, 0.0, z), pose, SIZE)].min() > 150

    def test_line_is_drawn_between_the_voxels_of_one_block(self, shoot):
        values = np.zeros((1, 1, 5), dtype=np.float32)
        values[0, 0, 4], values[0, 0, 0] = 40, 90
        drawn = told_apart(values, threshold=0.5)
        through = line((-3, 0, 0), (3, 0, 0))
        spot = pixel_at((0, 0, 0), FRONT, SIZE)
        assert which_hue(shoot(picture_of(drawn, through), FRONT)[spot]) == 40
        values = values.copy()
        values[0, 0, 4] = 0
        assert shoot(picture_of(told_apart(values, threshold=0.5), through), FRONT)[spot].min() > 200

    def test_interleaved_blocks_hide_each_other_cube_by_cube(self, shoot):
        """From the front: the first cube of one block, the only cube of the other, the last cube of the first."""
        outer = np.zeros((1, 1, 5), dtype=np.float32)
        outer[0, 0, 4], outer[0, 0, 0] = 40, 90
        inner = np.zeros((1, 1, 3), dtype=np.float32)
        inner[0, 0, 1] = 200
        spot = pixel_at((0, 0, 0), FRONT, SIZE)
        seen = []
        for _ in range(3):
            a = told_apart(outer.copy(), name="outer", threshold=0.5)
            b = told_apart(inner.copy(), name="inner", threshold=0.5)
            both = [int(which_hue(shoot(picture_of(*order), FRONT)[spot])) for order in ((a, b), (b, a))]
            assert both[0] == both[1]
            seen.append(both[0])
            front = outer if outer[0, 0, 4] else inner
            front[...] = np.where(front == (40 if front is outer else 200), 0, front)
        assert seen == [40, 200, 90]

    def test_nearer_of_two_blocks_seen_at_an_angle_hides_the_other(self, shoot):
        near = told_apart(np.full((2, 2, 2), 40.0), name="near", origin=(-1.0, -1.0, 1.5))
        far = told_apart(np.full((2, 2, 2), 90.0), name="far", origin=(-1.0, -1.0, -3.5))
        for azimuth, hue in ((0.0, 40), (180.0, 90)):
            pose = looking((azimuth, 0.0), 20.0)
            assert which_hue(shoot(picture_of(near, far), pose)[pixel_at((0.5, 0.5, 0), pose, SIZE)]) == hue

    def test_solid_box_hides_voxels_and_voxels_hide_it(self, shoot):
        voxel = told_apart(np.full((1, 1, 1), 40.0))
        for z, hidden in ((1.0, True), (-3.0, False)):
            body = Box("body", (-1.0, -1.0, z), (2.0, 2.0, 1.0), (1.0, 0.0, 0.0), fill=0.9)
            seen = shoot(picture_of(voxel, body), FRONT)[pixel_at((0, 0, 0.5), FRONT, SIZE)].astype(int)
            if hidden:
                assert seen[0] > 60
                assert seen[1:].max() < 20
            else:
                assert which_hue(seen) == 40

    def test_image_hides_primitives_behind_it(self, shoot):
        pixels = np.full((4, 4, 3), (0, 0, 255), dtype=np.uint8)
        for z, blue in ((1.5, True), (-1.5, False)):
            image = Image("image", pixels, (-1.0, -1.0, z), (2.0, 2.0))
            voxel = told_apart(np.full((1, 1, 1), 40.0))
            seen = shoot(picture_of(voxel, image), FRONT)[pixel_at((0, 0, 0.5), FRONT, SIZE)]
            assert (seen.tolist() == [0, 0, 255]) == blue

    def test_camera_close_to_a_block_sees_distant_primitives_too(self, shoot):
        near = told_apart(np.full((1, 1, 1), 40.0), name="near", origin=(0.05, -0.5, 4.0))
        far = told_apart(np.full((1, 1, 1), 90.0), name="far", origin=(-30.0, -10.0, -60.0), cell=(20.0, 20.0, 1.0))
        pose = CameraPose((0.0, 0.0, 5.2), (0.0, 0.0, 0.0))
        assert {40, 90} <= set(np.unique(which_hue(shoot(picture_of(near, far), pose))))


class TestKinds:
    def test_background_is_a_gradient_from_its_lower_to_its_upper_colour(self, shoot):
        picture = shoot(DrawList((), background=((1.0, 0.0, 0.0), (0.0, 0.0, 1.0))), FRONT).astype(int)
        assert picture[-1, :, 0].min() > 250
        assert picture[0, :, 2].min() > 250
        assert (np.diff(picture[:, 0, 2]) <= 0).all()

    def test_image_is_upright_and_not_mirrored(self, shoot):
        pixels = np.zeros((2, 3, 3), dtype=np.uint8)
        pixels[0, 0] = (255, 0, 0)
        pixels[0, 2] = (0, 255, 0)
        pixels[1, 0] = (0, 0, 255)
        picture = shoot(picture_of(Image("image", pixels, (-1.5, -1.0, 0.0), (3.0, 2.0))), FRONT)
        for x, y, color in ((-1, 0.5, pixels[0, 0]), (1, 0.5, pixels[0, 2]), (-1, -0.5, pixels[1, 0])):
            assert picture[pixel_at((x, y, 0.0), FRONT, SIZE)].tolist() == color.tolist()

    def test_small_image_shows_its_pixels_as_squares(self, shoot):
        pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = shoot(picture_of(Image("image", pixels, (-2.0, -2.0, 0.0), (4.0, 4.0))), FRONT)
        for row in range(8):
            for column in range(8):
                for dx, dy in ((0.2, 0.2), (0.5, 0.5), (0.8, 0.8)):
                    at = (-2 + (column + dx) / 2, 2 - (row + dy) / 2, 0.0)
                    assert picture[pixel_at(at, FRONT, SIZE)].tolist() == pixels[row, column].tolist()

    def test_image_with_less_opacity_is_darker(self, shoot):
        pixels = np.full((4, 4, 3), 200, dtype=np.uint8)
        seen = [
            int(shoot(picture_of(Image("i", pixels, (-1, -1, 0), (2, 2), opacity=o)), FRONT)[90, 120, 0])
            for o in (0.0, 0.5, 1.0)
        ]
        assert seen[0] == 0
        assert seen[1] == pytest.approx(100, abs=2)
        assert seen[2] == 200

    def test_frame_is_drawn_along_its_edges_only(self, shoot):
        box = Box("box", (-2.0, -1.0, -1.0), (4.0, 2.0, 2.0), (0.0, 1.0, 0.0), edge=1.0)
        picture = shoot(picture_of(box), FRONT)
        near = to_pixels(np.array([[x, y, 1.0] for x in (-2, 2) for y in (-1, 1)]), FRONT, SIZE)
        lit_rows, lit_columns = np.nonzero(picture[..., 1] > 40)
        assert abs(lit_columns.min() - near[:, 0].min()) < 2.5
        assert abs(lit_columns.max() - near[:, 0].max()) < 2.5
        assert abs(lit_rows.min() - near[:, 1].min()) < 2.5
        assert picture[pixel_at((0, 0, 0), FRONT, SIZE)].max() == 0
        assert picture[..., (0, 2)].max() == 0

    def test_lines_have_their_colours_widths_and_opacity(self, shoot):
        points = np.array([[(-3, y, 0), (3, y, 0)] for y in (-1, 1)], dtype=np.float32)
        colors = np.array([(1, 0, 0, 1), (0, 0, 1, 0.5)], dtype=np.float32)
        picture = shoot(picture_of(Lines("lines", points, colors, width=12.0)), FRONT).astype(int)
        assert picture[pixel_at((0, -1, 0), FRONT, SIZE)].tolist() == [255, 0, 0]
        blue = picture[pixel_at((0, 1, 0), FRONT, SIZE)]
        assert blue[2] == pytest.approx(127, abs=6)
        thick = (picture[:, 120, 0] > 100).sum()
        thin = (shoot(picture_of(Lines("lines", points, colors, width=4.0)), FRONT)[:, 120, 0] > 100).sum()
        assert thick > thin > 0

    def test_later_of_two_crossing_lines_is_on_top_and_keeps_its_colour(self, shoot):
        points = np.array([[(-3, -3, 0), (3, 3, 0)], [(-3, 3, 0), (3, -3, 0)]], dtype=np.float32)
        colors = np.array([(1, 0.5, 0, 0.9), (0, 0.5, 1, 0.9)], dtype=np.float32)
        for order in ([0, 1], [1, 0]):
            crossing = Lines("lines", points[order], colors[order], width=10.0)
            seen = shoot(picture_of(crossing), FRONT)[pixel_at((0, 0, 0), FRONT, SIZE)] / 255
            under, over = colors[order][:, :3] * 0.9
            assert seen == pytest.approx(over + under * 0.1, abs=0.03)

    def test_lines_that_return_have_their_earlier_order(self, shoot):
        points = np.array([[(-3, -3, 0), (3, 3, 0)], [(-3, 3, 0), (3, -3, 0)]], dtype=np.float32)
        colors = np.array([(1, 0.5, 0, 0.9), (0, 0.5, 1, 0.9)], dtype=np.float32)
        under, over = (Lines(f"{i}", points[i : i + 1], colors[i : i + 1], width=10.0) for i in (0, 1))
        both = shoot(picture_of(under, over), FRONT)
        shoot(picture_of(over), FRONT)
        assert np.array_equal(shoot(picture_of(under, over), FRONT), both)

    def test_lines_of_one_width_are_drawn_by_one_call_in_their_order(self, studio, shoot):
        points = np.array([[(-3, -3, 0), (3, 3, 0)], [(-3, 3, 0), (3, -3, 0)], [(0, -3, 0), (0, 3, 0)]], np.float32)
        colors = np.array([(1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1)], dtype=np.float32)
        lines = [Lines(f"{i}", points[i : i + 1], colors[i : i + 1], width=10.0) for i in range(3)]
        for top in range(3):
            ordered = [*lines[:top], *lines[top + 1 :], lines[top]]
            seen = shoot(picture_of(*ordered), FRONT)[pixel_at((0, 0, 0), FRONT, SIZE)]
            assert seen.tolist() == (255 * colors[top, :3]).tolist()
            assert len(studio.renderer._lines.runs) == 1
        wide = Lines("wide", points[:1], colors[:1], width=30.0)
        assert shoot(picture_of(lines[1], wide, lines[2]), FRONT)[pixel_at((0, 0, 0), FRONT, SIZE)][2] == 255
        assert len(studio.renderer._lines.runs) == 3

    @pytest.mark.parametrize("panels", [(), (Panel("panel", "top-left", (TextRow("words"),)),)])
    def test_text_follows_a_moving_camera_whether_lines_are_in_the_picture_or_not(self, shoot, panels):
        label = Labels("names", (Label((0.0, 0.0, 0.0), ("name",)),))
        what = picture_of(block(np.ones((2, 2, 2))), line((-2, 1, 0), (2, 1, 0)), label, *panels)
        # Before the block, at its side, with the line out of the picture, and with all out of the picture.
        targets = [(0.0, 0.0, 0.0), (1.0, 0.5, 0.0), (0.0, -3.0, 0.0), (60.0, 0.0, 0.0), (0.0, 0.0, 0.0)]
        poses = [looking((0.0, 0.0), 14.0, target) for target in targets]
        alone = []
        for pose in poses:
            shoot(picture_of(), pose)
            alone.append(shoot(what, pose))
        assert not np.array_equal(alone[0], alone[1])
        for pose, expected in zip(poses, alone, strict=True):
            assert np.array_equal(shoot(what, pose), expected)

    def test_text_of_a_resting_camera_is_placed_again_when_it_changes(self, shoot):
        first = shoot(picture_of(Labels("names", (Label((0.0, 0.0, 0.0), ("one",)),))), FRONT)
        other = picture_of(Labels("names", (Label((1.0, 0.5, 1.0), ("another",)),)))
        assert not np.array_equal(shoot(other, FRONT), first)
        assert not np.array_equal(shoot(other, FRONT), shoot(other, SLANTED))

    def test_label_is_beside_its_block(self, shoot):
        label = Label((-1.0, -1.0, 0.0), ("name", "detail"), span=(2.0, 2.0, 0.0))
        picture = shoot(picture_of(Labels("names", (label,))), FRONT)
        rows, columns = np.nonzero(picture.max(axis=2) > 60)
        below = to_pixels(np.array([(0.0, -1.0, 0.0)]), FRONT, SIZE)[0]
        assert rows.min() >= below[1]
        assert abs((columns.min() + columns.max()) / 2 - below[0]) < 4

    def test_panels_are_in_their_corners(self, shoot):
        height, width = SIZE[::-1]
        for corner in ("top-left", "top-right", "bottom-left", "bottom-right"):
            panel = Panel("panel", corner, (TextRow("words"),))
            rows, columns = np.nonzero(shoot(picture_of(panel), FRONT).max(axis=2) > 60)
            assert (rows.mean() < height / 2) == corner.startswith("top")
            assert (columns.mean() < width / 2) == corner.endswith("left")


class TestKeepingUp:
    @pytest.fixture
    def made(self, monkeypatch) -> list[str]:
        """Return the list of the types of the actors that were made."""
        found: list[str] = []
        for kind, maker in list(module._DRAWN.items()):

            def make(renderer, primitive, scale, maker=maker):
                found.append(primitive.name)
                return maker(renderer, primitive, scale)

            monkeypatch.setitem(module._DRAWN, kind, make)

        def block_actor(renderer, block, ground, packed):
            found.append(block.name)
            return VoxelActor(renderer, block, ground, packed)

        def make_run(run, lines, make=LineRun._make):
            found.extend(one.name for one in lines if one.name != "frames")
            make(run, lines)

        monkeypatch.setattr(module, "VoxelActor", block_actor)
        monkeypatch.setattr(LineRun, "_make", make_run)
        return found

    def test_unchanged_draw_list_makes_no_actors(self, shoot, made, monkeypatch):
        what = picture_of(
            block(np.ones((2, 2, 2)), name="one"),
            line((-3, 0, 0), (3, 0, 0), name="two"),
            Image("three", np.zeros((2, 2, 3), dtype=np.uint8), (0, 0, 0), (1, 1)),
            Box("four", (0, 0, 0), (1, 1, 1), (1, 1, 1)),
        )
        first = shoot(what, SLANTED)
        assert sorted(made) == ["one", "three", "two"]
        monkeypatch.setattr(VoxelActor, "_upload", None)
        monkeypatch.setattr("nnviz3d.render.drawers.mesh", None)
        monkeypatch.setattr("nnviz3d.render.drawers.image_data", None)
        monkeypatch.setattr(placed_text.PlacedText, "_place_anew", None)
        assert np.array_equal(shoot(what, SLANTED), first)
        assert len(made) == 3

    def test_primitive_removed_from_the_list_is_removed_from_the_picture(self, shoot):
        things = {
            "voxels": told_apart(np.full((1, 1, 1), 40.0)),
            "line": line((-3, 1, 0), (3, 1, 0)),
            "image": Image("image", np.full((2, 2, 3), 255, dtype=np.uint8), (1.0, -2.0, 0.0), (1.0, 1.0)),
            "box": Box("box", (-3, -2, -1), (2, 2, 2), (1, 1, 1), edge=1.0, fill=1.0),
            "labels": Labels("names", (Label((0.0, -2.0, 0.0), ("name",)),)),
            "panel": Panel("panel", "top-left", (TextRow("words"),)),
        }
        alone = {name: shoot(picture_of(thing), FRONT) for name, thing in things.items()}
        for gone in things:
            shoot(picture_of(*things.values()), FRONT)
            rest = [thing for name, thing in things.items() if name != gone]
            without = shoot(picture_of(*rest), FRONT)
            lit = (alone[gone].max(axis=2) > 60) & ~np.any(
                [alone[name].max(axis=2) > 0 for name in things if name != gone], axis=0
            )
            assert lit.any()
            assert without[lit].max() == 0, gone
        assert shoot(picture_of(), FRONT).max() == 0

    def test_earlier_draw_list_gives_the_earlier_picture(self, shoot):
        what = picture_of(block(np.random.default_rng(1).random((4, 4, 4))), line((-3, 0, 3), (3, 0, 3)))
        first = shoot(what, SLANTED)
        shoot(picture_of(), SLANTED)
        shoot(picture_of(block(np.ones((2, 3, 4)))), FRONT)
        assert np.array_equal(shoot(what, SLANTED), first)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (line((-3, 0, 0), (3, 0, 0)), line((0, -3, 0), (0, 3, 0))),
            (line((-3, 0, 0), (3, 0, 0)), line((-3, 0, 0), (3, 0, 0), color=(1.0, 0.0, 0.0, 1.0))),
            (line((-3, 0, 0), (3, 0, 0)), line((-3, 0, 0), (3, 0, 0), width=1.0)),
            (line((-3, 0, 0), (3, 0, 0)), line((-3, 0, 0), (3, 0, 0), opacity=0.0)),
            (Box("b", (0, 0, 0), (1, 1, 1), (1, 1, 1)), Box("b", (0, 0, 0), (2, 1, 1), (1, 0, 0), fill=1.0)),
            (
                Image("i", np.zeros((2, 2, 3), dtype=np.uint8), (0, 0, 0), (1, 1)),
                Image("i", np.full((3, 5, 3), 99, dtype=np.uint8), (0, 0, 0), (2, 1)),
            ),
        ],
    )
    def test_updated_primitive_looks_like_a_new_one(self, shoot, before, after):
        shoot(picture_of(), SLANTED)
        new = shoot(picture_of(after), SLANTED)
        shoot(picture_of(), SLANTED)
        old = shoot(picture_of(before), SLANTED)
        assert np.array_equal(shoot(picture_of(after), SLANTED), new)
        assert not np.array_equal(old, new)

    def test_lines_whose_opacity_changes_are_not_made_again(self, shoot, monkeypatch):
        lines = line((-3, 0, 0), (3, 0, 0))
        shoot(picture_of(lines), FRONT)
        monkeypatch.setattr(LineRun, "_make", None)
        faded = Lines(lines.name, lines.points, lines.colors, lines.width, 0.3)
        assert shoot(picture_of(faded), FRONT)[90, 120].max() < 120

    def test_blocks_packed_in_parallel_show_their_own_numbers(self, shoot):
        many = [told_apart(np.full((1, 1, 1), 30.0 * k), name=f"b{k}", origin=(2.0 * k - 8, 0, 0)) for k in range(8)]
        alone = np.max([shoot(picture_of(b), FRONT) for b in many], axis=0)
        assert np.array_equal(shoot(picture_of(*many), FRONT), alone)


def test_overlay_replaces_the_scene_until_it_is_removed(studio, shoot):
    what = picture_of(told_apart(np.full((1, 1, 1), 40.0)), Panel("p", "top-left", (TextRow("words"),)))
    before = shoot(what, FRONT)
    for seed in (1, 2):
        pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
        studio.renderer.overlay(pixels)
        studio.renderer.render()
        assert np.array_equal(studio.renderer.pixels(), pixels)
    studio.renderer.overlay(None)
    studio.renderer.render()
    assert np.array_equal(studio.renderer.pixels(), before)


class TestOffscreen:
    def test_picture_has_the_requested_size(self):
        for size, antialias in (((120, 64), True), ((65, 121), True), ((120, 64), False)):
            studio = Offscreen(size, antialias=antialias)
            picture = studio.picture(picture_of(block(np.ones((2, 2, 2)))), FRONT)
            studio.close()
            assert picture.shape == (size[1], size[0], 3)
            assert picture.max() > 100

    def test_same_draw_list_gives_the_same_bytes_in_another_renderer(self):
        what = picture_of(
            block(np.random.default_rng(2).random((5, 6, 7))), Panel("p", "top-left", (TextRow("words"),))
        )
        pictures = []
        for _ in range(2):
            studio = Offscreen((160, 90))
            pictures.append(studio.picture(what, SLANTED))
            studio.close()
        assert np.array_equal(*pictures)

    def test_antialiasing_changes_edges_only(self):
        what = picture_of(block(np.ones((3, 3, 3))))
        sharp, soft = (Offscreen((160, 120), antialias=a) for a in (False, True))
        a, b = sharp.picture(what, SLANTED).astype(int), soft.picture(what, SLANTED).astype(int)
        sharp.close()
        soft.close()
        assert np.abs(a - b).mean() < 6
        assert len(np.unique(b.reshape(-1, 3), axis=0)) > len(np.unique(a.reshape(-1, 3), axis=0))

    def test_halved_picture_is_the_average(self):
        # More rows than are averaged at a time; the first row of a frame is the last one in memory.
        pixels = np.random.default_rng(3).integers(0, 256, (38, 8, 4), dtype=np.uint8)
        pixels[:2, :2], pixels[2:4, :2] = 255, 0
        expected = pixels[..., :3].reshape(19, 2, 4, 2, 3).astype(int).sum(axis=(1, 3))
        assert np.array_equal(halved(pixels), (expected + 2) // 4)
        assert np.array_equal(halved(pixels[::-1]), (expected[::-1] + 2) // 4)

    def test_the_colours_are_the_same_with_and_without_alpha(self, studio):
        studio.picture(DrawList((block(np.linspace(0, 1, 27).reshape(3, 3, 3)),)), SLANTED)
        both = studio.renderer.pixels_with_alpha()
        assert both.shape[2] == 4
        assert np.array_equal(both[..., :3], studio.renderer.pixels())
        assert len(np.unique(both[..., :3])) > 10

    def test_pose_can_be_read_back(self, studio):
        pose = CameraPose((1.0, 2.0, 9.0), (0.5, 0.0, 0.0), (0.0, 1.0, 0.0), 30.0)
        studio.renderer.look(pose)
        assert studio.renderer.pose() == pose


def test_error_in_a_vtk_callback_is_raised_by_the_drawing_call(shoot, monkeypatch, capfd):
    def broken(*_):
        raise ValueError("no such letter")

    monkeypatch.setattr(placed_text, "label_sprite", broken)
    labels = Labels("names", (Label((0.0, 0.0, 0.0), ("a",)),))
    with pytest.raises(ValueError, match="no such letter"):
        shoot(DrawList((labels,)), FRONT)
    assert "Traceback" not in capfd.readouterr().err
    monkeypatch.undo()
    shoot(DrawList((labels,)), FRONT)


def test_the_strongest_of_very_many_connections_are_drawn_while_the_picture_moves_and_it_says_so(monkeypatch):
    monkeypatch.setattr(lines_module, "MOVING", 30)
    random = np.random.default_rng(4)
    points = random.uniform(-1, 1, (100, 2, 3)).astype(np.float32)
    colors = np.column_stack([np.ones((100, 3)), random.uniform(0.1, 1.0, 100)]).astype(np.float32)
    order = np.argsort(-colors[:, 3])

    def picture_of(chosen: np.ndarray) -> DrawList:
        """The chosen connections as two neighbours, with a frame that is no connection."""
        frame = Lines("frame", np.array([[[-1, -1, 0], [1, 1, 0]]], np.float32), np.full((1, 4), 0.2, np.float32))
        parts = []
        for k, rows in enumerate((chosen[chosen < 50], chosen[chosen >= 50])):
            ends = Ends("a", "b", np.zeros((len(rows), 2), dtype=np.int64), np.ones(len(rows), dtype=np.float32))
            parts.append(Lines(f"part {k}", points[rows], colors[rows], ends=ends))
        return DrawList((*parts, frame))

    pose = fit(np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]), 0.0, 0.0, aspect=1.5)
    studio = Offscreen((240, 160), antialias=False)
    renderer = studio.renderer
    every = studio.picture(picture_of(np.arange(100)), pose)
    renderer.careful = False
    moving = studio.picture(picture_of(np.arange(100)), pose)
    said = [row.text for panel in renderer.text.panels for row in panel.rows]
    assert said == ["30 of 100 connections are drawn while the picture moves"]
    strongest = studio.picture(picture_of(np.sort(order[:30])), pose)
    assert not renderer.text.panels
    assert not np.array_equal(moving, every)
    renderer.careful = True
    assert np.array_equal(studio.picture(picture_of(np.arange(100)), pose), every)
    assert not renderer.text.panels
    renderer.careful = False
    monkeypatch.setattr(renderer.text, "add_count_panel", lambda numbers: None)
    assert np.array_equal(studio.picture(picture_of(np.arange(100)), pose), strongest)
    studio.close()


def test_very_many_curves_have_fewer_bends_while_the_picture_moves():
    """The ends of all curves stay; a still picture, and pictures of few curves, are drawn through all points."""
    share = np.linspace(0, 1, 14)
    start, end = np.array([-4.0, 0.0, 0.0]), np.array([4.0, 0.0, 0.0])
    curve = start + share[:, np.newaxis] * (end - start) + np.outer(share * share * (3 - 2 * share), [0.0, 2.0, 0.0])
    pose = fit(np.array([[-4.0, 3.0, 0.0], [4.0, -1.0, 0.0]]), 0.0, 0.0, aspect=1.5)
    studio = Offscreen((240, 160), antialias=False)
    pictures = {}
    for count in (1, 5000):
        points = np.repeat(curve[np.newaxis].astype(np.float32), count, axis=0)
        ends = Ends("a", "b", np.zeros((count, 2), dtype=np.int64), np.ones(count, dtype=np.float32))
        drawn = DrawList((Lines("curves", points, np.ones((count, 4), dtype=np.float32), width=2.0, ends=ends),))
        for careful in (True, False, True):
            studio.renderer.careful = careful
            found = (studio.picture(drawn, pose) > 200).all(axis=2)
            assert np.array_equal(pictures.setdefault((count, careful), found), found)
    few, many = (pictures[count, True] for count in (1, 5000))
    assert np.array_equal(few, many)
    assert np.array_equal(few, pictures[1, False])
    moving = pictures[5000, False]
    assert not np.array_equal(moving, few)
    columns = np.nonzero(few.any(axis=0))[0]
    assert np.array_equal(columns, np.nonzero(moving.any(axis=0))[0])
    assert np.abs(moving.argmax(axis=0) - few.argmax(axis=0))[columns].max() <= 4
    # From far away, all connections are so short that they are straight.
    studio.renderer.careful = False
    studio.picture(drawn, fit(20 * np.array([[-4.0, 3.0, 0.0], [4.0, -1.0, 0.0]]), 0.0, 0.0, aspect=1.5))
    assert [run.actor.GetMapper().GetInput().GetNumberOfLines() for run in studio.renderer._lines.runs] == [5000]
    assert studio.renderer._lines.runs[0].actor.GetMapper().GetInput().GetLines().GetMaxCellSize() == 2
    studio.close()
