"""Which PET and which CT of a folder make the study, with a reason for each series seen (dicom.md 2.7)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...core import PemmaError, PemmaWarning
from .. import tags
from ..tags import EXPORT_AGAIN
from ..types import Candidate, left_out
from .examination import day_in_words, refuse_halves, refuse_several_patients, refuse_several_studies
from .pairing import same, shared
from .preference import ct_key, described_uncorrected, is_reformat, pet_key, why
from .series import NAME, OPTION, Series

#: what is left without it, as `need` and --inputs call it
WITHOUT = {"CT": "pet", "PT": "ct"}


@dataclass
class Choice:
    """The chosen series (None where the folder has none or it may be left out) and why each series was chosen or not."""

    ct: Series | None
    pet: Series | None
    reasons: dict[int, str]
    warnings: list[PemmaWarning]


def choose(found: Sequence[Series], ct_uid: str | None, pet_uid: str | None, need: str | None) -> Choice:
    """PET first, then the CT that fits it. A PET (or CT) that is there but can't be loaded is refused, unless `need`
    names the other modality only; then its refusal becomes a warning."""
    reasons: dict[int, str] = {}
    warnings: list[PemmaWarning] = []
    refuse_several_patients([s for s in found if _could_be_meant(s, ct_uid, pet_uid, need)])
    pet = _of_modality(found, "PT", pet_uid, None, need, reasons, warnings)
    ct = _of_modality(found, "CT", ct_uid, pet, need, reasons, warnings)
    _refuse_absent(ct, pet, need)
    return Choice(ct, pet, reasons, warnings)


def _could_be_meant(series: Series, ct_uid: str | None, pet_uid: str | None, need: str | None) -> bool:
    wanted = {"CT": ct_uid, "PT": pet_uid}[series.modality]
    needed = need is None or NAME[series.modality].lower() in need.split("+")
    return needed and (wanted is None or wanted == series.uid)


def _of_modality(
    found: Sequence[Series],
    modality: str,
    uid: str | None,
    pet: Series | None,
    need: str | None,
    reasons: dict[int, str],
    warnings: list[PemmaWarning],
) -> Series | None:
    """pet: what a CT is to go with, which tells the examination that is meant."""
    seen = [s for s in found if s.modality == modality]
    if uid is not None:
        seen = [s for s in seen if s.uid == uid]
        if not seen:
            raise PemmaError(
                "no-such-series",
                f"the folder has no {modality} series of the UID given",
                "see the candidates of pemma-segment inspect",
                OPTION[modality],
            )
    for series in seen:
        if series.problem is not None:
            reasons[id(series)] = f"refused: {series.problem.sentence}"
    key = pet_key if modality == "PT" else ct_key(pet, seen)
    usable = sorted((s for s in seen if s.usable), key=key, reverse=True)
    try:
        if uid is None and pet is None:
            refuse_several_studies([s for s in seen if not _negligible(s)], modality)
        return _best(usable, seen, modality, key, reasons, warnings, uid is not None)
    except PemmaError as problem:
        if need == WITHOUT[modality]:
            warnings.append(left_out(NAME[modality].lower(), problem))
            return None
        other_usable = any(s.usable and s.modality != modality for s in found)
        raise _with_way_out(problem, modality, other_usable) from None


def _best(
    usable: Sequence[Series],
    seen: Sequence[Series],
    modality: str,
    key: Callable,
    reasons: dict[int, str],
    warnings: list[PemmaWarning],
    named: bool,
) -> Series | None:
    if not usable:
        pictures = [s for s in seen if s.problem.code != "localizer"]  # a scout is not the study's CT
        worth_telling = [s for s in pictures if not _negligible(s)] or pictures
        if worth_telling:
            raise max(worth_telling, key=lambda s: s.count).problem
        return None
    if not named:
        refuse_halves(usable, modality)
    best = usable[0]
    tied = [s for s in usable if key(s) == key(best)]
    if len(tied) > 1 and modality == "PT":
        raise _not_to_be_guessed(tied)
    _tell_refused(best, seen, warnings)
    others = usable[1:]
    reasons[id(best)] = "chosen by the user" if named else why(best, others, key)
    for other in others:
        reasons[id(other)] = "another series was preferred: " + why(best, [other], key)
    if others and not named:
        warnings.append(
            PemmaWarning(
                "series-chosen",
                f"one of {len(usable)} {NAME[modality]} series was chosen ({why(best, others, key)}){_fewer(best, others)}",
                f"overrule with {OPTION[modality]}",
            )
        )
    if modality == "PT":
        warnings += _about_pet(best, others)
    return best


def _about_pet(best: Series, others: Sequence[Series]) -> list[PemmaWarning]:
    """What is doubtful about the chosen PET, beside the other usable ones."""
    found = []
    if described_uncorrected(best):
        flag = tags.title("AttenuationCorrected" if best.enhanced else "CorrectedImage")
        found.append(
            PemmaWarning(
                "pet-described-uncorrected",
                f"Series Description (0008,103E) calls the PET not attenuation corrected, {flag} says it is",
                "check that this is the corrected series",
            )
        )
    if any(_neighbours(best, other) for other in others):
        found.append(
            PemmaWarning(
                "pet-part-left-out",
                "another PET series covers a neighbouring part of the body, which is left out",
                "look at that part in a run of its own with --pet-series (UIDs: pemma-segment inspect)",
            )
        )
    return found


def _fewer(best: Series, others: Sequence[Series]) -> str:
    """Says of a PET that one with more slices was not chosen: these may show more of the body."""
    most = max(series.count for series in others)
    if best.modality != "PT" or best.count >= most:
        return ""
    return f", which has {best.count} slices; another one has {most}"


def _neighbours(chosen: Series, other: Series) -> bool:
    """Whether most of the other PET, of the same examination, lies where the chosen one has no slices."""
    together = all(same(chosen, other, k) for k in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"))
    return together and not is_reformat(other) and shared(chosen, other) < 0.5


def _not_to_be_guessed(tied: Sequence[Series]) -> PemmaError:
    if len({s.uid for s in tied}) == 1:  # reconstructions in one series, which no UID tells apart
        return PemmaError(
            "pet-choice",
            f"one PET series holds {len(tied)} volumes that serve equally well, told apart by Image Type (0008,0008) only",
            "export the reconstructions as series of their own",
            "(0008,0008)",
        )
    return PemmaError(
        "pet-choice",
        f"the folder holds {len(tied)} PET series that serve equally well",
        "choose one with --pet-series (UIDs: pemma-segment inspect)",
        "--pet-series",
    )


def _tell_refused(best: Series, seen: Sequence[Series], warnings: list[PemmaWarning]) -> None:
    """Says so when a series as long as the chosen one could not be used: it may be the one that was meant."""
    for series in seen:
        expected = series.usable or _negligible(series) or series.problem.code == "pet-not-attenuation-corrected"
        if not expected and series.count >= best.count:
            warnings.append(
                PemmaWarning(
                    "series-refused",
                    f"another {NAME[series.modality]} series could not be used: {series.problem.sentence}",
                    series.problem.way_out,
                )
            )


def _negligible(series: Series) -> bool:
    """A scout or a single picture beside the real series, whose refusal says nothing about the study."""
    return series.problem is not None and series.problem.code in (
        "not-a-volume",
        "localizer",
        "pet-reprojection",
        "colour-image",
    )


def _with_way_out(problem: PemmaError, modality: str, other_usable: bool) -> PemmaError:
    """The refusal, with the way round it through the other modality if the study has that, and only then."""
    way = f"use --inputs {WITHOUT[modality]}"
    ways = [w for w in problem.way_out.replace(f"{way}, or ", "").split(f", or {way}") if w]
    if other_usable:
        ways.append(way)
    return PemmaError(problem.code, problem.sentence, ", or ".join(ways) or EXPORT_AGAIN, problem.place)


def _refuse_absent(ct: Series | None, pet: Series | None, need: str | None) -> None:
    for name, series in (("ct", ct), ("pet", pet)):
        if series is None and need is not None and name in need.split("+"):
            raise PemmaError(
                f"no-{name}",
                f"the study has no {name.upper()} series",
                f"use --inputs {'pet' if name == 'ct' else 'ct'}, or give the complete study",
            )
    if ct is None and pet is None:
        raise PemmaError("no-images", "the folder holds neither a CT nor a PET series", "give the folder of one study")


def candidates(found: Sequence[Series], others: Sequence[Candidate], choice: Choice) -> tuple[Candidate, ...]:
    """Every series seen, the chosen ones first."""
    listed = [
        Candidate(
            s.uid,
            s.modality,
            tags.words(s.header, "SeriesDescription"),
            s.count,
            s is choice.ct or s is choice.pet,
            choice.reasons.get(id(s), "not asked for"),
            day_in_words(s.header),
        )
        for s in found
    ]
    return tuple(sorted([*listed, *others], key=lambda c: not c.chosen))
