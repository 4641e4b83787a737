"""The interactive engine: an image at once, and the exact one when there is time.

`LiveImages` makes maps of the scan while detectors move, `LivePattern` patterns while a
region of the scan moves. Both yield steps, each better than the one before, the exact
one last; to cancel is to close the generator, and what was done by then is kept.

What is known of each frame is kept in the order of the files, together with the mask
that it is known for, so that another scan geometry is only another way to fold it, and
another mask only asks for the pixels that it gained or lost.
"""

from napari_4dstem.live.images import LiveImage, LiveImages
from napari_4dstem.live.patterns import LivePattern, LivePatternStep
from napari_4dstem.live.preview import PreviewProgress

__all__ = [
    "LiveImage",
    "LiveImages",
    "LivePattern",
    "LivePatternStep",
    "PreviewProgress",
]
