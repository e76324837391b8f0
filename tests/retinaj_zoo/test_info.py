"""`retinaj info`: the same facts from every form of a model, and nothing believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from changed_packages import rewritten
from tiny_models import CLASSES, Packaged

from retinaj.model_folder import read_record
from retinaj_zoo.info import describe_model


def test_every_form_of_a_package_gives_the_same(rgb: Packaged) -> None:
    found = [describe_model(path) for path in (rgb.package, rgb.unpacked, rgb.unpacked / "rdf.yaml")]
    first = found[0].model_dump(exclude={"path"})
    assert all(other.model_dump(exclude={"path"}) == first for other in found)
    assert first["kind"] == "package"
    assert first["authors"] == ("The test suite",)
    assert first["license"] == "CC-BY-4.0"
    sizes = {entry["format"]: entry["bytes"] for entry in first["weights"]}
    assert sizes == rgb.summary.weights_bytes


def test_a_model_folder_has_the_facts_of_its_record(rgb: Packaged) -> None:
    found, record = describe_model(rgb.model), read_record(rgb.model)
    assert found.kind == "model folder"
    assert found.class_names == CLASSES
    assert found.training == record.training
    assert [entry.sha256 for entry in found.weights] == [record.weights_sha256]
    assert describe_model(rgb.package).training == record.training


def test_the_command_prints_a_table_or_json_without_tensorflow(rgb: Packaged) -> None:
    environment = {**os.environ, "COLUMNS": "200"}
    run = [sys.executable, "-X", "importtime", "-m", "retinaj", "info", str(rgb.package)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=environment)
    for words in ("cell, no, µ|x", "3 channels, uint8, any size", "CC-BY-4.0", "The test suite", "keras_v3: weights.keras"):
        assert words in done.stdout
    assert "tensorflow" not in done.stderr
    run = [sys.executable, "-m", "retinaj", "info", str(rgb.package), "--json"]
    printed = subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout
    assert json.loads(printed) == json.loads(describe_model(rgb.package).model_dump_json())


@pytest.mark.parametrize(
    ("field", "value"),
    [("authors", "x"), ("authors", [3, {"name": []}]), ("license", {}), ("name", "a\x1b[31m\nb"), ("version", [1])],
)
def test_odd_fields_do_no_harm(rgb: Packaged, tmp_path: Path, field: str, value: object) -> None:
    path = rewritten(rgb.package, tmp_path / "p.zip", lambda description: description.update({field: value}))
    for _, text in describe_model(path).lines():
        assert text.isprintable()
