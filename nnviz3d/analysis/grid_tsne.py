"""t-SNE in three dimensions whose repulsion is a convolution on a grid: time grows linearly with the number of points.

The repulsive forces are the gradient of one potential, the sum of 1 / (1 + |y_i - y_j|^2) over all points. Points are
spread to a grid by cubic B-splines, the grid is convolved by FFT, and the gradient of the interpolated result is the
force: the particle mesh of Essmann et al. (1995, doi:10.1063/1.470117), applied to t-SNE as by Linderman et al. (2019,
doi:10.1038/s41592-018-0308-4) in two dimensions and by Pitsianis et al. (2019, doi:10.1109/HPEC.2019.8916505) in three.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.affinities import Affinities
from nnviz3d.analysis.threads import Threads, ranges

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_FINE = 0.2
"""Smallest distance of grid lines; a pair's potential falls to a half at a distance of 1."""
_CELLS, _FEWER_CELLS = 40, 24
"""Most grid lines along an axis for 10,000 points; wider points make the grid coarser. Fewer lines are as exact where
their distance is more than 1, because the forces that are summed over pairs then reach further."""
_NARROW = 1.0
"""Extent under which the potentials of points differ too little for single precision."""
_RATIO = 1.02
"""Ratio of neighbouring distances of grid lines, which are a series, so that many iterations share a kernel's spectrum."""
_REACH = 2.5
"""Range of the forces that are summed over pairs, in distances of the grid lines."""
_PADDED = 32
"""Least length of a padded axis: the kernel of a shorter one has a kink near the points."""
_FEW, _SMALL = 2000, 50_000
"""Up to so many points are spread, and up to so many numbers of a grid are transformed, by one thread, which is faster."""
_KEPT, _MOST_KEPT = 2_000_000, 16
"""Grids of up to so many numbers, and so many of them, keep their spectra, because a cloud's shape comes and goes."""
_MOMENTUM = 0.8
_LONGEST = 5.0
"""Longest move of a point in one iteration."""
_LEAST_GAIN = 0.01


