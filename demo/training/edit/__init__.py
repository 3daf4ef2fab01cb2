"""The editor of the drawn world: an InstructPix2Pix (Brooks et al., 2022, arXiv:2211.09800) trained on pairs
of drawn pictures that differ in what an instruction names."""
