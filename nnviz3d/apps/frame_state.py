"""The scene, time and selection of the current frame, which the parts of a session share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection


class FrameState:
    """Everything that the next frame depends on.

    Parameters
    ----------
    scene
        The scene. It is replaced when there are more samples, or more steps of a training.
    selection
        The first selection.

    Attributes
    ----------
    t
        The current time in seconds; at first that of the saved look, or the end, where everything is visible.
    """

    def __init__(self, scene: Scene, selection: Selection) -> None:
        self.scene = scene
        self.t = scene.first_time
        self.selection = self._drawn = selection

    @property
    def context(self) -> SceneContext:
        """The context of the views; for a training, with the numbers of the current training step."""
        return self.scene.as_of(self.t, self.selection).context

    def select(self, **changes: Any) -> None:
        """Change fields of the selection, given by name."""
        self.selection = replace(self.selection, **changes)

    def show(self, scene: Scene, selection: Selection, t: float) -> None:
        """Show a selection in a scene of the same capture, at a time in seconds."""
        self.scene, self.selection = scene, selection
        self.t = min(max(t, 0.0), scene.duration)

    def rearrange(self, scene: Scene) -> None:
        """Show a scene with other groups of layers open; what was chosen of a hidden layer means the group around it."""
        self.scene = scene
        before = self.selection
        pick, unfold = before.pick, before.unfold
        graph = {None, *(node.id for node in scene.context.graph)}
        self.selection = self._drawn = replace(
            before,
            layer=scene.shown(before.layer),
            pick=None if pick is not None and pick.of_layer not in graph else pick,
            unfold=None if unfold not in graph else unfold,
        )

    def mark_drawn(self) -> None:
        """Record that the current selection could be drawn."""
        self._drawn = self.selection

    def revert(self) -> bool:
        """Restore the last selection that could be drawn; returns whether that changes the selection."""
        differs = self.selection != self._drawn
        self.selection = self._drawn
        return differs

    def select_sample(self, sample: int) -> None:
        """Select a sample of the capture; without the selected target if that sample was not explained by it."""
        before, against = self.selection.sample, self.selection.against
        self.select(sample=sample, against=before if against == sample else against)
        self.selection = self._with_known_choices(self.selection)

    def replace_sample(self, old: int, new: int) -> None:
        """Select a sample's newest run wherever an earlier run of it was selected."""
        self.selection, self._drawn = (
            self._with_known_choices(
                replace(
                    one,
                    sample=new if one.sample == old else one.sample,
                    against=new if one.against == old else one.against,
                )
            )
            for one in (self.selection, self._drawn)
        )

    def _with_known_choices(self, selection: Selection) -> Selection:
        """Return a selection without the target or the change if its sample has none of them."""
        explanations = self.scene.context.capture.explanations(selection.sample)
        if selection.target not in {found.target for found in explanations.targets}:
            selection = replace(selection, target=None)
        if selection.quantity == "change" and not explanations.interventions:
            selection = replace(selection, quantity=None)
        return selection
