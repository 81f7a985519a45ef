"""Few-shot training: a small update of the base's weights from a site's few cases, by the training loop of the base."""

import copy
import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from torch import nn

from .. import adapters
from ..adapters import AdapterCard, Method, method
from ..core import PemmaError, Progress, no_progress
from ..core.files import write_text
from ..core.progress import Reached, Words, part, reached
from ..inference.device import choose as choose_device
from ..inference.device import run_down
from ..network.files import Model
from ..network.pemma import Pemma, spare_memory
from ..training.augment import Augmentation
from ..training.case import TrainingCase, is_lost, to_case
from ..training.config import Config, Stage
from ..training.loop import Checkpoint, optimise
from ..training.windows import batch, draw
from . import keeping
from .choices import EFFORTS
from .fitness import LEAVE_OUT
from .resuming import key_of, resumed
from .types import Fitted, Procedure, SiteCase
from .volumes import content_of

#: The one recipe for few cases, fixed in advance: nothing is selected on the site's own cases, which are too few for it.
RECIPE = Stage("adapter", steps=EFFORTS["standard"], batch=2, rate=4e-3, warm_up=0.1, average=0.97, whole=0.45, anywhere=0.2)
FOREGROUND = 0.7
AUGMENTATION = Augmentation(shrunk=0.18, intensity=0.25, ct_gain=0.1, ct_shift=15.0, pet_gain=0.2, pet_floor=0.3, foreign=0.0)
PREPARED = 0.02  # share of the progress
_LOOK = 4  # steps, to tell how long one takes


@dataclass(frozen=True)
class WeightUpdate:
    """A `Procedure`: SALT, LoRA, DoRA or SVD scale/shift on the weights that `pattern` chooses (`adapters.choose`).

    work: where an unfinished run is kept, to go on exactly where it was stopped; None: it starts anew.
    """

    method: Method = field(default_factory=lambda: method("salt"))
    pattern: str = "all"
    steps: int = EFFORTS["standard"]
    device: str = "auto"
    work: Path | None = None

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def words(self) -> str:
        ranks = " ".join(f"{what} {getattr(self.method, what)}" for what in adapters.METHODS[self.method.name])
        return f"{self.method.name.upper()} ({ranks}) on the weights '{self.pattern}', {self.steps} steps"

    def fit(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int = 0,
            progress: Progress = no_progress) -> Fitted:
        """An adapter from all of `cases`, for `inputs`. Its progress tells step and loss (`Reached`).

        Raises PemmaError for cases that can't be trained on, and what `progress` raises; a stopped run then goes on.
        """

        def train(checkpoint: Checkpoint) -> Fitted:
            ready = prepared(model, cases, inputs, part(progress, 0.0, PREPARED))
            ways = iter([(False, ""), (True, "with gradient checkpointing")])  # the second where the GPU's memory is short
            fitted, _, _ = run_down(ways, lambda sparing: self._train(
                model, ready, inputs, seed, sparing, checkpoint, part(progress, PREPARED, 1.0)))
            return fitted

        return resumed(self.work, self.key(model, cases, inputs, seed), model.identity, train)

    def key(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int) -> str:
        """As `run_key`."""
        return run_key(self, model, cases, inputs, seed, method=asdict(self.method), pattern=self.pattern)

    @property
    def stage(self) -> Stage:
        return replace(RECIPE, steps=self.steps)

    def _train(self, model: Model, cases: list[TrainingCase], inputs: str, seed: int, sparing: bool, checkpoint: Checkpoint,
               progress: Progress) -> Fitted:
        """sparing: with less memory, in more time (`spare_memory`)."""
        stage, device, targets = self.stage, choose_device(self.device).device, self._targets(model, inputs)
        net = copy.deepcopy(model.net).to("cpu")  # the base itself stays as it is
        adapters.attach(net, self.method, targets, seed)
        if sparing:
            spare_memory(net)
        net = net.to(device, memory_format=torch.channels_last_3d)
        chosen, groups = adapters.trained(net), adapters.parameter_groups(net, stage.rate, stage.weight_decay)
        strength, figures = trained(net, chosen, groups, stage, model, cases, inputs, seed, checkpoint, progress)
        training = {"cases": len(cases), "seed": seed, "recipe": asdict(stage), "device": device.type,
                    "gradient_checkpointing": sparing} | figures
        card = AdapterCard(self.name, "1", self.method, self.pattern, targets, model.identity, inputs, training=training,
                           trained_parameters=sum(p.numel() for p in chosen.values()), trained_share=adapters.share(net))
        return Fitted(card, adapters.weakened(adapters.collect(net), strength))

    def _targets(self, model: Model, inputs: str) -> tuple[str, ...]:
        window = model.card.architecture.window
        here = next(model.net.parameters()).device  # a segmentation may have taken the base to the GPU
        images = {name: torch.zeros(1, 1, *window, device=here) for name in inputs.split("+")}
        return adapters.choose(model.net, self.pattern, images)


def run_key(how: Procedure, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int, **own) -> str:
    """A digest of all that makes a run the same run: base, cases, recipe, seed, kind of device, and `how`'s `own` choices."""
    about = {"base": model.identity.sha256, "cases": [digest(case) for case in cases], "inputs": inputs, "seed": seed,
             "device": choose_device(how.device).device.type, "recipe": asdict(how.stage), "kept": keeping.PER_MISS,
             "augmentation": asdict(AUGMENTATION)}
    return key_of(about | own)


