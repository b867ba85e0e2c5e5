"""The heading of a scene's pictures: its title, and notes on groups and interventions."""

from __future__ import annotations

from collections.abc import Iterable

from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.folding import words_on
from nnviz3d.scene.headline import headline
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Panel, Primitive
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.outputs import note_on_change
from nnviz3d.scene.views.titles import title_panel


class Heading:
    """The panel at the upper left of a scene's pictures: the title is added to the rows that a view shows there."""

    def __init__(self, spec: SceneSpec, context: SceneContext) -> None:
        self._spec = spec
        self._context = context
        self._note: tuple[object, tuple[TextRow, ...]] = (None, ())

    def title(self, sample: int) -> str:
        """Return the scene's title, or the model's name if the title does not fit the sample."""
        capture = self._context.capture
        name = capture.sample_name(sample) if sample < capture.committed else ""
        return headline(self._spec, self._context.graph.name, name)

    def rows(self) -> list[TextRow]:
        """Return the rows of text for the first sample."""
        known = self._context.capture.committed > 0
        rows = title_panel(self._context, 0).rows if known else ()
        title = [TextRow(self.title(0), "title"), *(row for row in rows if isinstance(row, TextRow))]
        return [*title, *self._on_groups()]

    def on(self, found: Iterable[Primitive], sample: int, note: tuple[TextRow, ...] = ()) -> Iterable[Primitive]:
        """Yield the primitives of a picture, with the heading among them.

        Parameters
        ----------
        note
            Rows of `note_on_change`.
        """
        heading = TextRow(self.title(sample), "title")
        below = (*note, *self._on_groups())
        titled = False
        for primitive in found:
            if isinstance(primitive, Panel) and primitive.name == "title":
                titled = True
                yield Panel("title", "top-left", (heading, *primitive.rows, *below))
            else:
                yield primitive
        if not titled:
            model = TextRow(self._context.capture.provenance.model, "quiet")
            yield Panel("title", "top-left", (heading, model, *below))

    def note_on_change(self, selection: Selection) -> tuple[TextRow, ...]:
        """Return a row that says which of the shown numbers are without the sample's interventions; none without any."""
        if selection.sample >= self._context.capture.committed:
            return ()
        cells = [one for one in self._spec.views if isinstance(one, ActivationsSpec)]
        drawn = any((selection.quantity or one.quantity) == "change" for one in cells)
        key = (selection.sample, drawn)
        if self._note[0] != key:
            text = note_on_change(self._context, selection.sample, drawn=drawn)
            self._note = (key, (TextRow(text),) if text else ())
        return self._note[1]

    def _on_groups(self) -> tuple[TextRow, ...]:
        folded = words_on(self._context.graph)
        return (TextRow(folded, "quiet"),) if folded else ()
