"""Few-shot training: a small update of the base's weights from a site's few cases, by the training loop of the base."""

import copy
import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from .. import adapters
from ..adapters import AdapterCard, Method, method
from ..core import PemmaError, Progress, no_progress
from ..core.files import write_text
from ..core.progress import part
from ..inference.device import choose as choose_device
from ..inference.device import run_down
from ..network.files import Model
from ..network.pemma import Pemma, spare_memory
from ..training.augment import Augmentation
from ..training.config import Config, Stage
from ..training.loop import Checkpoint, optimise
from ..training.windows import TrainingCase, batch, draw, is_lost, to_case
from . import keeping
from .fitness import LEAVE_OUT
from .resuming import key_of, resumed
from .types import Fitted, Procedure, SiteCase
from .volumes import content_of

#: Steps by effort. "standard": five cases within three minutes on two cores, with the starter model.
EFFORTS = {"quick": 30, "standard": 110, "thorough": 330}
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
        """An adapter from all of `cases`, for `inputs`. Its words of progress: "step 12 of 110, loss 0.412".

        Raises PemmaError for cases that can't be trained on, and what `progress` raises; a stopped run then goes on.
        """

        def train(checkpoint: Checkpoint) -> Fitted:
            training = prepared(model, cases, inputs, part(progress, 0.0, PREPARED))
            ways = iter([(False, ""), (True, "with gradient checkpointing")])  # the second where the GPU's memory is short
            fitted, _, _ = run_down(ways, lambda sparing: _Run(self, model, training, inputs, seed, sparing).train(
                checkpoint, part(progress, PREPARED, 1.0)))
            return fitted

        return resumed(self.work, self.key(model, cases, inputs, seed), model.identity, train)

    def key(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int) -> str:
        """A digest of all that makes a run the same run: base, cases, recipe, seed, kind of device."""
        about = {"base": model.identity.sha256, "cases": [digest(case) for case in cases], "inputs": inputs, "seed": seed,
                 "device": choose_device(self.device).device.type, "method": asdict(self.method), "pattern": self.pattern,
                 "recipe": asdict(self._stage), "kept": keeping.PER_MISS, "augmentation": asdict(AUGMENTATION)}
        return key_of(about)

    @property
    def _stage(self) -> Stage:
        return replace(RECIPE, steps=self.steps)


class _Run:
    """One training: the network with its update, windows drawn from the cases, and what becomes of them.

    sparing: with less memory, in more time (`spare_memory`).
    """

    def __init__(self, how: WeightUpdate, model: Model, cases: list[TrainingCase], inputs: str, seed: int, sparing: bool):
        self.how, self.model, self.cases, self.inputs, self.seed, self.sparing = how, model, cases, inputs, seed, sparing
        self.stage = how._stage
        self.device = choose_device(how.device).device
        card = model.card
        self.config = Config(card.name, card.version, card.architecture, card.preprocessing, (self.stage,), card.labels,
                             card.region.words, (), seed=seed, foreground=FOREGROUND)

    @cached_property
    def net(self) -> Pemma:
        """A copy of the base with a fresh update on it; the base itself stays as it is."""
        net = copy.deepcopy(self.model.net).to("cpu")
        adapters.attach(net, self.how.method, self.targets, self.seed)
        if self.sparing:
            spare_memory(net)
        return net.to(self.device, memory_format=torch.channels_last_3d)

    @cached_property
    def targets(self) -> tuple[str, ...]:
        net, window = self.model.net, self.model.card.architecture.window
        here = next(net.parameters()).device  # a segmentation may have taken the base to the GPU
        return adapters.choose(net, self.how.pattern, {name: torch.zeros(1, 1, *window, device=here) for name in self._names})

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.inputs.split("+"))

    def windows(self, step: int):
        """Inputs and labels of one step; they depend on seed and step alone."""
        rng = np.random.default_rng([self.seed, 1, step])
        return batch([draw(self.cases, self.config, self.stage, self._names, AUGMENTATION, rng)
                      for _ in range(self.stage.batch)])

    def train(self, checkpoint: Checkpoint, progress: Progress) -> Fitted:
        """All steps, from the first or from where an unfinished run stopped."""
        chosen = adapters.trained(self.net)
        groups = adapters.parameter_groups(self.net, self.stage.rate, self.stage.weight_decay)

        def told(step: int, loss: float) -> None:
            progress(step / self.stage.steps, f"step {step} of {self.stage.steps}, loss {loss:.3f}")

        threshold = self.model.card.threshold[self.inputs]
        missing = keeping.missed(self.net, self.cases, self.config, self.stage, self._names, threshold)
        cpu_seconds = optimise(self.net, chosen, groups, self.stage, self.windows, checkpoint, self.device, told)
        strength = keeping.strength(missing)
        figures = {"missed": round(missing, 4), "strength": round(strength, 4), "cpu_seconds": round(cpu_seconds, 1)}
        return Fitted(self._card(figures), adapters.weakened(adapters.collect(self.net), strength))

    def _card(self, figures: dict[str, float]) -> AdapterCard:
        count = sum(p.numel() for p in adapters.trained(self.net).values())
        training = {"cases": len(self.cases), "seed": self.seed, "recipe": asdict(self.stage),
                    "device": self.device.type, "gradient_checkpointing": self.sparing} | figures
        return AdapterCard(self.how.name, "1", self.how.method, self.how.pattern, self.targets, self.model.identity,
                           self.inputs, trained_parameters=count, trained_share=adapters.share(self.net), training=training)


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
        if "loss" in words:
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
