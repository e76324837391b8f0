"""The house itself: import rules, documentation that names only what exists, the lock file, one version everywhere."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/data.md",
    "docs/fiji.md",
    "docs/foreign-detectors.md",
    "docs/packaging.md",
    "docs/results.md",
    "docs/tuning.md",
    "benchmarks/README.md",
)
LIGHT_MODULES = (
    "retinaj_bridge",
    "retinaj_zoo",
    "retinaj.prediction",
    "retinaj.model_folder",
    "retinaj.dataset",
    "retinaj.describing",
    "retinaj.cli",
)


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lock(repository: Path) -> str:
    return (repository / "requirements.lock").read_text(encoding="utf-8")


def code_blocks(document: Path, *languages: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return [code for language, code in re.findall(r"^```(\w*)\n(.*?)^```", text, re.S | re.M) if language in languages]


def shell_lines(document: Path) -> Iterator[str]:
    for block in code_blocks(document, "", "sh", "bash", "shell", "powershell"):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())


def third_party_imports(path: Path) -> Iterator[str]:
    """The packages that a module imports, at its top or inside a function, except the standard library and ours."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
        for package, *parts in (module.split(".") for module in modules):
            if package not in sys.stdlib_module_names and not package.startswith("retinaj"):
                # Two distributions share the package bioimageio.
                yield ".".join([package, *parts[:1]]) if package == "bioimageio" else package


