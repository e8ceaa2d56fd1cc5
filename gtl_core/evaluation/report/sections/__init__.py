"""The sections of the report, a file each: from the files of the stages to a `Section`."""
