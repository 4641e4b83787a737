"""``python -m napari_4dstem.cli``, where no script is on the path."""

import sys

from napari_4dstem.cli import main

sys.exit(main())
