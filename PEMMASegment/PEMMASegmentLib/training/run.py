"""A whole training run: cases in, stages one after the other, a model folder out; resumes where it stopped."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch
import torch.distributed as dist

from .. import __version__
from ..core import Cancelled, PemmaError, PemmaWarning, Progress, no_progress
from ..core.files import folder_made
from ..core.folders import WRITING
from ..core.images import hashes_of_voxels
from ..core.locks import held
from ..core.progress import part
from ..core.types import INPUTS
from ..network.files import ModelCard, Region, bundled, save_model
from ..network.pemma import Pemma
from ..network.preprocess import longest_mm
from ..study.types import PetCtStudy
from . import stored
from .case import TrainingCase, to_case
from .config import GROUPS, Config, Stage, read_config
from .folders import CaseRef
from .folders import cases as list_cases
from .loop import train_stage
from .readme import readme

#: The other processes wait while the first one reads the cases, or judges a stage; torch's own limit is 10 minutes.
_WAIT = timedelta(hours=24)

#: Is told a case's name and the warnings of its study and annotation, once a case; those of the whole run with its file's.
Told = Callable[[str, tuple[PemmaWarning, ...]], None]

#: The cases of the selection patients, each with whether its annotation marks a tumour.
Selection = list[tuple[CaseRef, bool]]


def train(config_file: Path, data: Path, out: Path, progress: Progress = no_progress,
          validate: Callable[[Pemma, ModelCard, str, Selection], dict] | None = None, roi_name: str | None = None,
          told: Told = lambda name, warnings: None) -> Path:
    """Trains a base model and returns its folder `out`/model.

    validate(net, card, stage, selection): figures on the selection patients, stored with the stage; the thresholds that it
    returns under "threshold" go on the card. roi_name: as for `folders.cases`. Started by torchrun it runs one process a
    device.
    told is also told of a case that lacks what a stage is trained on; one that no stage uses does not stand on the card.
    The prepared cases lie in files below `out` until it ends (`stored`); a refusal leaves no new, empty `out`.
    Raises PemmaError before a case is read for a network that can't be made, or while another run is at work in `out`, and
    before the first stage for all that a later one would miss in the cases. Of several processes the first one alone looks
    and refuses.
    """
    out = Path(out)
    with _one_of_the_processes() as (rank, device), _alone_in(out) if rank == 0 else nullcontext():
        try:
            refs, selection = _prepare(Path(config_file), data, out, progress, validate is not None, roi_name,
                                       told) if rank == 0 else ([], [])
            _wait_for_all()
            model = _train(read_config(config_file), out, rank, device, refs, selection, validate, progress)
            _wait_for_all()
            return model
        finally:
            if rank == 0:
                shutil.rmtree(out / stored.FOLDER, ignore_errors=True)


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Makes the run's folder and keeps others out of it, who would overwrite its files. Raises PemmaError "run-busy"."""
    with folder_made(out), held(out / f"{WRITING}lock") as ours:
        if not ours:
            raise PemmaError("run-busy", "another training is at work in this folder",
                             "wait until it is done, or name another --out; several processes are started by torchrun", out.name)
        yield


def _prepare(config_file: Path, data: Path, out: Path, progress: Progress, judged: bool, roi_name: str | None,
             told: Told) -> tuple[list[CaseRef], Selection]:
    """Checks all that is given and stores the training cases below `out`; gives these, and the selection patients if `judged`."""
    config = read_config(config_file)
    _check_network(config, config_file.name)
    found = list_cases(Path(data), roi_name=roi_name)
    refs, select_refs = _refs(config, found)
    if doubts := tuple(_doubts(config, {ref.patient for ref in found})):
        told(config_file.name, doubts)
    folder = out / stored.FOLDER
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    seen = _store(refs, config, folder, told, part(progress, 0.0, 0.04))
    _check_stages(config, stored.mapped(folder)[0])
    return refs, _selection(select_refs, config, seen, told, part(progress, 0.04, 0.05)) if judged else []


def _train(config: Config, out: Path, rank: int, device: torch.device, refs: list[CaseRef], selection: Selection,
           validate: Callable | None, progress: Progress) -> Path:
    """All stages on the stored cases. refs, selection: for the first process, which alone judges and writes."""
    cases, longest = stored.mapped(out / stored.FOLDER)
    torch.manual_seed(config.seed)
    net = _on(device, _ct_network(config))
    card = ModelCard(config.name, config.version, net.architecture, config.preprocessing, config.labels,
                     Region(config.region, longest), dict.fromkeys(INPUTS, 0.5))
    records, done = [], 0
    total = sum(stage.steps for stage in config.stages)
    for index, stage in enumerate(config.stages):
        if stage.name not in ("ct", *net.architecture.modalities):
            net = _on(device, _grown(net, config, stage.name))
            card = replace(card, architecture=net.architecture)
        span = part(progress, 0.05 + 0.95 * done / total, 0.05 + 0.95 * (done + stage.steps) / total)
        record = train_stage(net, stage, _usable(stage, cases), config, out, device, index, span)
        if validate is not None and rank == 0:
            record["selection"] = validate(net, card, stage.name, selection)
            _on(device, net)  # who judges takes it to the CPU when the GPU's memory is short
            card = replace(card, threshold=card.threshold | record["selection"]["threshold"])
        records.append(record)
        done += stage.steps
    if rank == 0:
        card = replace(card, provenance={"split": _trained_on(config, refs, cases), "seed": config.seed, "stages": records,
                                         "library": __version__, "device": str(device)})
        save_model(out / "model", net, card, readme(card), torch.float16)
    return out / "model"


