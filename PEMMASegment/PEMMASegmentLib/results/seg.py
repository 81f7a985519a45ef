"""DICOM Segmentation of the lesions: BINARY, on the grid of the CT (or PET) it references, compared before it stands.

Codes: category SCT 49755003, type SCT 108369006, algorithm family DCM 123110. UIDs are made from the content.
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from .. import __version__
from ..core import Identity, Lesion, PemmaError, PemmaWarning, Segmentation
from ..core.files import write_atomically
from ..core.images import like, save
from ..study.annotation.author import SOFTWARE, algorithm_name
from ..study.types import PetCtStudy
from .components import lesion_numbers
from .measure import rule_in_words
from .sources import clean_sources, is_multiframe, match_slices, own_planes, why_no_seg
from .table import kept
from .uids import uid_of

if TYPE_CHECKING:
    import highdicom as hd
    from pydicom import Dataset

#: more lesions than this become one segment
MOST_SEGMENTS = 200
SERIES_NUMBER = 900
SERIES_DESCRIPTION = "PEMMASegment tumours, research use only"
MAKER = f"{SOFTWARE} project"
_DESCRIPTION = "ITK_FileNotes"  # ITK's name for the field of a NIfTI header that holds 79 letters on the file


def write_seg(
    path: Path,
    study: PetCtStudy,
    segmentation: Segmentation,
    lesions: Sequence[Lesion],
    *,
    segments: str = "each",
    command_options: dict | None = None,
) -> tuple[PemmaWarning, ...]:
    """Writes the kept lesions of `measure` or `measure_edited`; returns what the user should know of it.

    segments: "each" lesion a segment, or "one" segment for all; the algorithm type is the lesions' own.
    command_options: numbers and switches among them are recorded with the algorithm's parameters and enter the UIDs;
    words are not (they may be paths).
    Raises PemmaError "seg-empty" without a kept lesion, "seg-no-headers" for a study that has no DICOM headers, and
    "seg-headers" for one whose headers can't be referenced.
    """
    lesions = kept(lesions)
    if not lesions:
        raise PemmaError("seg-empty", "there is no lesion to write into a DICOM-SEG", "the other results are complete")
    if not study.grid_headers:
        raise PemmaError("seg-no-headers", "a study without DICOM headers can't be referenced by a DICOM-SEG")
    if why := why_no_seg(study.grid_headers):
        raise PemmaError("seg-headers", why, "export the series again")
    told = ()
    if segments == "each" and len(lesions) > MOST_SEGMENTS:
        segments = "one"
        sentence = f"the DICOM-SEG holds all {len(lesions)} lesions in one segment (they are more than {MOST_SEGMENTS})"
        told = (PemmaWarning("seg-merged", sentence),)
    numbers = segment_numbers(lesion_numbers(segmentation)[0], lesions, segments)  # (z, y, x)
    parameters = _parameters(study, segmentation, lesions[0].mtv_rule, command_options or {})
    with warnings.catch_warnings():  # highdicom warns of odd patient names and quotes them
        warnings.simplefilter("ignore", UserWarning)
        seg = _build(study, segmentation, lesions, segments, numbers, parameters)
    write_atomically(path, lambda temporary: _save_and_compare(seg, temporary, numbers, segmentation.label))
    return told


def write_label_nifti(
    path: Path, segmentation: Segmentation, lesions: Sequence[Lesion], *, segments: str = "each"
) -> None:
    """The kept lesions as NIfTI on the label's grid: 1, 2 ... in the order of the table, or 1 for all.

    The header names model and adapter, so that the file is known again (`study.annotation.author`).
    """
    numbers = segment_numbers(lesion_numbers(segmentation)[0], kept(lesions), segments)
    image = like(numbers, segmentation.label)
    image.SetMetaData(_DESCRIPTION, _plain(algorithm_name(segmentation.model, segmentation.adapter), 79))
    write_atomically(path, lambda temporary: save(image, temporary))


def segment_numbers(numbers: np.ndarray, lesions: Sequence[Lesion], segments: str) -> np.ndarray:
    """Segment of each voxel, 0 outside the lesions: uint8, uint16 for more than 255 segments.

    numbers: (z, y, x), of `components`.
    """
    segment_of = np.zeros(max((lesion.number for lesion in lesions), default=0) + 1, np.uint16)
    for segment, lesion in enumerate(lesions, start=1):
        segment_of[lesion.number] = 1 if segments == "one" else segment
    out = np.empty(numbers.shape, np.uint8 if segment_of.max() < 256 else np.uint16)
    for plane, into in zip(numbers, out, strict=True):  # whole bodies: no second array of 32 bits
        into[:] = segment_of[np.where(plane < len(segment_of), plane, 0)]
    return out


def _build(study, segmentation, lesions, segments, numbers, parameters) -> "hd.seg.Segmentation":
    import highdicom as hd

    sources = clean_sources(study.grid_headers, study.grid)
    # highdicom takes one multi-frame image as the source; more files of a series are referenced as further ones
    first = 1 if is_multiframe(sources[0]) else len(sources)
    content = [_owner(sources[0]), *_content_key(study, segmentation, lesions, segments, parameters, numbers)]
    seg = hd.seg.Segmentation(
        source_images=sources[:first],
        further_source_images=sources[first:],
        pixel_array=numbers,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=_descriptions(lesions, segments, _algorithm(segmentation, parameters)),
        series_instance_uid=uid_of("series", *content),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of("instance", *content),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=SOFTWARE,
        software_versions=__version__,
        device_serial_number=segmentation.model.sha256[:16] or "none",
        content_label="TUMOUR",
        content_description=f"Lesions: {len(lesions)}. Not verified, research use only",
        series_description=SERIES_DESCRIPTION,
        **({} if match_slices(study.grid, study.grid_headers) else own_planes(study.grid)),
    )
    _fix_organization_uid(seg, uid_of("organization", *content))
    for keyword in ("BodyPartExamined", "SpecificCharacterSet"):  # the first highdicom never copies, the second from 0.28 on
        if keyword in sources[0]:
            setattr(seg, keyword, sources[0][keyword].value)
    return seg


def _owner(source: "Dataset") -> str:
    """Whose the object is, as it will state: one UID for files that differ in this would be one object with two patients."""
    keywords = ("PatientID", "PatientName", "PatientBirthDate", "AccessionNumber")
    return json.dumps([str(source.get(keyword) or "") for keyword in keywords])


def _content_key(study, segmentation, lesions, segments, parameters, numbers) -> list[bytes | str]:
    drawn = [(lesion.tracking_uid, lesion.algorithm_type) for lesion in lesions]
    described = json.dumps([__version__, study.study_key, segmentation.roi_mm, parameters, segments, drawn])
    voxels = np.packbits(numbers != 0) if segmentation.numbers is None else numbers  # else the label says which is which
    return [described, repr(numbers.shape), numbers.max().tobytes(), voxels.tobytes()]


def _descriptions(lesions, segments, algorithm) -> list["hd.seg.SegmentDescription"]:
    if segments == "one":
        kind = max(lesion.algorithm_type for lesion in lesions)  # one edited lesion makes all SEMIAUTOMATIC
        uid = uid_of(*(lesion.tracking_uid for lesion in lesions))
        return [_description(1, "Tumour", "tumours", uid, kind, algorithm)]
    return [
        _description(n, f"Tumour {lesion.number}", f"lesion {lesion.number}", lesion.tracking_uid,
                     lesion.algorithm_type, algorithm)
        for n, lesion in enumerate(lesions, start=1)
    ]


def _description(number, words, tracking_id, tracking_uid, kind, algorithm) -> "hd.seg.SegmentDescription":
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=words,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues(kind),
        algorithm_identification=algorithm,
        tracking_uid=tracking_uid,
        tracking_id=tracking_id,
    )


def _algorithm(segmentation: Segmentation, parameters: dict[str, str]) -> "hd.AlgorithmIdentificationSequence":
    import highdicom as hd
    from pydicom.sr.codedict import codes

    model, adapter = segmentation.model, segmentation.adapter
    version = model.version if adapter is None else f"{model.version} with adapter {adapter.name} {adapter.sha256[:12]}"
    return hd.AlgorithmIdentificationSequence(
        name=_plain(algorithm_name(model)),
        family=codes.DCM.ArtificialIntelligence,
        version=_plain(version),
        source=f"{SOFTWARE} {__version__}",
        parameters=parameters,
    )


def _parameters(
    study: PetCtStudy, segmentation: Segmentation, mtv_rule: str | None, options: dict
) -> dict[str, str]:
    typed = study.suv.typed if study.suv else ()
    return {
        "model_sha256": segmentation.model.sha256,
        "adapter": _named(segmentation.adapter),
        "threshold": f"{segmentation.threshold:g}",
        "inputs": segmentation.inputs,
        "mtv_rule": "none" if mtv_rule is None else rule_in_words(mtv_rule),
        **({"suv_from_typed": "; ".join(typed)} if typed else {}),
        **{name: str(value) for name, value in sorted(options.items()) if isinstance(value, int | float)},
    }


def _named(adapter: Identity | None) -> str:
    return "none" if adapter is None else f"{_plain(adapter.name)} {adapter.version} sha256 {adapter.sha256}"


def _plain(text: str, most: int = 64) -> str:
    """As a short DICOM text of any character set holds it; most: letters."""
    return text.encode("ascii", "replace").decode("ascii").replace("\\", "/")[:most]


def _fix_organization_uid(seg: "Dataset", uid: str) -> None:
    """highdicom draws this one at random."""
    for item in [*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence]:
        item.DimensionOrganizationUID = uid


def _save_and_compare(seg: "Dataset", path: Path, numbers: np.ndarray, grid: sitk.Image) -> None:
    import pydicom

    seg.save_as(path, enforce_file_format=True)
    if not np.array_equal(_read_back(pydicom.dcmread(path), numbers, grid), numbers):
        raise RuntimeError("the DICOM-SEG just written reads back differently")


def _read_back(seg: "Dataset", numbers: np.ndarray, grid: sitk.Image) -> np.ndarray:
    """Segment numbers (z, y, x) on `grid` from a file's frames, one frame in memory at a time."""
    out = np.zeros_like(numbers)
    shared = seg.SharedFunctionalGroupsSequence[0]
    pixels = seg.Rows * seg.Columns
    for n, frame in enumerate(seg.PerFrameFunctionalGroupsSequence):
        position = [float(value) for value in frame.PlanePositionSequence[0].ImagePositionPatient]
        k = round(grid.TransformPhysicalPointToContinuousIndex(position)[2])
        group = frame if "SegmentIdentificationSequence" in frame else shared
        first = n * pixels
        packed = np.frombuffer(seg.PixelData[first // 8 : -(-(first + pixels) // 8)], np.uint8)
        bits = np.unpackbits(packed, bitorder="little")[first % 8 :][:pixels]
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        out[k][bits.reshape(seg.Rows, seg.Columns) == 1] = number
    return out
