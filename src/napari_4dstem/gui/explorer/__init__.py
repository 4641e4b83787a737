"""The Explorer: the scan in the viewer, its patterns in a dock beside it, linked."""
