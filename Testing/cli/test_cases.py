"""`cases`: real studies in, de-identified; whose contour; the blind record; exchange; the same for the worker."""

import gzip
import io
import json
import re
import shutil
import zipfile
import zlib
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
import torch

from PEMMASegmentLib import adapters, results
from PEMMASegmentLib.adaptation.fewshot import digest
from PEMMASegmentLib.adaptation.library import CaseLibrary
from PEMMASegmentLib.cli import main
from PEMMASegmentLib.core import Identity, PemmaError, Segmentation, no_progress
from PEMMASegmentLib.core.images import like
from PEMMASegmentLib.network.files import load_model
from PEMMASegmentLib.study import annotation, load
from PEMMASegmentLib.study.annotation.author import Author, author_of, author_of_contour
from PEMMASegmentLib.worker.commands import commands

NO_BLIND = ("--no-blind", "not asked here")
IDENTITY = {
    "PatientName": "Mustermann^Erika", "PatientID": "4711-0815", "PatientBirthDate": "19501224",
    "OtherPatientIDs": "ALT-4711", "AccessionNumber": "ACC778899", "StudyID": "ST-5566",
    "InstitutionName": "Klinikum Musterstadt", "ReferringPhysicianName": "Arzt^Anton", "OperatorsName": "Helfer^Hans",
    "DeviceSerialNumber": "SN-99-123", "StationName": "PETCT-7", "StudyDescription": "PET Mustermann",
    "ManufacturerModelName": "Scanner of Mustermann",
}  # fmt: skip


