"""Tests that every voxel is drawn at its position, in the colour of its number, and that nothing else is drawn.

Pictures are held against `tests.support.pinhole`, which tries every cube for every ray.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnviz3d.render import voxels
from nnviz3d.scene.camera import CameraPose, fit
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, colormap
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.primitives import Voxels
from tests.render.conftest import SIZE
from tests.support.blocks import HUES, SEEN_FROM, block, center_of, looking, picture_of, told_apart, which_hue
from tests.support.pinhole import first_hit, pixel_at, rays, to_pixels

RANDOM = np.random.default_rng(20)
POSE = looking(SEEN_FROM[0], 16.0)
PIXEL = 2 * math.tan(math.radians(POSE.field_of_view / 2)) / SIZE[1]


def is_shade_of(pixel: np.ndarray, color: np.ndarray) -> bool:
    """Whether a pixel has this colour under any brightness of light."""
    p, c = pixel.astype(float), np.asarray(color, dtype=float)
    brightness = np.linalg.norm(p) / np.linalg.norm(c)
    return bool(0.4 < brightness < 1.02 and p @ c / np.linalg.norm(p) / np.linalg.norm(c) > 0.995)


def visible(picture: np.ndarray) -> np.ndarray:
    return picture.max(axis=2) > 0


def corners(voxel: tuple[int, ...], of: Voxels) -> np.ndarray:
    unit = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    return np.array(of.origin) + (np.array(voxel) + unit) * np.array(of.cell)


def every_pixel(pose: CameraPose, **kwargs) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.divmod(np.arange(SIZE[0] * SIZE[1]), SIZE[0])
    return rays(pose, SIZE, rows, columns, **kwargs)


class TestOneVoxel:
    @pytest.mark.parametrize("seed", range(20))
    def test_voxel_is_visible_at_its_position_only(self, shoot, seed):
        random = np.random.default_rng(seed)
        shape = (6, 5, 4)
        cell = tuple(int(random.integers(n)) for n in shape)
        angles = SEEN_FROM[seed % len(SEEN_FROM)]
        values = np.zeros(shape, dtype=np.float32)
        values[cell] = random.uniform(0.5, 1.0)
        drawn = block(values, threshold=0.4)
        pose = looking(angles, 16.0)
        picture = shoot(picture_of(drawn), pose)

        color = drawn.colormap.table[round(float(values[cell]) * 255)]
        assert is_shade_of(picture[pixel_at(center_of(drawn, cell), pose, SIZE)], color)
        place = to_pixels(corners(cell, drawn), pose, SIZE)
        rows, columns = np.nonzero(visible(picture))
        assert columns.min() >= place[:, 0].min() - 1
        assert columns.max() <= place[:, 0].max() + 1
        assert rows.min() >= place[:, 1].min() - 1
        assert rows.max() <= place[:, 1].max() + 1

    def test_front_and_top_are_brighter_than_side_and_bottom(self, shoot):
        drawn = block(np.ones((1, 1, 1)), colormap=colormap("gray"))
        light = {}
        for name, offset, angles in (
            ("front", (0, 0, 0.5), (-30.0, 30.0)),
            ("top", (0, 0.5, 0), (-30.0, 30.0)),
            ("side", (-0.5, 0, 0), (-30.0, 30.0)),
            ("bottom", (0, -0.5, 0), (-30.0, -50.0)),
        ):
            pose = looking(angles, 5.0)
            light[name] = int(shoot(picture_of(drawn), pose)[pixel_at(offset, pose, SIZE)][0])
        assert light["front"] == light["top"] == 255
        assert light["front"] > light["side"] > light["bottom"] > 100


class TestAgainstEveryCube:
    """The shader's walk and the reference agree on the cube that a ray hits, or that it hits none."""

    @staticmethod
    def check(picture: np.ndarray, drawn: Voxels, start, way, *, pixel: float = PIXEL, parallel: bool = False) -> None:
        expected = first_hit(drawn, start, way, pixel=pixel, parallel=parallel).reshape(SIZE[::-1])
        numbers = np.append(drawn.values.ravel(), -1)[expected].astype(int)
        found = which_hue(picture)
        assert (numbers >= 0).mean() > 0.002
        # Rays along an edge may hit either side.
        assert (found == numbers).mean() > 0.99
        for number in np.unique(numbers[numbers >= 0]):
            if (numbers == number).sum() >= 6:
                assert ((found == number) & (numbers == number)).any(), f"the cube of number {number} is not seen"

    @staticmethod
    def filled(shape, share, seed, highest=250):
        random = np.random.default_rng(seed)
        values = np.zeros(shape, dtype=np.float32)
        chosen = random.random(shape) < share
        values[chosen] = random.permutation(np.arange(chosen.sum()) % highest) + 1
        return values

    @pytest.mark.parametrize("angles", SEEN_FROM, ids=str)
    @pytest.mark.parametrize("share", [0.05, 0.4, 1.0])
    def test_small_grid_equals_the_reference(self, shoot, angles, share):
        drawn = told_apart(self.filled((6, 5, 4), share, 1), threshold=0.5)
        pose = looking(angles, 16.0)
        self.check(shoot(picture_of(drawn), pose), drawn, *every_pixel(pose))

    @pytest.mark.parametrize("angles", SEEN_FROM, ids=str)
    def test_cells_that_are_no_cubes_equal_the_reference(self, shoot, angles):
        drawn = told_apart(self.filled((7, 3, 9), 0.3, 2), cell=(0.5, 1.6, 0.9), threshold=0.5)
        pose = looking(angles, 18.0)
        self.check(shoot(picture_of(drawn), pose), drawn, *every_pixel(pose))

    @pytest.mark.parametrize(
        "shape", [(17, 9, 33), (33, 17, 9), (1, 31, 1), (64, 1, 2), (15, 16, 17), (8, 8, 8), (9, 9, 9)]
    )
    @pytest.mark.parametrize("angles", SEEN_FROM, ids=str)
    def test_skipping_empty_cubes_loses_no_voxel(self, shoot, shape, angles):
        share = min(0.5, 60 / math.prod(shape))
        drawn = told_apart(self.filled(shape, share, sum(shape)), threshold=0.5)
        half = np.array(drawn.size) / 2
        unit = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        pose = fit(unit * half, *angles, aspect=SIZE[0] / SIZE[1])
        self.check(shoot(picture_of(drawn), pose), drawn, *every_pixel(pose))

    @pytest.mark.parametrize("seed", range(4))
    def test_camera_inside_the_block_equals_the_reference(self, shoot, seed):
        random = np.random.default_rng(seed)
        drawn = told_apart(self.filled((12, 11, 10), 0.08, seed), threshold=0.5)
        eye = random.uniform(-3, 3, 3)
        cell = np.floor(eye - drawn.origin).astype(int)
        drawn.values[tuple(cell)] = 0
        pose = CameraPose(tuple(eye), tuple(eye + random.normal(size=3)), field_of_view=70.0)
        pixel = 2 * math.tan(math.radians(35)) / SIZE[1]
        self.check(shoot(picture_of(drawn), pose), drawn, *every_pixel(pose), pixel=pixel)

    @pytest.mark.parametrize("angles", SEEN_FROM, ids=str)
    def test_parallel_projection_equals_the_reference(self, studio, shoot, angles):
        drawn = told_apart(self.filled((6, 5, 4), 0.4, 3), threshold=0.5)
        pose = looking(angles, 16.0)
        camera = studio.renderer.renderer.GetActiveCamera()
        camera.ParallelProjectionOn()
        camera.SetParallelScale(4.0)
        try:
            picture = shoot(picture_of(drawn), pose)
        finally:
            camera.ParallelProjectionOff()
        start, way = every_pixel(pose, parallel=4.0)
        self.check(picture, drawn, start, way, pixel=8.0 / SIZE[1], parallel=True)

    def test_partly_revealed_block_equals_the_reference(self, shoot):
        values = self.filled((16, 5, 4), 0.5, 4)
        cut = values.copy()
        cut[7:] = 0
        pose = looking((70.0, 20.0), 40.0)
        picture = shoot(picture_of(told_apart(values, threshold=0.5, reveal=6.2 / 16)), pose)
        self.check(picture, told_apart(cut, threshold=0.5), *every_pixel(pose))

    @pytest.mark.parametrize("angles", SEEN_FROM, ids=str)
    def test_block_without_its_first_columns_equals_the_reference(self, shoot, angles):
        values = self.filled((21, 5, 4), 0.2, 4)
        cut = values.copy()
        cut[:7] = cut[18:] = 0
        pose = looking(angles, 40.0)
        picture = shoot(picture_of(told_apart(values, threshold=0.5, since=7.5 / 21, reveal=17.2 / 21)), pose)
        self.check(picture, told_apart(cut, threshold=0.5), *every_pixel(pose))

    def test_captured_tensor_equals_the_reference(self, shoot):
        """Arrays with strides of any sign are drawn correctly."""
        tensor = self.filled((5, 6, 4), 0.5, 5)
        grid = grid_for((5, 6, 4))
        drawn = told_apart(np.ones(grid.size))
        drawn = Voxels("view", grid.arrange(tensor), drawn.origin, drawn.cell, HUES, (0.0, 255.0), threshold=0.5)
        assert not drawn.values.flags.c_contiguous
        picture = shoot(picture_of(drawn), POSE)
        self.check(picture, drawn, *every_pixel(POSE))


