"""EMPAD data from arrays: frames with two more rows, and XML as the software writes it.

Source: XML files of version 0.51 and 1.2.2 of the acquisition software.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

OLD_IOM = (
    "<optics.get_cameralength>0.7225</optics.get_cameralength>"
    "<source.get_voltage>300000.0</source.get_voltage>"
    "<optics.get_full_scan_field_of_view>[4e-07, 6e-07]"
    "</optics.get_full_scan_field_of_view>"
    "<calibrated_diffraction_angle>0.00043</calibrated_diffraction_angle>"
    "<calibrated_pixelsize>1.8e-10</calibrated_pixelsize>"
)
NEW_IOM = (
    "<full_scan_field_of_view><scale_factor>0.72</scale_factor>"
    "<x>1.44e-06</x><y>1.44e-06</y></full_scan_field_of_view>"
    "<nominal_camera_length>0.369</nominal_camera_length>"
    "<high_voltage>80000.0</high_voltage><scan_rotation>1.5</scan_rotation>"
)


def mode(name: str, nx: object, ny: object) -> str:
    """Return the settings of the mode ``acquire`` or ``search``."""
    return (
        f'<scan_parameters mode="{name}"><scan_resolution_x>{nx}</scan_resolution_x>'
        f"<scan_size>0.6</scan_size><scan_resolution_y>{ny}</scan_resolution_y>"
        "</scan_parameters>"
    )


def write_xml(
    path: Path,
    raw_name: str,
    *,
    kind: str | None = "scan",
    scans: Mapping[str, tuple[object, object]] | None = None,
    pixels: tuple[object, object] | None = None,
    count: object = None,
    iom: str = "",
    reconstructions: int = 2,
) -> None:
    """Write the XML of an acquisition; scans and pixels are (nx, ny)."""
    parts = [
        '<timestamp timestamp="1559820600.16" isoformat="2019-06-06T13:30:00.16"/>',
        "<software_version>0.51 211118</software_version>",
        "<reconstructions>",
        *(
            f'<reconstruction absolute_filename="/home/empad/sum_{i:060}.tif"/>'
            for i in range(reconstructions)
        ),
        "</reconstructions>",
        "" if kind is None else f"<type>{kind}</type>",
        "" if count is None else f"<count>{count}</count>",
        "" if pixels is None else "<pix_x>{}</pix_x><pix_y>{}</pix_y>".format(*pixels),
        f'<raw_file filename="{raw_name}"/>',
        "<exposure_time>1.5</exposure_time>",
        *(mode(name, nx, ny) for name, (nx, ny) in (scans or {}).items()),
        f"<iom_measurements>{iom}</iom_measurements>" * bool(iom),
    ]
    path.write_text(f'<root name="acquisition">{"".join(parts)}</root>', "utf-8")


def write_raw(path: Path, frames: NDArray[np.float32]) -> list[int]:
    """Write frames of 128 x 128 pixels; return their ends."""
    more_rows = np.full((len(frames), 2, 128), np.nan, "<f4")
    more_rows[::2] = 3e38
    stored = np.concatenate([frames.astype("<f4"), more_rows], axis=1)
    path.write_bytes(stored.tobytes())
    return [(i + 1) * stored[0].nbytes for i in range(len(frames))]
