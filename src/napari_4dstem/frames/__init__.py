"""Where the pixels are and how to fetch them: the core that every format stands on."""
