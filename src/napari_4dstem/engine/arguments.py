"""What all computing functions are given, checked before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.dataset import Dataset
from napari_4dstem.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# More of a value that is wrong tells nobody anything.
MAX_SHOWN = 80
REDUCTION = ("prepare", "add", "merge", "result")


def shown(value: Any) -> str:
    """Return what a message shows of a value."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    return repr(value)[:MAX_SHOWN]


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Return what was given as an array.

    Raises
    ------
    ParameterError
        If it is none, as lists of unequal length.
    """
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ParameterError(
            None,
            name,
            f"{name} is no array",
            expected="rows of one length",
            found=str(error).partition(". ")[2] or error,
        ) from None


def checked_data_set(ds: Any) -> Dataset:
    """Return a data set.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    if isinstance(ds, Dataset):
        return ds
    raise ParameterError(
        None,
        "ds",
        "not a data set",
        expected="what load() returns",
        found=shown(ds) if ds is None else type(ds).__name__,
        hint="An array is a data set as load('memory', data=array, sig_dims=2).",
    )


def checked_flag(name: str, value: Any) -> bool:
    """Return a claim that is True or False.

    Raises
    ------
    ParameterError
        If it is neither: "no" would count as True.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ParameterError(
        None,
        name,
        f"{name} is neither yes nor no",
        expected="True or False",
        found=shown(value),
    )


def check_waiting(progress: Any, cancel: Any) -> None:
    """Check what tells, and what asks, while somebody waits.

    Raises
    ------
    ParameterError
        If they cannot.
    """
    if progress is not None and not callable(progress):
        raise ParameterError(
            None,
            "progress",
            "progress cannot be called",
            expected="None, or a function of (done, total)",
            found=shown(progress),
        )
    if cancel is not None and not callable(getattr(cancel, "is_set", None)):
        raise ParameterError(
            None,
            "cancel",
            "cancel is no event",
            expected="None, or a threading.Event",
            found=shown(cancel),
        )


def check_reduction(reduction: Any) -> None:
    """Check that an object can be run.

    Raises
    ------
    ParameterError
        If a method is missing.
    """
    missing = [
        name for name in REDUCTION if not callable(getattr(reduction, name, None))
    ]
    if missing:
        raise ParameterError(
            None,
            "reduction",
            "not a reduction",
            expected="an object with the methods " + ", ".join(REDUCTION),
            found=f"{type(reduction).__name__} without {', '.join(missing)}",
        )


def checked_roi(ds: Dataset, roi: Any) -> NDArray[np.bool_] | None:
    """Return the scan positions that count, None for all.

    Raises
    ------
    ShapeError
        If it has not the shape of the scan.
    """
    if roi is None:
        return None
    region = np.asarray(roi)
    if region.dtype != bool or region.shape != ds.nav_shape:
        raise ShapeError(
            ds.path,
            "the region of interest does not fit the scan",
            expected=f"a bool array of shape {ds.nav_shape}",
            found=f"{region.dtype} of shape {region.shape}",
        )
    return region


def checked_client(scheduler: Any) -> Any:
    """Return a client that can be used.

    Raises
    ------
    ParameterError
        If it is none, or is closed.
    """
    problem = ""
    if not hasattr(scheduler, "submit") or not hasattr(scheduler, "nthreads"):
        problem = "not a scheduler"
    elif getattr(scheduler, "status", "running") == "closed":
        problem = "the client is closed"
    if problem:
        raise ParameterError(
            None,
            "scheduler",
            problem,
            expected="None, or an open dask.distributed.Client",
            found=shown(scheduler),
        )
    return scheduler
