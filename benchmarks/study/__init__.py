"""The study behind `docs/results.md`: the protocols of the literature, run through GTL's own chain of stages."""
