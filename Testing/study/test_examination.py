"""A folder with more than one examination or patient: refused, unless one day, the PET or the user says which is meant."""

import pytest

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError

from ..badinputs.spoil import clones, for_all
from .phantom import ROOT, Pair, series, tracer
from .test_choosing import chosen, codes
from .test_privacy import kept

PRIOR = {"StudyInstanceUID": ROOT + ".99", "FrameOfReferenceUID": ROOT + ".98"}


def prior(modality: str, number: int, slices: int = 10, day: str = "20230310", **more) -> list:
    """The same patient on another day, with more slices and a higher series number."""
    headers = clones(series(modality, slices), number)
    for_all(headers, StudyDate=day, SeriesDate=day, AcquisitionDate=day, **PRIOR | more)
    return headers


def both(**changes) -> Pair:
    """The current PET/CT and the prior one; changes are to all of the latter."""
    now = Pair()
    return Pair(now.ct + prior("CT", 31, **changes), now.pet + prior("PT", 32, **changes))


def refused(folder, **asked) -> PemmaError:
    with pytest.raises(PemmaError) as refusal:
        study.load(folder, **asked)
    return refusal.value


@pytest.mark.parametrize("day, when", [("20230310", "366 days apart"), ("", "dates are not all known")])
def test_current_and_prior_examination_are_not_chosen_between(day, when, tmp_path):
    refusal = refused(both(day=day).write(tmp_path))
    assert refusal.code == "several-studies" and when in refusal.sentence and "--pet-series" in refusal.way_out
    for told in ("2024-03-10: " + ROOT + ".2", f"{day and '2023-03-10' or 'no date'}: {ROOT}.32"):
        assert told in refusal.place
    assert "2024" not in refusal.sentence + refusal.way_out


def pets(day: str, time: str = "120000", study: str = ROOT + ".99") -> Pair:
    """The current PET, of noon on 10 March, and one of this day and time."""
    return Pair(pet=Pair().pet + prior("PT", 32, day=day, AcquisitionTime=time, StudyInstanceUID=study))


@pytest.mark.parametrize("day, time, study, when", [
    ("20240312", "120000", ROOT + ".9", "48 h"),  # one study of several visits, as of Zr-89
    ("20240313", "120000", ROOT + ".9", "3 days"),
    ("20240311", "100000", ROOT + ".99", "22 h"),
])  # fmt: skip
def test_pets_of_several_days_are_not_chosen_between_in_one_study_or_in_two(day, time, study, when, tmp_path):
    refusal = refused(pets(day, time, study).write(tmp_path))
    assert refusal.code == "several-studies" and f"up to {when} apart" in refusal.sentence
    assert "2024-03-10: " + ROOT + ".2; 2024-03-1" in refusal.place


@pytest.mark.parametrize("changes", [
    {"AcquisitionTime": "160000"},  # an early and a late one
    {"AcquisitionDate": "20240311", "AcquisitionTime": "000500"},  # over midnight
    {"SeriesDate": "20240401"},  # reconstructed later
    {"SeriesDate": "20240401", "AcquisitionTime": ""},
    {"SeriesDate": "20240313", "AcquisitionDate": "", "AcquisitionTime": ""},  # after a weekend
])  # fmt: skip
def test_pets_of_one_examination_are_chosen_between(changes, tmp_path):
    pair = pets("20240310", study=ROOT + ".9")
    for_all(pair.pet[:8], AcquisitionTime="122000")
    for_all(pair.pet[8:], **changes)
    assert {"series-chosen", "series-refused"} & set(codes(study.load(pair.write(tmp_path))))


