"""A small model of sentence meaning, all-MiniLM-L6-v2, run with numpy alone.

The weights are not part of this project: ``infrai local pull minilm`` (``pull.pull_minilm``) brings them.
"""

from infrai_runtime.vendors.local.minilm.model import DIMENSIONS, MAX_TOKENS, MODEL_ID, Model, folder, load

__all__ = ["DIMENSIONS", "MAX_TOKENS", "MODEL_ID", "Model", "folder", "load"]
