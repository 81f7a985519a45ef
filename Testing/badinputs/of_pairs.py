"""CT and PET that do not go together."""




from ..study.phantom import CT, PT, ROOT
from .spoil import case, clones, for_all


@case(103, "L")
def ct_alone(pair):
    pair.pet.clear()


@case(103, "L")
def pet_alone(pair):
    pair.ct.clear()


@case(104, "W", "series-chosen")
def lung_kernel_beside(pair):
    twins = clones(pair.ct, 11)
    for_all(twins, ConvolutionKernel="LUNG")
    pair.ct += twins


@case(105, "W", "frame-of-reference")
def other_frame_of_reference(pair):
    for_all(pair.ct, FrameOfReferenceUID=ROOT + ".55")


@case(105, "R", "several-frames")
def two_frames_of_reference_in_a_series(pair):
    for_all(pair.ct[4:], FrameOfReferenceUID=ROOT + ".55")


@case(106, "R", "ct-pet-apart")
def elsewhere(pair):
    for header in pair.ct:
        header.ImagePositionPatient[2] += 500


@case(107, "W", "ct-pet-overlap")
def half_a_ct(pair):
    del pair.ct[4:]


@case(107, "W", "ct-pet-overlap")
def ct_a_few_slices_short(pair):
    pair.pet += [PT(k) for k in range(8, 20)]
    pair.ct += [CT(k) for k in range(8, 17)]


@case(108, "L")
def ct_of_smaller_field(pair):
    for_all(pair.ct, PixelSpacing=[2.0, 2.0])


@case(109, "L")
def ct_flipped(pair):
    for header in pair.ct:
        header.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
        header.ImagePositionPatient[:2] = [38, 30]


@case(111, "W", "different-days")
def pet_of_another_day(pair):
    for_all(pair.ct, AcquisitionDate="20240301")
