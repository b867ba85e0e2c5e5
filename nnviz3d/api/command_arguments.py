"""Command-line arguments for Python objects: arrays and scenes become files, a live model answers over a socket."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nnviz3d.api.command_process import tell_remark
from nnviz3d.api.scene_files import with_absolute_paths
from nnviz3d.api.viewer_options import Options
from nnviz3d.apps.target import scene_named
from nnviz3d.data.batches import first_batch, is_data_frame
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.capture import Capture
from nnviz3d.data.files.array_files import as_array
from nnviz3d.data.files.paths import exists
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.json_lines import to_line
from nnviz3d.data.model_sources import names_model
from nnviz3d.data.quantities import canonical
from nnviz3d.data.request import CaptureRequest, Insights, Invitation
from nnviz3d.data.sample_sources import expand, named_sources
from nnviz3d.errors import NO_TENSORFLOW, ModelError, UserError, lacks_tensorflow
from nnviz3d.options import SHOWN_ACTIONS, Look
from nnviz3d.scene.scene_text import scene_text
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.stopping import DelayedSignals

_MOST_COMPARED = 256
"""Most samples on which a compared model object is run at once; a viewer shows the difference of these."""


class CommandArguments:
    """Arguments of a command, with the temporary files and the server for a live model that they refer to.

    Attributes
    ----------
    folder
        Folder of the temporary files.
    """

    def __init__(self) -> None:
        self._ends = contextlib.ExitStack()
        try:
            with DelayedSignals():
                self.folder = self._ends.enter_context(temporary_folder())
        except KeyboardInterrupt:
            self.close()
            raise

    def close(self) -> None:
        """Remove the folder and end the server."""
        self._ends.close()

    def of(self, target: Any, x: Any, options: Options, *, live: bool, whole: bool = False) -> list[str]:
        """Return the arguments for a target and its input.

        Parameters
        ----------
        target, x, options
            As for `serve`.
        live
            Whether the command can ask a live model for further samples.
        whole
            Whether the command needs all samples of a model object at once.

        Raises
        ------
        UserError
            If there is no such option, options contradict each other, or arrays or a model object cannot be read.
        """
        unknown = next((name for name in options if name not in Options.__annotations__), None)
        if unknown is not None:
            raise UserError(f"There is no option {unknown!r}; there are {', '.join(Options.__annotations__)}.")
        common = [
            *self.scene(options.get("scene")),
            *given("--layer", options.get("layer")),
            *given("--threshold", options.get("threshold")),
            *given("--colormap", options.get("colormap")),
            *given("--normalize", options.get("normalize")),
            *given("--ranking", options.get("ranking")),
            *given("--groups", options.get("groups")),
            *given("--quantity", options.get("quantity")),
            *given("--class", options.get("explain")),
            *given("--method", options.get("method")),
            *given("--step", options.get("step")),
            *given("--metadata", self._table(options.get("metadata"))),
            *[word for name, places in _changes(options).items() for one in places for word in (f"--{name}", one)],
            *(["--side-by-side"] if options.get("side_by_side") else []),
        ]
        against = options.get("against")
        if isinstance(target, SceneSpec):
            if target.source is None:
                raise UserError(
                    "The scene names no source; give a model or a capture as target, and the scene as scene."
                )
            target = self._scene_file("target.toml", target)
        if target is not None and not isinstance(target, str | Path | Capture):
            return [*self._live(target, x, options, live=live, whole=whole), *common]
        if against is not None and not isinstance(against, int | str | Path | Capture):
            raise UserError(
                "against is a model object, so the target has to be one too: keras.models.load_model opens a file."
            )
        common += given("--against", against.path if isinstance(against, Capture) else against)
        common += given("--sample", options.get("sample"))
        if options.get("labels") is not None:
            raise UserError("labels go with a model object; a file of arrays (.npz) holds its own.")
        if isinstance(target, Capture):
            return [str(target.path), *common]
        return [*self._of_file(target, self._sources(x), options), *common]

    def _of_file(self, target: str | Path | None, inputs: Sequence[str], options: Options) -> list[str]:
        """Return the arguments for a file or a name, and for the options of models."""
        classes = options.get("classes")
        return [
            *([] if target is None else [str(target)]),
            *[word for source in inputs for word in ("--input", source)],
            *given("--preprocess", options.get("preprocess")),
            *given("--weights", options.get("weights")),
            *given("--architecture", options.get("architecture")),
            *given("--classes", None if classes is None else self._text("classes.txt", "\n".join(map(str, classes)))),
            *[word for one in options.get("custom", ()) for word in ("--custom", _importable(one))],
            *(["--trust"] if options.get("trust") else []),
        ]

    def scene(self, scene: str | Path | SceneSpec | None) -> list[str]:
        """Return the arguments for the scene by which to show the target; none for the default scene."""
        return given("--scene", self._scene_file("scene.toml", scene) if isinstance(scene, SceneSpec) else scene)

    def _scene_file(self, name: str, spec: SceneSpec) -> str:
        """Write a scene file with absolute paths, and return its path."""
        return self._text(name, scene_text(with_absolute_paths(spec, Path())))

    def _text(self, name: str, text: str) -> str:
        """Write a temporary file that only the user can read, and return its path."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def _table(self, metadata: Any) -> str | None:
        """Return the path of a table about the samples; a data frame is written to a file."""
        if metadata is None or isinstance(metadata, str | Path):
            return None if metadata is None else str(metadata)
        if not is_data_frame(metadata):
            raise UserError("metadata is the path of a .csv or .tsv file, or a data frame.")
        path = self.folder / "metadata.csv"
        metadata.to_csv(path, index=False)
        return str(path)

    def _sources(self, x: Any) -> list[str]:
        """Return the inputs as values of ``--input``; arrays are written to a file."""
        named = named_sources(x)
        if named is not None:
            return list(named)
        path = self.folder / "x.npz"
        if is_data_frame(x):
            path = path.with_suffix(".csv")
            x.to_csv(path, index=False)
            return [str(path)]
        batch = first_batch(x)
        x = x if batch is None else batch.x
        if isinstance(x, Mapping) or (batch is not None and batch.labels is not None):
            named_arrays = x if isinstance(x, Mapping) else {"x": x}
            arrays: dict[str, Any] = {str(name): as_array(values) for name, values in named_arrays.items()}
            if batch is not None and batch.labels is not None:
                arrays["labels"] = batch.labels
            np.savez(path, **arrays)
        else:
            path = path.with_suffix(".npy")
            np.save(path, as_array(x), allow_pickle=False)
        return [str(path)]

    def _live(self, model: Any, x: Any, options: Options, *, live: bool, whole: bool) -> list[str]:
        """Capture one sample of a live model, or all; start a server for a viewer that can ask for the others."""
        if any(options.get(name) for name in ("weights", "architecture", "trust", "custom")):
            raise UserError(
                "weights, architecture, trust and custom go with a model file; a model object holds all of these."
            )
        against = options.get("against")
        if isinstance(against, int):
            raise UserError(
                "The sample that against names is of a model file or a capture; capture the model object's samples first."
            )
        elsewhere = import_module("nnviz3d.capture.other_backend")
        if elsewhere.other_backend(model) is not None:
            if against is not None:
                raise UserError(
                    "against takes models of TensorFlow; capture both models on the same x, and compare the captures."
                )
            copy = elsewhere.save_copy(model, x, options.get("labels"), self.folder)
            tell_remark(f"{copy.note}\n")
            own: Options = {**options, "custom": copy.custom, "trust": copy.trust}
            return [*self._of_file(copy.model, copy.inputs, own), *given("--sample", options.get("sample"))]
        try:
            live_model = import_module("nnviz3d.capture.live_model")
        except ModuleNotFoundError as error:
            if not lacks_tensorflow(error):
                raise
            raise ModelError(NO_TENSORFLOW) from None
        kept = live_model.prepare_live_model(model, x, classes=options.get("classes"), labels=options.get("labels"))
        if kept.held is not None:
            samples = tuple((name, name) for name in kept.held.names)
        elif options.get("labels") is not None:
            raise UserError("labels go with arrays; pictures and other samples that are named have their own or none.")
        else:
            samples = tuple((one.name, one.source) for one in expand(kept.sources or ("random",)))
        position = options.get("sample", 0)
        if not 0 <= position < len(samples):
            raise UserError(f"There is no sample {position}; x holds {len(samples)}, from 0.")
        out = self.folder / ("run.zarr" if against is None else f"{_file_name(model)}.zarr")
        request = CaptureRequest(model="live", out=out, preprocess=options.get("preprocess"), insights=_wanted(options))
        wanted = samples if whole else samples[position : position + 1]
        kept.answer(request.model_copy(update={"inputs": tuple(source for _, source in wanted)}), lambda _event: None)
        beside = [] if against is None else given("--against", self._beside(against, x, samples, wanted, live=live))
        if not live:
            return [str(out), *(["--sample", str(position)] if whole else []), *beside]
        server = import_module("nnviz3d.capture.live_model_server").LiveModelServer
        with DelayedSignals():
            listener = server(kept.answer)
            self._ends.callback(listener.close)
        invitation = Invitation(
            port=listener.port, token=listener.token, request=request, samples=samples, position=position
        )
        return [str(out), "--live", self._text("live.json", to_line(invitation)), *beside]

    def _beside(
        self,
        against: Any,
        x: Any,
        samples: Sequence[tuple[str, str]],
        wanted: Sequence[tuple[str, str]],
        *,
        live: bool,
    ) -> str:
        """Return the capture with which a live model is compared; a model object is captured on the same samples.

        Parameters
        ----------
        samples, wanted
            Names and sources of all samples in `x`, and of those that the model itself was captured on.
        live
            Whether the viewer can ask for the other samples.
        """
        if isinstance(against, Capture):
            return str(against.path)
        if isinstance(against, str | Path):
            if names_model(str(against)):
                raise UserError(
                    "against is a file and the target a model object; open both alike: keras.models.load_model opens a "
                    "file."
                )
            return str(against)
        other = import_module("nnviz3d.capture.live_model").prepare_live_model(against, x)
        chosen = dict.fromkeys([*wanted, *(samples[:_MOST_COMPARED] if live else ())])
        out = self.folder / f"{_file_name(against)}.zarr"
        out = out if not exists(out) else self.folder / "against.zarr"
        sources = tuple(source for _, source in chosen)
        other.answer(CaptureRequest(model="live", out=out, inputs=sources), lambda _event: None)
        return str(out)


