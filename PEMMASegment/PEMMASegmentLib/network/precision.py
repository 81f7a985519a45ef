"""In which precision a processor computes, asked alike by training and use."""

import torch


def cpu_precision() -> str:
    """ "bfloat16" only where the processor multiplies it in hardware, else "float32": emulated it is slower than that.

    torch offers the question under names that it does not promise to keep: where they are gone the answer is float32.
    """
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bfloat16" if any(getattr(torch.cpu, name, bool)() for name in asked) else "float32"
