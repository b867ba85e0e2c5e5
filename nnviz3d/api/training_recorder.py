"""The recorder of a training, with a page that shows the training while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nnviz3d.api.command_arguments import CommandArguments, given, of_proxy
from nnviz3d.api.viewer import Viewer
from nnviz3d.errors import NO_TENSORFLOW, ModelError, lacks_tensorflow
from nnviz3d.scene.spec import SceneSpec

if TYPE_CHECKING:
    from nnviz3d.capture.training.recorder import RecordingCallback
else:
    try:
        RecordingCallback = import_module("nnviz3d.capture.training.recorder").RecordingCallback
    except ModuleNotFoundError as error:
        if not lacks_tensorflow(error):
            raise
        raise ModelError(NO_TENSORFLOW) from None


class TrainingRecorder(RecordingCallback):  # noqa: D101 - the docstring is that of the recorder
    __doc__ = RecordingCallback.__doc__
    _viewer: Viewer | None = None

    def show(
        self,
        *,
        scene: str | Path | SceneSpec | None = None,
        port: int | None = None,
        origin: str | Sequence[str] = (),
        base_path: str | None = None,
        open: bool = True,
    ) -> Viewer:
        """Show the training in the browser while it runs, from the first recorded step.

        The viewer is a process of its own and does not change the training. It prints its address, and closes with this
        program; call its ``wait()`` at the end of the program to keep it open.

        Parameters
        ----------
        scene
            A scene file, the name of a bundled scene, or a `SceneSpec`.
        port, origin, base_path, open
            As for ``nnviz3d serve``.

        Returns
        -------
        Viewer
            Its `url` is the address, as soon as the page answers.
        """
        if self._viewer is None or self._viewer.closed:
            arguments = CommandArguments()
            where = [*given("--port", port), *of_proxy(origin, base_path)]
            words = [*arguments.scene(scene), *where, "--open" if open else "--no-open"]
            self._viewer = Viewer("serve", [str(self.path), *words], on_close=arguments.close, in_background=True)
            if self.has_recorded:
                self._viewer.start()
        return self._viewer

    def on_step_recorded(self) -> None:
        """Open the page at the first recorded step."""
        if self._viewer is not None:
            self._viewer.start()
