"""Array files whose headers claim, or that unpack to, more than the memory."""

import io
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from nnviz3d.data.files.array_files import ArrayFile
from nnviz3d.data.sample_sources import expand
from nnviz3d.errors import SampleError


def claiming(shape, version=1):
    out = io.BytesIO()
    write = npy.write_array_header_1_0 if version == 1 else npy.write_array_header_2_0
    write(out, {"shape": shape, "fortran_order": False, "descr": "<f4"})
    return out.getvalue()


def test_array_shape_beyond_the_files_end_is_refused_as_damaged(tmp_path):
    (tmp_path / "x.npy").write_bytes(claiming((10**12, 28)) + bytes(64))
    with pytest.raises(
        SampleError, match=r"x\.npy is an incomplete or damaged NumPy file: its numbers would end at byte"
    ):
        ArrayFile(tmp_path / "x.npy").read("")


@pytest.mark.parametrize("shape", [(10**30,), (10**30, 0), (3, 2**70)])
def test_array_shape_larger_than_any_memory_is_refused_as_damaged(tmp_path, shape):
    (tmp_path / "x.npy").write_bytes(claiming(shape))
    with pytest.raises(SampleError, match="of which an axis is longer than any memory"):
        ArrayFile(tmp_path / "x.npy")


def test_header_that_claims_gigabytes_is_refused_as_damaged(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\xff" + b"{" * 100)
    with pytest.raises(SampleError, match="its header claims 4,294,967,295 bytes"):
        ArrayFile(tmp_path / "x.npy")


def test_npz_member_over_the_limit_is_refused_before_it_is_unpacked(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as member,
    ):
        member.write(claiming((3, 2**18)))
        member.write(bytes(3 * 2**20))
    whole = (tmp_path / "x.npz").read_bytes()
    assert ArrayFile(tmp_path / "x.npz").read("x").shape == (3, 2**18)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNVIZ3D_LIMIT", "0.002")
        with pytest.raises(SampleError, match=r"x of x\.npz would take 3\.0 MB of memory; the limit is 2\.0 MB"):
            ArrayFile(tmp_path / "x.npz").read("x")
        assert ArrayFile(tmp_path / "x.npz").read("x", range(1, 2)).shape == (1, 2**18)
    assert whole == (tmp_path / "x.npz").read_bytes()


def test_samples_beyond_count_are_not_listed(tmp_path):
    (tmp_path / "x.npy").write_bytes(claiming((10**12, 0)))
    with pytest.raises(SampleError, match=r"The list of the 1,000,000,000,000 samples in x\.npy would take"):
        expand([str(tmp_path / "x.npy")], shapes={"input": (0,)})
    assert len(expand([str(tmp_path / "x.npy[7]")], shapes={"input": (0,)})) == 1


def test_version_two_headers_are_read(tmp_path):
    (tmp_path / "x.npy").write_bytes(claiming((2, 2), 2) + np.arange(4, dtype="<f4").tobytes())
    assert ArrayFile(tmp_path / "x.npy").read("").tolist() == [[0, 1], [2, 3]]