class TestNumbers:
    def test_threshold_is_exact_to_the_last_bit(self, shoot):
        """A number just below the threshold is hidden; an equal one and one just above are drawn."""
        threshold = np.float32(0.3)
        values = np.zeros((3, 1, 1), dtype=np.float32)
        values[:, 0, 0] = (np.nextafter(threshold, np.float32(0)), threshold, np.nextafter(threshold, np.float32(1)))
        drawn = block(values, threshold=float(threshold), colormap=colormap("gray"), limits=(0.0, 0.3))
        pose = looking((0.0, 0.0), 10.0)
        picture = shoot(picture_of(drawn), pose)
        lit = [bool(picture[pixel_at(center_of(drawn, (i, 0, 0)), pose, SIZE)].max() > 0) for i in range(3)]
        assert lit == [False, True, True]

    @pytest.mark.parametrize("magnitude", [1e-30, 1e-3, 7.7, 3e9, 1e30])
    def test_numbers_of_any_magnitude_keep_all_their_bits(self, shoot, magnitude):
        random = np.random.default_rng(6)
        threshold = np.float32(magnitude)
        above = random.random((5, 4, 1)) < 0.5
        one_bit = np.where(above, np.nextafter(threshold, np.float32(np.inf)), np.nextafter(threshold, np.float32(0)))
        drawn = block(one_bit, threshold=float(threshold), limits=(0.0, float(threshold)), colormap=colormap("gray"))
        pose = looking((0.0, 0.0), 14.0)
        picture = shoot(picture_of(drawn), pose)
        for cell in np.ndindex(above.shape):
            assert bool(picture[pixel_at(center_of(drawn, cell), pose, SIZE)].max() > 0) == above[cell]

    def test_colours_run_from_limit_to_limit(self, shoot):
        values = np.array([-5.0, 2.0, 3.0, 4.0, 99.0], dtype=np.float32).reshape(5, 1, 1)
        drawn = block(values, colormap=colormap("viridis"), limits=(2.0, 4.0))
        pose = looking((0.0, 0.0), 14.0)
        picture = shoot(picture_of(drawn), pose)
        for i, entry in enumerate((0, 0, 128, 255, 255)):
            pixel = picture[pixel_at(center_of(drawn, (i, 0, 0)), pose, SIZE)].astype(int)
            assert np.abs(pixel - drawn.colormap.table[entry]).max() <= 2

    def test_negative_numbers_take_the_other_side_of_a_diverging_map(self, shoot):
        values = np.array([-1.0, 0.0, 1.0], dtype=np.float32).reshape(3, 1, 1)
        drawn = block(values, colormap=colormap("ember-ice"), limits=(-1.0, 1.0))
        pose = looking((0.0, 0.0), 10.0)
        picture = shoot(picture_of(drawn), pose).astype(int)
        negative, zero, positive = (picture[pixel_at(center_of(drawn, (i, 0, 0)), pose, SIZE)] for i in range(3))
        assert negative[2] > negative[0] + 20
        assert positive[0] > positive[2] + 20
        assert zero.max() < 40

    def test_a_threshold_hides_small_numbers_of_both_signs(self, shoot):
        values = np.array([-0.9, -0.2, 0.2, 0.9], dtype=np.float32).reshape(4, 1, 1)
        drawn = block(values, colormap=colormap("ember-ice"), limits=(-1.0, 1.0), threshold=0.5)
        pose = looking((0.0, 0.0), 12.0)
        picture = shoot(picture_of(drawn), pose)
        seen = [bool(picture[pixel_at(center_of(drawn, (i, 0, 0)), pose, SIZE)].max() > 0) for i in range(4)]
        assert seen == [True, False, False, True]

    @pytest.mark.parametrize("threshold", [0.0, 0.5, 1e30])
    def test_nan_and_infinity_have_their_colours_at_any_threshold(self, shoot, threshold):
        values = np.array([np.nan, np.inf, -np.inf], dtype=np.float32).reshape(3, 1, 1)
        drawn = block(values, threshold=threshold)
        pose = looking((0.0, 0.0), 10.0)
        picture = shoot(picture_of(drawn), pose)
        for i, color in enumerate((NAN_COLOR, INF_COLOR, INF_COLOR)):
            assert is_shade_of(picture[pixel_at(center_of(drawn, (i, 0, 0)), pose, SIZE)], np.array(color) * 255)

    def test_nan_deep_inside_an_empty_block_is_drawn(self, shoot):
        values = np.zeros((21, 22, 23), dtype=np.float32)
        values[13, 4, 17] = np.nan
        drawn = block(values, threshold=0.5, cell=(0.3, 0.3, 0.3))
        picture = shoot(picture_of(drawn), POSE)
        assert is_shade_of(picture[pixel_at(center_of(drawn, (13, 4, 17)), POSE, SIZE)], np.array(NAN_COLOR) * 255)

    def test_spare_cells_of_a_wrapped_vector_are_not_drawn(self, shoot):
        grid = grid_for((1009,))
        spare = [c for c in np.ndindex(grid.size) if grid.index(c) is None]
        real = [c for c in np.ndindex(grid.size) if grid.index(c) is not None]
        assert spare
        values = grid.arrange(np.ones(1009, dtype=np.float32))
        drawn = block(values, cell=(0.1, 0.1, 0.1), count=grid.count, threshold=0.0)
        pose = fit(
            np.concatenate([corners(c, drawn) for c in ((0, 0, 0), tuple(n - 1 for n in grid.size))]),
            0.0,
            0.0,
            aspect=SIZE[0] / SIZE[1],
        )
        picture = shoot(picture_of(drawn), pose)
        assert all(picture[pixel_at(center_of(drawn, c), pose, SIZE)].max() == 0 for c in spare)
        assert all(picture[pixel_at(center_of(drawn, c), pose, SIZE)].max() > 0 for c in real)


