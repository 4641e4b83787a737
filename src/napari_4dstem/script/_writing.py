"""From the record of a map to Python."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_4dstem
from napari_4dstem.analysis.compact import encoded, few_pixels
from napari_4dstem.analysis.detectors import Mask, Polygon
from napari_4dstem.analysis.map_record import (
    COMPONENTS,
    NO_DESCAN,
    OF_SLOPES,
    WHEEL,
    MapRecord,
    VectorMap,
)
from napari_4dstem.dataset import FOUND, opening_of
from napari_4dstem.script._layout import WIDTH, Call, Code, Items, assigned, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.axes import Sampling
    from napari_4dstem.dataset import Dataset, Opening

FUNCTIONS = {"sum": "virtual_image", "max": "max_image", "com": "center_of_mass"}
# In the header of the metadata of the sample scan.
SAMPLE = "napari_4dstem.sample_data.nanoparticles"
# What a map was made of and how, in the metadata of its layer.
MAP_KEY = "napari_4dstem_map"
# Of pixels that stand in a script as text: those of a frame of 256 x 256.
MOST_NBYTES = 2**18


def script_of(record: MapRecord, layer: str | None = None) -> str:
    """Return the Python that makes a map again, with the public interface alone.

    Parameters
    ----------
    record : MapRecord
        ``layer.metadata["napari_4dstem_map"]`` of a map.
    layer : str, optional
        Name of the layer of the map; by default the one that is selected.

    Returns
    -------
    str
        The map is in ``image`` at its end. Data that are in no file come from the layer
        of the map in ``viewer``: then it runs in napari's console.
    """
    script = _Script()
    which = ".selection.active" if layer is None else f"[{quoted(layer)}]"
    script.open(record.data_set, f"viewer.layers{which}")
    arguments = ["ds"]
    if record.detector is not None:
        script.let("detector", script.detector(record.detector))
        arguments.append("detector")
    measure = Call(f"n4.{FUNCTIONS[record.quantity]}", arguments)
    if record.vector_map is None:
        script.let("image", measure)
    else:
        script.let("com", measure)
        script.map_vectors(record.vector_map)
    script.lines.append('# import numpy; numpy.save("map.npy", image)')
    return script.text()


@dataclass
class _Script:
    """Lines of Python, and what they import."""

    lines: list[str] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)

    def text(self) -> str:
        packages = sorted(
            {"import napari_4dstem as n4", *self.packages},
            key=lambda line: (line.startswith("from"), line),
        )
        modules = sorted(f"import {name}" for name in self.modules)
        parts = [
            [f"# Made with napari-4dstem {napari_4dstem.__version__}."],
            [*modules, *[""] * bool(modules), *packages, ""],
            self.lines,
        ]
        return "\n".join(line for part in parts for line in part) + "\n"

    def let(self, name: str, value: Code) -> None:
        """Give something a name."""
        self.lines += assigned(name, value)

    def say(self, *sentences: str) -> None:
        """Add a comment."""
        text = " ".join(sentences)
        self.lines += [f"# {line}" for line in textwrap.wrap(text, 86)]

    # the data set

    def open(self, ds: Dataset, layer: str) -> None:
        """Make ``ds`` again, or take it from the layer of the map."""
        opening = opening_of(ds)
        if not opening.is_in_memory:
            self.let("ds", _loaded(opening))
        elif ds.metadata.get("header", {}).get("made_by") == SAMPLE:
            module, _, name = SAMPLE.rpartition(".")
            self.packages.add(f"from {module} import {name}")
            self.let("ds", _of_array(opening, f"{name}().data"))
        else:
            self._take_from_map(ds, layer)
            return
        if opening.corrections:
            self._correct(opening.corrections)
        if opening.calibration is not None:
            axes = opening.calibration
            self.let(
                "ds",
                Call(
                    "ds.with_calibration",
                    [f"nav={_samplings(axes.nav)}", f"sig={_samplings(axes.sig)}"],
                ),
            )

    def _take_from_map(self, ds: Dataset, layer: str) -> None:
        shape = " x ".join(map(str, ds.shape))
        self.say(
            "The data are in no file: run this in napari's console while the map is in"
            " the list of layers, or put in a data set of your own"
            f" ({shape}, {ds.dtype})."
        )
        self.let("ds", f"{layer}.metadata[{quoted(MAP_KEY)}].data_set")

    def _correct(self, corrections: Mapping[str, Any]) -> None:
        arguments = []
        for kind, part in corrections.items():
            if isinstance(part, Path):
                value = quoted(str(part))
            elif isinstance(part, str) and part == FOUND:
                value = f"ds.found_corrections.{kind}"
            else:
                value = self._pixels(kind, np.asarray(part))
            arguments.append(f"{kind}={value}")
        self.let("ds", Call("ds.with_corrections", arguments))

    def _pixels(self, kind: str, part: NDArray[Any]) -> str:
        """Return what stands for pixels that are in no file."""
        if part.nbytes <= MOST_NBYTES or part.dtype == bool:
            self._embed(kind, part)
            return kind
        self.say(
            f"The pixels of {kind} were in memory only, and are too many to stand here:"
            f" save ds.corrections.{kind} with numpy.save, and give that file."
        )
        return quoted(f"{kind}.npy")

    # the map

    def detector(self, detector: Detector) -> Code:
        """Return a detector; the pixels of a mask go before it."""
        name = f"n4.{type(detector).__name__}"
        if isinstance(detector, Mask):
            self._embed("mask", detector.array)
            return Call(name, ["mask"])
        if isinstance(detector, Polygon):
            return Call(name, [Items("(", list(map(repr, detector.vertices)), ")")])
        first, *others = fields(detector)  # type: ignore[arg-type]  # all are dataclasses
        named = [f"{each.name}={getattr(detector, each.name)!r}" for each in others]
        return Call(name, [repr(getattr(detector, first.name)), *named])

    def map_vectors(self, vector_map: VectorMap) -> None:
        """Make ``image`` of ``com``."""
        if vector_map.pixel != (1, 1):
            self.let("com", f"com * {_numbers(vector_map.pixel)}")
        if vector_map.descan != NO_DESCAN:
            reference = vector_map.descan
            is_name = isinstance(reference, str)
            said = quoted(str(reference)) if is_name else _numbers(reference)
            self.let("com", f"n4.descan(com, {said})")
        if vector_map.is_turned:
            turned = ["com", repr(float(vector_map.degrees))]
            turned += ["flip_y=True"] * vector_map.flip_y
            self.let("com", Call("n4.rotate", turned))
        output = vector_map.output
        if output in COMPONENTS:
            self.let("image", f"com[..., {COMPONENTS.index(output)}]")
        elif output in OF_SLOPES:
            step = _numbers(vector_map.scan_step)
            arguments = ["com"] if step == "(1.0, 1.0)" else ["com", step]
            self.let("image", Call(f"n4.{output}", arguments))
        else:
            self.let("image", f"n4.{output}(com)" + ".image" * (output == WHEEL))

    def _embed(self, name: str, array: NDArray[Any]) -> None:
        """Write pixels down: which ones, or packed where these are many."""
        self.packages.add("import numpy as np")
        pixels = few_pixels(array)
        line = f"{name}[{', '.join(map(str, pixels or ()))}] = True"
        if pixels is not None and len(line) <= WIDTH:
            self.let(name, f"np.zeros({array.shape}, bool)")
            self.lines.append(line)
            return
        self.modules |= {"base64", "zlib"}
        self.lines.append(f'{name} = """')
        self.lines += textwrap.wrap(encoded(array), 76)
        self.lines.append('"""')
        self.let(name, f"zlib.decompress(base64.b64decode({name}))")
        if array.dtype == bool:
            self.let(name, f"np.unpackbits(np.frombuffer({name}, np.uint8))")
            self.let(name, f"{name}[:{array.size}].reshape({array.shape}).astype(bool)")
        else:
            dtype = quoted(array.dtype.newbyteorder("<").str)
            self.let(name, f"np.frombuffer({name}, {dtype}).reshape({array.shape})")


