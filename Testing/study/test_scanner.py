"""What a study's headers tell of scanner, reconstruction and tracer, and that they tell nothing of the patient."""

import pydicom
import pytest

from PEMMASegmentLib.study import load, scanner

from .phantom import Pair, tracer


def test_facts_of_real_studies_of_two_protocols_differ(unpack):
    soft, standard = (scanner.facts(load(unpack(f"sts/dicom/{name}.zip"))) for name in ("STS_008", "STS_042"))
    assert standard == {
        "manufacturer": "GE MEDICAL SYSTEMS", "model": "Discovery ST", "ct_kernel": "STANDARD",
        "pet_reconstruction": "OSEM", "tracer": "FDG", "ct_voxels_mm": "0.98 x 0.98 x 3.27",
        "pet_voxels_mm": "5.47 x 5.47 x 3.27",
    }  # fmt: skip
    assert scanner.unlike(soft, scanner.gathered([standard])) == [
        "CT kernel SOFT (there STANDARD)", "PET voxels 4.69 x 4.69 x 3.27 (there 5.47 x 5.47 x 3.27)"]
    assert scanner.unlike(soft, scanner.gathered([soft, standard])) == []


def test_nifti_study_tells_its_voxels_and_is_unlike_nothing_else(shared, unpack):
    found = scanner.facts(load(shared / "data" / "sts" / "STS_042"))
    assert list(found) == ["ct_voxels_mm", "pet_voxels_mm"]
    assert scanner.unlike(found, scanner.gathered([scanner.facts(load(unpack("sts/dicom/STS_042.zip")))])) == []


@pytest.mark.parametrize("text", ["kernel of Doe", "P-1234 STANDARD"])
def test_text_that_holds_the_patient_is_left_out(tmp_path, text):
    pair = Pair()
    for header in pair.all:
        header.PatientName, header.PatientID = "Doe^Jane", "P-1234"
    for header in pair.ct:
        header.ConvolutionKernel = text
    assert "ct_kernel" not in scanner.facts(load(pair.write(tmp_path)))


@pytest.mark.parametrize("name", ["PSMA Smithson", "PSMA_SMITHSON", "PSMA_20240310", "PSMA A_4711", "PSMA 1.2.840.10008.1.4"])
def test_a_tracer_that_an_operator_wrote_more_into_is_left_out(tmp_path, name):
    pair = Pair()
    for header in pair.all:
        header.ReferringPhysicianName, header.AccessionNumber = "Smithson^Al", "A_4711"
    for header in pair.pet:
        given = tracer(header)
        given.Radiopharmaceutical = name
        del given.RadionuclideCodeSequence
    assert "tracer" not in scanner.facts(load(pair.write(tmp_path)))


def test_kernel_of_a_multi_frame_ct_lies_in_its_groups(tmp_path):
    pair = Pair()
    study = load(pair.write(tmp_path))
    header = pydicom.Dataset()
    header.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
    header.SharedFunctionalGroupsSequence[0].CTReconstructionSequence = [pydicom.Dataset()]
    header.SharedFunctionalGroupsSequence[0].CTReconstructionSequence[0].ConvolutionKernel = ["Br38", "3"]
    object.__setattr__(study, "ct_headers", (header,))
    assert scanner.facts(study)["ct_kernel"] == "Br38/3"