def _check_network(config: Config, place: str) -> None:
    """Refuses what no network can be made of that takes the inputs of all stages.

    On torch's meta device: shapes alone, no memory, at once.
    """
    inputs = {"ct": torch.empty(1, 1, *config.architecture.window, device="meta")}
    try:
        with torch.device("meta"), torch.no_grad():
            net = _ct_network(config)
            for name in dict.fromkeys(stage.name for stage in config.stages):
                if name not in inputs:
                    net = _grown(net, config, name)
                inputs[name] = inputs["ct"]
                net(inputs)
    except Exception as error:  # torch and MONAI raise all kinds over numbers that don't go together
        raise PemmaError("config-invalid", f"no network can be made of the architecture: {error}",
                         "compare it with the one bundled beside the model", place) from error


def _ct_network(config: Config) -> Pemma:
    """The network of the CT stage: what is yet to be added is left out."""
    return Pemma(replace(config.architecture, modalities=(), fused_decoder=()))


def _on(device: torch.device, net: Pemma) -> Pemma:
    """The network where it is trained, channels last as its inputs are."""
    return net.to(device, memory_format=torch.channels_last_3d)


def _grown(net: Pemma, config: Config, modality: str) -> Pemma:
    """The network with one more modality; what it has learnt so far is carried over."""
    architecture = replace(config.architecture, modalities=(*net.architecture.modalities, modality))
    grown = Pemma(architecture, net.base)
    grown.load_state_dict(grown.state_dict() | net.state_dict())
    return grown


def _refs(config: Config, found: list[CaseRef]) -> tuple[list[CaseRef], list[CaseRef]]:
    """The cases of the training and of the selection patients, none of which is missing or goes by another name."""
    known = {ref.patient for ref in found}
    cases = {ref.name: ref.patient for ref in found if ref.name not in known}
    listed = sorted({name for group in GROUPS for name in config.split.get(group, ()) if name in cases})
    if listed:
        patient = cases[listed[0]]
        own = [ref.name for ref in found if ref.patient == patient]
        raise PemmaError("train-patient", f"the split names {listed[0]}, a case of the patient {patient} (all cases: "
                         f"{', '.join(own[:5])}{' ...' if len(own) > 5 else ''})", f"name {patient} alone in the split; cases "
                         "whose names differ in a date at the end, or DICOM folders that state one Patient ID, are one patient: "
                         "if they are several, give each a name or an ID of its own")
    missing = {*config.train, *config.select} - known
    if missing:
        raise PemmaError("train-split", f"{len(missing)} patients of the split are not in the data folder: "
                         f"{', '.join(sorted(missing)[:3])}", "check --data and the split file")
    return [ref for ref in found if ref.patient in config.train], [ref for ref in found if ref.patient in config.select]


def _doubts(config: Config, patients: set[str]) -> Iterator[PemmaWarning]:
    """What of the name and the split is allowed and may be a slip. patients: of the data folder."""
    group = {name: group for group in GROUPS for name in config.split.get(group, ())}
    if config.name in {folder.name for folder in bundled()}:
        yield PemmaWarning("train-name", f"a bundled model is called {config.name}: yours can't be imported beside it",
                           "give it another name in the configuration; a run goes on, or is done, under any name")
    if absent := sorted(set(group) - patients):
        yield PemmaWarning("train-split", f"{len(absent)} patients of the split are not in the data folder: "
                           f"{', '.join(absent[:3])}", "check their names in the split file")
    for one, other in combinations(group, 2):
        if one.casefold() == other.casefold() and group[one] != group[other]:
            yield PemmaWarning("train-split", f"{one} of {group[one]} and {other} of {group[other]} count as two patients",
                               "put them into one group of the split if they are one")


def _read(ref: CaseRef, group: str) -> tuple[PetCtStudy, sitk.Image]:
    """The study and label of a patient's case in a group of the split. Raises PemmaError that names the case."""
    try:
        return ref.read()
    except PemmaError as error:
        raise ref.refused(error, group) from error


