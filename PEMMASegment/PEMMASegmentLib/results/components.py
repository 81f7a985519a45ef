"""Here it is said which lesion is which: the 26-connected components of a label from the largest down, or a user's."""

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core import Segmentation
from ..core.components import Box, components


def lesion_numbers(segmentation: Segmentation) -> tuple[np.ndarray, list[Box | None]]:
    """As `components` of the label; after edits the user's numbers, and None where a number is not in use."""
    if segmentation.numbers is None:
        return components(segmentation.label)
    numbers = sitk.GetArrayFromImage(segmentation.numbers)
    return numbers, ndimage.find_objects(numbers)
