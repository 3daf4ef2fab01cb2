"""Models of a member's own, from few pictures: inspections that learn from good parts, classifiers with own
labels; their data, training, reports and export.

A library without a queue, rows or rights: who calls it hands in pictures and keeps what comes out. Importing
the package loads no torch. Reports, heads and export need the extra ``train`` (see ``needs``).
"""
