"""Arrays as .npy files that grow run by run and are read where they lie, mapped into memory."""

from __future__ import annotations

import mmap
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt


class ArrayWriter:
    """A one-dimensional .npy file to which runs of elements are appended; its length is told at the end.

    Args:
        file: what is written.
        dtype: of the elements.
    """

    def __init__(self, file: Path, dtype: npt.DTypeLike) -> None:
        self.dtype, self.length = np.dtype(dtype), 0
        self._stream: BinaryIO = file.open("wb")
        self._write_header()

    def append(self, elements: npt.NDArray[Any]) -> None:
        """Writes a run of elements after those before."""
        self._stream.write(np.ascontiguousarray(elements, dtype=self.dtype).data)
        self.length += len(elements)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._stream.seek(0)
            self._write_header()
        self._stream.close()

    def _write_header(self) -> None:
        """The format's header; numpy leaves room for any length, so that it can be written over."""
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._stream, header)


class MappedArray:
    """A .npy file's elements, paged in as they are read.

    Attributes:
        elements: all of them, read only.
    """

    def __init__(self, file: Path) -> None:
        with file.open("rb") as stream:
            np.lib.format.read_magic(stream)
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            offset, self._map = stream.tell(), mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        count = int(np.prod(shape))
        self.elements: npt.NDArray[Any] = (
            np.frombuffer(self._map, dtype, count, offset) if count else np.zeros(0, dtype)
        )

    def release(self) -> None:
        """Gives pages that were read back to the operating system; reading them again still works."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
