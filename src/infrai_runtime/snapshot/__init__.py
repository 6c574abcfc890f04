"""The catalogue's snapshot: vendors' models with dated prices, rebuilt from the data inside two public packages.

``litellm`` (MIT) has contexts, abilities and prices of many models; ``genai-prices`` (MIT) has fewer models with prices
that are checked and dated. Where both know a price, the second wins. Both are read as files, never imported. What is
kept of them is written down in ``data/selection.toml``, the quality tiers in ``data/tiers.toml``.
"""

from infrai_runtime.snapshot.build import built, facts_rows, written

__all__ = ["built", "facts_rows", "written"]
