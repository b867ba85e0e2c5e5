"""Builder of binary glTF 2.0 files (Khronos Group, glTF 2.0 Specification, 2021): meshes, materials, pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_MAGIC, _JSON, _BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
_COMPONENTS = {"uint8": 5121, "uint16": 5123, "uint32": 5125, "float32": 5126}
_VERTICES, _INDICES = 34962, 34963
_NEAREST, _LINEAR, _CLAMP = 9728, 9729, 33071
POINTS, LINES, TRIANGLES = 0, 1, 4
"""Modes of primitives."""
_UNLIT = "KHR_materials_unlit"
_MOST_QUADS = 16383
"""Quads of one primitive, so that its indices fit in 16 bits."""


def linear(colors: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Convert sRGB colours with opacity, ``(n, 4)`` in [0, 1], to the linear ones of vertices, with 16 bits each."""
    found = np.clip(colors, 0, 1).astype(np.float64)
    rgb = found[:, :3]
    found[:, :3] = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.round(found * 65535), dtype=np.uint16)


@dataclass
class GltfBuilder:
    """A glTF file under construction.

    Attributes
    ----------
    size
        Bytes of the arrays and pictures so far.
    """

    size: int = 0
    _parts: list[bytes] = field(default_factory=list)
    _json: dict[str, list[Any]] = field(
        default_factory=lambda: (
            {
                name: []
                for name in (
                    "accessors",
                    "bufferViews",
                    "cameras",
                    "images",
                    "materials",
                    "meshes",
                    "nodes",
                    "samplers",
                )
            }
            | {"textures": []}
        )
    )
    _quads: tuple[int, dict[int, int]] | None = None

    def array(self, values: NDArray[Any], *, indices: bool = False, bounds: bool = False) -> int:
        """Add an array, ``(n,)`` or ``(n, k)``, and return its accessor; whole numbers stand for 0 to 1, if no indices.

        Parameters
        ----------
        indices
            Whether it holds indices of vertices.
        bounds
            Whether its least and greatest numbers are stated, as positions require.
        """
        values = np.ascontiguousarray(values)
        view = self._view(values.tobytes(), _INDICES if indices else _VERTICES)
        return self._accessor(
            view, values, len(values), bounds=bounds, normalized=values.dtype.kind == "u" and not indices
        )

    def _accessor(
        self, view: int, values: NDArray[Any], count: int, *, bounds: bool = False, normalized: bool = False
    ) -> int:
        accessor: dict[str, Any] = {
            "bufferView": view,
            "componentType": _COMPONENTS[values.dtype.name],
            "count": count,
            "type": _TYPES[1 if values.ndim == 1 else values.shape[1]],
        }
        if normalized:
            accessor["normalized"] = True
        if bounds:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        return self._add("accessors", accessor)

    def material(
        self, name: str, *, texture: int | None = None, opacity: float = 1.0, unlit: bool = True, blended: bool = False
    ) -> int:
        """Add a material and return its number; the colours are those of the texture or of the vertices.

        Parameters
        ----------
        unlit
            Whether the colours are shown as they are, whatever the light.
        blended
            Whether texture or vertices have an opacity of their own.
        """
        surface: dict[str, Any] = {"baseColorFactor": [1, 1, 1, opacity], "metallicFactor": 0, "roughnessFactor": 0.9}
        if texture is not None:
            surface["baseColorTexture"] = {"index": texture}
        material: dict[str, Any] = {"name": name, "pbrMetallicRoughness": surface}
        if opacity < 1 or blended:
            material["alphaMode"] = "BLEND"
        if unlit:
            material["extensions"] = {_UNLIT: {}}
        return self._add("materials", material)

    def texture(self, pixels: NDArray[np.uint8], *, crisp: bool) -> int:
        """Add a picture, ``(H, W, 3 or 4)``, and return its texture.

        Parameters
        ----------
        crisp
            Whether its pixels are shown as squares.
        """
        file = BytesIO()
        Image.fromarray(pixels).save(file, format="PNG")
        view = self._view(file.getvalue(), None)
        image = self._add("images", {"bufferView": view, "mimeType": "image/png"})
        how = _NEAREST if crisp else _LINEAR
        sampler = {"magFilter": how, "minFilter": how, "wrapS": _CLAMP, "wrapT": _CLAMP}
        known = self._json["samplers"]
        number = known.index(sampler) if sampler in known else self._add("samplers", sampler)
        return self._add("textures", {"source": image, "sampler": number})

    def primitive(
        self,
        positions: NDArray[np.float32],
        material: int,
        *,
        mode: int = TRIANGLES,
        indices: NDArray[np.integer] | None = None,
        **attributes: NDArray[Any],
    ) -> dict[str, Any]:
        """Add the arrays of a primitive and return it, for `mesh`.

        Parameters
        ----------
        positions
            ``(n, 3)`` float32.
        indices
            Vertices of the points, lines or triangles, in a row.
        **attributes
            Further arrays of the vertices: ``NORMAL``, ``TEXCOORD_0``, ``COLOR_0`` (linear).
        """
        found: dict[str, Any] = {"POSITION": self.array(positions, bounds=True)}
        found |= {name: self.array(values) for name, values in attributes.items()}
        primitive: dict[str, Any] = {"attributes": found, "material": material, "mode": mode}
        if indices is not None:
            kind = np.uint16 if len(positions) <= 65535 else np.uint32
            primitive["indices"] = self.array(indices.astype(kind), indices=True)
        return primitive

    def quads(self, corners: NDArray[np.float32], uv: NDArray[np.float32], material: int) -> list[dict[str, Any]]:
        """Add separate quads, ``(n, 4, 3)`` with texture coordinates ``(n, 4, 2)``; returns primitives for `mesh`."""
        found = []
        for start in range(0, len(corners), _MOST_QUADS):
            some = slice(start, start + _MOST_QUADS)
            primitive = self.primitive(corners[some].reshape(-1, 3), material, TEXCOORD_0=uv[some].reshape(-1, 2))
            primitive["indices"] = self._quad_indices(len(corners[some]))
            found.append(primitive)
        return found

    def _quad_indices(self, count: int) -> int:
        """Return the accessor of the triangles of some quads; all share one array."""
        pattern = (4 * np.arange(_MOST_QUADS)[:, np.newaxis] + [0, 1, 2, 0, 2, 3]).astype(np.uint16).reshape(-1)
        if self._quads is None:
            self._quads = (self._view(pattern.tobytes(), _INDICES), {})
        view, known = self._quads
        if count not in known:
            known[count] = self._accessor(view, pattern, 6 * count)
        return known[count]

    def mesh(self, name: str, primitives: list[dict[str, Any]], extras: dict[str, Any] | None = None) -> int:
        """Add a mesh and a node that shows it; returns the node."""
        mesh = self._add("meshes", {"name": name, "primitives": primitives})
        return self.node(name, mesh=mesh, **({"extras": extras} if extras else {}))

    def node(self, name: str, **content: Any) -> int:
        """Add a node."""
        return self._add("nodes", {"name": name, **content})

    def camera(self, matrix: NDArray[np.float64], field_of_view: float, far: float) -> int:
        """Add a camera with a field of view in radians; returns its node.

        Parameters
        ----------
        matrix
            ``(4, 4)``: camera to world.
        """
        lens = {"yfov": field_of_view, "znear": far / 10_000, "zfar": far}
        camera = self._add("cameras", {"type": "perspective", "perspective": lens})
        return self.node("camera", camera=camera, matrix=matrix.T.reshape(-1).tolist())

    def finish(self, roots: list[int], **about: Any) -> bytes:
        """Return the file.

        Parameters
        ----------
        roots
            The nodes of the scene.
        **about
            ``generator`` and ``extras`` of the asset.
        """
        content: dict[str, Any] = {"asset": {"version": "2.0", **about}, "scene": 0, "scenes": [{"nodes": roots}]}
        content |= {name: items for name, items in self._json.items() if items}
        content["buffers"] = [{"byteLength": self.size}]
        if any(_UNLIT in material.get("extensions", {}) for material in self._json["materials"]):
            content["extensionsUsed"] = [_UNLIT]
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        header = np.array([_MAGIC, 2, 12 + 8 + len(text) + 8 + self.size, len(text), _JSON], dtype="<u4").tobytes()
        return b"".join([header, text, np.array([self.size, _BINARY], dtype="<u4").tobytes(), *self._parts])

    def _view(self, data: bytes, target: int | None) -> int:
        view: dict[str, Any] = {"buffer": 0, "byteOffset": self.size, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        padded = data + bytes(-len(data) % 4)
        self._parts.append(padded)
        self.size += len(padded)
        return self._add("bufferViews", view)

    def _add(self, kind: str, item: dict[str, Any]) -> int:
        self._json[kind].append(item)
        return len(self._json[kind]) - 1