@pytest.fixture
def library(tmp_path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def nifti(shared) -> Path:
    return shared / "data" / "sts" / "STS_019"


@pytest.fixture(scope="module")
def named(patient, tmp_path_factory) -> Path:
    """The bundled study under a name, with all that a hospital writes into its headers."""
    folder = tmp_path_factory.mktemp("Mustermann") / "study"
    shutil.copytree(patient, folder)
    with pydicom.config.disable_value_validation():
        for file in (f for f in folder.rglob("*") if f.is_file()):
            header = pydicom.dcmread(file)
            for keyword, value in IDENTITY.items():
                setattr(header, keyword, value)
            header.save_as(file)
    return folder


def ask(capsys, library: Path, action: str, *arguments: str, code: int = 0) -> dict:
    assert main(["cases", action, *map(str, arguments), "--library", str(library), "--json", "--quiet"]) == code
    return json.loads(capsys.readouterr().out)


def refusal(capsys, library: Path, action: str, *arguments: str) -> str:
    assert main(["cases", action, *map(str, arguments), "--library", str(library), "--quiet"]) == 1
    return capsys.readouterr().err


def test_nothing_of_the_patient_is_in_any_byte(named, library, tmp_path, capfd):
    """The files of the library, an export, and what was printed; compressed parts unpacked too."""
    assert main(["cases", "add", str(named), "--library", str(library), *NO_BLIND]) == 0
    assert main(["cases", "list", "--library", str(library)]) == 0
    assert main(["cases", "export", "--library", str(library), "--out", str(tmp_path / "out.zip")]) == 0
    printed = capfd.readouterr()
    told = [(printed.out + printed.err).replace(str(library), "").replace(str(tmp_path), "").encode()]
    [case] = CaseLibrary(library).cards()
    assert case.scanner["manufacturer"] and "model" not in case.scanner
    forbidden = identifying(named)
    assert {"mustermann", "4711-0815", "19501224"} <= forbidden and len(forbidden) > 100
    files = [f for f in library.rglob("*") if f.is_file()] + [tmp_path / "out.zip"]
    assert len(files) == 7
    for content in (*told, *(part for file in files for part in unpacked(file.name, file.read_bytes()))):
        low = content.lower()
        assert [word for word in forbidden if word.encode() in low] == []


def identifying(study: Path) -> set[str]:
    """Names and their parts, ids, dates, times and UIDs of every file of a study, in lower case."""
    found = set()
    for file in (f for f in study.rglob("*") if f.is_file()):
        for element in pydicom.dcmread(file, stop_before_pixels=True).iterall():
            if element.VR in ("PN", "DA", "TM", "DT", "UI") or element.keyword in IDENTITY:
                values = element.value if isinstance(element.value, list | pydicom.multival.MultiValue) else [element.value]
                found |= {str(value).lower() for value in values if not str(value).startswith("1.2.840.10008.")}
    found |= {part for word in found for part in re.split(r"[\^ ]", word)} | {study.parent.name.lower()}
    return {word for word in found if len(word) >= 5 and word != "scanner"}


def unpacked(name: str, data: bytes) -> list[bytes]:
    """The bytes themselves and what is compressed in them (a PNG holds one compressed stream in chunks)."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [data, *(part for entry in archive.namelist() for part in unpacked(entry, archive.read(entry)))]
    if name.endswith(".gz"):
        return [data, gzip.decompress(data)]
    if name.endswith(".png"):
        return [data, zlib.decompress(b"".join(pixels for kind, pixels in chunks(data) if kind == b"IDAT"))]
    return [data]


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each chunk: 4 bytes of length, 4 of kind, content, 4 of check sum."""
    found, at = [], 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    return found


def test_several_studies_at_once_one_failing(named, nifti, library, tmp_path, even, capsys):
    answer = ask(capsys, library, "add", named, tmp_path, nifti, "--model", even, "--note", "first batch", code=1)
    dicom, plain = (done["case"] for done in answer["cases"])
    assert [done["study"] for done in answer["cases"]] == ["study", "STS_019"]
    assert answer["failed"][0]["study"] == tmp_path.name
    assert dicom["origin"]["kind"] == "imported" and dicom["note"] == "first batch"
    [score] = dicom["blind"]
    assert score["model"]["name"] == "even" and score["adapter"] is None and score["missed_ml"] == 0
    assert dicom["volume_ml"] == pytest.approx(28, abs=1) and plain["inputs"] == "ct+pet"
    listed = ask(capsys, library, "list")
    assert {case["id"] for case in listed["cases"]} == {dicom["id"], plain["id"]} and listed["damaged"] == []
    assert all(Path(case["thumbnail"]).is_file() for case in listed["cases"])
    truth = sitk.ReadImage(str(nifti / "mask.nii.gz")) > 0
    stored = CaseLibrary(library).read(plain["id"]).label
    assert (sitk.GetArrayFromImage(stored) == sitk.GetArrayFromImage(truth)).all()
    err = refusal(capsys, library, "add", named, "--model", even)
    assert "[case-known]" in err and dicom["id"] in err


def test_the_life_of_a_case(nifti, library, tmp_path, capsys):
    assert main(["cases", "add", str(nifti), "--library", str(library), "--patient", "Erika M", *NO_BLIND, "--quiet"]) == 0
    told = capsys.readouterr()
    assert "no blind record: not asked here" in told.out and "[patient-unknown]" not in told.err
    [case] = ask(capsys, library, "list")["cases"]
    assert ask(capsys, library, "show", case["id"]) == case
    file = tmp_path / "cases.zip"
    assert ask(capsys, library, "export", "--out", file)["exported"] == [case["id"]]
    assert "[out-exists]" in refusal(capsys, library, "export", "--out", file)
    other = tmp_path / "other"
    assert ask(capsys, other, "import", file) == {"imported": [case["id"]], "already_there": []}
    assert ask(capsys, other, "import", file) == {"imported": [], "already_there": [case["id"]]}
    assert "[no-folder]" in refusal(capsys, library, "export", "--out", tmp_path / "nowhere" / "cases.zip")
    assert "[case-unknown]" in refusal(capsys, library, "remove", case["id"], "000000000000")
    assert ask(capsys, library, "list")["cases"] == [case]
    assert ask(capsys, library, "remove", case["id"], case["id"]) == {"removed": [case["id"]]}
    assert ask(capsys, library, "list")["cases"] == []
    assert "[case-unknown]" in refusal(capsys, library, "show", case["id"])
    assert "[no-cases]" in refusal(capsys, library, "export", "--out", tmp_path / "none.zip")
    (other / "cases" / case["id"] / "ct.nii.gz").write_bytes(b"")
    assert main(["cases", "list", "--library", str(other)]) == 1
    assert f"case {case['id']} is damaged" in capsys.readouterr().out


def test_a_nifti_study_without_a_name_is_a_patient_of_its_own(nifti, library, capsys):
    assert main(["cases", "add", str(nifti), "--library", str(library), *NO_BLIND, "--quiet", "--inputs", "pet"]) == 0
    assert "[patient-unknown]" in capsys.readouterr().err
    [case] = ask(capsys, library, "list")["cases"]
    assert case["inputs"] == "pet"


def test_a_contour_that_began_as_our_output_is_known_by_its_tags(named, library, tmp_path, even, capsys):
    """A DICOM-SEG of our own is corrected from its model and adapter, has no blind record, and can't be called scratch."""
    study = load(named)
    truth, _ = annotation.read(annotation.find(named), study)
    model, adapter = Identity("starter", "1.2", "ab" * 32), Identity("knee, thin slices", "3", "cd" * 32)
    probability = sitk.Cast(truth, sitk.sitkFloat32)
    said = Segmentation(probability, truth, 0.5, model, adapter, "ct+pet", "CPU", "float32")
    results.write_seg(tmp_path / "seg.dcm", study, said, results.measure(truth, study.pet, key="x"))
    arguments = ("add", named, "--annotation", tmp_path / "seg.dcm", "--model", even)
    assert "[case-origin]" in refusal(capsys, library, *arguments, "--origin", "scratch")
    case = ask(capsys, library, *arguments)["cases"][0]["case"]
    plain = {"name": "starter", "version": "1.2", "sha256": model.sha256}
    assert case["origin"] == {"kind": "corrected", "model": plain, "adapter": vars(adapter)}
    assert case["blind"] == [] and "began as the output" in case["blind_left_out"]
    slicers = pydicom.dcmread(tmp_path / "seg.dcm")
    for segment in slicers.SegmentSequence:  # as Slicer writes a segment that this software made
        del segment.SegmentationAlgorithmIdentificationSequence
        segment.SegmentAlgorithmType, segment.SegmentAlgorithmName = "SEMIAUTOMATIC", "PEMMASegment starter"
    slicers.save_as(tmp_path / "seg.dcm")
    assert author_of(tmp_path / "seg.dcm") == Author(Identity("starter", "", ""), None)
    slicers.SegmentSequence[0].SegmentAlgorithmType = "MANUAL"
    slicers.save_as(tmp_path / "seg.dcm")
    assert author_of(tmp_path / "seg.dcm") is None and author_of(annotation.find(named)) is None


def test_of_our_segment_and_an_experts_the_one_that_is_taken_tells_whose_it_is(named, library, tmp_path, even, capsys):
    """Of a SEG with both; so for cases, evaluate and adapt."""
    study, file = load(named), tmp_path / "two.dcm"
    truth, _ = annotation.read(annotation.find(named), study)
    said = Segmentation(sitk.Cast(truth, sitk.sitkFloat32), truth, 0.5, Identity("starter", "1.2", "ab" * 32), None, "ct+pet",
                        "CPU", "float32")  # fmt: skip
    results.write_seg(file, study, said, results.measure(truth, study.pet, key="x"))
    both = pydicom.dcmread(file)
    ours = deepcopy(both.SegmentSequence[-1])
    ours.SegmentNumber = 99
    expert = both.SegmentSequence[-1]
    del expert.SegmentationAlgorithmIdentificationSequence
    expert.SegmentLabel, expert.SegmentAlgorithmType = "Expert", "MANUAL"
    both.SegmentSequence.append(ours)
    both.save_as(file)
    of_expert = ("--annotation-roi", "Expert", "--model", even)
    assert author_of(file) == author_of_contour(file) and author_of_contour(file, "Expert") is None
    case = ask(capsys, library, "add", named, "--annotation", file, *of_expert, "--origin", "scratch")["cases"][0]["case"]
    assert case["origin"]["kind"] == "scratch" and len(case["blind"]) == 1
    assert main([str(word) for word in ("evaluate", named, "--annotation", file, *of_expert, "--quiet")]) == 0
    assert "[annotation-of-a-model]" not in capsys.readouterr().err
    alone = tmp_path / "alone"
    shutil.copytree(named, alone)
    annotation.find(alone).unlink()
    shutil.copy(file, alone)
    words = ("adapt", alone, "--out", tmp_path / "out", *of_expert, "--method", "flips", "--quiet")
    assert main([str(word) for word in words]) == 0 and "contour-" not in capsys.readouterr().err
    assert adapters.read_card(tmp_path / "out").training["independent_cases"] == 1


def test_base_and_current_adapter_segment_a_new_case_blind(nifti, library, tmp_path, even, capsys):
    model = load_model(even)
    names = adapters.choose(model.net, "qv", {name: torch.zeros(1, 1, 16, 16, 16) for name in ("ct", "pet")})
    adapters.attach(model.net, adapters.method("lora"), names, seed=0)
    for inputs in ("ct+pet", "ct"):
        card = adapters.AdapterCard("site", "1", adapters.method("lora"), "qv", tuple(names), model.identity, inputs)
        adapters.save(tmp_path / inputs, adapters.collect(model.net), card)
    arguments = ("add", nifti, "--model", even, "--adapter")
    case = ask(capsys, library, *arguments, tmp_path / "ct+pet")["cases"][0]["case"]
    assert [score["adapter"] and score["adapter"]["name"] for score in case["blind"]] == [None, "site"]
    ask(capsys, library, "remove", case["id"])
    assert main(["cases", *map(str, arguments), str(tmp_path / "ct"), "--library", str(library), "--quiet"]) == 0
    assert "[contour-" not in capsys.readouterr().err
    [case] = ask(capsys, library, "list")["cases"]
    assert [score["adapter"] for score in case["blind"]] == [None]  # it is off with CT and PET
    known = ({"case_ids": [case["id"]]}, {"case_digests": [digest(CaseLibrary(library).read(case["id"]))[:12]]},
             {"case_images": [{}, case["volumes"]["pet"]["content"][:12]], "case_ids": 3})
    ask(capsys, library, "remove", case["id"])
    for training in known:  # the adapter was made of this very study: no blind segmentation is its
        adapters.write_card(tmp_path / "ct+pet", replace(adapters.read_card(tmp_path / "ct+pet"), training=training))
        [done] = ask(capsys, library, *arguments, tmp_path / "ct+pet")["cases"]
        assert [score["adapter"] for score in done["case"]["blind"]] == [None]
        assert "blind record: without the adapter, which was trained" in str([one["sentence"] for one in done["warnings"]])
        assert "no blind record" not in str(done["warnings"])
        ask(capsys, library, "remove", case["id"])
    case = ask(capsys, library, *arguments, tmp_path / "ct+pet", "--origin", "corrected")["cases"][0]["case"]
    assert case["blind"] == [] and case["origin"]["adapter"]["name"] == "site"


def test_a_contour_that_is_the_models_output_counts_in_no_proof_unless_the_user_says_so(nifti, library, tmp_path, even, capsys):
    """Nothing in the file tells whose it is; with its model it is found out, without a blind record it is only told."""
    study = tmp_path / "study"
    study.mkdir()
    ct = sitk.ReadImage(str(nifti / "ct.nii.gz"))[21:45, 20:44, 14:28]  # flesh only, of which every voxel is 0.5 to the model
    voxels = sitk.GetArrayFromImage(ct) * 0 + 1
    voxels[0, 0, 0] = 0  # a contour of all voxels is none
    for name, image in (("ct", ct), ("mask", like(voxels, ct))):
        sitk.WriteImage(image, str(study / f"{name}.nii.gz"))
    arguments = ["cases", "add", str(study), "--library", str(library), "--model", str(even), "--quiet"]
    kept = {}
    for said in ((), ("--origin", "imported"), ("--origin", "scratch"), NO_BLIND):
        assert main([*arguments, *said]) == 0
        told = re.findall(r"\[([a-z-]+)\]", capsys.readouterr().err)
        [case] = ask(capsys, library, "list")["cases"]
        kept[said] = case["origin"]["kind"], len(case["blind"]), [code for code in told if code.startswith("contour")]
        ask(capsys, library, "remove", case["id"])
    alike = ["contour-like-output"]
    assert list(kept.values()) == [("corrected", 0, alike), ("corrected", 0, alike), ("scratch", 1, alike),
                                   ("imported", 0, ["contour-unchecked"])]


def test_a_case_without_blind_record_says_why_not(nifti, library, tmp_path, even, capsys):
    short = tmp_path / "short"
    shutil.copytree(even, short)
    card = json.loads((short / "model.json").read_text("utf-8"))
    card["region"]["longest_mm"] = 10.0
    (short / "model.json").write_text(json.dumps(card), "utf-8")
    assert "[model-unknown]" in refusal(capsys, library, "add", nifti, "--model", tmp_path / "none")
    assert main(["cases", "add", str(nifti), "--library", str(library), "--model", str(short), "--quiet"]) == 0
    assert "[no-blind-record]" in capsys.readouterr().err
    [case] = ask(capsys, library, "list")["cases"]
    assert "[outside-region]" in case["blind_left_out"] and case["blind"] == []


def test_what_is_no_case_is_refused_in_one_line(nifti, library, tmp_path, capsys):
    bare, far = tmp_path / "bare", tmp_path / "far"
    for folder in (bare, far):
        shutil.copytree(nifti, folder)
    (bare / "mask.nii.gz").unlink()
    assert "[no-annotation]" in refusal(capsys, library, "add", bare)
    mask = sitk.ReadImage(str(nifti / "mask.nii.gz"))
    mask.SetOrigin([n + 2000 for n in mask.GetOrigin()])
    sitk.WriteImage(mask, str(far / "mask.nii.gz"))
    assert "[annotation-outside]" in refusal(capsys, library, "add", far)
    sitk.WriteImage(mask * 0, str(far / "mask.nii.gz"))
    assert "[case-contour-empty]" in refusal(capsys, library, "add", far)
    assert "[no-library]" in refusal(capsys, library, "list")
    with pytest.raises(SystemExit) as wrong:
        main(["cases", "add", str(nifti), str(bare), "--annotation", "x", "--library", str(library)])
    assert wrong.value.code == 2


def test_the_worker_keeps_cases_too(named, nifti, library, tmp_path, even):
    """What the panel asks: volumes of the scene with the label drawn on them, a study's folder; list, export, remove."""
    do = commands()["cases"]

    def asked(action: str, **fields) -> dict:
        return do({"id": 1, "do": "cases", "action": action, "library": str(library), **fields}, no_progress)

    for name, copy in (("mask", "drawn"), ("ct", "ct"), ("pet", "pet")):
        shutil.copy(nifti / f"{name}.nii.gz", tmp_path / f"{copy}.nii.gz")
    made_by = {"model": {"name": "starter", "version": "1", "sha256": "ab" * 32}, "adapter": None}
    scene = {"folder": str(tmp_path), "volumes": {"ct": "ct.nii.gz", "pet": "pet.nii.gz"}, "label": "drawn.nii.gz"}
    added = asked("add", **scene, made_by=made_by, patient="Erika", note="corrected at the rim", model=str(even), inputs="pet")
    assert added["case"]["origin"]["model"]["name"] == "starter" and added["warnings"] == []
    assert added["case"]["inputs"] == "ct+pet"  # the chosen inputs are those of the blind scores
    found = asked("add", study=str(named), no_blind="too long", origin="imported", patient="Erika")
    assert found["case"]["blind_left_out"] == "too long" and found["case"]["patient"] == added["case"]["patient"]
    assert "patient-named-otherwise" in [told["code"] for told in found["warnings"]]  # its headers say 4711-0815
    ids = [case["id"] for case in asked("list")["cases"]]
    assert ids == sorted((added["case"]["id"], found["case"]["id"]))
    assert asked("show", cases=ids[:1])["id"] == ids[0]
    assert asked("export", file=str(tmp_path / "out.zip"))["exported"] == ids
    assert asked("remove", cases=ids) == {"removed": ids}
    assert asked("import", file=str(tmp_path / "out.zip"))["imported"] == ids
    for wrong in ({"action": "burn"}, {"library": ""}, {"action": "add", "study": str(nifti), "made_by": {"model": 7}}):
        with pytest.raises(PemmaError) as caught:
            asked(**{"action": "list", **wrong})
        assert caught.value.code == "bad-request"
