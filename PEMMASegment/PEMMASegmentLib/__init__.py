"""PET/CT tumour segmentation that learns on site: the library under the command `pemma-segment` and the Slicer module."""

__version__ = "0.1.0"
