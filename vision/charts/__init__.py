"""Reads bar charts by measuring: the labels of an axis give its scale, colours give the bars. No network but
the reader of text looks at the picture."""
