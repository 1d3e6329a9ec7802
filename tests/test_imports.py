"""Imports go one way: a checker of the source tree, and trees that it must find fault with."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1] / "projects" / "FGFA"

# Helpers that belong to no part and may be imported everywhere.
LEAVES = {"errors", "files", "limits", "plain_files"}
# What each part may import of fgfa beside itself and the leaves. A part is a module or folder of
# the package, "fgfa" its __init__.py, or a program beside it.
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "limits": set(),
    "plain_files": {"files"},
    "final_checkpoint": set(),
    "finite_losses": set(),
    "freed_memory": set(),
    "stop_hook": set(),
    "evaluation_run": {"data", "evaluation", "trainer"},
    "config": set(),
    "convert": set(),
    "data": set(),
    "dataset_check": {"data", "evaluation", "report"},
    "detection_json": set(),
    "drawing": set(),
    "evaluation": set(),
    "export": {"data", "layers", "modeling"},
    "frame_sinks": {"data", "detection_json"},
    "tracking": {"evaluation"},
    "layers": set(),
    "report": {"data", "drawing", "evaluation"},
    "activation_checkpointing": set(),
    "checkpoint": {"model_zoo"},
    "model_zoo": set(),
    "recent_metrics": set(),
    "solver": {"model_parts"},
    "stop_signals": set(),
    "model_parts": set(),
    "modeling": {"freed_memory", "layers"},
    "predictor": {"checkpoint", "config", "data", "evaluation", "layers", "modeling"},
    "trainer": {
        *("activation_checkpointing", "checkpoint", "config", "data", "evaluation"),
        *("modeling", "model_parts", "recent_metrics", "solver", "stop_hook"),
        "final_checkpoint",
        "training_step",
    },
    "training_step": {"data", "finite_losses"},
    "video_batch": {"data", "detection_json", "evaluation", "predictor", "tracking"},
}
MAY_IMPORT["fgfa"] = set(MAY_IMPORT)
MAY_IMPORT["demo"] = MAY_IMPORT["train_net"] = {*MAY_IMPORT, "fgfa"}

FILE_MODULES = {"PIL", "av", "fsspec", "imageio", "io", "iopath", "pathlib", "shutil"}
FILE_CALLS = {"VideoCapture", "VideoWriter", "imread", "imwrite", "load", "open"}
FILE_NAMES = {"PathManager"}

Tree = dict[str, ast.Module]


def read_tree(folder: Path) -> Tree:
    """The parsed modules below `folder`, by dotted name; a package's __init__ keeps its suffix."""
    paths = sorted(folder.rglob("*.py"))
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts): ast.parse(path.read_text())
        for path in paths
    }


def faults(tree: Tree) -> list[str]:
    """One line per broken rule."""
    found = []
    for name, module in tree.items():
        found += forbidden_imports(name, module, tree)
        if part_of(name) == "modeling":
            found += [f"{name}:{line} opens a file: {what}" for line, what in file_uses(module)]
        if part_of(name) != "layers":
            found += [f"{name}:{line} names torch.ops.fgfa" for line in op_uses(module)]
    return found + cycles(tree)


def part_of(name: str) -> str:
    package, _, rest = name.removesuffix(".__init__").partition(".")
    return rest.split(".")[0] or package


def forbidden_imports(name: str, module: ast.Module, tree: Tree) -> list[str]:
    part = part_of(name)
    allowed = {part} | LEAVES | MAY_IMPORT.get(part, set())
    return [
        f"{name}:{line} imports {target}"
        for line, target in own_imports(name, ast.walk(module), tree)
        if part_of(target) not in allowed
    ]


