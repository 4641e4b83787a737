"""All that has a window: the only room with Qt and napari."""
