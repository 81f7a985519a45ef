"""A DICOM-SEG goes to an archive by C-STORE and comes back by REST as it was: Orthanc, on loopback."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request

import numpy as np
import pydicom
import pytest

from PEMMASegmentLib.core.images import like
from PEMMASegmentLib.results import measure, write_seg

from .studies import ball, dicom_study, segmentation

ORTHANC = shutil.which("Orthanc")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def archive(tmp_path):
    """A running Orthanc with an empty store: (DICOM port, REST address)."""
    if ORTHANC is None:
        pytest.skip("needs the archive server Orthanc (Debian package orthanc)")
    dicom, rest = free_port(), free_port()
    settings = {"StorageDirectory": str(tmp_path / "store"), "IndexDirectory": str(tmp_path / "store"), "HttpPort": rest,
                "DicomPort": dicom, "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomCheckCalledAet": False,
                "Plugins": []}
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    server = subprocess.Popen([ORTHANC, str(tmp_path / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield dicom, wait_for(f"http://127.0.0.1:{rest}")
    finally:
        server.terminate()
        server.wait(20)


def wait_for(address: str) -> str:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{address}/system", timeout=2).read()
            return address
        except OSError:
            time.sleep(0.2)
    raise AssertionError("Orthanc does not answer")


def store(datasets: list[pydicom.Dataset], port: int) -> None:
    from pynetdicom import AE

    entity = AE()
    for uid in {d.SOPClassUID for d in datasets}:
        entity.add_requested_context(uid, ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
    association = entity.associate("127.0.0.1", port)
    assert association.is_established
    statuses = [association.send_c_store(d).Status for d in datasets]
    association.release()
    assert set(statuses) == {0}


def test_the_archive_keeps_the_seg_beside_its_ct_and_gives_it_back_unchanged(archive, unpack, tmp_path):
    port, address = archive
    folder = unpack("sts/dicom/STS_008.zip")
    study = dicom_study(folder)
    centre = study.ct.TransformContinuousIndexToPhysicalPoint([n / 2 for n in study.ct.GetSize()])
    found = segmentation(like(ball(study.ct, centre, 20.0).astype(np.uint8), study.ct))
    write_seg(tmp_path / "seg.dcm", study, found, measure(found.label, study.pet))
    sent = pydicom.dcmread(tmp_path / "seg.dcm")
    ct = next(d for d in map(pydicom.dcmread, sorted(folder.rglob("*.dcm"))) if d.Modality == "CT")
    store([ct, sent], port)

    series = json.load(urllib.request.urlopen(f"{address}/studies?expand"))[0]["Series"]
    assert len(series) == 2  # the SEG was filed into the CT's own study
    stored = json.load(urllib.request.urlopen(f"{address}/instances?expand"))
    instance = next(i for i in stored if i["MainDicomTags"]["SOPInstanceUID"] == sent.SOPInstanceUID)
    (tmp_path / "back.dcm").write_bytes(urllib.request.urlopen(f"{address}/instances/{instance['ID']}/file").read())
    back = pydicom.dcmread(tmp_path / "back.dcm")
    assert back.PixelData == sent.PixelData
    assert back.SegmentSequence == sent.SegmentSequence
    assert back.ReferencedSeriesSequence[0].SeriesInstanceUID == study.ct_headers[0].SeriesInstanceUID
