"""Dates, UIDs and what the headers name are found however they are written; everyday notes are left alone."""

import datetime
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from PEMMASegmentLib.study.identifying import tells, words_of

FORMS = ("{y}{mm}{dd}", "{y}{mm}{dd}120000", "{y}{mm}{dd}T120000", "{dd}{mm}{y}", "{mm}{dd}{y}", "{y}-{mm}-{dd}T10:00",
         "{y}-{m}-{d}", "{y}/{mm}/{d}", "{y}_{mm}_{dd}", "{y} {mm} {dd}", "{d}.{m}.{y}", "{dd}. {mm}. {y}", "{d} / {m} / {y}",
         "{d}/{m}-{y}", "{m}/{d}/{y}", "{d}-{m}-{yy}", "{d}.{mm}.{yy}", "{y}年{m}月{d}日", "{d} {name} {y}", "{d}. {name} {y}",
         "{dd}-{name}-{yy}", "{d} {name} {yy}", "{d}. {name} {yy}", "{d}–{m}–{y}", "{d},{m},{y}",
         "{y}년 {m}월 {d}일", "{d}{name}{y}", "{d}th of {name} {y}", "{name} {d}, {y}", "{y}-{name}-{dd}")  # fmt: skip
MONTHS = (("January", "jan", "Januar", "Jänner", "janv."), ("February", "FEB", "Februar", "février"),
          ("March", "Mar", "März", "Maerz", "mars"), ("April", "Apr", "avril"), ("May", "Mai"), ("June", "Jun", "Juni", "juin"),
          ("July", "Jul", "Juli", "juillet"), ("August", "Aug.", "août"), ("September", "Sept.", "septembre"),
          ("October", "Oct", "Okt.", "octobre"), ("November", "Nov", "novembre"), ("December", "Dez", "décembre"))  # fmt: skip

GOOD = ("PET 3, 4 mm, 5.2024 protocol v2", "thigh, 4 mm slices, 3 min a bed", "software v1.2.10, VB10.2.10", "TrueX+TOF 3i21s",
        "OSEM3D 4i8s", "370 MBq, 60 min p.i.", "0.98 x 0.98 x 3.27", "in 2024 3 of 12 slices", "since May 2024, 10/2024",
        "4.8/4.8/3.0 mm", "Br38/3", "Biograph 64-4R", "3 markers 2000 HU", "2-3 lesions of 10, 1.5-2.5 ml", "SUV 1.23, 12 kBq/ml",
        "Erik and Lina drew it, a limp, a wurst", "120 kV, 512 x 512 x 311", "blue model, 1. and 2. reader", "v2024.01.1",
        "OSEM_10_2_20", "lr_1e-4_10_12_16", "1900 1210 HU")  # fmt: skip

PATIENTS = ({"PatientName": "Li^Wu", "PatientID": "4711-0815", "PatientBirthDate": "19331122"},
            {"PatientName": "O'Brien^Del", "PatientID": "12"}, {"PatientName": "Yamada^Tarou=山田^太郎"},
            {"PatientName": "von Berg-Muster^E", "InstitutionName": "University Hospital"})  # fmt: skip


def of(stated: dict[str, str]) -> set[str]:
    header = Dataset()
    for keyword, value in stated.items():
        setattr(header, keyword, value)
    return words_of(SimpleNamespace(ct_headers=(header,), pet_headers=()))


@settings(max_examples=300)
@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)), st.sampled_from(FORMS), st.data())
def test_a_date_is_found_in_every_usual_form(date, form, data):
    written = form.format(y=date.year, yy=f"{date:%y}", m=date.month, mm=f"{date:%m}", d=date.day, dd=f"{date:%d}",
                          name=data.draw(st.sampled_from(MONTHS[date.month - 1])))
    around = data.draw(st.sampled_from(("{}", "seen {} in the ward", "({})", "id_{}_b", "born:{}.", "DOB {}", "４. {}")))
    assert tells(around.format(written))


@pytest.mark.parametrize("stated", PATIENTS)
@pytest.mark.parametrize("note", GOOD)
def test_an_everyday_note_tells_nobody(note, stated):
    assert not tells(note, of(stated))


@pytest.mark.parametrize(("name", "notes"), [
    ("山田^太郎", ("山田 太郎", "患者山田の脚", "太郎")),
    ("Kim^Chul=김^철수", ("김철수", "철수", "Kims leg")),
    ("Li^Wu", ("Li Wu", "wu, li", "LI_WU", "LiWu")),
    ("Li^Wu^^Dr", ("Dr. Li says",)),
    ("von Berg-Muster^E", ("Muster", "bergs thigh", "BergMuster")),
    ("O'Brien^X", ("obrien", "O’Brien", "Brien")),
    ("Müller^Hans", ("case of Mu\u0308ller", "MUELLER", "Muller")),
    ("Mueller^Hans", ("Müller", "Mu\u0308llers")),
    ("García^José", ("Jose Garcia",)),
    ("Straße^Otto", ("STRASSE",)),
    ("Łukasz^Jørgensen", ("lukasz", "jorgensen", "Joergensen")),
])  # fmt: skip
def test_a_name_is_found_in_any_spelling(name, notes):
    for stated in (name, unicodedata.normalize("NFD", name)):
        words = of({"PatientName": stated})
        assert [note for note in notes if not tells(note, words)] == []


@pytest.mark.parametrize("stated", ["4711-0815", "47110815", "4711 0815", "４７１１/0815"])
@pytest.mark.parametrize("note", ["ID 47110815", "4711 0815", "x4711-0815b", "4711.0815"])
def test_a_number_is_found_with_any_separators(note, stated):
    assert tells(note, of({"PatientID": stated})) and not tells("4811 and 0816", of({"PatientID": stated}))


@pytest.mark.parametrize(("stated", "note"), [
    ({"PatientName": "Le^An"}, "lean patient"), ({"PatientName": "Ma^Le"}, "male"), ({"PatientID": "12345"}, "cases 1,2,3,4,5"),
])  # fmt: skip
def test_short_words_and_numbers_are_found_in_no_others(stated, note):
    assert not tells(note, of(stated))


def test_a_number_is_found_without_its_leading_zeros():
    assert tells("case 12345", of({"PatientID": "0012345"}))


@pytest.mark.parametrize("note", ["DOB22111933", "22-11 1933", "1122.1933", "x1933.1122"])
def test_the_birth_date_is_found_where_no_date_is_seen(note):
    assert tells(note, of({"PatientBirthDate": "19331122"}))


def test_uids_are_found():
    assert tells("UID1.2.840.10008.1") and tells("of 1.2.840.113619.2.55") and not tells("version 1.2.3.4")