def _file_name(model: Any) -> str:
    """Return a name for a file of a model object, which a picture shows: its own name, or that of its class."""
    name = str(getattr(model, "name", "") or type(model).__name__)
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:60] or "model"


def _wanted(options: Options) -> Insights:
    """Return the insights that the options request and that the scene needs."""
    explain = options.get("explain")
    look = Look(
        quantity=canonical(options.get("quantity")),
        class_=None if explain is None else str(explain),
        method=options.get("method"),
        **_changes(options),
    )
    wanted = look.wanted()
    scene = options.get("scene")
    if scene is None:
        return wanted
    return wanted.plus((scene if isinstance(scene, SceneSpec) else scene_named(str(scene))).needs())


def _changes(options: Options) -> dict[str, Any]:
    """Return the interventions as fields of `Look`.

    Raises
    ------
    UserError
        If these fields cannot hold them.
    """
    asked = options.get("interventions", ())
    if not (isinstance(asked, list | tuple) and all(isinstance(one, Intervention) for one in asked)):
        raise UserError("interventions is a list of nnviz3d.Intervention.")
    listed = tuple(asked)
    found: dict[str, Any] = {
        action: tuple(one.option for one in listed if one.action == action) for action in SHOWN_ACTIONS
    }
    if Look(**found).interventions() != listed:
        raise UserError(
            "A viewer takes interventions that mute, then those that scale, then those that freeze, and no paint; "
            "nnviz3d.capture takes any: show its capture."
        )
    return found


def _importable(custom: str | Callable[..., Any]) -> str:
    """Return the name ``module:object`` by which another process imports a class or function.

    Raises
    ------
    UserError
        If no other process can import it.
    """
    if isinstance(custom, str):
        return custom
    module, name = getattr(custom, "__module__", None), getattr(custom, "__qualname__", "")
    if module in {None, "__main__"} or not all(part.isidentifier() for part in name.split(".")):
        raise UserError(
            f"custom: {name or custom!r} is defined in this program, where no other process can import it; move it to a "
            "module of its own, or load the model here and pass the model object."
        )
    return f"{module}:{name}"


def of_proxy(origin: str | Sequence[str], base_path: str | None) -> list[str]:
    """Return the arguments for the public origins, one or several, and the base path of proxies."""
    origins = [origin] if isinstance(origin, str) else origin
    return [*(word for one in origins for word in ("--origin", one)), *given("--base-path", base_path)]


def given(option: str, value: Any) -> list[str]:
    """Return an option and its value as arguments; none if the value is `None`."""
    return [] if value is None else [option, str(value)]
