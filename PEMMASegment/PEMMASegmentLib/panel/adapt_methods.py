"""What can be made of the cases, and how long that takes, in words."""

from slicer.i18n import tr as _

#: name of the request -> title, and what it does
METHODS = {
    "salt": ("SALT", _("new strengths for the main directions of each weight matrix, and a low-rank update of the rest")),
    "lora": ("LoRA", _("a low-rank update of each weight matrix")),
    "dora": ("DoRA", _("a low-rank update of each weight matrix's direction, and its length anew")),
    "svd": (_("SVD scale and shift"), _("new strengths for the main directions of each weight matrix, nothing else")),
    "ladder": (_("Ladder"), _("all methods from cheap to rich, and the first whose successors add nothing shown; takes longest")),
    "threshold": (_("Threshold"), _("threshold and smallest lesion volume, two numbers; no weights")),
    "maps": (_("Intensity maps"), _("this site's CT and PET values mapped to the model's, without a look at contours")),
    "flips": (_("Mirrored inputs"), _("the mean over mirrored inputs, nothing is trained; slower to segment")),
    "norm+out": (_("Norms and last layer"), _("the normalisations and the last layer as they are")),
    "all-weights": (_("All weights"), _("every weight: a large file, and the most that can be forgotten")),
}
EFFORTS = {"standard": _("standard"), "quick": _("quick"), "thorough": _("thorough"), "minutes": _("minutes")}
UPDATES = ("salt", "lora", "dora", "svd", "ladder")  # what can be told to take so many minutes
UNTRAINED = ("threshold", "maps", "flips")


def in_words(told: dict, method: str) -> str:
    """How long it takes here; without seconds for the proof there are too few patients for one."""
    adapter, proof = told["seconds"], told["seconds_proof"]
    if adapter is None:
        words = _("From {cases} case(s), on this computer: as long as segmenting each a few times, most of it for the proof.")
        return words.format(cases=told["cases"])
    if method == "ladder" and proof is None:
        return _("It chooses by proofs, which need three patients whose contours no model began: add cases, or take another "
                 "method.")  # fmt: skip
    if method == "ladder":  # its rungs are proved first, and then one of them makes an adapter
        words = _("From {cases} case(s), on this computer: all its rungs with their proofs in about {all}.")
        return words.format(cases=told["cases"], all=_duration(adapter + proof))
    if proof is None:
        words = _("From {cases} case(s), on this computer: the adapter in about {adapter}. Nothing will be proved: that needs "
                  "three patients whose contours no model began.")  # fmt: skip
        return words.format(cases=told["cases"], adapter=_duration(adapter))
    words = _("From {cases} case(s), on this computer: the adapter in about {adapter}, its proof in about {proof} more.")
    return words.format(cases=told["cases"], adapter=_duration(adapter), proof=_duration(proof))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return _("{seconds} s").format(seconds=f"{max(10, round(seconds, -1)):.0f}")
    return _("{minutes} min").format(minutes=f"{seconds / 60:.0f}")
