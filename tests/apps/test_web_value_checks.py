"""Whatever a script in the browser asks for, the page answers an impossible value by a sentence and stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nnviz3d.apps.session import Session
from nnviz3d.apps.web.app import WebApp
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.security import Gate
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene

ODD = (
    None,
    "",
    "abc",
    "1e999",
    [],
    ["activation"],
    {"a": 1},
    True,
    float("nan"),
    float("inf"),
    -1,
    10**400,
    "x" * 10**6,
)
KEYS = ("threshold", "quantity", "colormap", "normalize", "ranking", "unfold", "channel_order", "t", "speed")
POSSIBLE = {"threshold": (-1,), "t": (-1,), "unfold": (None, "")}
"""Values that are taken: numbers beyond the ends of a slider stand for its ends, and no layer folds all."""


Changed = Callable[[object], None]


@pytest.fixture(scope="module")
def shown(explained_capture) -> Iterator[tuple[WebApp, dict[str, Changed]]]:
    """The app, and what it does when a page changes a value."""
    handlers: dict[str, Changed] = {}

    def note(page: PageContext, key: str, changed: Changed) -> None:
        handlers[key] = page.guarded(changed)

    renderer = Renderer(offscreen_window((160, 90)))
    scene = Scene.build(default_scene(), explained_capture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PageContext, "on_change", note)
        yield WebApp(Session(scene, renderer), Gate("127.0.0.1", 8080), "server"), handlers
    renderer.close()


@pytest.mark.parametrize("key", KEYS)
def test_impossible_value_is_answered_by_a_sentence(shown, capsys, key):
    app, handlers = shown
    session = app._session
    before = (session.selection, session.clock.t, session.clock.speed)
    for value in ODD:
        if value is not True and value in POSSIBLE.get(key, ()):
            continue
        app.state.message = ""
        handlers[key](value)
        assert app.state.message.startswith("The page asked "), (key, value)
        assert len(app.state.message) < 400
        assert (session.selection, session.clock.t, session.clock.speed) == before, (key, value)
    assert "Traceback" not in capsys.readouterr().err
