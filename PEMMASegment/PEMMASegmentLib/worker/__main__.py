"""`python -m PEMMASegmentLib.worker`: one background process, talked to through its standard input and output."""

from .server import main

if __name__ == "__main__":  # Windows starts helpers of multiprocessing by importing this file again
    main()
