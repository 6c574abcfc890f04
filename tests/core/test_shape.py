"""Claims about the code itself: which way it depends, and that the two clients are one."""

from __future__ import annotations

import ast
import inspect
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import infrai_core
from infrai_core import AsyncChatStream, AsyncInfrai, ChatStream, Infrai, models

SOURCE = Path(infrai_core.__file__).parents[1]
PACKAGES = ("infrai_core", "langchain_infrai", "llama_index_infrai", "infrai_runtime", "infrai_cli")

ALLOWED = {
    "infrai_core": {"infrai_core"},
    "langchain_infrai": {"langchain_infrai", "infrai_core"},
    "llama_index_infrai": {"llama_index_infrai", "infrai_core"},
    "infrai_runtime": {"infrai_runtime", "infrai_core"},
    "infrai_cli": set(PACKAGES),
}
"""What each package may import of the project."""

VALUES_OF_CORE = {
    "direct",
    "errors",
    "facts",
    "fetch",
    "inflate",
    "locks",
    "loop",
    "models",
    "params",
    "place",
    "renamed",
    "retry",
    "schema",
    "sse",
    "tokens",
    "wellformed",
}
"""The modules of core that the runtime may use: values and functions, never the client."""

LAYERS = (
    {
        *("answer", "direct", "errors", "extra", "fetch", "fetch_http", "inflate", "locks", "loop", "parse", "place"),
        *("renamed", "schema", "tokens", "unchecked", "wellformed", "written"),
    },
    {"models", "root"},
    {"params", "retry", "sse", "report", "usage", "facts", "artifact", "replies", "service"},
    {"config"},
    {"budget", "content", "lines", "envelope", "media"},
    {"operation"},
    {"dialect", "accumulate"},
    {"protocol"},
    {"stream", "structured", "asyncio_http", "socket_http"},
    {"transport", "chat_stream"},
    {"client"},
    {"facade", "testing"},
)
"""Core's modules from the bottom up: each imports only from its own layer or from below."""