def own_imports(name: str, nodes: Iterator[ast.AST], tree: Tree) -> Iterator[tuple[int, str]]:
    """The line and target of each import of a module of the tree."""
    for node in nodes:
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            targets = [f"{source_of(name, node)}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            # "from package import name": a module of that name, or else a name in the package.
            for candidate in (target, target.rpartition(".")[0]):
                known = next((n for n in (candidate, f"{candidate}.__init__") if n in tree), None)
                if known:
                    yield node.lineno, known
                    break


def source_of(name: str, node: ast.ImportFrom) -> str:
    base = name.split(".")[: -node.level] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def file_uses(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                names |= {(node.module or "").split(".")[0]}
            for what in sorted(names & (FILE_MODULES | FILE_NAMES)):
                yield node.lineno, what
        elif isinstance(node, ast.Call):
            what = ast.unparse(node.func)
            if what.split(".")[-1] in FILE_CALLS:
                yield node.lineno, what


def op_uses(module: ast.Module) -> list[int]:
    attributes = (node for node in ast.walk(module) if isinstance(node, ast.Attribute))
    return [node.lineno for node in attributes if ast.unparse(node).endswith("ops.fgfa")]


def cycles(tree: Tree) -> list[str]:
    graph = {
        name: {target for _, target in own_imports(name, module_level(module), tree)}
        for name, module in tree.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return ["cycle: " + " <- ".join(error.args[1])]
    return []


def module_level(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run at import, which leaves out bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from module_level(child)


def test_imports_of_the_project_go_one_way() -> None:
    assert faults(read_tree(PROJECT)) == []


def test_every_part_of_the_project_is_known() -> None:
    parts = {part_of(name) for name in read_tree(PROJECT)}
    assert parts == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        ("layers/a.py", "from fgfa.modeling import b", "fgfa.layers.a:1 imports fgfa.modeling.b"),
        ("layers/a.py", "from ..modeling.b import B", "fgfa.layers.a:1 imports fgfa.modeling.b"),
        ("data/a.py", "import fgfa.modeling.b", "fgfa.data.a:1 imports fgfa.modeling.b"),
        ("data/a.py", "def f():\n    from ..modeling import b", "fgfa.data.a:2 imports"),
        ("config.py", "from .modeling import B", "fgfa.config:1 imports fgfa.modeling.__init__"),
        ("evaluation/a.py", "import fgfa", "fgfa.evaluation.a:1 imports fgfa.__init__"),
        ("predictor.py", "import demo", "fgfa.predictor:1 imports demo"),
        ("modeling/a.py", "text = open('a')", "fgfa.modeling.a:1 opens a file: open"),
        ("modeling/a.py", "import torch\ntorch.load('a')", "modeling.a:2 opens a file: torch.load"),
        ("modeling/a.py", "from PIL import Image", "fgfa.modeling.a:1 opens a file: PIL"),
        ("modeling/a.py", "import cv2\nx = cv2.imwrite('a', y)", "a:2 opens a file: cv2.imwrite"),
        ("modeling/a.py", "y = torch.ops.fgfa.flow_warp", "modeling.a:1 names torch.ops.fgfa"),
        ("modeling/b.py", "from . import b", "cycle: fgfa.modeling.b <- fgfa.modeling.b"),
        ("modeling/__init__.py", "from .c import C", "cycle:"),
    ],
)
def test_fault_is_found(path: str, source: str, fault: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {f"fgfa/{path}": source})
    found = faults(read_tree(tmp_path))
    assert len(found) == 1
    assert fault in found[0]


def test_rules_allow_what_they_should(tmp_path: Path) -> None:
    sources = {
        "demo.py": "from fgfa.modeling import b\nfrom fgfa import config",
        "fgfa/layers/a.py": "from fgfa.errors import InputError\nx = torch.ops.fgfa.flow_warp",
        "fgfa/modeling/a.py": "from ..layers import a\nfrom .b import B\nnet.load_state_dict({})",
        # An import inside of a function is no cycle at import.
        "fgfa/modeling/b.py": "def f():\n    from .a import A",
        "fgfa/data/a.py": "from PIL import Image\nopen('a')",
    }
    write_tree(tmp_path, sources)
    assert faults(read_tree(tmp_path)) == []


def write_tree(folder: Path, sources: dict[str, str]) -> None:
    blank = ["demo.py", "fgfa/__init__.py", "fgfa/config.py", "fgfa/errors.py"]
    blank += ["fgfa/layers/__init__.py", "fgfa/modeling/__init__.py", "fgfa/modeling/b.py"]
    linked = {"fgfa/modeling/c.py": "import fgfa.modeling"}
    for path, source in {**dict.fromkeys(blank, ""), **linked, **sources}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(source)
