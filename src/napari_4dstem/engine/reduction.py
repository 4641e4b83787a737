"""What a reduction says, and the two kinds of it that most analyses are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from napari_4dstem.errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.frames.batches import Batch

Pieces: TypeAlias = "list[tuple[NDArray[np.int64], NDArray[Any]]]"


class Reduction(Protocol):
    """What to do with a batch of frames, and how to merge two partial results.

    It knows neither threads nor clusters: every thread, or task, has a state of its own
    and folds batches of frames into it, in any order. It has to pickle if it is to
    run on a cluster. Only frames that exist are handed out.

    A reduction may also have these attributes:

    takes_batches : bool
        ``add`` gets a `Batch`, the frames as they lie in memory or in a file, and no
        array.
    takes_raw : bool
        ``add`` gets frames without corrections; the reduction applies them itself.
    needed : bool array, shape sig_shape, or None
        Pixels that ``add`` looks at. The others may be anything.
    """

    def prepare(self, ds: Dataset) -> Any:
        """Return a new, empty state."""

    def add(self, state: Any, frames: Any, positions: NDArray[np.int64]) -> Any:
        """Fold some frames into the state.

        Parameters
        ----------
        state
            From ``prepare``, or of the last call.
        frames : array, shape (n, *sig_shape)
            May not be changed: it may be what somebody has in memory.
            Native byte order; valid until ``add`` returns.
        positions : int array, shape (n,)
            Flat scan positions of the frames: ``np.unravel_index(positions,
            ds.nav_shape)``.

        Returns
        -------
        state or None
            The new state; None where the old one was changed in place.
        """

    def merge(self, a: Any, b: Any) -> Any:
        """Return one state for two; ``a`` may be changed in place."""

    def result(self, state: Any) -> Any:
        """Return the result of a state."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PerFrame:
    """A reduction that finds a value, or an array, for every frame by itself.

    A subclass says how, in ``values``. The state is a list of pieces of the map, so
    what travels between machines is what was found and no more.

    Attributes
    ----------
    nav_shape : tuple of int
    fill : float
        What the map holds where there is no frame.
    """

    nav_shape: tuple[int, ...]
    fill: float = 0

    takes_batches = True
    takes_raw = False

    @property
    def needed(self) -> NDArray[np.bool_] | None:
        """Pixels that are looked at; None: all."""
        return None

    def values(self, frames: Batch) -> NDArray[Any]:
        """Return a value or an array for each frame, shape (n, ...)."""
        raise NotImplementedError

    def empty(self) -> NDArray[Any]:
        """Return the values of no frames, shape (0, ...)."""
        raise NotImplementedError

    def prepare(self, ds: Dataset) -> Pieces:
        """Return no pieces."""
        return []

    def add(self, state: Pieces, frames: Any, positions: NDArray[np.int64]) -> None:
        """Append the values of some frames."""
        state.append((positions, self.values(frames)))

    def merge(self, a: Pieces, b: Pieces) -> Pieces:
        """Put two lists of pieces together."""
        return a + b

    def result(self, state: Pieces) -> NDArray[Any]:
        """Return the map, of shape ``nav_shape + shape of a value``."""
        sample = state[0][1] if state else self.empty()
        shape = (int(np.prod(self.nav_shape)), *sample.shape[1:])
        found = np.full(shape, self.fill, sample.dtype)
        for positions, values in state:
            found[positions] = values
        return found.reshape(*self.nav_shape, *sample.shape[1:])


@dataclass(frozen=True, eq=False, kw_only=True)
class Mapped(PerFrame):
    """What a user's function finds in each frame.

    Attributes
    ----------
    function : callable
        ``function(frame)`` returns a number or an array, always of one shape.
    """

    function: Callable[[NDArray[Any]], Any]

    takes_batches = False

    def values(self, frames: Any) -> NDArray[Any]:
        """Call the function for each frame."""
        found = [np.asarray(self.function(frame)) for frame in frames]
        check_one_shape(one.shape for one in found)
        return np.stack(found)

    def result(self, state: Pieces) -> NDArray[Any]:
        """Return the map; what threads or workers found fits together."""
        check_one_shape(values.shape[1:] for _, values in state)
        return super().result(state)

    def empty(self) -> NDArray[Any]:
        """Return nothing: without a frame nobody knows what the function returns."""
        return np.zeros(0)


def check_one_shape(shapes: Iterable[tuple[int, ...]]) -> None:
    """Check that all are the same.

    Raises
    ------
    ShapeError
        If there are two.
    """
    different = sorted(set(shapes))
    if len(different) > 1:
        raise ShapeError(
            None,
            "the function does not always return the same shape",
            expected=f"{different[0]} for every frame",
            found=different[1],
        )
