"""What RosettaSciIO 0.15 is known to read otherwise than we do, or not at all.

What is right stands in the conformance cases: most were made from arrays that are
known.
"""

from __future__ import annotations

import numpy as np

from tests.peers.compare import Difference, Pixels


def upside_down(frames: Pixels) -> Pixels:
    return np.flip(frames, axis=-2)


def scan_first(frames: Pixels) -> Pixels:
    return frames.transpose(2, 3, 0, 1)


DIFFERENCES = (
    Difference(
        "mib-real-r1-* mib-r[0-9]*-* mib-files-uneven",
        because="does not read raw MIB data, as the counters send them",
        raises="NotImplementedError: RAW MIB data not supported",
    ),
    Difference(
        "mib-no-mq1a",
        because="cannot do without the MQ1A block of newer headers",
        raises="ValueError: not enough values to unpack",
    ),
    Difference(
        "mib-header-512",
        because="takes it that headers have 384 or 768 bytes; the header says 512",
        raises="IndexError: list index out of range",
    ),
    Difference(
        "mib-files-12x1",
        because="reads the file that it is given, not the series it belongs to",
        aspects="shape",
    ),
    Difference(
        "mib-files-sequence-wins mib-files-gap mib-naughty-path",
        because="reads the file that it is given, not the series it belongs to",
        aspects="pixels",
    ),
    Difference(
        "mib-u32-square-guess",
        because="turns frames upside down, and makes no scan of nine frames; we"
        " propose 3 x 3 and say that it is a guess",
        aspects="shape",
        undo=lambda frames: upside_down(frames).reshape(3, 3, 6, 10),
    ),
    Difference(
        "mib-hdr-scanxy-mibpath",
        because="turns frames upside down, and does not look for ScanX and ScanY in"
        " the .hdr",
        aspects="shape",
        undo=lambda frames: upside_down(frames).reshape(2, 5, 8, 8),
    ),
    Difference(
        "mib-*",
        because="turns frames upside down; we leave rows in the order of the file, as"
        " LiberTEM does and its own load_mib_data",
        aspects="pixels",
        undo=upside_down,
    ),
    Difference(
        "npy-bad-truncated",
        because="refuses a file that was cut off, we show the frames that are there",
        raises="ValueError: Failed to read all data",
    ),
    Difference(
        "h5-huge-sparse",
        because="reads all of the array; it is 128 PiB",
        raises="MemoryError: Unable to allocate 128. PiB",
    ),
    Difference(
        "h5-nexus-master h5-real-arina",
        because="cuts ARINA's pixels of 32 bits to 16, whatever they hold",
        aspects="dtype",
        undo=lambda frames: frames.astype(np.uint32),
    ),
    Difference(
        "h5-emd-berkeley h5-real-emd-stringdims",
        because="turns round the order of the axes of EMD files that are not of"
        " py4DSTEM or Prismatic, as HyperSpy writes them; dim1 is that of axis 0",
        aspects="shape",
        undo=np.transpose,
    ),
    Difference(
        "empad-raw-*",
        because="opens EMPAD data by their .xml only",
        raises="ParseError: not well-formed",
    ),
    Difference(
        "empad-absolute-rawname empad-bad-size",
        because="finds a scan shape in pix_x and pix_y or in the name of the .raw, not"
        " in the resolution of the scan parameters",
        raises="KeyError: .*scan_y",
    ),
    Difference(
        "empad-interrupted",
        because="refuses a scan that was interrupted, we show the frames that are"
        " there",
        raises="ValueError: cannot reshape array of size 4",
    ),
    Difference(
        "tvips-v1",
        because="takes the length of frame headers from the file; in version 1 it is"
        " 12, whatever that says",
        raises="ValueError: The frame header record consumes more bytes",
    ),
    Difference(
        "tvips-scan-detect",
        because="makes no scan of the frames, though each tells its position",
        aspects="shape",
        undo=lambda frames: frames[2:14].reshape(3, 4, 4, 6),
    ),
    Difference(
        "tvips-scan-detect-plain",
        because="makes no scan of the frames, though each tells its position",
        aspects="shape",
        undo=lambda frames: frames.reshape(4, 3, 4, 6),
    ),
    Difference(
        "tvips-offset-detected",
        because="does not look for the beginning of the scan: the first two frames"
        " were recorded before",
        aspects="pixels",
        undo=lambda frames: frames[2:],
    ),
    Difference(
        "tvips-truncated-last",
        because="refuses a last frame that was cut off, we leave it blank",
        raises="ValueError: Size of available data is not a multiple",
    ),
    Difference(
        "blo-u16*",
        because="does not know pixels of 16 bit, of version 1.3",
        raises="ValueError: index can't contain negative values",
    ),
    Difference(
        "dm-4d-hybrid-tagged",
        because="leaves axes in the order of the file, of GMS with the scan fastest;"
        " the tag Data Order Swapped and the units tell which is which",
        aspects="shape",
        undo=scan_first,
    ),
    Difference(
        "dm-4d-hybrid-untagged*",
        because="leaves axes in the order of the file, of GMS with the scan fastest;"
        " that is so without the tag Data Order Swapped, and the units agree",
        aspects="shape",
        undo=scan_first,
    ),
    Difference(
        "dm-3d-big-endian",
        because="takes all pixels for little-endian, but not all files are",
        aspects="pixels",
        undo=lambda frames: frames.byteswap(),
    ),
    Difference(
        "mrc-i1",
        because="takes mode 0 for uint8; it is int8 (MRC2014)",
        aspects="dtype",
        undo=lambda frames: frames.view(np.int8),
    ),
    Difference(
        "ser-bad-truncated",
        because="refuses a file that was cut off, we show the frames that are there",
        raises="ValueError: setting an array element with a sequence",
    ),
    Difference(
        "mrc-big-endian",
        because="takes all pixels for little-endian, even if told otherwise",
        aspects="pixels",
        undo=lambda frames: frames.byteswap(),
    ),
    Difference(
        "mrc-bad-truncated",
        because="refuses a file that was cut off, we show the frames that are there",
        raises="ValueError: mmap length is greater than file size",
    ),
)
CALIBRATIONS = (
    Difference(
        "tvips-*",
        because="takes the pixel size in the header as it is; whole numbers of 1/nm"
        " cannot be right for a diffraction pattern, so we leave it under `header`",
    ),
    Difference(
        "blo-*",
        because="says centimeters on the detector; with the camera length, which is"
        " in the file as well, these are mrad",
    ),
    Difference(
        "ser-real-single",
        because="takes all pixels for lengths; this one would be 10**8 m, it is that"
        " of a diffraction pattern, 10**8 per m",
    ),
    Difference(
        "ser-u16-v210* ser-u16-v220 ser-[uif]? ser-shuffled-offsets ser-partial-map",
        because="takes all pixels for lengths; one of 0.5 is neither m nor 1/m",
    ),
    Difference(
        "mrc-real-de-*",
        because="overwrites the scales of the info file with 1 (a comparison that is"
        " the wrong way round)",
    ),
    Difference(
        "mrc-grid-zero",
        because="says 1 nm where the file says nothing",
    ),
)
# Files without frames that it reads, and parameters that it does not have.
READ_ALL_THE_SAME = (
    Difference(
        "mib-bad-sync-offset npy-bad-sync h5-bad-sync blo-bad-sync-offset"
        " mib-bad-sig-shape blo-bad-sig-shape ser-bad-sig-shape mrc-bad-sig-shape",
        because="the file is good; what is wrong is a parameter that it does not have",
    ),
    Difference(
        "npy-bad-1d h5-bad-no-candidate dm-bad-1d",
        because="it reads arrays of any number of dimensions, not only frames",
    ),
    Difference(
        "h5-bad-string h5-bad-compound",
        because="it reads text and records, too",
    ),
    Difference(
        "blo-bad-magic",
        because="it warns of a magic number that it does not know, and reads on",
    ),
    Difference(
        "ser-bad-series-id ser-bad-byte-order ser-bad-version",
        because="it does not look at these fields",
    ),
    Difference(
        "mrc-bad-zero",
        because="it gives an array without pixels",
    ),
)
