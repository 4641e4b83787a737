"""What is computed from 4D-STEM data: one method a module."""
