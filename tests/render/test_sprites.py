"""Tests of text: every sprite is in one texture, and each of its pixels is at its position on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest
from vtkmodules.vtkRenderingCore import vtkRenderer

from nnviz3d.render import sprites as module
from nnviz3d.render.label_placement import Rect
from nnviz3d.render.offscreen import Offscreen, offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.render.sprites import Atlas, SpritesActor
from nnviz3d.render.text import PlacedSprite
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import DrawList, Label, Labels, Panel
from tests.render.conftest import SIZE
from tests.support.blocks import block, looking, picture_of

POSE = looking((0.0, 0.0), 14.0)
GROUND = (40, 90, 160)


def sprite(seed: int, width: int, height: int) -> np.ndarray:
    """Return a sprite of random colours, some of them translucent."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)


def many(seed: int, count: int) -> list[np.ndarray]:
    sizes = np.random.default_rng(seed).integers(3, 90, (count, 2))
    return [sprite(seed + k, int(w), int(h)) for k, (w, h) in enumerate(sizes)]


class TestAtlas:
    @staticmethod
    def check(atlas: Atlas, held: Sequence[np.ndarray]) -> None:
        rects = [atlas.where(s) for s in held]
        for s, (left, top, right, bottom) in zip(held, rects, strict=True):
            assert np.array_equal(atlas.pixels[top:bottom, left:right], s)
        for (l1, t1, r1, b1), (l2, t2, r2, b2) in combinations(rects, 2):
            assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1

    @pytest.mark.parametrize("count", [1, 2, 30, 200])
    def test_sprites_do_not_overlap_in_the_atlas(self, count):
        atlas, held = Atlas(), many(1, count)
        assert atlas.hold(held)
        self.check(atlas, held)
        area = sum(s.shape[0] * s.shape[1] for s in held)
        assert atlas.pixels.shape[0] * atlas.pixels.shape[1] < 8 * area

    def test_sprite_in_the_atlas_is_not_written_again(self):
        atlas, held = Atlas(), many(2, 20)
        atlas.hold(held)
        pixels, before = atlas.pixels, atlas.pixels.copy()
        assert not atlas.hold(held[5:])
        assert not atlas.hold([held[3], held[3]])
        assert atlas.pixels is pixels
        assert np.array_equal(pixels, before)

    def test_added_sprite_does_not_move_the_others(self):
        atlas, held = Atlas(), many(3, 20)
        atlas.hold(held)
        pixels, places = atlas.pixels, [atlas.where(s) for s in held]
        held.append(sprite(99, 40, 10))
        assert atlas.hold(held)
        assert atlas.pixels is pixels
        assert [atlas.where(s) for s in held[:-1]] == places
        self.check(atlas, held)

    def test_atlas_stays_small_while_many_sprites_come_and_go(self):
        atlas = Atlas()
        coming = many(4, 400)
        for first in range(0, 390, 7):
            now = coming[first : first + 10]
            atlas.hold(now)
            self.check(atlas, now)
        assert atlas.pixels.shape[0] * atlas.pixels.shape[1] <= 512 * 512

    @pytest.mark.parametrize(("width", "height"), [(2000, 1), (1, 2000), (700, 900)])
    def test_atlas_holds_long_and_large_sprites(self, width, height):
        atlas, held = Atlas(), [sprite(1, 5, 5), sprite(2, width, height), sprite(3, 5, 5)]
        atlas.hold(held)
        self.check(atlas, held)


class Screen:
    """Sprites on a plain background, compared with their expected picture."""

    def __init__(self) -> None:
        self.window = offscreen_window(SIZE)
        renderer = vtkRenderer()
        renderer.SetBackground(*(c / 255 for c in GROUND))
        self.window.AddRenderer(renderer)
        self.window.SetMultiSamples(0)
        self.sprites = SpritesActor(renderer)

    def shows(self, *placed: PlacedSprite) -> bool:
        self.sprites.show(placed)
        self.window.Render()
        seen = Renderer.pixels(self).astype(int)  # type: ignore[arg-type]
        expected, layers = blended(placed, self.size)
        # Each layer is rounded to 8 bits, upwards or downwards.
        return bool((np.abs(seen - expected) <= layers[..., np.newaxis]).all())

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.window.GetSize()
        return int(width), int(height)


