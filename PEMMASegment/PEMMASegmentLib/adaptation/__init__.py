"""A site's cases, few-shot training on them, and the proof on patients held out."""
