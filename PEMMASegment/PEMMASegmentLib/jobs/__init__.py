"""What the command line and the background process do alike: typed options in, answers and files out.

Prints nothing and parses no arguments.
"""