def _store(refs: list[CaseRef], config: Config, folder: Path, told: Told, progress: Progress) -> dict[str, str]:
    """Writes the cases that a stage is trained on, on the network's grid; one may be without a tumour, but must not lose it.

    Gives the names of the cases by the hashes of their images' voxels.
    """
    lost, seen = [], {}
    for n, ref in enumerate(refs):
        study, label = _read(ref, "train")
        seen |= dict.fromkeys(hashes_of_voxels(study.ct, study.pet), ref.name)
        told(ref.name, (*study.warnings, *_unused(study, config)))
        if any(_uses(stage, study) for stage in config.stages):
            case = to_case(ref.name, study.ct, study.pet, label, config.preprocessing)
            if case.box is None and sitk.GetArrayViewFromImage(label).any():
                lost.append(ref.name)
            stored.put(folder / f"{n:06d}.safetensors", case, longest_mm(study.grid))
        progress((n + 1) / len(refs), f"reading case {n + 1} of {len(refs)}")
    if lost:
        raise PemmaError("train-label", f"the tumour of {len(lost)} of the training cases is too small for the network's voxels "
                         f"({_millimetres(config)}), or lies beside the images: {', '.join(lost)}",
                         "choose smaller voxels, or take them out of the split")
    return seen


def _uses(stage: Stage, case: PetCtStudy | TrainingCase) -> bool:
    """Whether a case has what a stage is trained on: the CT, and what the stage adds to it."""
    return case.ct is not None and (stage.name == "ct" or case.pet is not None)


def _unused(study: PetCtStudy, config: Config) -> tuple[PemmaWarning, ...]:
    """Says by which stages a case is passed over."""
    names = dict.fromkeys(stage.name for stage in config.stages if not _uses(stage, study))
    missing = "CT" if study.ct is None else "PET"
    return (PemmaWarning("train-unused", f"not used by stage{'s' * (len(names) > 1)} {' and '.join(names)}: the case "
                         f"has no {missing}", f"add the {missing} to have it trained on"),) if names else ()


def _usable(stage: Stage, cases: list[TrainingCase]) -> list[TrainingCase]:
    return [case for case in cases if _uses(stage, case)]


def _trained_on(config: Config, refs: list[CaseRef], cases: list[TrainingCase]) -> dict[str, Any]:
    """The split as it stands on the card: under `train` the patients of these cases alone."""
    names = {case.name for case in cases}
    patients = {ref.patient for ref in refs if ref.name in names}
    return config.split | {"train": [patient for patient in config.train if patient in patients]}


def _check_stages(config: Config, cases: list[TrainingCase]) -> None:
    """Refuses a stage for which there is no case, or no tumour: it would only be noticed when the stages before it are done."""
    for stage in config.stages:
        usable = _usable(stage, cases)
        if usable and all(case.box is None for case in usable):
            raise PemmaError("train-label", f"no training case of stage {stage.name!r} has a tumour in its annotation",
                             "check the annotations, or add cases with a tumour")
        if not usable:
            needs, way_out = ("a CT", "check the data folder and the split's `train`") if stage.name == "ct" else (
                "CT and PET", "take the pet stages out of the configuration, or add PET")
            raise PemmaError("train-cases", f"no training case has {needs}, which stage {stage.name!r} needs", way_out)


def _selection(refs: list[CaseRef], config: Config, seen: dict[str, str], told: Told, progress: Progress) -> Selection:
    """Reads the selection patients once before the stages: they must have what stages are judged on, one of them a tumour.

    seen: of the training cases, as by `_store`; who judges must have none of their images.
    """
    needed, found = dict.fromkeys(stage.name for stage in config.stages), []
    for n, ref in enumerate(refs):
        study, label = _read(ref, "select")
        told(ref.name, study.warnings)
        if same := sorted(seen[voxels] for voxels in hashes_of_voxels(study.ct, study.pet) & seen.keys()):
            raise PemmaError("select-trained", f"a selection patient has an image of the training case {same[0]}",
                             "take one of the two out of the split", ref.name)
        missing = " and ".join(name.upper() for name in needed if getattr(study, name) is None)
        if missing:
            raise PemmaError("select-inputs", f"a selection patient has no {missing}, which the stages are judged on",
                             f"add the {missing}, or take the patient out of the split's `select`", ref.name)
        found.append((ref, bool(sitk.GetArrayViewFromImage(label).any())))
        progress((n + 1) / len(refs), f"checking selection case {n + 1} of {len(refs)}")
    if not any(tumour for _, tumour in found):
        raise PemmaError("select-label", "no selection patient has a tumour in the annotation: no threshold can be chosen",
                         "add a patient with a tumour to the split's `select`, or leave `select` empty")
    return found


def _millimetres(config: Config) -> str:
    return " x ".join(f"{side:g}" for side in config.preprocessing.spacing_mm) + " mm"


def _wait_for_all() -> None:
    """Where there are several processes. Raises Cancelled when one has ended meanwhile: it has told why."""
    if dist.is_initialized():
        try:
            dist.barrier()
        except RuntimeError as error:
            raise Cancelled from error


@contextmanager
def _one_of_the_processes() -> Iterator[tuple[int, torch.device]]:
    """This process's rank and device; under torchrun the process group is set up here, and left here.

    A process that ends with its group still set up may be aborted by the group's threads, after all is written.
    """
    cuda = torch.cuda.is_available()
    own = "WORLD_SIZE" in os.environ and not dist.is_initialized()
    if own:
        dist.init_process_group("nccl" if cuda else "gloo", timeout=_WAIT)
    try:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(device)
        yield dist.get_rank() if dist.is_initialized() else 0, device
    finally:
        if own:
            dist.destroy_process_group()
