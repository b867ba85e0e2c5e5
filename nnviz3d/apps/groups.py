"""Groups of layers that the user opens and closes: the scene is laid out anew, and all choices stay."""

from __future__ import annotations

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.grouping.find import MOST


class Groups:
    """Opens and closes groups of layers of a frame's scene.

    Parameters
    ----------
    frame
        The frame whose scene is replaced.
    """

    def __init__(self, frame: FrameState) -> None:
        self._frame = frame

    @property
    def all(self) -> frozenset[str]:
        """The ids of all groups."""
        grouping = self._frame.scene.context.grouping
        return frozenset() if grouping is None else grouping.everything

    def is_closed(self, name: str | None) -> bool:
        """Whether a name is that of a group that is shown as one block."""
        graph = self._frame.scene.context.graph
        return name is not None and name in graph and graph.node(name).members > 0

    def members(self, name: str) -> tuple[str, ...]:
        """Return the ids of the nodes in a group."""
        grouping = self._frame.scene.context.grouping
        return () if grouping is None else grouping.by_id[name].members

    def around(self, layer: str) -> str | None:
        """Return the innermost open group around a layer or a closed group; `None` if there is none."""
        grouping = self._frame.scene.context.grouping
        return None if grouping is None else next(iter(grouping.around(layer)), None)

    def shown_of(self, name: str) -> tuple[str, ...]:
        """Return the shown nodes of a layer or a group: itself, the closed group around it, or what an open group holds."""
        scene = self._frame.scene
        found = (scene.shown(one) for one in (self.members(name) if name in self.all else (name,)))
        return tuple(dict.fromkeys(one for one in found if one is not None))

    def reveal(self, name: str) -> None:
        """Open the groups around a layer or a group, so that it is shown."""
        grouping = self._frame.scene.context.grouping
        if grouping is not None:
            self._change(self._opened | set(grouping.around(name)))

    def headings(self, layer: str) -> tuple[str, ...]:
        """Return the open groups around a layer or a closed group that a list names, the innermost first.

        In a small network with all groups open these are the groups that the names of layers tell, such as nested models.
        """
        scene, grouping = self._frame.scene, self._frame.scene.context.grouping
        every = len(scene.capture.graph) > MOST or scene.context.graph is not scene.capture.graph
        found = () if grouping is None else grouping.around(layer)
        return tuple(name for name in found if grouping is not None and (every or grouping.by_id[name].named))

    def hidden_in(self, name: str) -> tuple[LayerNode, ...]:
        """Return the layers in a closed group; none of another node."""
        graph = self._frame.scene.capture.graph
        return tuple(graph.node(one) for one in self.members(name)) if self.is_closed(name) else ()

    def open(self, name: str) -> None:
        """Open a closed group; its inner groups are closed."""
        self._change(self._opened - self._inside(name) | {name})

    def close(self, name: str) -> None:
        """Close a group to one block."""
        self._change(self._opened - self._inside(name) - {name})

    def toggle(self, layer: str | None) -> str | None:
        """Open a closed group, or close the group around a layer; returns the group, `None` if there is none."""
        if layer is None:
            return None
        if self.is_closed(layer):
            self.open(layer)
            return layer
        group = self.around(layer)
        if group is not None:
            self.close(group)
        return group

    @property
    def _opened(self) -> frozenset[str]:
        return self._frame.scene.context.opened

    def _inside(self, name: str) -> frozenset[str]:
        grouping = self._frame.scene.context.grouping
        return frozenset() if grouping is None else frozenset(g for g in self.all if name in grouping.around(g))

    def _change(self, opened: frozenset[str]) -> None:
        self._frame.rearrange(self._frame.scene.with_open(opened))
