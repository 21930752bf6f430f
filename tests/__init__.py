"""Tests compute with one CPU thread in each process: `make test` has a process for each core, and threads that wait
for one another on cores that are taken cost more than they give. Set here, as it is read when PyTorch is imported."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