@cache
def loaded_by(module: str) -> frozenset[str]:
    """The top-level modules that a fresh Python has loaded after importing `module`."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return frozenset(done.stdout.split())


class TestImports:
    def test_the_contract_holds(self, repository: Path) -> None:
        lint = subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=repository, capture_output=True, text=True
        )
        assert lint.returncode == 0, lint.stdout
        assert "0 broken" in lint.stdout

    @pytest.mark.parametrize("module", LIGHT_MODULES)
    def test_tensorflow_is_not_loaded_before_it_is_needed(self, module: str) -> None:
        assert loaded_by(module).isdisjoint({"tensorflow", "keras"})

    @pytest.mark.parametrize("module", [module for module in LIGHT_MODULES if module != "retinaj_bridge"])
    def test_java_is_the_business_of_the_bridge_alone(self, module: str) -> None:
        assert loaded_by(module).isdisjoint({"jpype", "scyjava", "imagej"})


class TestDocuments:
    @pytest.mark.parametrize("document", DOCUMENTS)
    def test_make_targets_exist(self, repository: Path, document: str) -> None:
        makefile = (repository / "Makefile").read_text(encoding="utf-8")
        text = (repository / document).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M))
        assert named <= set(re.findall(r"^([a-z]+):", makefile, re.M))

    @pytest.mark.parametrize("document", DOCUMENTS)
    def test_commands_and_their_options_exist(self, repository: Path, document: str) -> None:
        from retinaj.cli import app

        commands: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
        for line in shell_lines(repository / document):
            words = shlex.split(line, comments=True, posix=not line.startswith(".venv\\"))
            if not words or not re.search(r"(^|[/\\])retinaj$", words[0]):
                continue
            assert words[1] in commands, line
            known = {name for parameter in commands[words[1]].params for name in parameter.opts}
            assert {word.split("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}, line

    @pytest.mark.parametrize("document", DOCUMENTS)
    def test_python_examples_import_what_exists(self, repository: Path, document: str) -> None:
        for block in code_blocks(repository / document, "python"):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    module = importlib.import_module(node.module)
                    assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)

    def test_the_guide_to_metadata_names_every_field_and_its_example_is_valid(self, repository: Path, tmp_path: Path) -> None:
        from retinaj_zoo.metadata import Metadata, read_metadata

        guide = repository / "docs" / "packaging.md"
        rows = re.findall(r"^\| (`.+?) \|", guide.read_text(encoding="utf-8"), re.M)
        assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(Metadata.model_fields)
        [example] = code_blocks(guide, "yaml")
        (tmp_path / "metadata.yaml").write_text(example, encoding="utf-8")
        assert read_metadata(tmp_path / "metadata.yaml").name == "Blood smear detector"

    @pytest.mark.parametrize("document", DOCUMENTS)
    def test_links_and_pictures_lead_somewhere(self, repository: Path, document: str) -> None:
        path = repository / document
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), target

    def test_the_readme_trains_evaluates_predicts_packages_and_opens_imagej(self, repository: Path) -> None:
        text = (repository / "README.md").read_text(encoding="utf-8")
        for needed in ("make demo", "make test", "retinaj train", "retinaj evaluate", "retinaj predict", "retinaj package"):
            assert needed in text
        assert re.search(r'run\("RetinaJ Detect\.\.\.", "model=\[.+\] threshold=0\.\d+', text)


class TestDependencies:
    def test_what_is_imported_is_declared_and_what_is_declared_is_imported(
        self, repository: Path, project: dict[str, Any]
    ) -> None:
        declared = {canonicalize_name(Requirement(text).name) for text in project["project"]["dependencies"]}
        known = packages_distributions()
        imported = {
            canonicalize_name(name if name.startswith("bioimageio") else known[name][0])
            for folder in ("src", "model_zoo", "bridge")
            for path in (repository / folder).rglob("*.py")
            for name in third_party_imports(path)
        }
        assert imported - declared == set(), "imported, but not in pyproject.toml"
        # TensorBoard is a program for users, bioimageio.core runs in a process of its own, and JPype asks for pyobjc.
        assert declared - imported == {"tensorboard", "bioimageio-core", "pyobjc-framework-cocoa"}


class TestLock:
    def test_every_dependency_is_pinned_within_its_bounds(self, project: dict[str, Any], lock: str) -> None:
        pinned: dict[str, list[str]] = {}
        for name, pin in re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", lock, re.M):
            pinned.setdefault(canonicalize_name(name), []).append(pin)
        for text in project["project"]["dependencies"] + project["dependency-groups"]["dev"]:
            requirement = Requirement(text)
            pins = pinned.get(canonicalize_name(requirement.name), [])
            assert pins, f"{text} is not in requirements.lock: run `make lock`"
            assert all(requirement.specifier.contains(pin, prereleases=True) for pin in pins), (text, pins)

    def test_every_pin_has_hashes_and_nothing_else_is_in_it(self, lock: str) -> None:
        pin = r"[a-z0-9._-]+(\[[a-z,-]+\])?==[^ /]+( ; [a-z_<>=!'0-9. ()]+)? \\"
        digest = r"    --hash=sha256:[0-9a-f]{64}( \\)?"
        lines = lock.splitlines()
        assert [line for line in lines if not re.fullmatch(f"{pin}|{digest}", line)] == []
        assert all(after.startswith("    --hash") for line, after in pairwise(lines) if "==" in line)


class TestRepository:
    def test_one_version_everywhere(self, repository: Path, project: dict[str, Any]) -> None:
        expected = project["project"]["version"]
        assert version("retinaj") == expected
        assert f"\nversion: {expected}\n" in (repository / "CITATION.cff").read_text(encoding="utf-8")
        newest = re.search(r"^## \[(.+?)\]", (repository / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
        assert newest is not None
        assert newest[1] == expected

    def test_no_tracked_file_names_a_folder_of_one_machine(self, repository: Path) -> None:
        if not (repository / ".git").exists():
            pytest.skip("not a git checkout, so nobody knows which files are tracked")
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True)
        homes = re.compile(rb"(?<![\w.)\]}*])/(?:" + rb"|".join((b"work", b"root", b"home/[a-z]", b"Users/[a-z]")) + rb")/")
        found = [
            f"{name}: {match[0].decode()}"
            for name in listed.stdout.split("\0")
            if name and (repository / name).is_file()
            for match in homes.finditer((repository / name).read_bytes())
        ]
        assert found == []
