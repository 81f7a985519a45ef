"""Errors and warnings in the panel's words: the library's name the command line's options and commands. Buttons' texts."""

import re
from dataclasses import fields

from slicer.i18n import tr as _

from ..study.types import Typed

#: code of an error -> what to do in the panel
_WAYS_OUT = {
    "outside-region": _("tick Whole study without a region (Segment, Options and region) and try again"),
    "adapt-region": _("leave it out: export the other cases and import them into another library; or tick Whole study without a "
                      "region (Segment, Options and region)"),
    "model-exists": _("remove it first"),
    "model-hash": _("import the model again (Setup and models)"),
    "model-damaged": _("import the model again (Setup and models)"),
    "model-missing": _("choose the folder or zip that holds model.json"),
    "package-missing": _("press Install what is missing (Setup and models)"),
    "no-cuda": _("choose auto or cpu as device, or Check my system"),
    "run-busy": _("wait until it is done, or choose another name"),
    "adapter-exists": _("choose another name, or delete the other one (Adapt locally, Adapters)"),
    "adapter-not-finite": _("train it again with Effort quick, or with another method"),
    "adapter-missing": _("choose another adapter, or none"),
    "case-contour-elsewhere": _("choose a contour of this study; if its PET doesn't show the tumour, load the study and add it "
                                "with no PET chosen"),
    "no-annotation": _("put an RTSTRUCT, a DICOM-SEG or mask.nii.gz into the folder"),
    "out-exists": _("name a new file"),
    "not-a-library": _("choose a new or an empty folder"),
}
#: of Segment alone, which puts a box into the views
MOVE_THE_BOX = _("move the box in the views over the tumour and press Segment again, or tick Whole study")
#: when another study is chosen meanwhile: the box would be made for that one
CHOOSE_AGAIN = _("another study is chosen by now: choose the former one again and press Segment to get a box")
#: option of the command line -> where it is in the panel
_OPTIONS = {
    "--weight-kg": _("Weight"), "--height-m": _("Height"), "--dose-bq": _("Injected dose"),
    "--injection-time": _("Injection time"), "--isotope": _("Isotope"), "--inputs": _("Inputs"), "--device": _("Device"),
    "--roi": _("a region"),
    "--whole-study": _("Whole study"), "--threshold": _("the threshold"), "--model": _("Model"),
    "--adapter": _("Adapter"), "--ct-series": _("the CT selector"), "--pet-series": _("the PET selector"),
    "--out": _("the folder"), "--library": _("the library"), "--annotation": _("the contour"),
    "--annotation-roi": _("the contour's name"), "--effort": _("Effort"), "--seed": _("seed"), "--patient": _("Patient"),
    "--minutes": _("the minutes"), "--origin": _("the origin"),
}  # fmt: skip
#: of these, what states a value that a PET's headers lack
_TYPED = [f"--{field.name.replace('_', '-')}" for field in fields(Typed)]
#: command of the command line -> where it is in the panel
_COMMANDS = {"models": _("Setup and models"), "adapters": _("Adapters (Adapt locally)"), "cases": _("the list of cases")}


def way_out(code: str, words: str) -> str:
    """What the user of the panel can do about the error `code`, whose way out is `words` on the command line."""
    if code in _WAYS_OUT:
        return _WAYS_OUT[code]
    return in_panel(words)


def for_folder(way_out: str) -> str:
    """The way out for a study that is read from its folder: the fields for typed values are those of the current study, and
    no other patient's values may get into them."""
    if not any(option in way_out for option in _TYPED):
        return way_out
    load = _("a value can be typed for the current study alone: load this one and its tumour's contour, then Add current study")
    return f"{way_out}; {load}"


def warning(sentence: str, way_out: str = "") -> str:
    """A line that warns, and says what to do about it."""
    words = _("Warning: {sentence} ({way_out}).") if way_out else _("Warning: {sentence}.")
    return in_panel(words.format(sentence=sentence, way_out=way_out))


def rename(button, text: str) -> None:
    """Gives a button another text. Qt takes its shortcut away with that, so it gets it again."""
    shortcut = button.shortcut
    button.text = text
    button.shortcut = shortcut


def in_panel(words: str) -> str:
    """A text of the library with the panel's controls in place of options ("--inputs ct") and commands."""
    words = re.sub(r"with --origin ([a-z]+)", lambda origin: _("as {origin} on the command line").format(origin=origin[1]), words)
    words = re.sub(r"--[a-z]+(-[a-z]+)*", lambda option: _OPTIONS.get(option[0], option[0]), words)
    words = re.sub(r"`?pemma-segment (models|adapters|cases) [a-z]+`?", lambda command: _COMMANDS[command[1]], words)
    return re.sub(r" ?\(?[^(]*pemma-segment inspect\)?", _(" (the list of volumes says more)"), words)