def _loaded(opening: Opening) -> Code:
    where: Code = f"path={quoted(str(opening.path))}"
    if opening.files:
        names: list[Code] = [quoted(str(file)) for file in opening.files]
        where = Items("files=[", names, "]")
    given = [f"{name}={_value(value)}" for name, value in opening.parameters.items()]
    return Call("n4.load", [quoted(opening.filetype), where, *given])


def _of_array(opening: Opening, data: str) -> Code:
    filetype = quoted(opening.filetype)
    own = [f"{name}={_value(value)}" for name, value in opening.own_parameters.items()]
    return Call("n4.load", [filetype, f"data={data}", *own, *_geometry(opening)])


def _geometry(opening: Opening) -> list[Code]:
    geometry: list[Code] = [f"nav_shape={opening.nav_shape}"]
    if opening.sync_offset or opening.flyback:
        geometry.append(f"sync_offset={opening.sync_offset}")
        geometry.append(f"flyback={opening.flyback}")
    return geometry


def _value(value: Any) -> str:
    return quoted(str(value)) if isinstance(value, (str, Path)) else repr(value)


def _numbers(values: Any) -> str:
    return repr(tuple(map(float, values)))


def _samplings(axes: Sequence[Sampling | None]) -> str:
    shown = (a and f"({a.scale!r}, {quoted(a.unit)})" for a in axes)
    return f"[{', '.join(map(str, shown))}]"
