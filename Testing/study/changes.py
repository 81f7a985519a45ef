"""Changes of the phantom's PET: vendors' private times, a late series time, no dates, other isotopes."""

from .phantom import plan, tracer


def late(**changes):
    """A PET processed again later, so that its series time means nothing."""
    return plan(SeriesTime="180000", **changes)


def ge(scanned: str):
    def add(header):
        header.add_new(0x00090010, "LO", "GEMS_PETD_01")
        header.add_new(0x0009100D, "DT", scanned)

    return add


def siemens(stated: str):
    def add(header):
        header.add_new(0x00710010, "LO", "SIEMENS MED PT")
        header.add_new(0x00711022, "DT", stated)

    return add


UNDATED = {"StudyDate": "", "SeriesDate": "", "AcquisitionDate": ""}


def isotope(half_life: str, code: str, meaning: str):
    def change(header):
        item = tracer(header)
        item.RadionuclideHalfLife, item.Radiopharmaceutical = half_life, ""
        item.RadionuclideCodeSequence[0].CodeValue, item.RadionuclideCodeSequence[0].CodeMeaning = code, meaning

    return change