class Repulsion:
    """Repulsive forces among points.

    The grid of a wide cloud is too coarse for the potential of near points. There a pair's potential K = 1 / (1 + r^2) is
    split as in Hardy et al. (2015, doi:10.1021/ct5009075). With w = (R^2 - r^2) / (1 + R^2), the short-range part K w^4,
    which is zero from the distance R on, is summed over pairs, and the smooth rest, K (1 - w^4), is convolved on the grid.
    """

    def __init__(self) -> None:
        self._spectra: dict[tuple[Any, ...], NDArray[Any]] = {}

    def __call__(self, points: Doubles, threads: Threads) -> tuple[NDArray[Any], float]:
        """Return the sums of q^2 (y_i - y_j), ``(N, 3)``, and the sum of q over all pairs of different points."""
        from nnviz3d.analysis.grid_kernels import gather, spread

        columns = np.ascontiguousarray(points.T)  # in rows of three numbers, NumPy takes ten times as long
        low = columns.min(axis=1)
        extent = columns.max(axis=1) - low
        widest = float(extent.max())
        kind = np.float64 if widest < _NARROW else np.float32
        fine = _FINE / 2 if widest < _NARROW else _FINE
        step = _step(widest, fine, len(points))
        reach = _REACH if step > fine else 0
        places, most = ((points - low) / step).astype(kind), (extent / step).astype(kind)
        sizes = tuple(int(side) + 4 for side in most)
        grid = np.empty(sizes, dtype=places.dtype)
        threads.run(ranges(sizes[0], threads.count if len(places) > _FEW else 1), spread, places, grid)
        potential = self._convolved(grid, step, reach * step, threads.count)
        push = np.empty_like(places)
        total = sum(threads.run(ranges(len(points)), gather, places, potential, push))
        if reach:
            total += self._near(places, most, step, push, threads)
        push *= push.dtype.type(-0.5 / step)
        return push, float(total) - len(points)

    def _near(self, places: Floats, most: Floats, step: float, push: Floats, threads: Threads) -> float:
        from nnviz3d.analysis.grid_kernels import add_near, sort_by_cell

        side = np.float32(_REACH)
        counts = (most / side).astype(np.int64) + 1
        starts, order = np.empty(int(counts.prod()) + 1, dtype=np.int64), np.empty(len(places), dtype=np.int64)
        sort_by_cell(places, side, counts, starts, order)
        x, y, z = np.ascontiguousarray(places[order].T)
        scale = np.float32(step * step)
        parts = ranges(len(places))
        return float(sum(threads.run(parts, add_near, x, y, z, order, starts, counts, side, scale, push)))

    def _convolved(self, grid: NDArray[Any], step: float, reach: float, threads: int) -> NDArray[Any]:
        """Convolve the grid with 1 / (1 + r^2); the FFT leaves out lines that are zero or not read."""
        from scipy import fft

        padded = tuple(2 * fft.next_fast_len(max(size, _PADDED // 2), real=True) for size in grid.shape)
        spectrum = self._spectrum(padded, step, reach, grid.dtype, threads)
        workers = threads if grid.size > _SMALL else 1
        wave = fft.rfft(grid, padded[2], axis=2, workers=workers)
        wave = fft.fft(wave, padded[1], axis=1, workers=workers, overwrite_x=True)
        wave = fft.fft(wave, padded[0], axis=0, workers=workers, overwrite_x=True)
        wave *= spectrum
        wave = fft.ifft(wave, axis=0, workers=workers, overwrite_x=True)[: grid.shape[0]]
        wave = fft.ifft(wave, axis=1, workers=workers)[:, : grid.shape[1]]
        found = fft.irfft(wave, padded[2], axis=2, workers=workers)[:, :, : grid.shape[2]]
        return np.ascontiguousarray(found)

    def _spectrum(
        self, padded: tuple[int, ...], step: float, reach: float, kind: np.dtype[Any], threads: int
    ) -> NDArray[Any]:
        """Return the kernel's spectrum, divided by that of the splines on both sides."""
        from scipy import fft

        key = (*padded, step, reach, kind)
        if key not in self._spectra:
            if math.prod(padded) > _KEPT or len(self._spectra) == _MOST_KEPT:
                self._spectra.clear()
            # The kernel is even, so its FFT is the DCT of one octant.
            axes = [np.square(np.arange(size // 2 + 1) * kind.type(step)).astype(kind) for size in padded]
            distances = axes[0][:, np.newaxis, np.newaxis] + axes[1][:, np.newaxis] + axes[2]
            near = np.maximum(kind.type(reach * reach) - distances, 0) / kind.type(1 + reach * reach)
            found = fft.dctn((1 - near**4) / (1 + distances), type=1, workers=threads)
            for k, size in enumerate(padded):
                spline = (2 + np.cos(2 * np.pi * np.arange(found.shape[k]) / size)) / 3
                found /= np.square(spline).astype(kind).reshape([-1 if axis == k else 1 for axis in range(3)])
            first, second = (np.minimum(np.arange(size), size - np.arange(size)) for size in padded[:2])
            found = found[first][:, second]
            self._spectra[key] = found
        return self._spectra[key]


def _step(widest: float, fine: float, count: int) -> float:
    """Return the distance of grid lines for points of this extent, at least the one called fine."""
    share = widest / (count / 10_000) ** (1 / 3)
    coarse = share / _FEWER_CELLS if share > _FEWER_CELLS else share / _CELLS
    return fine * _RATIO ** max(0, math.floor(math.log(coarse / fine, _RATIO))) if coarse > fine else fine


class GridTSNE:
    """The state of an optimization: points, their last moves and gains; the rules are those of openTSNE.

    Equal arguments give equal points, with any number of threads.

    Parameters
    ----------
    affinities
        Of N vectors.
    start
        ``(N, d)``: the first points, d of 2 or 3. In two dimensions the third coordinate stays zero.
    threads
        By default as many as there are cores.
    """

    def __init__(self, affinities: Affinities, start: Doubles, threads: int | None = None) -> None:
        self._affinities = affinities
        self._dimensions = start.shape[1]
        self._points = np.zeros((len(start), 3), dtype=np.float64)
        self._points[:, : self._dimensions] = start
        self._moves = np.zeros_like(self._points)
        self._gains = np.ones_like(self._points)
        self._threads = threads
        self._repulsion = Repulsion()

    @property
    def points(self) -> Floats:
        """The points, ``(N, d)``."""
        return self._points[:, : self._dimensions].astype(np.float32)

    def iterate(self, count: int, exaggeration: float, note: Callable[[int], None], every: int) -> None:
        """Run some iterations; call `note` with their number after each `every` of them."""
        rate = len(self._points) / exaggeration
        with Threads(self._threads) as threads:
            for step in range(1, count + 1):
                self._step(exaggeration, rate, threads)
                if step % every == 0:
                    note(step)

    def divergence(self) -> float:
        """Return the divergence that is minimized."""
        from nnviz3d.analysis.grid_kernels import divergence

        points, rows = self._points.astype(np.float32), self._affinities
        with Threads(self._threads) as threads:
            _, total = self._repulsion(self._points, threads)
            parts = threads.run(ranges(len(points)), divergence, rows.indptr, rows.indices, rows.values, points)
        return float(sum(parts)) + float(np.log(total))

    def _step(self, exaggeration: float, rate: float, threads: Threads) -> None:
        from nnviz3d.analysis.grid_kernels import attract, move

        points, rows, parts = self._points.astype(np.float32), self._affinities, ranges(len(self._points))
        pull = np.empty_like(points)
        push, total = self._repulsion(self._points, threads)
        threads.run(parts, attract, rows.indptr, rows.indices, rows.values, points, pull)
        pull[:, self._dimensions :] = 0
        push[:, self._dimensions :] = 0
        factors = (exaggeration, 1 / total, rate, _MOMENTUM, _LEAST_GAIN, _LONGEST)
        threads.run(parts, move, self._points, self._moves, self._gains, pull, push, factors)
        self._points -= np.ascontiguousarray(self._points.T).mean(axis=1)