def trained(net: Pemma, chosen: dict[str, nn.Parameter], groups: Iterable[dict], stage: Stage, model: Model,
            cases: list[TrainingCase], inputs: str, seed: int, checkpoint: Checkpoint,
            progress: Progress) -> tuple[float, dict[str, float]]:
    """Trains `chosen` of `net`, a copy of the base, in place; all steps, from the first or from where a run stopped.

    The share of it to keep, and the figures that the card states. The windows drawn depend on seed and step alone.
    """
    card, names, device = model.card, tuple(inputs.split("+")), next(net.parameters()).device
    config = Config(card.name, card.version, card.architecture, card.preprocessing, (stage,), card.labels, card.region.words,
                    (), seed=seed, foreground=FOREGROUND)

    def windows(step: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        rng = np.random.default_rng([seed, 1, step])
        return batch([draw(cases, config, stage, names, AUGMENTATION, rng) for _ in range(stage.batch)])

    def told(step: int, loss: float) -> None:
        here = Reached(step=step, loss=loss if math.isfinite(loss) else None)
        progress(step / stage.steps, Words(f"step {step} of {stage.steps}, loss {loss:.3f}", here))

    missing = keeping.missed(net, cases, config, stage, names, card.threshold[inputs])
    cpu_seconds = optimise(net, chosen, groups, stage, windows, checkpoint, device, told)
    strength = keeping.strength(missing)
    return strength, {"missed": round(missing, 4), "strength": round(strength, 4), "cpu_seconds": round(cpu_seconds, 1)}


def steps_in(how: WeightUpdate, minutes: float, model: Model, cases: Sequence[SiteCase], inputs: str,
             progress: Progress = no_progress) -> WeightUpdate:
    """`how` with as many steps as this machine does in `minutes`, after a look at a few of them; at least ten.

    The number is kept with the unfinished work: a run that goes on is the same run although the machine is busier now.
    """
    run = replace(how, steps=_LOOK).key(model, cases, inputs, 0)[:16]  # another method or base takes another time
    kept = None if how.work is None else Path(how.work) / f"steps-in-{minutes:g}-minutes-{run}"
    if kept is not None and kept.is_file():
        return replace(how, steps=int(kept.read_text("utf-8")))
    steps = max(10, round(60 * minutes / step_seconds(how, model, cases, inputs, progress)))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, str(steps))
    return replace(how, steps=steps)


def step_seconds(how: Procedure, model: Model, cases: Sequence[SiteCase], inputs: str,
                 progress: Progress = no_progress) -> float:
    """Seconds of a training step here, the mean of a few after the first. Raises what `progress` raises.

    how: a procedure with `steps` and `work`.
    """
    marks: list[float] = []

    def told(fraction: float, words: str) -> None:
        progress(fraction, "trying a few steps")
        if reached(words).step is not None:
            marks.append(time.monotonic())

    replace(how, steps=_LOOK, work=None).fit(model, cases[:1], inputs, 0, told)
    return (marks[-1] - marks[0]) / (_LOOK - 1)


def prepared(model: Model, cases: Sequence[SiteCase], inputs: str, progress: Progress = no_progress) -> list[TrainingCase]:
    """The cases on the network's grid. Raises PemmaError "adapt-inputs", "adapt-label", "adapt-cases", "threshold"."""
    if not cases:
        raise PemmaError("adapt-cases", "there is no case to adapt to", "add annotated cases")
    if inputs not in model.card.threshold:
        raise PemmaError("threshold", f"the model states no threshold for {inputs}", "choose other --inputs, or another --model")
    out = []
    for n, case in enumerate(cases):
        check_case(case, inputs, model)
        images = {name: getattr(case.study, name) if name in inputs.split("+") else None for name in ("ct", "pet")}
        out.append(to_case(case.id, images["ct"], images["pet"], case.label, model.card.preprocessing))
        progress((n + 1) / len(cases), f"preparing case {n + 1} of {len(cases)}")
    return out


def check_case(case: SiteCase, inputs: str, model: Model) -> None:
    """Refuses a case that lacks one of the inputs, or whose contour is empty, or nothing on the network's grid."""
    missing = [name for name in inputs.split("+") if getattr(case.study, name) is None]
    if missing:
        raise PemmaError("adapt-inputs", f"case {case.id} has no {' and '.join(missing).upper()}",
                         f"{LEAVE_OUT}, or choose other --inputs", case.id)
    if not sitk.GetArrayViewFromImage(case.label).any():
        raise PemmaError("adapt-label", f"case {case.id} has an empty contour", f"annotate it, or {LEAVE_OUT}", case.id)
    searched = "ct" if "ct" in inputs.split("+") else "pet"  # whose grid the network's follows
    if is_lost(case.label, getattr(case.study, searched), model.card.preprocessing):
        side = max(model.card.preprocessing.spacing_mm)
        raise PemmaError("adapt-label", f"the contour of case {case.id} is too small for the network's voxels of {side:g} mm on "
                         f"the {searched.upper()}, or lies beside it",
                         LEAVE_OUT, case.id)


def digest(case: SiteCase) -> str:
    """A digest of a case's voxels, SUVs as they were reached, and contour; without its name."""
    images = (case.study.ct, case.study.pet, case.label)
    told = " ".join("none" if image is None else content_of(image) for image in images)
    return hashlib.sha256(told.encode()).hexdigest()
