"""The vendors that are known by name: which dialect they speak, where they are, and how people name their keys.

Data only. A new vendor is a row of ``KNOWN``; a new dialect is a line of ``DIALECTS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Dialect:
    """How to make a vendor that speaks it: ``module:function``, called with the ``Entry`` and the ``Pool``, imported
    only when one is configured. ``options`` are the fields that it takes in ``vendors.toml`` beyond the common ones.
    """

    factory: str
    options: frozenset[str] = frozenset()
    models: str = "/models"
    """The path that lists the vendor's models: a request that costs nothing and needs a good key; empty: none."""
    address: bool = True
    """A vendor of it needs an address; a library that knows its vendors does not."""


@dataclass(frozen=True, slots=True)
class Known:
    """A vendor. ``keys`` and ``urls`` are environment variables, the first that is set counts.

    ``base_url`` None: its address must be configured. ``keyless``: it needs no key, so naming its address is enough.
    ``from_environment``: option -> the variables that may hold it.

    ``idempotency_header``: the header under which the vendor recognises a request that it has answered before, and does
    not charge for it again. No vendor of this table documents one for its models (OpenAI's and Anthropic's own clients
    carry the code and set ``_idempotency_header = None``: openai 3.54 and anthropic 2.12, ``_base_client.py``), so it
    is sent only where ``vendors.toml`` names it, as for a gateway or another runtime of this kind.
    """

    dialect: str
    base_url: str | None
    keys: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    keyless: bool = False
    from_environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    idempotency_header: str | None = None


DIALECTS: dict[str, Dialect] = {
    "openai": Dialect(
        "infrai_runtime.vendors.openai_like:make",
        frozenset({"api_version", "organization", "project", "account", "deployments", "like", "finish_reason"}),
    ),
    "anthropic": Dialect("infrai_runtime.vendors.anthropic:make", models="/v1/models"),
    "gemini": Dialect("infrai_runtime.vendors.gemini:make", models="/v1beta/models"),
    "cohere": Dialect("infrai_runtime.vendors.cohere:make", frozenset({"shape"}), models="/v1/models"),
    "litellm": Dialect("infrai_runtime.vendors.long_tail:litellm", frozenset({"provider"}), models="", address=False),
    "any-llm": Dialect("infrai_runtime.vendors.long_tail:any_llm", frozenset({"provider"}), models="", address=False),
}

KNOWN: dict[str, Known] = {
    "openai": Known(
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        ("OPENAI_BASE_URL",),
        from_environment={"organization": ("OPENAI_ORG_ID",), "project": ("OPENAI_PROJECT_ID",)},
    ),
    "azure": Known(
        "openai",
        None,
        ("AZURE_OPENAI_API_KEY",),
        ("AZURE_OPENAI_ENDPOINT",),
        from_environment={"api_version": ("AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION")},
    ),
    "anthropic": Known("anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",), ("ANTHROPIC_BASE_URL",)),
    "gemini": Known(
        "gemini",
        "https://generativelanguage.googleapis.com",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        ("GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"),
    ),
    "cohere": Known(
        "cohere", "https://api.cohere.com", ("COHERE_API_KEY", "CO_API_KEY"), ("COHERE_BASE_URL", "CO_API_URL")
    ),
    "jina": Known("cohere", "https://api.jina.ai", ("JINA_API_KEY",), ("JINA_BASE_URL",)),
    "voyage": Known("cohere", "https://api.voyageai.com", ("VOYAGE_API_KEY",), ("VOYAGE_BASE_URL",)),
    "deepseek": Known("openai", "https://api.deepseek.com", ("DEEPSEEK_API_KEY",), ("DEEPSEEK_BASE_URL",)),
    "mistral": Known("openai", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), ("MISTRAL_BASE_URL",)),
    "groq": Known("openai", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), ("GROQ_BASE_URL",)),
    "xai": Known("openai", "https://api.x.ai/v1", ("XAI_API_KEY",), ("XAI_BASE_URL",)),
    "together": Known("openai", "https://api.together.xyz/v1", ("TOGETHER_API_KEY",), ("TOGETHER_BASE_URL",)),
    "fireworks": Known(
        "openai",
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY",),
        ("FIREWORKS_BASE_URL",),
        from_environment={"account": ("FIREWORKS_ACCOUNT_ID",)},
    ),
    "openrouter": Known("openai", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), ("OPENROUTER_BASE_URL",)),
    "moonshot": Known("openai", "https://api.moonshot.ai/v1", ("MOONSHOT_API_KEY",), ("MOONSHOT_BASE_URL",)),
    "zhipu": Known("openai", "https://api.z.ai/api/paas/v4", ("ZAI_API_KEY", "ZHIPUAI_API_KEY"), ("ZAI_BASE_URL",)),
    "dashscope": Known(
        "openai",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ("DASHSCOPE_API_KEY",),
        ("DASHSCOPE_BASE_URL",),
    ),
    "perplexity": Known(
        "openai", "https://api.perplexity.ai", ("PERPLEXITY_API_KEY", "PPLX_API_KEY"), ("PERPLEXITY_BASE_URL",)
    ),
    "ollama": Known("openai", None, ("OLLAMA_API_KEY",), ("OLLAMA_HOST",), keyless=True),
    "vllm": Known("openai", None, ("VLLM_API_KEY",), ("VLLM_BASE_URL",), keyless=True),
    "llamacpp": Known("openai", None, ("LLAMACPP_API_KEY",), ("LLAMACPP_BASE_URL",), keyless=True),
    "lmstudio": Known("openai", None, ("LMSTUDIO_API_KEY", "LM_API_KEY"), ("LMSTUDIO_BASE_URL",), keyless=True),
}


def variables() -> frozenset[str]:
    """Every environment variable that a known vendor is configured with."""
    return frozenset(
        name
        for known in KNOWN.values()
        for names in (known.keys, known.urls, *known.from_environment.values())
        for name in names
    )