class TestChanges:
    """Changes that upload no numbers again."""

    @pytest.fixture
    def uploads(self, monkeypatch) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        real = voxels._Texture.upload

        def upload(self, pixels):
            found.append(pixels.shape)
            real(self, pixels)

        monkeypatch.setattr(voxels._Texture, "upload", upload)
        return found

    @pytest.fixture
    def numbers(self) -> np.ndarray:
        return np.random.default_rng(9).random((6, 5, 4), dtype=np.float32)

    def test_new_block_uploads_its_numbers_once(self, shoot, numbers, uploads):
        drawn = block(numbers, name="sent once")
        shoot(picture_of(drawn), POSE)
        sent = len(uploads)
        assert sent > 0
        shoot(picture_of(drawn), POSE)
        shoot(picture_of(drawn), looking((10.0, 10.0), 20.0))
        assert len(uploads) == sent

    @pytest.mark.parametrize(
        "change",
        [
            {"threshold": 0.8},
            {"reveal": 0.4},
            {"since": 0.4},
            {"front": 0.5},
            {"glow": 0.5},
            {"limits": (0.0, 3.0)},
            {"emphasis": 0.3},
        ],
        ids=str,
    )
    def test_changed_setting_changes_the_picture_and_uploads_nothing(self, shoot, numbers, uploads, change):
        before = shoot(picture_of(block(numbers)), POSE)
        uploads.clear()
        after = shoot(picture_of(block(numbers, **change)), POSE)
        assert uploads == []
        assert (before != after).any(axis=2).mean() > 0.02

    def test_changed_colour_map_uploads_256_colours_and_no_numbers(self, shoot, numbers, uploads):
        before = shoot(picture_of(block(numbers)), POSE)
        uploads.clear()
        after = shoot(picture_of(block(numbers, colormap=colormap("viridis"))), POSE)
        assert uploads == [(1, 256, 3)]
        assert (before != after).any(axis=2).mean() > 0.02

    def test_higher_threshold_only_hides_cells(self, shoot, numbers):
        seen = [
            visible(shoot(picture_of(block(numbers, threshold=t)), POSE)).mean() for t in (0.0, 0.5, 0.9, 0.99, 2.0)
        ]
        assert seen == sorted(seen, reverse=True)
        assert seen[-1] == 0

    def test_reveal_fills_the_block_from_the_left(self, shoot, numbers):
        pose = looking((0.0, 0.0), 16.0)
        widths = []
        for reveal in (0.0, 0.2, 0.5, 1.0):
            columns = np.flatnonzero(visible(shoot(picture_of(block(numbers, reveal=reveal)), pose)).any(axis=0))
            widths.append(len(columns))
            if reveal:
                whole = columns.min()
        assert widths[0] == 0
        assert widths == sorted(set(widths))
        assert whole == np.flatnonzero(visible(shoot(picture_of(block(numbers)), pose)).any(axis=0)).min()

    def test_block_begins_at_its_first_shown_column(self, shoot):
        pose = looking((0.0, 0.0), 16.0)
        values = np.ones((10, 4, 2), dtype=np.float32)
        whole = np.flatnonzero(visible(shoot(picture_of(block(values)), pose)).any(axis=0))
        late = np.flatnonzero(visible(shoot(picture_of(block(values, since=0.6)), pose)).any(axis=0))
        assert late.max() == whole.max()
        assert len(late) == pytest.approx(0.4 * len(whole), abs=4)
        assert not visible(shoot(picture_of(block(values, since=1.0)), pose)).any()

    def test_moving_light_is_brightest_at_its_position(self, shoot):
        pose = looking((0.0, 0.0), 16.0)
        values = np.full((10, 4, 2), 0.5, dtype=np.float32)
        plain = shoot(picture_of(block(values)), pose).astype(int)
        lit = shoot(picture_of(block(values, front=0.75)), pose).astype(int)
        columns = np.flatnonzero(visible(plain).any(axis=0))
        more = (lit - plain).sum(axis=(0, 2))[columns]
        assert (lit >= plain).all()
        assert np.argmax(np.convolve(more, np.ones(5) / 5, "same")) / len(columns) == pytest.approx(0.75, abs=0.05)
        assert more[: len(columns) // 5].max() <= 0.02 * more.max(), "far from the light nothing changes"

    def test_glow_brightens_all_cells_and_zero_glow_changes_nothing(self, shoot, numbers):
        plain = shoot(picture_of(block(numbers)), POSE).astype(int)
        assert (shoot(picture_of(block(numbers, glow=0.0, front=None)), POSE) == plain).all()
        assert shoot(picture_of(block(numbers, glow=0.6)), POSE).mean() > 1.2 * plain.mean()

    def test_less_emphasis_is_closer_to_the_background(self, shoot, numbers):
        means = [shoot(picture_of(block(numbers, emphasis=e)), POSE).mean() for e in (0.2, 0.6, 1.0)]
        assert means == sorted(means)
        assert means[0] < means[-1] / 2

    def test_numbers_of_another_shape_replace_the_earlier_ones(self, shoot, uploads):
        shoot(picture_of(told_apart(np.full((3, 3, 3), 40.0))), POSE)
        picture = shoot(picture_of(told_apart(np.full((9, 2, 5), 90.0))), POSE)
        fresh = shoot(picture_of(told_apart(np.full((9, 2, 5), 90.0), name="fresh")), POSE)
        assert np.array_equal(picture, fresh)
        assert set(np.unique(which_hue(picture))) == {-1, 90}


class TestPacking:
    @pytest.mark.parametrize(
        "shape", [(1, 1, 1), (6, 5, 4), (17, 9, 33), (224, 3, 64), (3, 4, 512), (1, 64, 1)], ids=str
    )
    def test_atlas_holds_every_number_where_the_shader_reads_it(self, shape):
        values = np.random.default_rng(1).random(shape, dtype=np.float32)
        atlas, across = voxels.pack_atlas(values)
        x, y, z = np.indices(shape)
        assert np.array_equal(atlas[(z // across) * shape[1] + y, (z % across) * shape[0] + x], values)

    def test_atlas_is_about_square(self):
        for shape in ((224, 224, 64), (7, 7, 512), (14, 14, 2048), (28, 28, 3)):
            height, width = voxels.pack_atlas(np.zeros(shape, dtype=np.float32))[0].shape
            assert 1 / 4 < height / width < 4

    @pytest.mark.parametrize("shape", [(20_000, 1, 1), (1, 20_000, 1), (16_384, 16_384, 2)], ids=str)
    def test_layer_too_large_for_a_texture_is_refused(self, shape):
        from nnviz3d.errors import UserError

        with pytest.raises(UserError, match="too large to draw at once"):
            voxels.pack_atlas(np.broadcast_to(np.float32(0), shape))

    @pytest.mark.parametrize("shape", [(6, 5, 4), (17, 9, 33), (1, 1, 1), (8, 16, 2)], ids=str)
    def test_block_maxima_are_those_of_each_cube(self, shape):
        values = np.random.default_rng(2).normal(size=shape).astype(np.float32).transpose(2, 1, 0)[:, ::-1]
        found = voxels.block_maxima(values)
        assert found.shape == tuple(-(-n // 2) for n in values.shape)
        for cell in np.ndindex(found.shape):
            part = values[tuple(slice(2 * i, 2 * i + 2) for i in cell)]
            assert found[cell] == np.abs(part).max()

    @pytest.mark.parametrize("shape", [(6, 5, 4), (17, 9, 33), (1, 1, 1), (40, 3, 2)], ids=str)
    def test_ray_skips_only_cells_below_the_threshold(self, shape):
        values = np.random.default_rng(3).normal(size=shape).astype(np.float32) ** 3
        values[np.abs(values) < 0.2] = 0
        values[0, 0, 0] = np.nan
        levels, bounds = voxels.rank_levels(values)
        strength = np.where(np.isnan(values), np.inf, np.abs(values))
        for threshold in (0.0, 0.1, 0.2, *np.abs(values[np.isfinite(values)])[:40], 1.0, 50.0, 1e30):
            lowest = np.searchsorted(bounds, np.float32(threshold), side="right")
            for k in range(voxels.LEVELS):
                for cell in np.ndindex(levels.shape[:3]):
                    side = 2 ** (k + 1)
                    cube = tuple(slice(2 * c // side * side, 2 * c // side * side + side) for c in cell)
                    if levels[(*cell, k)] < lowest:
                        assert strength[cube].max() < np.float32(threshold)

    def test_ray_skips_nearly_all_cells_below_the_threshold(self):
        values = np.random.default_rng(4).random((64, 64, 32), dtype=np.float32)
        levels, bounds = voxels.rank_levels(values)
        lowest = np.searchsorted(bounds, np.float32(0.9), side="right")
        empty = voxels.block_maxima(values) < 0.9
        assert (levels[..., 0] < lowest).sum() > 0.95 * empty.sum()

    def test_block_of_zeros_is_one_empty_cube(self):
        levels, bounds = voxels.rank_levels(np.zeros((16, 16, 16), dtype=np.float32))
        assert (levels < np.searchsorted(bounds, np.float32(1e-30), side="right")).all()
        assert (levels >= np.searchsorted(bounds, np.float32(0), side="right")).all()

    def test_nan_counts_as_infinite_in_block_maxima(self):
        values = np.zeros((4, 4, 4), dtype=np.float32)
        values[3, 0, 2] = np.nan
        found = voxels.block_maxima(values)
        assert found[1, 0, 1] == np.inf
        assert np.isfinite(found).sum() == 7
        assert np.isnan(values).sum() == 1
