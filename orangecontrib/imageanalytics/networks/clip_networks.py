"""Networks that know words, by their names in open_clip.

A name is ``"clip:ARCHITECTURE.WEIGHTS"``, such as
``"clip:ViT-B-32-256.datacomp_s34b_b86k"``, with the names of open_clip for both.
Importing this imports neither open_clip nor torch.
"""

from __future__ import annotations

PREFIX = "clip:"
SOFTMAX, SIGMOID = "softmax", "sigmoid"
