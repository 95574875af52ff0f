"""Execution forms of the networks: native CPU kernels, folded torch modules, CUDA graphs, Triton kernels."""
