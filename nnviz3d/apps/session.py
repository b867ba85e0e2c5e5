"""What the window and the browser share: a scene, the renderer that shows it, a clock, and what is selected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection


class Session:
    """One looking at one scene. Nothing is drawn until `draw` is called, on the thread that owns the window.

    Parameters
    ----------
    scene
        What is shown.
    renderer
        Where. The caller renders.

    Attributes
    ----------
    t
        The moment that is shown, in seconds; at first the end, where all is revealed.
    playing, speed
        Whether `advance` moves the clock, and how many scene seconds pass in one second.
    """

    def __init__(self, scene: Scene, renderer: Renderer) -> None:
        self.scene = scene
        self.renderer = renderer
        self.t = scene.duration
        self.playing = False
        self.speed = 1.0
        self.selection = Selection()

    @property
    def samples(self) -> tuple[str, ...]:
        """A name for each sample that can be chosen."""
        capture = self.scene.stage.capture
        names = capture.provenance.samples
        return tuple(names[i] if i < len(names) else f"sample {i}" for i in range(capture.committed))

    @property
    def layers(self) -> tuple[str, ...]:
        """The node ids in topological order."""
        return tuple(node.id for node in self.scene.stage.graph)

    def select(self, **changes: Any) -> None:
        """Change what is selected: the fields of `Selection` by name."""
        self.selection = replace(self.selection, **changes)

    def play(self) -> None:
        """Let the clock run, from the start if it is at the end."""
        if self.t >= self.scene.duration:
            self.t = 0.0
        self.playing = True

    def pause(self) -> None:
        """Stop the clock where it is."""
        self.playing = False

    def seek(self, t: float) -> None:
        """Go to a moment, in seconds."""
        self.t = min(max(t, 0.0), self.scene.duration)

    def advance(self, seconds: float) -> bool:
        """Let so many real seconds pass; returns whether the picture changes. At the end the clock stops."""
        if not self.playing:
            return False
        self.seek(self.t + seconds * self.speed)
        if self.t >= self.scene.duration:
            self.playing = False
        return True

    def home(self) -> CameraPose:
        """Return the scene's own view of this moment, for the window's shape."""
        width, height = self.renderer.size
        return self.scene.camera(self.t, aspect=width / height)

    def draw(self) -> None:
        """Make the window equal to this moment and this selection."""
        self.renderer.draw(self.scene.at(self.t, self.selection))
