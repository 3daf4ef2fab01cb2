"""Films as files: written by chunks of frames, read back frame by frame, and the boxes that an MP4 is made
of. No tensors: the worker uses it, and so do the processes that touch strangers' films."""
