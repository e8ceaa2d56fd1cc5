"""The report: one self-contained HTML file that a person can read, and beside it every number as JSON.

Each section is a small builder in `sections/`, from the files of the stages to a `Section`; charts are pure functions
in `charts/` that give SVG or a table. A part that is not there is shown as missing, with its reason.
"""
