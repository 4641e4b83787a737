"""What LiberTEM 0.16 is known to read otherwise than we do, or not at all.

With ncempy 1.16, by which it reads DM, SER and MRC. What is right stands in the
conformance cases: most were made from arrays that are known.
"""

from __future__ import annotations

import numpy as np

from tests.peers.compare import Difference

DIFFERENCES = (
    Difference(
        "mib-real-r1-single-9 mib-real-r1-quad mib-r1-single mib-r1-quad",
        because="pixels of one bit come as uint64, the word of its decoder; uint8"
        " holds 0 and 1",
        aspects="dtype",
        undo=lambda frames: frames.astype(np.uint8),
    ),
    Difference(
        "mib-r24-single mib-r24-one-per-file",
        because="takes both planes of 12 bit for frames of uint16, and so has frames"
        " of half the distance and loses counts above 65535",
        aspects="dtype pixels",
    ),
    Difference(
        "mib-real-sibling-raw",
        because="looks for NAME*.mib, and so takes NAMERAW.mib, of another"
        " acquisition, for a part of the series",
        raises="ValueError: cannot assign slice",
    ),
    Difference(
        "mib-u16-Nx1",
        because="cannot read the chip layout Nx1, which does not matter for integers",
        raises="ValueError: invalid literal for int",
    ),
    Difference(
        "mib-files-gap",
        because="takes it that no file of a series is missing; we leave its place"
        " blank, by the sequence numbers of the frames",
        raises="IndexError: index is out of bounds",
    ),
    Difference(
        "raw-f8-be",
        because="has no byte swapping for floats",
        raises="NotImplementedError: byte swapping for floats",
    ),
    Difference(
        "csr-all-empty",
        because="maps files into memory, which cannot be done with empty ones",
        raises="ValueError: cannot mmap an empty file",
    ),
    Difference(
        "npy-fortran",
        because="refuses Fortran order; numpy reads the file as we do",
        raises="DataSetException: Unable to process NPY arrays that are not C_CONT",
    ),
    Difference(
        "npy-bad-truncated",
        because="refuses a file that was cut off, we show the frames that are there",
        raises="ValueError: mmap length is greater than file size",
    ),
    Difference(
        "h5-nexus-master h5-real-arina",
        because="looks for data sets without following links: a master has nothing"
        " else; h5py reads its parts as we do",
        raises="DataSetException: Unable to infer dataset",
    ),
    Difference(
        "empad-real-map4x4",
        because="knows the scan shapes of acquire and search only; the file has the"
        " size of pix_x and pix_y",
        raises="ValueError: RAW data file size mismatch",
    ),
    Difference(
        "empad-interrupted empad-bad-size",
        because="refuses a scan that was interrupted, even with nav_shape given; we"
        " show the frames that are there",
        raises="DataSetException: could not initialize EMPAD file",
    ),
    Difference(
        "tvips-real-2345 tvips-real-2233",
        because="reads 108 bytes of each frame header, beyond the end of the file"
        " where headers have 60",
        raises="IndexError: index 0 is out of bounds",
    ),
    Difference(
        "tvips-files",
        because="looks for the header in the file that is opened; only _000 has it",
        raises="DataSetException: Unknown TVIPS header version",
    ),
    Difference(
        "tvips-truncated-last",
        because="refuses a last frame that was cut off, we leave it blank",
        raises="AssertionError: found a rest of 137",
    ),
    Difference(
        "blo-bad-truncated",
        because="refuses a file that was cut off, we show the frames that are there",
        raises="AssertionError",
    ),
    Difference(
        "dm-real-3d-bool-dm3",
        because="reads all data types that it does not know as uint32, bool too",
        aspects="dtype pixels",
    ),
    Difference(
        "dm-4d-c-order-nav-larger",
        because="refuses a scan of more positions than there are frames, for DM only",
        raises="DataSetException: Specified nav_shape greater",
    ),
    Difference(
        "dm-4d-hybrid-tagged dm-4d-hybrid-untagged*",
        because="does not read 4D data that GMS stores with the scan fastest",
        raises="DataSetException: Cannot identify DM file as C-ordered",
    ),
    Difference(
        "dm-consolidated",
        because="opens the first image of a file, here a preview; we open the one"
        " with most dimensions",
        aspects="dtype shape",
    ),
    Difference(
        "dm-3d-big-endian",
        because="does not read big-endian files, of Macs",
        raises="OSError: File is not written Little Endian",
    ),
    Difference(
        "ser-real-emi-unreadable",
        because="cannot read the .emi, and gives up; the pixels are all in the .ser",
        raises="TypeError: 'NoneType' object is not iterable",
    ),
    Difference(
        "ser-u1",
        because="has a blank too much in the name of the type uint8",
        raises="TypeError: data type ' <u1'",
    ),
    Difference(
        "ser-bad-truncated",
        because="refuses a file that was cut off, we show the frames that are there",
        raises="ValueError: cannot reshape array of size 8",
    ),
    Difference(
        "mrc-grid-zero",
        because="takes the sampling MX, MY, MZ for the shape, here 0; the shape is NX,"
        " NY, NZ (MRC2014)",
        raises="ZeroDivisionError",
    ),
    Difference(
        "mrc-sig-flat",
        because="takes MX, MY, MZ for the shape of a frame, and so for six frames",
        raises="DataSetException: sig_shape must be of size: 240",
    ),
    Difference(
        "mrc-real-de-* mrc-i1 mrc-i2 mrc-f4 mrc-u2 mrc-u2-nav?",
        because="takes MX, MY, MZ for the shape of a frame, which fails where MZ is"
        " not 1 (LiberTEM issue 1675); the shape is NX, NY, NZ",
        raises="ValueError: cannot (reshape array|assign slice)",
    ),
    Difference(
        "mrc-f16",
        because="does not know mode 12, and takes any unknown mode for float32",
        raises="ValueError: mmap length is greater than file size",
    ),
    Difference(
        "mrc-big-endian",
        because="reads big-endian headers as if they were little-endian",
        raises="ValueError: array is too big",
    ),
    Difference(
        "mrc-bad-truncated",
        because="refuses a file that was cut off, we show the frames that are there",
        raises="ValueError: mmap length is greater than file size",
    ),
    Difference(
        "frms6-bad-truncated",
        because="refuses a file that was cut off, we show the frames that are there",
        raises="AssertionError",
    ),
    Difference(
        "k2is-stem k2is-stem-nav",
        because="looks for the open shutter in steps of 400 frames, and so does not"
        " find it in shorter sets; without that search it reads the same, see below",
        raises="IndexError: index 0 is out of bounds",
    ),
    Difference(
        "k2is-stem-active-from-start",
        because="begins one frame before the open shutter, even before the file; that"
        " position is blank",
        raises=r"DataSetException: failed to load dataset: \[Errno 22\]",
    ),
    Difference(
        "k2is-missing-block",
        because="takes it that no block is missing, and so shifts all later blocks of"
        " that sector; the headers of the blocks say where they belong",
        aspects="pixels",
    ),
)

# Cases without anything to read that it reads all the same.
READ_ALL_THE_SAME = (
    Difference(
        "dm-bad-stack-shapes",
        because="it looks at the shape of the first file only, and takes what lies"
        " there in the others for frames of that shape",
    ),
)