@pytest.mark.parametrize("uid, changes, when", [
    (ROOT + ".9", {"SeriesDate": "20240410", "AcquisitionDate": ""}, "31 days"),  # a visit or a reconstruction, who knows
    (ROOT + ".9", {"SeriesDate": "20240314", "AcquisitionDate": ""}, "4 days"),
    (ROOT + ".9", {"AcquisitionDate": "20240312"}, "2 days"),
    (ROOT + ".99", {"SeriesDate": "20240312", "AcquisitionDate": ""}, "2 days"),
    (ROOT + ".99", {"SeriesDate": "20240311", "AcquisitionDate": ""}, None),  # both sides of midnight
])  # fmt: skip
def test_pets_that_lack_acquisition_times_go_by_their_days(uid, changes, when, tmp_path):
    pair = pets("20240310", study=uid)
    for_all(pair.pet[8:], AcquisitionTime="", **changes)
    folder = pair.write(tmp_path)
    if when:
        refusal = refused(folder)
        assert refusal.code == "several-studies" and refusal.sentence.endswith(f"series of days up to {when} apart")
    else:
        assert "series-chosen" in codes(study.load(folder))


def test_visits_a_month_apart_beside_one_without_acquisition(tmp_path):
    pair = pets("20240410", study=ROOT + ".9")
    third = clones(series("PT"), 33)
    for_all(third, SeriesDate="", StudyDate="", AcquisitionDate="", AcquisitionTime="")
    pair.pet += third
    assert "acquired up to 31 days apart" in refused(pair.write(tmp_path)).sentence


def test_scan_over_midnight_whose_date_stayed_behind_is_of_one_day(tmp_path):
    pair = pets("20240310", "234000", ROOT + ".9")
    for_all(pair.pet[:8], SeriesTime="235000", AcquisitionTime="235000")
    for_all(pair.pet[8:], Units="CPS")
    for_all(pair.pet[:4], AcquisitionTime="000500")
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime="225000")
    assert "acquisition-after-midnight" in codes(study.load(pair.write(tmp_path)))


def test_prior_is_not_taken_because_the_current_one_is_refused(tmp_path):
    pair = both()
    for_all(pair.pet[:8], PatientWeight=None)
    assert refused(pair.write(tmp_path)).code == "several-studies"


def test_two_ct_examinations(tmp_path):
    refusal = refused(Pair(Pair().ct + prior("CT", 31), []).write(tmp_path))
    assert refusal.code == "several-studies" and "--ct-series" in refusal.way_out


@pytest.mark.parametrize("pet, ct", [("2", "1"), ("32", "31")])
def test_named_pet_takes_the_ct_of_its_study(pet, ct, tmp_path):
    loaded = study.load(both().write(tmp_path), pet_series=f"{ROOT}.{pet}")
    assert chosen(loaded) == [ct, pet] and codes(loaded) == ["series-chosen"]


def test_ct_of_the_pets_day_is_its_ct_whatever_a_prior_one_offers(tmp_path):
    now = Pair()
    for_all(now.ct, StudyInstanceUID=ROOT + ".97")
    pair = Pair(now.ct + prior("CT", 31, slices=20, FrameOfReferenceUID=ROOT), now.pet)
    loaded = study.load(pair.write(tmp_path))
    assert chosen(loaded) == ["1", "2"] and "different-studies" in codes(loaded)


def test_studies_of_one_day_are_chosen_between_aloud(tmp_path):
    loaded = study.load(both(day="20240310").write(tmp_path))
    assert chosen(loaded) == ["31", "32"] and "series-chosen" in codes(loaded)


def test_dates_are_shown_and_not_kept(tmp_path):
    pair = Pair(pet=Pair().pet + prior("PT", 32))
    shown = study.describe(loaded := study.load(pair.write(tmp_path), need="ct"))["candidates"]
    assert {one["date"] for one in shown} == {"2024-03-10", "2023-03-10"} and "pet-left-out" in codes(loaded)
    assert not any(day in kept(loaded) for day in ("2024-03-10", "20240310", "2023-03-10", "20230310"))


