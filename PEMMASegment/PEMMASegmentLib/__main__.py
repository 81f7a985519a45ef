"""`python -m PEMMASegmentLib`: the command `pemma-segment` where its script is not on the path."""

import sys

from .cli import main

sys.exit(main())
