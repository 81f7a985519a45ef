"""How a study becomes a case of a library: whose contour it is, what is told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..adaptation import blind
from ..adaptation.cards import CaseCard, Origin
from ..adaptation.identity import patient_id
from ..adaptation.library import CaseLibrary
from ..adapters import Adapter
from ..core import PemmaError, PemmaWarning, Progress
from ..core.progress import part
from ..network.files import Model
from ..study import annotation
from ..study.annotation.author import author_of_contour
from ..study.types import PetCtStudy
from .options import Adding

Load = Callable[[], tuple[Model, Adapter | None]]


def add_case(
    library: CaseLibrary, read: Callable[[Progress], PetCtStudy], file: Path | None, options: Adding,
    load: Load, progress: Progress, origin: Origin | None = None,
) -> tuple[CaseCard, list[PemmaWarning]]:  # fmt: skip
    """Adds the study that `read` gives with the annotation in `file`; its card and what to tell the user.

    options.inputs is what it is segmented blind with; the case has all images of the study. origin: where the caller knows
    better than file and options whose contour it is.
    """
    study = read(part(progress, 0, 0.2))
    if file is None:
        raise PemmaError("no-annotation", "the study has no RTSTRUCT, SEG or mask", "give one with --annotation FILE")
    label, told = annotation.read(file, study, roi_name=options.annotation_roi)
    stated = patient_id(study)
    patient = options.patient or stated
    origin = origin or origin_of(file, options, load)
    card = blind.add(
        library, study, label, patient=patient, origin=origin, note=options.note,
        blind=None if options.no_blind else blind.Blind(load, options.inputs, options.device, options.whole_study),
        why_not=options.no_blind, progress=part(progress, 0.2, 1),
    )  # fmt: skip
    return card, [*study.warnings, *told, *_told_of_patient(card, patient, stated), *_told(card, origin, options)]


def with_inputs(study: PetCtStudy, inputs: str) -> PetCtStudy:
    """The study without the image that --inputs leaves out: the command's case then has no such image."""
    if inputs == "pet":
        return replace(study, ct=None, ct_headers=())
    return replace(study, pet=None, pet_headers=(), suv=None) if inputs == "ct" else study


def origin_of(file: Path, options: Adding, load: Load) -> Origin:
    """Whose contour it is. A file that this software wrote says so itself, and nobody may say otherwise."""
    author = author_of_contour(file, options.annotation_roi)
    if author is None:
        return stated_origin(options, load)
    if options.origin not in (None, "corrected"):
        sentence = f"the contour began as the output of {author.model.name}, its file says"
        raise PemmaError("case-origin", sentence, "leave --origin out: such a case is good for training, not for the proof")
    return Origin("corrected", author.model, author.adapter)


def stated_origin(options: Adding, load: Load) -> Origin:
    """What --origin says; a contour of which nobody says anything is imported."""
    if options.origin != "corrected":
        return Origin(options.origin or "imported")
    model, adapter = load()
    return Origin("corrected", model.identity, adapter.identity if adapter else None)


def left_out_in_words(card: CaseCard) -> str:
    """Why there is no blind record, or none of the adapter's; "" where nothing is missing."""
    if not card.blind_left_out:
        return ""
    return f"{'blind record' if card.blind else 'no blind record'}: {card.blind_left_out}"


def _told_of_patient(card: CaseCard, patient: str | None, stated: str | None) -> list[PemmaWarning]:
    """What a user should know of whose case it is; stated: the headers' Patient ID."""
    if patient is None:
        sentence = f"nobody says whose study case {card.id} is: it counts as a patient of its own"
        return [PemmaWarning("patient-unknown", sentence, "name studies of one patient alike with --patient")]
    if stated is not None and patient.strip() != stated.strip():
        sentence = f"case {card.id} counts as a study of the patient that was named, not of its headers' Patient ID"
        way_out = "name all studies of this patient alike; if the name is wrong, remove the case and add it without --patient"
        return [PemmaWarning("patient-named-otherwise", sentence, way_out)]
    return []


def no_proof(case: str, why: str, else_: str) -> PemmaWarning:
    """That a case counts in no proof since its contour is like the model's output; else_: what to do if it was not."""
    return PemmaWarning("contour-like-output", f"case {case} counts as corrected, not in a proof: {why}",
                        f"if it was drawn without the model, {else_}")


def _told(card: CaseCard, given: Origin, options: Adding) -> list[PemmaWarning]:
    """What a user should know of a new case; given: its origin as file and options have it."""
    told = []
    if card.blind_left_out and card.origin.independent and not options.no_blind:
        told.append(PemmaWarning("no-blind-record", left_out_in_words(card)))
    if not card.blind and card.origin.independent and options.origin is None:
        sentence = f"case {card.id} counts in a proof, but nobody has looked whether its contour began as a model's output"
        told.append(PemmaWarning("contour-unchecked", sentence, "if it did, remove the case and add it with --origin corrected"))
    if given.independent and not card.origin.independent:
        told.append(no_proof(card.id, card.blind_left_out, "remove the case and add it with --origin scratch"))
    elif blind.like_output(card.blind):  # typed: --origin scratch
        sentence = f"the contour of case {card.id} is almost the model's own output, and counts in a proof since you say so"
        told.append(PemmaWarning("contour-like-output", sentence, "if it began so, add it with --origin corrected"))
    return told