@pytest.mark.parametrize("one, other, place", [
    ({"PatientBirthDate": "19500101"}, {"PatientBirthDate": "19800101"}, "(0010,0030)"),
    ({"PatientSex": "M"}, {"PatientSex": "F"}, "(0010,0040)"),
    ({"PatientID": "", "PatientName": "Roe^John"}, {"PatientID": "", "PatientName": "Doe^Jane"}, "(0010,0010)"),
    ({"PatientBirthDate": "19500101", "PatientSex": "O"}, {"PatientBirthDate": "", "PatientSex": "F"}, None),
    ({"PatientID": "", "PatientName": "DOE^JANE^^Dr"}, {"PatientID": "", "PatientName": "Doe^Jane^^Dr="}, None),
])  # fmt: skip
def test_patients_are_told_apart_by_what_both_series_state(one, other, place, tmp_path):
    pair = Pair()
    for_all(pair.ct, **one)
    for_all(pair.pet, **other)
    folder = pair.write(tmp_path)
    if place is None:
        assert codes(study.load(folder)) == []
    else:
        refusal = refused(folder)
        assert (refusal.code, refusal.place) == ("several-patients", place)


@pytest.mark.parametrize("one, other, differ", [
    ("Roe^John", "Doe^Jane", True), ("Roe^J", "Doe^J", True), ("ID123", "ID124", True), ("王^小云", "李^伟", True),
    ("Roe^Jane", "Doe^Jane", False), ("DOE^JANE^MARY^Dr", "Doe^Jane", False), ("Doe Jane", "Doe^J.", False),  # a marriage
    ("Müller^H", "MUELLER^Hans", False), ("Muller", "Müller", False), ("DoeJane", "Doe^Jane", False), ("Doe^Jane", "", False),
    ("Wang^Xiaoyun=王^小云", "王^小云", False), ("Wang^Xiaoyun", "=王^小云", False), ("Jane^Doe", "Doe^Jane", False),
    ("A^B", "a^b", False), ("Doe-Roe^Jane", "Roe^J", False), ("DOEJANEMARIA", "Doe^Jane", False), ("O^Brien", "OBrien", False),
    ("Wang^XiaoMing=王^小明", "王小明", False), ("Åberg^K", "Aaberg^K", False), ("4711", "04711", False),
    ("Anonymous", "Doe^Jane", False), ("Doe^Jane", "XXXX", False), ("P1", "Doe^Jane", False), ("0815", "Doe^Jane", False),
    ("P1", "P2", True), ("4711", "4712", True),
])  # fmt: skip
def test_names_that_differ_under_one_id_are_told(one, other, differ, tmp_path):
    pair = Pair()
    for_all(pair.all, SpecificCharacterSet="ISO_IR 192")
    for_all(pair.ct, PatientName=one)
    for_all(pair.pet, PatientName=other)
    loaded = study.load(pair.write(tmp_path))
    assert codes(loaded) == ["names-differ"] * differ
    assert not any(part in told.sentence for told in loaded.warnings for part in f"{one}^{other}".split("^"))


def test_way_out_of_two_patients_leads_out(tmp_path):
    pair = Pair()
    for_all(pair.ct, PatientID="OTHER")
    folder = pair.write(tmp_path)
    assert refused(folder).way_out == "give the folder of one patient, or use --inputs ct, or use --inputs pet"
    for need, left in (("ct", "pet"), ("pet", "ct")):
        loaded = study.load(folder, need=need)
        assert getattr(loaded, left) is None and getattr(loaded, need) is not None and f"{left}-left-out" in codes(loaded)


def test_way_out_of_two_patients_names_series_where_that_helps(tmp_path):
    both = Pair(ct=series("CT"), pet=[*series("PT"), *prior("PT", 32, 8, "20240310", PatientID="OTHER")])
    folder = both.write(tmp_path)
    assert "name both series with --ct-series and --pet-series" in refused(folder).way_out
    assert refused(folder, need="pet").way_out == "give the folder of one patient, or name the series with --pet-series"
    assert study.load(folder, ct_series=ROOT + ".1", pet_series=ROOT + ".2").pet is not None
