"""PET headers from which SUVbw follows with care or not at all."""

import copy

from ..study.phantom import ROOT, tracer
from .spoil import case, clone, clones, for_all


@case(80, "R", "pet-units")
def units_missing(pair):
    for_all(pair.pet, Units=None)


@case(80, "R", "pet-units")
def units_of_counts_per_second(pair):
    for_all(pair.pet, Units="CPS")


@case(80, "R", "pet-counts-without-factor")
def counts_without_factor(pair):
    for_all(pair.pet, Units="CNTS")


@case(81, "W", "suv-kind-converted")
def lean_body_mass(pair):
    for_all(pair.pet, Units="GML", SUVType="LBM")
    for header in pair.pet:
        header.RescaleSlope = "0.0005"


@case(82, "R", "decay-correction")
def decay_correction_missing(pair):
    for_all(pair.pet, DecayCorrection=None)


@case(83, "L")
def admin(pair):
    for_all(pair.pet, DecayCorrection="ADMIN")


@case(84, "R", "weight-missing")
def weight_zero(pair):
    for_all(pair.pet, PatientWeight="0")


@case(84, "W", "weight-unit")
def weight_in_grams(pair):
    for_all(pair.pet, PatientWeight="70000")


@case(84, "R", "weight-implausible")
def weight_impossible(pair):
    for_all(pair.pet, PatientWeight="700")


@case(85, "R", "dose-missing")
def dose_missing(pair):
    for_all(map(tracer, pair.pet), RadionuclideTotalDose=None)


@case(85, "W", "dose-unit")
def dose_in_mbq(pair):
    for_all(map(tracer, pair.pet), RadionuclideTotalDose="350")


@case(85, "R", "dose-implausible")
def dose_impossible(pair):
    for_all(map(tracer, pair.pet), RadionuclideTotalDose="1e12")


@case(86, "W", "half-life-from-code")
def half_life_missing(pair):
    for_all(map(tracer, pair.pet), RadionuclideHalfLife=None)


@case(86, "R", "half-life-wrong")
def half_life_zero(pair):
    for_all(map(tracer, pair.pet), RadionuclideHalfLife="0")


@case(86, "R", "half-life-wrong")
def half_life_in_minutes(pair):
    for_all(map(tracer, pair.pet), RadionuclideHalfLife="110")


@case(87, "R", "injection-time-missing")
def injection_missing(pair):
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime=None)


@case(88, "R", "injection-after-scan")
def injection_after_scan(pair):
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartDateTime="20240310130000")


@case(92, "W", "uptake-unusual")
def uptake_of_five_minutes(pair):
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime="115500")


@case(92, "W", "uptake-unusual")
def uptake_of_nine_hours(pair):
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime="030000")


@case(93, "W", "acquisition-time-missing")
def acquisition_times_missing(pair):
    for_all(pair.pet, AcquisitionTime=None)


@case(155, "R", "injection-date-unknown")
def first_year(pair):
    for_all(pair.pet, SeriesDate="00010101", AcquisitionDate="00010101", SeriesTime="003000", AcquisitionTime="003000")
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime="233000")


@case(155, "W", "dates-missing")
def last_year(pair):
    for_all(pair.pet, SeriesDate="99991231", AcquisitionDate="99991231", SeriesTime="235959.5", AcquisitionTime="235959.5")
    for_all(map(tracer, pair.pet), RadiopharmaceuticalStartTime="225959.5")


@case(154, "W", "dates-contradict")
def series_date_alone_removed(pair):
    for_all(pair.pet, SeriesDate="19000101", FrameReferenceTime="60000")


@case(27, "L")
def frame_time_beyond_all_dates(pair):
    for_all(pair.pet, FrameReferenceTime="1e25")


@case(94, "R", "dose-implausible")
def dose_a_thousandth(pair):
    for_all(map(tracer, pair.pet), RadionuclideTotalDose="350000")


@case(94, "R", "suv-implausible")
def suv_of_thousands(pair):
    for header in pair.pet:
        header.RescaleSlope = "1000"


@case(95, "R", "two-radiopharmaceuticals")
def two_tracers(pair):
    for header in pair.pet:
        header.RadiopharmaceuticalInformationSequence = [tracer(header), copy.deepcopy(tracer(header))]


@case(96, "W", "tracer-not-fdg")
def other_tracer(pair):
    for_all(map(tracer, pair.pet), Radiopharmaceutical="F18-PSMA")


@case(97, "R", "pet-not-attenuation-corrected")
def uncorrected_only(pair):
    for_all(pair.pet, CorrectedImage=["DECY"])


@case(98, "L")
def uncorrected_beside(pair):
    twins = clones(pair.pet, 12)
    for_all(twins, CorrectedImage=["DECY"])
    pair.pet += twins


@case(99, "R", "repeated-positions")
def dynamic(pair):
    twins = [clone(h, f"{ROOT}.5.{k}") for k, h in enumerate(pair.pet)]
    for_all(twins, AcquisitionTime="121000")
    pair.pet += twins


@case(100, "R", "pet-series-type")
def gated(pair):
    for_all(pair.pet, SeriesType=["GATED", "IMAGE"])


@case(101, "R", "pet-reprojection")
def reprojection(pair):
    for_all(pair.pet, SeriesType=["WHOLE BODY", "REPROJECTION"])
