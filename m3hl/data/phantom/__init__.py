"""Synthetic hearts in the raw layouts of ACDC and LA: one module per data set, each with `make`.

They are hard enough that a few labeled patients do not suffice (anatomy, contrast, coil shading, blur and noise
vary, and other structures look alike), yet easy enough to be learned in minutes. Patient n depends on the seed
and on n alone, so a larger study has the same first patients.
"""