def blended(placed: Sequence[PlacedSprite], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected picture, ``(H, W, 3)``, and the number of sprites at each pixel, ``(H, W)``."""
    picture = np.empty((*size[::-1], 3))
    picture[:] = GROUND
    layers = np.zeros(size[::-1], dtype=int)
    for one in placed:
        height, width = one.sprite.shape[:2]
        left, low = round(one.left), size[1] - round(one.bottom)
        layers[low - height : low, left : left + width] += 1
        part = picture[low - height : low, left : left + width]
        alpha = one.sprite[..., 3:] / 255
        part[:] = one.sprite[..., :3] * alpha + part * (1 - alpha)
    return picture, layers


class TestSprites:
    @pytest.fixture
    def screen(self) -> Iterator[Screen]:
        screen = Screen()
        yield screen
        screen.window.Finalize()

    def test_each_pixel_of_a_sprite_is_at_its_position(self, screen):
        assert screen.shows(PlacedSprite(sprite(1, 31, 17), 3, 5), PlacedSprite(sprite(2, 60, 40), 120, 90))

    def test_later_sprite_is_drawn_over_earlier_ones(self, screen):
        a, b = PlacedSprite(sprite(1, 40, 40), 20, 20), PlacedSprite(sprite(2, 40, 30), 35, 42)
        assert screen.shows(a, b)
        assert screen.shows(b, a)

    def test_positions_are_rounded_to_pixels(self, screen):
        assert screen.shows(PlacedSprite(sprite(1, 31, 17), 3.4, 5.6), PlacedSprite(sprite(2, 20, 20), 99.51, 50.49))

    def test_sprites_move_appear_disappear_and_change(self, screen):
        a, b, c = sprite(1, 31, 17), sprite(2, 60, 40), sprite(3, 25, 50)
        assert screen.shows(PlacedSprite(a, 3, 5))
        assert screen.shows(PlacedSprite(a, 53, 25))
        assert screen.shows(PlacedSprite(a, 53, 25), PlacedSprite(b, 0, 100))
        assert screen.shows(PlacedSprite(c, 53, 25), PlacedSprite(b, 0, 100))
        assert screen.shows()
        assert screen.shows(PlacedSprite(b, 150, 100))
        assert screen.shows(*(PlacedSprite(b, 61 * k, 10 * k) for k in range(3)))

    def test_more_sprites_than_the_atlas_has_room_for(self, screen):
        for seed, count in ((1, 2), (20, 25), (300, 9), (400, 60)):
            places = np.random.default_rng(seed).integers(0, (SIZE[0] - 90, SIZE[1] - 90), (count, 2))
            assert screen.shows(
                *(PlacedSprite(s, *map(int, p)) for s, p in zip(many(seed, count), places, strict=True))
            )

    def test_new_sprite_at_the_address_of_a_freed_one_is_uploaded(self, screen):
        """An array at the memory address of a freed one is not confused with it."""
        for seed in range(30):
            assert screen.shows(PlacedSprite(sprite(seed, 33, 22), 10, 10))

    def test_sprites_keep_their_pixels_in_a_window_of_another_size(self, screen):
        placed = (PlacedSprite(sprite(1, 31, 17), 3, 5), PlacedSprite(sprite(2, 60, 40), 120, 90))
        assert screen.shows(*placed)
        for size in ((400, 300), (200, 150)):
            screen.window.SetSize(*size)
            assert screen.shows(*placed)

    def test_all_sprites_are_drawn_by_one_actor(self, screen):
        screen.shows(*(PlacedSprite(s, 5, 5) for s in many(1, 30)))
        (renderer,) = screen.window.GetRenderers()
        assert renderer.GetViewProps().GetNumberOfItems() == 1


def names(*labels: Label) -> Labels:
    return Labels("names", labels)


LEFT = Label((-2.0, 1.0, 0.0), ("left", "words"))
RIGHT = Label((2.0, -1.0, 0.0), ("right",))


class TestTextOfAPicture:
    @pytest.mark.parametrize(
        "text",
        [
            [names(LEFT)],
            [names(LEFT, RIGHT)],
            [names(RIGHT)],
            [names(Label(LEFT.anchor, ("other words",)), RIGHT)],
            [names(Label(RIGHT.anchor, LEFT.lines), Label(LEFT.anchor, RIGHT.lines))],
            [names(Label(LEFT.anchor, LEFT.lines, emphasis=0.2), RIGHT)],
            [names(Label(LEFT.anchor, LEFT.lines, small=True))],
            [names(LEFT), Panel("panel", "top-right", (TextRow("a panel"),))],
            [Panel("one", "top-left", (TextRow("one"),)), Panel("two", "top-left", (TextRow("two"),))],
            [],
        ],
    )
    def test_earlier_text_is_removed(self, shoot: Callable, text):
        shoot(picture_of(names(LEFT, RIGHT), Panel("panel", "top-left", (TextRow("words"),))), POSE)
        picture = shoot(picture_of(*text), POSE)
        fresh = Offscreen(SIZE, antialias=False)
        expected = fresh.picture(picture_of(*text), POSE)
        fresh.close()
        assert np.array_equal(picture, expected)
        assert (picture.max() > 60) == bool(text)

    def test_label_is_drawn_over_the_shadow_of_a_panel_in_any_order(self, studio, shoot, monkeypatch):
        shown = []
        show = SpritesActor.show
        monkeypatch.setattr(SpritesActor, "show", lambda self, placed: (shown.append(placed), show(self, placed)))
        panel = Panel("panel", "top-right", (TextRow("a panel"),))
        touching = 0
        # Down along the picture's right side: the first that fits is close below the panel.
        for y in np.linspace(2.1, 2.5, 5):
            label = names(Label((3.2, float(y), 0.0), ("name",)))
            last = []
            for first in (label, panel):
                shoot(picture_of(), POSE)
                shoot(picture_of(first), POSE)
                last.append(shoot(picture_of(label, panel), POSE))
            assert np.array_equal(*last)
            if len(shown[-1]) == 2:
                (a, b) = (Rect(s.left, s.bottom, s.sprite.shape[1], s.sprite.shape[0]) for s in shown[-1])
                touching += a.overlaps(b)
                assert shown[-1][0].sprite.shape[0] > shown[-1][1].sprite.shape[0]
        assert touching

    def test_text_moves_with_the_camera(self, studio, shoot, monkeypatch):
        what = picture_of(names(LEFT, RIGHT), block(np.ones((1, 1, 1))))
        shoot(what, POSE)
        uploads = []
        upload = SpritesActor._upload
        monkeypatch.setattr(module.SpritesActor, "_upload", lambda *a, **k: (uploads.append(1), upload(*a, **k)))
        pictures = [shoot(what, looking((angle, 0.0), 14.0)) for angle in (0.0, 8.0, 16.0)]
        assert not uploads
        assert all((a != b).any() for a, b in combinations(pictures, 2))

    def test_text_is_larger_in_a_larger_window(self):
        what = DrawList((names(LEFT, RIGHT), Panel("p", "top-left", (TextRow("words"),))))
        studio = Offscreen((900, 600), antialias=False)
        studio.picture(what, POSE)
        for size in ((1500, 900), (900, 600)):
            studio.renderer.window.SetSize(*size)
            fresh = Offscreen(size, antialias=False)
            assert np.array_equal(studio.picture(what, POSE), fresh.picture(what, POSE))
            fresh.close()
        studio.close()
