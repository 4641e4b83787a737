"""From stored bytes to pixels: one packing a module, its loops in numba kernels.

A packing is plain data. Header parsers make one when a file is opened, so neither
this module nor one that defines a packing imports numba: a packing's kernels live in
a module beside it, which is imported when the first frame is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Packing", "kernel"]

P = ParamSpec("P")
R = TypeVar("R")


class Packing(Protocol):
    """How the pixels of one frame are packed into bytes.

    Implementations are frozen dataclasses: they compare by value, are hashable, pickle
    small, and are safe to use from many threads.
    """

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape ``(ky, kx)`` of a decoded frame."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the decoded pixels."""

    @property
    def frame_nbytes(self) -> int:
        """Stored bytes of a frame, without its header."""

    def decode(self, packed: NDArray[np.uint8], out: NDArray[Any]) -> None:
        """Decode a batch of frames into an array.

        Parameters
        ----------
        packed : uint8 array, shape (n, frame_nbytes)
            The stored bytes: contiguous along the last axis, with any stride along the
            first; maybe read-only, at any address.
        out : array of `dtype`, shape (n, *frame_shape)
            C-contiguous. Every pixel is overwritten.
        """

    @property
    def stored_pixel(self) -> np.dtype[Any] | None:
        """Type of the stored unsigned numbers; None: single bits."""

    @property
    def words_are_reversed(self) -> bool:
        """Whether decoding is to reverse the bytes of each word of 64 bits."""

    def stored_masks(
        self, masks: NDArray[np.bool_]
    ) -> list[tuple[int, NDArray[np.uint8]]]:
        """Return masks over stored bytes, to sum frames without decoding them.

        Parameters
        ----------
        masks : bool array, shape (k, *frame_shape)

        Returns
        -------
        list of (factor, masks)
            The bits of a stored frame that count, uint8, shape (k, frame_nbytes). The
            sum of the pixels is that of the stored numbers there, times the factor,
            over all of the list.
        """


@overload
def kernel(loop: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def kernel(signature: str, /) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def kernel(loop_or_signature: Callable[P, R] | str, /) -> Any:
    """Compile a loop over arrays; it runs without the GIL.

    The compiled code is kept on disk for the next session, if there is a place for it.

    Parameters
    ----------
    loop_or_signature : callable or str
        ``@kernel`` compiles a loop when it is called, once for every combination of
        types. numba takes arrays that are read-only, unaligned or not contiguous for
        types of their own. ``@kernel("void(...)")`` compiles once, now, for a numba
        signature; ``Array(uint8, 2, 'A', readonly=True, aligned=False)`` in it
        takes all of them.

    Returns
    -------
    callable
        The compiled loop, or the decorator that compiles it.
    """
    if isinstance(loop_or_signature, str):
        return lambda loop: _compile(loop, loop_or_signature)
    return _compile(loop_or_signature, None)


def _compile(loop: Callable[P, R], signature: str | None) -> Callable[P, R]:
    import numba

    try:
        compiled: Callable[P, R] = numba.njit(signature, nogil=True, cache=True)(loop)
    except RuntimeError:
        # no place for a cache: neither the package nor the home folder is writable
        compiled = numba.njit(signature, nogil=True)(loop)
    return compiled
