"""Models of a member's own, from few pictures: inspections that learn from good parts, classifiers with own
labels, detectors; their data, training, reports and export. Who calls it hands in pictures and keeps what
comes out. Importing the package loads no torch."""
