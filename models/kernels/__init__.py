"""Recurrent layers compiled for the CPU: an optional floor below the cores, with the numbers of torch.

`library` finds and loads the C++ code, `layers` holds a layer's weights in its order, `unroll` is the autograd function
that the cores call. torch stays the reference, and the path on a GPU, in other precisions, and where nothing was
compiled.
"""
