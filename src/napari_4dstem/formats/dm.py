"""DM3 and DM4: images, stacks and 4D data of Gatan DigitalMicrograph (GMS).

One file with one or more images, or a list of files with an image or a stack each.

Source: see `napari_4dstem.frames.dm_tags`; data types and order of the axes as public
readers have them (LiberTEM issues 497 and 499, openNCEM issue 17), checked against
recorded files and, for 4D data, against synthetic ones that these readers open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.axes import Calibration, Sampling, sampling
from napari_4dstem.errors import FormatError, MissingParameterError, ParameterError
from napari_4dstem.formats._format import (
    Choice,
    Description,
    Format,
    Meaning,
    read_head,
)
from napari_4dstem.frames.dm_metadata import metadata
from napari_4dstem.frames.dm_tags import (
    TagArray,
    TagTree,
    are_tags,
    lookup,
    may_be_tags,
    number,
    read_tags,
    text,
)
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from napari_4dstem.frames.refusals import DAMAGED, INTERRUPTED

# ImageData.DataType
PIXELS = {
    1: "i2", 2: "f4", 3: "c8", 6: "u1", 7: "i4", 9: "i1", 10: "u2", 11: "u4", 12: "f8",
    13: "c16", 14: "?", 35: "i8", 36: "u8",
}  # fmt: skip
COLORS = 23
OTHER_TYPES = {
    0: "no data", 5: "packed Fourier transform", 8: "colors", COLORS: "colors",
    27: "packed Fourier transform", 28: "packed Fourier transform",
}  # fmt: skip
TRUE = (True, 1, "1", "true", "True")
# Units of a detector that sees diffraction patterns.
RECIPROCAL = {"1/nm", "mrad"}
MAX_LISTED = 8
MAX_CHOICES = 100
THREADS = 8  # that read the tags of the files of a stack


@dataclass(frozen=True)
class Image:
    """An entry of the list of images in a file.

    Attributes
    ----------
    index : int
        In the list, the thumbnail included.
    tags : mapping
    shape : tuple of int
        Slowest axis first, as the bytes lie.
    kind : int
        Data type.
    is_thumbnail : bool
    """

    index: int
    tags: Mapping[str | int, Any]
    shape: tuple[int, ...]
    kind: int
    is_thumbnail: bool

    @property
    def is_usable(self) -> bool:
        """Whether it holds frames."""
        return len(self.shape) > 1 and self.kind in PIXELS

    @property
    def steps(self) -> list[Sampling | None]:
        """Sampling of the axes, slowest first."""
        axes = lookup(self.tags, "ImageData", "Calibrations", "Dimension")
        entries = list(axes.values()) if isinstance(axes, Mapping) else []
        entries = (entries + [None] * len(self.shape))[: len(self.shape)]
        return [sampling(number(e, "Scale"), text(e, "Units")) for e in entries[::-1]]

    def __str__(self) -> str:
        remarks = [text(self.tags, "Name"), _times(self.shape)]
        remarks.append(OTHER_TYPES.get(self.kind, ""))
        return f"{self.index} ({', '.join(filter(None, remarks))})"


def recognize(path: Path, head: bytes) -> bool:
    return are_tags(head)


def by_name(path: Path, head: bytes) -> bool:
    """Return whether it is called a DM file and begins as one; its tags are damaged."""
    return path.suffix.lower() in FORMAT.extensions and may_be_tags(head)


def describe(
    path: Path | None = None,
    *,
    files: Sequence[str | Path] | None = None,
    dataset_index: int | None = None,
    force_c_order: bool = False,
    same_offset: bool = False,
) -> Description:
    if files is not None:
        members = [Path(file) for file in files]
        return _stack(members, dataset_index, force_c_order, same_offset)
    if path is None:
        raise MissingParameterError(None, "path", "dm needs a path, or files=[...]")
    return _single(path, dataset_index, force_c_order)


def choices(path: Path) -> Mapping[str, Sequence[Choice]]:
    """Return the images of a file, those with most axes first."""
    try:
        images = _images(read_tags(path))
    except (FormatError, OSError):
        return {}
    usable = [image for image in images if image.is_usable and not image.is_thumbnail]
    most = max((len(image.shape) for image in usable), default=0)
    offered = [
        Choice(image.index, str(image), is_likely=len(image.shape) == most > 2)
        for image in sorted(usable, key=lambda image: -len(image.shape))[:MAX_CHOICES]
    ]
    return {"dataset_index": offered} if len(offered) > 1 else {}


def _single(path: Path, dataset_index: int | None, force_c_order: bool) -> Description:
    tree = read_tags(path)
    images = _images(tree)
    image = _chosen(path, tree, images, dataset_index)
    data, dtype = _pixels(path, tree, image)
    nav, sig, in_order = _axes(path, image, force_c_order)
    nav_shape = tuple(image.shape[axis] for axis in nav) or (1,)
    sig_shape = tuple(image.shape[axis] for axis in sig)
    notices = []
    candidates = [i for i in images if i.is_usable and not i.is_thumbnail]
    if len(candidates) > 1:
        notices.append(
            f"The file holds several images: {_listed(candidates)}. This is"
            f" {image.index}; another image can be chosen (dataset_index)."
        )
    if in_order:
        run = FrameRun(path, data.offset, prod(sig_shape) * dtype.itemsize, 1)
        sig_strides = None
    else:
        _check_whole(path, tree, data)
        run = FrameRun(path, data.offset, dtype.itemsize, 1)
        nbytes = [prod(image.shape[axis + 1 :]) * dtype.itemsize for axis in sig]
        sig_strides = tuple(nbytes)
        notices.append(
            "The scan is stored side by side for every detector pixel, so that every"
            " frame is scattered over the whole file: reading frames is slow."
        )
    run = replace(run, count=prod(nav_shape))
    steps = image.steps
    calibration = Calibration(
        tuple(steps[axis] for axis in nav), tuple(steps[axis] for axis in sig)
    )
    return Description(
        FrameLayout((run,), sig_shape, dtype, sig_strides=sig_strides),
        _recorded_scan(image) or nav_shape,
        calibration=calibration,
        metadata=_metadata(image),
        parameters={"dataset_index": image.index} if len(candidates) > 1 else {},
        problems=tuple(_doubts(path, image, calibration, force_c_order)),
        notices=tuple(notices),
    )


def _stack(
    files: list[Path],
    dataset_index: int | None,
    force_c_order: bool,
    same_offset: bool,
) -> Description:
    read = partial(_single, dataset_index=dataset_index, force_c_order=force_c_order)
    first, *others = files
    known = read(first)
    layout = _stackable(first, known)
    runs = list(layout.runs)
    if same_offset:
        (run,) = (run for run in runs if isinstance(run, FrameRun))
        for file in others:
            read_head(file, 1)
            runs.append(replace(run, path=file))
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            for file, description in zip(others, pool.map(read, others), strict=True):
                other = _stackable(file, description)
                _check_alike(file, other, first, layout)
                runs += other.runs
    return replace(
        known,
        frames=replace(layout, runs=tuple(runs)),
        nav_shape=(sum(run.count for run in runs),),
        calibration=Calibration((), known.calibration.sig),
    )


def _stackable(path: Path, description: Description) -> FrameLayout:
    """Return the layout of a file of a stack, if it can be one."""
    layout = description.frames
    assert isinstance(layout, FrameLayout)
    nav_shape = description.nav_shape or ()
    if layout.sig_strides is not None or len(nav_shape) > 1:
        raise FormatError(
            path,
            "the file cannot be part of a stack",
            expected="one image, or images one after another",
            found=f"{_times(nav_shape)} frames of {_times(layout.sig_shape)}",
            hint="Open this file by itself.",
        )
    return layout


def _check_alike(
    path: Path, layout: FrameLayout, first: Path, expected: FrameLayout
) -> None:
    for what, ours, theirs in (
        ("image size", _times(layout.sig_shape), _times(expected.sig_shape)),
        ("pixel type", _type_name(layout), _type_name(expected)),
    ):
        if ours != theirs:
            raise FormatError(
                path,
                f"the {what} differs from that in the first file",
                expected=f"{theirs}, as in {first.name}",
                found=ours,
                hint="Leave it out, or open it by itself.",
            )


def _type_name(layout: FrameLayout) -> str:
    dtype = layout.dtype
    return f"{dtype.name}, big-endian" if dtype.str[0] == ">" else dtype.name


def _images(tree: TagTree) -> list[Image]:
    entries = lookup(tree.root, "ImageList")
    entries = list(entries.values()) if isinstance(entries, Mapping) else []
    marks = lookup(tree.root, "Thumbnails")
    marked = list(marks.values()) if isinstance(marks, Mapping) else []
    thumbnails = {number(mark, "ImageIndex") for mark in marked}
    images = []
    for index, tags in enumerate(entries):
        sides = lookup(tags, "ImageData", "Dimensions")
        sides = list(sides.values()) if isinstance(sides, Mapping) else []
        shape = tuple(n if isinstance(n, int) else 0 for n in reversed(sides))
        kind = int(number(tags, "ImageData", "DataType") or 0)
        is_colors = kind == COLORS and len(shape) == 2
        is_first = not marked and index == 0 and len(entries) > 1
        is_thumbnail = index in thumbnails or (is_first and is_colors)
        images.append(Image(index, tags, shape, kind, is_thumbnail))
    return images


def _chosen(
    path: Path, tree: TagTree, images: list[Image], dataset_index: int | None
) -> Image:
    """Return the image that is wanted: by default that with most axes."""
    if dataset_index is not None:
        if not 0 <= dataset_index < len(images):
            raise ParameterError(
                path,
                "dataset_index",
                f"no dataset {dataset_index} in the file",
                expected=_listed(images) or "a file with images",
                found=dataset_index,
                hint="Give one of these numbers, or none: the first image that is no"
                " thumbnail is opened.",
            )
        return images[dataset_index]
    if tree.cut_in is not None and not (images and images[-1].is_usable):
        raise _cut_off(path, tree.cut_in)
    usable = [image for image in images if image.is_usable]
    best = [image for image in usable if not image.is_thumbnail] or usable
    if best:
        return max(best, key=lambda image: len(image.shape))
    real = [image for image in images if not image.is_thumbnail]
    only_lines = bool(real) and all(len(image.shape) < 2 for image in real)
    raise FormatError(
        path,
        "the file holds a spectrum or a profile, no images"
        if only_lines
        else "the file holds no 2D, 3D or 4D image",
        expected="an image of whole, floating point or complex numbers",
        found=_listed(images) or "no list of images",
        hint="Open the file with the frames."
        if only_lines
        else "Save it from DigitalMicrograph as whole or real numbers.",
    )


def _pixels(path: Path, tree: TagTree, image: Image) -> tuple[TagArray, np.dtype[Any]]:
    """Return where the pixels of an image are, and of what type."""
    if not image.is_usable:
        raise FormatError(
            path,
            "the dataset does not hold frames",
            expected="an image of whole, floating point or complex numbers",
            found=f"dataset {image}, data type {image.kind}",
            hint="Choose another image (dataset_index).",
        )
    data = lookup(image.tags, "ImageData", "Data")
    dtype = np.dtype(tree.byte_order + PIXELS[image.kind])
    needed = prod(image.shape) * dtype.itemsize
    if not isinstance(data, TagArray) or data.nbytes != needed or not needed:
        if tree.cut_in is not None:
            raise _cut_off(path, tree.cut_in)
        is_array = isinstance(data, TagArray)
        raise FormatError(
            path,
            "the dimensions do not fit the size of the data",
            offset=data.offset if is_array else None,
            expected=f"{needed} bytes for {_times(image.shape)} {dtype.name}",
            found=f"{data.nbytes} bytes" if is_array else "no data",
            hint=DAMAGED,
        )
    return data, dtype


def _axes(path: Path, image: Image, force_c_order: bool) -> tuple[range, range, bool]:
    """Return the axes of the scan, those of the detector, and the order of the bytes.

    In order: one frame after another; else the values of all frames side by side.
    """
    tags = lookup(image.tags, "ImageTags", "Meta Data")
    count = len(image.shape)
    has_spectra = text(tags, "Format").lower() == "spectrum image" and count < 4
    sig_count = 1 if has_spectra else 2
    swapped = lookup(tags, "Data Order Swapped")
    if isinstance(swapped, TagArray):
        swapped = swapped.text
    if force_c_order or count == sig_count:
        in_order = True
    elif swapped is not None:
        in_order = swapped in TRUE
    else:
        in_order = count < (3 if has_spectra else 4)
    if not in_order and count > 4:
        raise FormatError(
            path,
            f"the order of the {count} axes is not known",
            expected="up to 4 axes, or the tag Data Order Swapped",
            found=f"dataset {image}",
            hint="force_c_order=True takes the detector axes as the fastest ones.",
        )
    axes = range(count)
    if in_order:
        return axes[:-sig_count], axes[-sig_count:], True
    return axes[sig_count:], axes[:sig_count], False


def _doubts(
    path: Path, image: Image, calibration: Calibration, force_c_order: bool
) -> Iterator[str]:
    tag = lookup(image.tags, "ImageTags", "Meta Data", "Data Order Swapped")
    if tag is None and not force_c_order and len(image.shape) == 4:
        scan = {axis.unit for axis in calibration.nav if axis is not None}
        detector = {axis.unit for axis in calibration.sig if axis is not None}
        if scan & RECIPROCAL and not detector & RECIPROCAL:
            yield (
                f"{path}: the file does not tell the order of its axes. Files without"
                " the tag Data Order Swapped have the scan side by side; but the units"
                " say that scan and detector are the other way round:"
                " force_c_order=True reads it so"
            )


def _check_whole(path: Path, tree: TagTree, data: TagArray) -> None:
    if tree.cut_in is not None:
        raise FormatError(
            path,
            "the file is cut off, and as the scan is stored side by side for every"
            " pixel, no frame is complete",
            expected=f"{data.offset + data.nbytes} bytes",
            found=f"{path.stat().st_size} bytes",
            hint=INTERRUPTED,
        )


def _cut_off(path: Path, array: TagArray) -> FormatError:
    size = path.stat().st_size
    return FormatError(
        path,
        "the file ends within the pixels, and what comes after them tells their shape",
        offset=array.offset,
        expected=f"{array.nbytes} bytes of pixels",
        found=f"{size - array.offset} bytes",
        hint=INTERRUPTED,
    )


def _recorded_scan(image: Image) -> tuple[int, ...] | None:
    """Scan shape of a stack, in tags that the TitanX microscope of NCEM adds."""
    tags = lookup(image.tags, "ImageTags", "4D STEM Tags")
    shape = [number(tags, f"Scan shape {axis}") for axis in "YX"]
    if len(image.shape) != 3 or not all(n and n >= 1 for n in shape):
        return None
    return tuple(int(n) for n in shape if n)


def _metadata(image: Image) -> dict[str, Any]:
    found = metadata(lookup(image.tags, "ImageTags"))
    name = text(image.tags, "Name")
    return found | ({"header": {"Name": name, **found["header"]}} if name else {})


def _listed(images: Sequence[Image]) -> str:
    listed = ", ".join(map(str, images[:MAX_LISTED]))
    return listed + ", ..." * (len(images) > MAX_LISTED)


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


FORMAT = Format(
    "dm",
    "Gatan DigitalMicrograph (GMS)",
    (".dm3", ".dm4"),
    recognize,
    describe,
    choices=choices,
    meanings={
        "dataset_index": Meaning(
            "Image",
            "which image of the file, counted from 0 with the thumbnail; by default the"
            " one with most axes",
        ),
        "force_c_order": Meaning(
            "Detector axes last",
            "the last two axes are those of the detector, whatever the tags of the file"
            " say",
        ),
        "same_offset": Meaning(
            "Files alike",
            "the files of a stack are alike to the byte: only the tags of the first are"
            " read, which is fast",
        ),
    },
    by_name=by_name,
)
