"""Paint over a sample's picture, drawings, and what pages send for them."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from aiohttp import ClientSession, web
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nnviz3d import Intervention
from nnviz3d.apps.sample_runner import Answer
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web import paint_files
from nnviz3d.apps.web.paint_files import add_paint
from nnviz3d.apps.web.panels.painting import PaintingPanel
from nnviz3d.data.capabilities.interventions import write_interventions
from nnviz3d.data.files.picture_files import read_paint
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.apps.test_web_panels import Page
from tests.support import captures

PICTURE = np.random.default_rng(6).integers(0, 256, (3, 8, 9, 1), np.uint8)


class Model:
    """A runner that keeps the requests and answers the newest one with a capture of one sample."""

    stage, share = "", None

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.ready, self.made = folder, [], [], 0

    def ask(self, request):
        self.asked.append(request)

    def expect(self, request):
        pass

    def new_folder(self):
        self.made += 1
        found = self.folder / f"in-{self.made}"
        found.mkdir()
        return found

    def answer(self, interventions=()):
        values = {name: numbers[:1] for name, numbers in captures.small_values().items()}
        path = self.folder / f"{len(self.asked)}.zarr.zip"
        source = Path(self.asked[-1].source)
        shown = np.asarray(Image.open(source).convert("RGB")) if source.is_file() else np.zeros((8, 9, 3), np.uint8)
        also = [lambda writer: write_interventions(writer, interventions)] if interventions else []
        found = captures.write(path, captures.small_graph(), values, pictures={"input": shown[np.newaxis]}, also=also)
        self.ready.append(Answer(self.asked[-1], found))

    def answers(self):
        found, self.ready = self.ready, []
        return found

    def keep(self, sample, path):
        pass

    def keeps(self, sample):
        return False

    def oldest(self, *, besides):
        return None


@pytest.fixture
def model(tmp_path):
    return Model(tmp_path)


@pytest.fixture
def session(tmp_path, model):
    pictures = {"input": np.repeat(PICTURE, 3, axis=3)}
    capture = captures.write(tmp_path / "run.zarr", captures.small_graph(), captures.small_values(), pictures=pictures)
    samples = tuple(Sample(f"sample {i}", i, f"{i}.png") for i in range(3))
    return Session(Scene.build(default_scene(), capture), SimpleNamespace(), samples=samples, runner=model)


def paint(model, *, at=(slice(2, 4), slice(3, 7)), color=(250, 250, 250), size=(9, 8)) -> Path:
    """Write paint, transparent around a rectangle."""
    pixels = np.zeros((*size[::-1], 4), np.uint8)
    pixels[at] = [*color, 255]
    path = model.new_folder() / "paint.png"
    Image.fromarray(pixels).save(path)
    return path


def test_paint_is_an_intervention_that_replaces_earlier_paint_and_empty_paint_takes_it_away(session, model):
    canvas = session.painting.canvas
    assert (canvas.layer, canvas.grey, canvas.drawing, canvas.overlay) == ("input", True, False, None)
    assert np.array_equal(canvas.picture, np.repeat(PICTURE[0], 3, axis=2))
    first, second = paint(model), paint(model)
    session.painting.paint(first)
    session.painting.paint(second, goes_on=True)
    assert [one.insights.interventions[0].picture for one in model.asked] == [str(first), str(second)]
    assert model.asked[-1].insights.interventions[0].text == "paint input"
    assert session.painting.canvas.overlay == second
    session.painting.paint(paint(model, at=(0, 0), color=(1, 1, 1)))
    session.interventions.undo()
    assert session.painting.overlay == second
    session.interventions.undo()
    assert session.painting.overlay is None, "a stroke is one step, however often it was sent"
    session.painting.paint(first)
    session.painting.paint(paint(model, at=(slice(0), slice(0))))
    assert session.interventions.listed == ()


def test_drawing_begins_black_changes_its_own_sample_and_gets_no_paint_of_another(session, model):
    session.painting.paint(paint(model))
    session.painting.draw()
    assert session.samples[3].drawing
    assert model.asked[-1].insights.interventions == ()
    assert not np.asarray(Image.open(model.asked[-1].source)).any()
    model.answer()
    session.poll()
    assert session.samples.chosen == 3
    assert session.painting.canvas.drawing
    assert not session.painting.canvas.picture.any()
    stroke = paint(model, color=(200, 200, 200))
    session.painting.paint(stroke)
    early = model.asked[-1]
    session.painting.paint(paint(model, at=(slice(1, 3), slice(1, 3))))
    drawn = np.asarray(Image.open(model.asked[-1].source))
    assert drawn.shape == (8, 9)
    assert drawn[1:3, 1:3].min() == 250
    assert drawn.sum() == 4 * 250
    shown = session.selection.sample
    model.asked.append(early)
    model.answer()
    session.poll()
    assert session.selection.sample == shown, "an earlier stroke is not shown after a later one"
    model.asked.pop()
    model.answer()
    session.poll()
    assert session.samples.chosen == 3
    assert session.samples[3].index == session.selection.sample != shown
    assert not session.interventions.can_undo, "the paint over another sample"
    assert [one.name for one in session.samples] == ["sample 0", "sample 1", "sample 2", "drawing 1"]


def test_painted_picture_is_kept_as_a_sample_with_its_paint(session, model):
    with pytest.raises(UserError, match="Nothing is painted"):
        session.painting.keep()
    session.painting.paint(paint(model))
    position = session.painting.keep()
    kept = np.asarray(Image.open(session.samples[position].source))
    expected = PICTURE[0, ..., 0].copy()
    expected[2:4, 3:7] = 250
    assert np.array_equal(kept, expected)


@pytest.mark.parametrize("arrived", [True, False])
def test_kept_painting_is_shown_as_any_sample_without_a_change(session, model, arrived):
    session.painting.paint(paint(model, at=(0, 0)))
    session.painting.paint(paint(model))
    if arrived:
        model.answer(interventions=session.interventions.listed)
        session.poll()
        assert session.selection.quantity == "change"
    position = session.painting.keep()
    session.choose(position)
    assert model.asked[-1].source == session.samples[position].source
    assert model.asked[-1].insights.interventions == ()
    model.answer()
    session.poll()
    assert session.samples.chosen == position
    assert (session.interventions.listed, session.selection.quantity) == ((), None)
    assert (session.painting.overlay, session.interventions.can_undo) == (None, False)
    again = paint(model)
    session.painting.paint(again)
    assert model.asked[-1].insights.interventions[0].picture == str(again), "further paint is a change of it"


def test_panel_describes_the_canvas_and_has_none_without_a_model(session, model):
    page = Page(session)
    panel = PaintingPanel(page)
    page.panels = [panel]
    panel.synchronize()
    found = panel.state.paint_canvas
    assert (found["width"], found["height"], found["grey"], found["overlay"]) == (9, 8, True, "")
    assert found["picture"].startswith("samples/0/picture?")
    assert found["position"] == 0
    painted = paint(model)
    session.painting.paint(painted)
    panel.synchronize()
    assert panel.state.paint_canvas["overlay"] == f"samples/paint?of={painted.parent.name}"
    alone = Session(session.scene, SimpleNamespace())
    panel = PaintingPanel(Page(alone))
    panel.synchronize()
    assert panel.state.paint_canvas == {}


def asked(session, *requests):
    """Send requests to a server of the addresses for paint; returns the content of each answer."""

    async def talk():
        application = web.Application()
        add_paint(application, SimpleNamespace(session=session, refresh=lambda: None))
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
                found = []
                for method, path, data in requests:
                    answer = await client.request(method, path, data=data)
                    found.append(
                        await answer.json() if answer.content_type == "application/json" else await answer.read()
                    )
                return found
        finally:
            await runner.cleanup()

    return asyncio.run(talk())


def test_page_reads_the_picture_and_the_paint_that_it_has_sent(session, model):
    sent = paint(model).read_bytes()
    picture, nothing, answer, again = asked(
        session,
        ("GET", "/samples/0/picture", None),
        ("GET", "/samples/paint", None),
        ("POST", "/samples/paint?position=0&goes_on=0", sent),
        ("GET", "/samples/paint", None),
    )
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), np.repeat(PICTURE[0], 3, axis=2))
    assert nothing == b""
    assert answer == {"overlay": session.painting.overlay.parent.name}
    assert again == sent


@pytest.mark.parametrize(
    "kind", ["no picture", "another size", "a bomb", "too many bytes", "another format", "16 bits"]
)
def test_paint_that_is_no_picture_of_the_size_is_one_sentence_and_leaves_no_file(session, model, kind, monkeypatch):
    monkeypatch.setattr(paint_files, "_LARGEST", 1 << 20)
    out = io.BytesIO()
    if kind == "a bomb":
        Image.new("1", (20_000, 20_000)).save(out, "PNG")
    elif kind == "another format":
        Image.new("RGBA", (9, 8), "white").save(out, "TIFF")
    elif kind == "16 bits":
        Image.new("I;16", (9, 8)).save(out, "PNG")
    else:
        Image.new("RGBA", (4, 4), "white").save(out, "PNG")
    content = {"no picture": b"GIF89a no picture", "too many bytes": bytes(2 << 20)}.get(kind, out.getvalue())
    (answer,) = asked(session, ("POST", "/samples/paint?position=0", content))
    words = {
        "no picture": "cannot be read as a picture",
        "another size": "4 x 4 pixels; the picture is 9 x 8",
        "a bomb": "would take 4.5 GB of memory",
        "too many bytes": "larger than 1 MB",
        "another format": "cannot be read as a picture",
        "16 bits": "more than 8 bits a colour",
    }
    assert words[kind] in answer["problem"]
    assert str(model.folder) not in answer["problem"]
    assert not list(model.folder.glob("in-*"))
    assert model.asked == []


def painted_by_a_capture(tmp_path, model, picture: Path) -> Session:
    """Return a session with a capture that says that a file is painted over its input."""
    also = (lambda writer: write_interventions(writer, [Intervention("input", action="paint", picture=str(picture))]),)
    pictures = {"input": np.repeat(PICTURE, 3, axis=3)}
    path, graph, values = tmp_path / "strange.zarr", captures.small_graph(), captures.small_values()
    capture = captures.write(path, graph, values, pictures=pictures, also=also)
    samples = tuple(Sample(f"sample {i}", i, f"{i}.png") for i in range(3))
    return Session(Scene.build(default_scene(), capture), SimpleNamespace(), samples=samples, runner=model)


def test_capture_makes_the_server_send_no_file_but_only_pixels_of_the_canvas_size(tmp_path, model):
    pixels = np.zeros((8, 9, 4), np.uint8)
    pixels[2:4, 3:7] = (1, 2, 3, 255)
    facts = PngInfo()
    facts.add_text("Comment", "a secret note")
    fitting, large, text = tmp_path / "fitting.png", tmp_path / "large.png", tmp_path / "key.txt"
    Image.fromarray(pixels).save(fitting, pnginfo=facts)
    Image.new("RGBA", (90, 80)).save(large)
    text.write_text("a secret note")
    for wanted in (text, large, tmp_path, tmp_path / "absent.png", Path("a\0b.png")):
        session = painted_by_a_capture(tmp_path, model, wanted)
        assert session.painting.overlay == wanted
        assert asked(session, ("GET", "/samples/paint", None)) == [b""]
        with pytest.raises(UserError):
            session.painting.keep()
    session = painted_by_a_capture(tmp_path, model, fitting)
    (sent,) = asked(session, ("GET", "/samples/paint", None))
    assert b"secret" in fitting.read_bytes()
    assert b"secret" not in sent
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(sent))), pixels)


def test_paint_of_another_sample_is_refused_also_if_it_is_chosen_while_the_paint_arrives(session, model, monkeypatch):
    sent = paint(model).read_bytes()
    other, unknown = asked(
        session, ("POST", "/samples/paint?position=1", sent), ("POST", "/samples/paint?goes_on=0", sent)
    )

    def read_late(*arguments, **options):
        session.choose(1)
        return read_paint(*arguments, **options)

    monkeypatch.setattr(paint_files, "read_paint", read_late)
    (late,) = asked(session, ("POST", "/samples/paint?position=0", sent))
    assert session.samples.chosen == 1
    for answer in (other, unknown, late):
        assert "Another sample is shown" in answer["problem"]
    assert model.asked == []
    assert len(list(model.folder.glob("in-*"))) == 1, "the file of this test"
    monkeypatch.undo()
    (answer,) = asked(session, ("POST", "/samples/paint?position=1", sent))
    assert answer == {"overlay": session.painting.overlay.parent.name}