def imports(path: Path, *, top_level: bool = False) -> set[str]:
    """The dotted names that a file imports."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if top_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:  # relative: the same package
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def files(package: str) -> list[Path]:
    return sorted((SOURCE / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_depend_one_way(package: str) -> None:
    for path in files(package):
        used = {name.split(".")[0] for name in imports(path)} & set(PACKAGES)
        assert used <= ALLOWED[package], path


@pytest.mark.parametrize("package", ["langchain_infrai", "llama_index_infrai"])
def test_adapters_use_only_public_names_of_the_core(package: str) -> None:
    for path in files(package):
        for name in imports(path):
            assert not (name.startswith("infrai_core.") and "._" in name), (path, name)


def test_a_server_starts_without_the_libraries_of_the_client() -> None:
    heavy = ("pydantic", "httpx", "httpcore", "trio", "rich", "aiohttp", "numpy", "PIL")
    code = f"import sys, infrai_runtime.app, infrai_runtime.serve; print([m for m in {heavy} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_the_runtime_uses_the_cores_values_and_never_its_client() -> None:
    for path in files("infrai_runtime"):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("infrai_core.")}
        assert used <= VALUES_OF_CORE, path


def test_the_cores_modules_import_from_below() -> None:
    level = {module: n for n, layer in enumerate(LAYERS) for module in layer}
    for path in files("infrai_core"):
        own = path.relative_to(SOURCE / "infrai_core").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for name in imports(path, top_level=True):
            parts = name.split(".")
            if parts[0] == "infrai_core" and len(parts) > 1 and parts[1] in level and parts[1] != own:
                assert level[parts[1]] <= level[own], f"{own} imports {parts[1]}"


def renames(function: ast.AST) -> bool:
    """Whether a context manager made of a generator raises another exception for one of its block."""
    return any(
        isinstance(raised, ast.Raise) and raised.exc is not None
        for tried in ast.walk(function)
        if isinstance(tried, ast.Try) and any(isinstance(node, ast.Yield) for node in ast.walk(tried))
        for handler in tried.handlers
        for raised in ast.walk(handler)
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_no_exception_is_renamed_by_a_generator_which_newer_pythons_keep_with_all_it_held(package: str) -> None:
    for path in files(package):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                made = {ast.unparse(one) for one in node.decorator_list} & {"contextmanager", "asynccontextmanager"}
                assert not (made and renames(node)), f"{path}: {node.name}; use infrai_core.renamed"


def test_the_core_alone_needs_only_its_three_dependencies() -> None:
    code = "import sys, infrai_core.facade, infrai_core.testing; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {
        "numpy",
        "orjson",
        "starlette",
        "aiohttp",
        "langchain_core",
        "llama_index",
        "PIL",
        "openai",
        "infrai_runtime",
    }
    assert not loaded & heavy


def public_methods(kind: type) -> dict[str, object]:
    renamed = {"aclose": "close"}
    return {renamed.get(n, n): m for n, m in inspect.getmembers(kind, callable) if not n.startswith("_")}


@pytest.mark.parametrize(("sync", "asynchronous"), [(Infrai, AsyncInfrai), (ChatStream, AsyncChatStream)])
def test_both_clients_have_the_same_methods_parameters_and_words(sync: type, asynchronous: type) -> None:
    ours, theirs = public_methods(sync), public_methods(asynchronous)
    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        twin = theirs[name]
        assert method.__doc__, name
        assert method.__doc__ == twin.__doc__, name
        mine, other = inspect.signature(method), inspect.signature(twin)  # type: ignore[arg-type]
        assert [(p.name, p.kind, p.default) for p in mine.parameters.values()] == [
            (p.name, p.kind, p.default) for p in other.parameters.values()
        ], name


def test_every_exported_name_exists_and_is_listed_once() -> None:
    assert len(infrai_core.__all__) == len(set(infrai_core.__all__))
    for name in infrai_core.__all__:
        assert hasattr(infrai_core, name)


def test_importing_the_core_imports_nothing_that_was_not_asked_for() -> None:
    code = "import sys, infrai_core; infrai_core.ConfigError; print(*{'httpx', 'pydantic', 'anyio'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.mark.parametrize(
    "module", ["infrai_core.facade", "infrai_runtime.serve", "infrai_runtime.vendors", "infrai_cli"]
)
def test_importing_asks_nothing_of_the_network(module: str) -> None:
    asked = ("socket.connect", "socket.getaddrinfo", "socket.sendto")
    hook = f"sys.addaudithook(lambda event, _: sys.exit(event) if event in {asked!r} else None)"
    subprocess.run([sys.executable, "-c", f"import sys; {hook}; import {module}"], check=True)


def test_nothing_of_ours_runs_in_a_python_that_does_not_import_it() -> None:
    """A ``.pth`` file or a ``sitecustomize`` runs whenever any Python of the environment starts."""
    names = {path.name for path in SOURCE.rglob("*") if "__pycache__" not in path.parts}
    assert not [name for name in names if name.endswith(".pth")]
    assert not names & {"sitecustomize.py", "usercustomize.py"}


def loaded_by(code: str, *modules: str) -> list[str]:
    """Those of the modules that a fresh interpreter has after the code."""
    asked = f"{code}\nimport sys; print(*[name for name in {modules!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()


def test_what_opens_sockets_is_imported_when_the_first_one_is_opened() -> None:
    """httpcore imports trio, where it is installed, which takes longer than all the rest."""
    code = "from infrai_core import AsyncInfrai, Infrai\nInfrai('k'), AsyncInfrai('k')"
    assert loaded_by(code, "httpcore", "trio") == []


@pytest.mark.parametrize("call", ["chat('x')", "stream_chat('x').reply()"])
def test_a_chat_builds_no_values_of_other_capabilities(call: str) -> None:
    code = f"""
from infrai_core import Infrai
from infrai_core.testing import Script, reply, streamed
script = Script([streamed("a") if "stream" in {call!r} else reply("a")])
assert Infrai("k", transport=script).{call}.content == "a"
"""
    assert loaded_by(code, "infrai_core.replies", "infrai_core.service", "infrai_core.report") == []


@pytest.mark.parametrize("module", ["replies", "service"])
def test_values_of_other_capabilities_are_found_among_the_models_too(module: str) -> None:
    home = import_module(f"infrai_core.{module}")
    names = models._ELSEWHERE[module].split()
    for name in names:
        assert pickle.loads(f"cinfrai_core.models\n{name}\n.".encode()) is getattr(home, name)
    made_here = {name for name, value in vars(home).items() if getattr(value, "__module__", "") == home.__name__}
    assert {name for name in made_here if not name.startswith("_")} <= set(names)
    with pytest.raises(AttributeError, match="Raedable"):
        models.Raedable  # type: ignore[attr-defined]  # noqa: B018  # the access is the test


def test_a_name_that_the_core_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"infrai_core.*Infray"):
        infrai_core.Infray  # noqa: B018  # the access is the test


def test_the_namespace_packages_have_no_init_of_their_own() -> None:
    shipped = SOURCE / "llama_index"
    assert not (shipped / "__init__.py").exists()
    assert [p.parent.name for p in shipped.glob("*/__init__.py")] == []
    leaves = {"llms", "embeddings", "tools", "readers", "postprocessor"}
    assert {p.parent.parent.name for p in shipped.glob("*/infrai/__init__.py")} == leaves
    assert {p.parent.parent.name for p in shipped.glob("*/infrai/py.typed")} == leaves


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(package: str) -> None:
    assert (SOURCE / package / "py.typed").exists()
