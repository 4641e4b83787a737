"""How fast the formats and analyses are, against the machine's limit and the peers.

``python -m benchmarks --help`` tells what can be measured; the rooms:

- ``scans``: frames that are the same every time, and what numpy makes of them,
- ``data_sets``: the same frames in every format and packing,
- ``machine``: the limit, the sum of all bytes of a file,
- ``analyses``: what is timed on each data set,
- ``drag``: detectors and regions that move (``napari_4dstem.live``),
- ``fresh``: first use and private memory, in processes of their own,
- ``peers``: the same analyses with LiberTEM and py4DSTEM,
- ``report``: table, JSON and plot,
- ``explorer``: how late the Explorer shows what is dragged, in a real window
  (``python -m benchmarks.explorer``), with ``window`` and ``watch``,
- ``soak``: thousands of random interactions with it (``python -m benchmarks.soak``).
"""
