"""Pages of a real browser that run scripts of the client."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from nnviz3d.client.bundle import bundle
from nnviz3d.client.encoding import Encoder

_LOAD = """async (text) => {
  window.client = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  window.store = new client.Store();
}"""
_ADD = """({ arrays, ...rest }) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  store.add({ ...rest, arrays: arrays.map((array) => ({ ...array, bytes: bytes(array.bytes) })) });
}"""


def page_with(browser: Any, *scripts: str, size: tuple[int, int] = (1280, 720)) -> Any:
    """Open a blank page with the exports of some scripts as `client` and with an empty `store`."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.evaluate(_LOAD, bundle("store.js", *scripts))
    return page


def send(page: Any, encoder: Encoder, *, rounded: bool = False) -> None:
    """Add to a page's store what is new in an encoder; `rounded`: with float32 rounded to float16."""
    added = encoder.take()
    given = [one.astype("<f2") if rounded and one.dtype == np.float32 else one for one in added.arrays]
    arrays = [
        {
            "dtype": array.dtype.newbyteorder("=").name,
            "shape": list(array.shape),
            "bytes": base64.b64encode(array.tobytes()).decode(),
        }
        for array in given
    ]
    records = {"first_record": added.first_record, "records": list(added.records), "first_array": added.first_array}
    page.evaluate(_ADD, records | {"arrays": arrays})
