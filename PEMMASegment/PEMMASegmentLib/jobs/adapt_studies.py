"""Annotated study folders as the cases to adapt to: read, told of, looked at for contours that a model drew."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import SimpleITK as sitk

from ..adaptation import blind, fitness
from ..adaptation.adapt import Spans
from ..adaptation.blind import Blind
from ..adaptation.book import own_ledger
from ..adaptation.identity import patient_id
from ..adaptation.ledger import Ledger
from ..adaptation.types import SiteCase
from ..core import PemmaError, PemmaWarning, Progress, no_progress
from ..network.files import Model
from ..study import annotation, scanner
from ..study.annotation.author import author_of_contour
from ..study.types import PetCtStudy
from .adding import no_proof, with_inputs
from .names import base_name, name_among
from .options import Adapting, Reading, spelled
from .reading import Apart, load_study

#: The options that say something of one study.
_OF_ONE_STUDY = {spelled(field.name) for field in fields(Reading)}

Warn = Callable[[Sequence[PemmaWarning], str], None]
#: Cases, what their headers state, the ledger of tries, and what is to be told of each case that was read from a study.
Given = tuple[list[SiteCase], list[dict[str, str]], Ledger, list[dict[str, str]]]


def read(options: Adapting, progress: Progress, warn: Warn) -> Given:
    """Annotated study folders; who is told by the Patient ID, else each folder counts as a patient of its own.

    Their tries stand in the user's own ledger, whatever is named --out: each counts for all later proofs with one of its
    patients. It knows nothing of tries by another user or on another computer, nor once the user's folder was deleted.
    """
    cases, facts, ledger, told = [], [], own_ledger(), []
    apart = Apart()
    for n, folder in enumerate(options.studies):
        progress(n / len(options.studies), f"reading study {n + 1} of {len(options.studies)}")
        with _told_of(folder, options):
            study, file, label, warnings = _annotated(folder, options)
            apart.take(study, base_name(folder))
        who = patient_id(study)
        if not who and len(options.studies) > 1:
            sentence = f"nobody says whose study {base_name(folder)} is: it counts as a patient of its own"
            way_out = "if another is of the same patient, add both to a case library with --patient (`pemma-segment cases add`)"
            warnings.append(PemmaWarning("patient-unknown", sentence, way_out))
        independent = author_of_contour(file, options.annotation_roi) is None
        cases.append(SiteCase(base_name(folder), who or study.study_key, study, label, independent))
        facts.append(scanner.facts(study))
        told += tell(base_name(folder), warnings, name_among(options.studies, folder), warn)
    names = [case.id for case in cases]
    if len(set(names)) < len(names):
        raise PemmaError("same-name", "two studies have folders of one name", "rename one of them")
    cases = [replace(case, patient=ledger.pseudonym(case.patient)) for case in cases]  # late: it makes the user's key
    return cases, facts, ledger, told


def tell(case: str, warnings: Sequence[PemmaWarning], among: str, warn: Warn) -> list[dict[str, str]]:
    """Tells it now, and gives what the answer has of it. among: the case's name where there are several."""
    warn(warnings, among)
    return [{"case": case, "code": warning.code, "words": f"warning: {warning}"} for warning in warnings]


def looked_at(
    cases: list[SiteCase], model: Model, options: Adapting, progress: Progress, warn: Warn
) -> tuple[list[SiteCase], list[dict[str, str]]]:
    """The cases of studies, each segmented once by the base, and what there is to tell of their contours."""
    base, out, told = Blind(lambda: (model, None), options.inputs, options.device, options.whole_study), [], []
    spans = Spans(progress, [1.0] * len(cases))
    for n, case in enumerate(cases):
        found, warnings = _checked(case, base, spans.next(f"segmenting study {n + 1} of {len(cases)} blind"))
        told += tell(case.id, warnings, "", warn)
        out.append(found)
    return out, told


def _checked(case: SiteCase, base: Blind, progress: Progress) -> tuple[SiteCase, list[PemmaWarning]]:
    """The case, which counts in no proof where its contour is almost what the base draws."""
    if not case.independent:
        return case, []
    found, why_not = blind.scores_or_why_not(case.study, case.label, base, progress)
    if blind.like_output(found):
        warning = no_proof(case.id, blind.LIKE_OUTPUT, "add it to a case library with --origin scratch")
        return replace(case, independent=False), [warning]
    if found:
        return case, []
    sentence = f"case {case.id} counts in a proof, but whether its contour began as a model's output is not known: {why_not}"
    return case, [PemmaWarning("contour-unchecked", sentence, "if it did, leave the study out")]


def _annotated(folder: Path, options: Adapting) -> tuple[PetCtStudy, Path, sitk.Image, list[PemmaWarning]]:
    """A study that can be a case, the file of its annotation, the label on `study.grid` (1 inside), and what is to be told."""
    study = load_study(folder, options, options.need, no_progress)
    file = annotation.find(folder, "leave one of them in the folder, or adapt from a case library "
                           "(`pemma-segment cases add` takes --annotation FILE)")
    if file is None:
        raise PemmaError("no-annotation", "a study has no RTSTRUCT, SEG or mask", "annotate it, or leave it out")
    label, told = annotation.read(file, study, roi_name=options.annotation_roi)
    fitness.check(with_inputs(study, "ct") if options.inputs == "ct" else study, label)  # a PET that isn't used may lie apart
    return study, file, label, [*study.warnings, *told]


@contextmanager
def _told_of(folder: Path, options: Adapting) -> Iterator[None]:
    """Errors inside get the study's name, and with several studies a way out that there is for one of them."""
    try:
        yield
    except PemmaError as error:
        way_out = error.way_out
        option = next((word for word in re.findall(r"--[a-z-]+", way_out) if word in _OF_ONE_STUDY), "")
        if option and len(options.studies) > 1:
            way_out += (f"; {option} goes with one study: add each to a case library with its own "
                        f"(`pemma-segment cases add STUDY --library DIR {option} ...`), then adapt with --library DIR")
        place = ", ".join(filter(None, (name_among(options.studies, folder), error.place))) or base_name(folder)
        raise PemmaError(error.code, error.sentence, way_out, place) from error
