"""Version of the LangChain adapter, as traces show it."""

__version__ = "0.1.0"
