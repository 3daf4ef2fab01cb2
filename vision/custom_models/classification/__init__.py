"""Classifiers with own labels, from few examples: probes on features, calibrated, with words while examples
are few, and "none of these" as an answer."""
