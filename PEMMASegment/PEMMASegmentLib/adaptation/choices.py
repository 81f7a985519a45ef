"""What a user can choose of cases and adaptation by name. Nothing heavy."""

#: Whose contour a case has.
ORIGINS = ("scratch", "corrected", "imported")
#: What trains an update of the weights.
UPDATES = ("salt", "lora", "dora", "svd")
#: What can be told to take so many minutes. "ladder": all that is usual, from cheap to rich, and which of it to use.
TIMED = (*UPDATES, "ladder")
#: The others are without weights, or with whole parameters.
METHODS = (*UPDATES, "threshold", "maps", "flips", "norm+out", "all-weights", "ladder")
#: Steps by effort. "standard": five cases within three minutes on two cores, with the starter model.
EFFORTS = {"quick": 30, "standard": 110, "thorough": 330}
