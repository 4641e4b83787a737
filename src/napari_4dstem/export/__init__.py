"""Writing data sets: one module per target file type."""
