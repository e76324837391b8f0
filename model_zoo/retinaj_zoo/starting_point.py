"""The weights of a package as plain arrays, for `retinaj train --weights-from`.

They are read from the keras_v3 weights, whose .keras file is a zip with one HDF5 file of arrays. Keras's own loader is never
called: it would build the layers that the file asks for. Instead our own code builds the network from config.retinaj, has Keras
store that as a template, and takes from the package's file exactly the arrays that the template has.
"""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np

from retinaj.errors import RetinaJError
from retinaj.model_folder import ModelRecord, require_enough_weights
from retinaj.training.start import StartingPoint
from retinaj.weights_file import read_arrays
from retinaj_zoo.package_files import open_files, read_from_zip
from retinaj_zoo.reading import (
    MAX_WEIGHTS_BYTES,
    is_model_folder,
    locate,
    read_description,
    read_weights,
    refuse_other_folder,
    trained_record,
)

_KERAS_ARRAYS = "model.weights.h5"


def starting_point(model: Path | str) -> StartingPoint:
    """The record and the weights of a trained model, whatever its form.

    Args:
        model: a model folder, or any form of a package: zip, folder, rdf.yaml, URL with SHA-256.

    Raises:
        RetinaJError: if it is neither, is damaged or hostile, has no keras_v3 weights, or was not trained by RetinaJ.
    """
    path = locate(model)
    if is_model_folder(path):
        return StartingPoint.of_folder(path)
    refuse_other_folder(path)
    with open_files(path) as files:
        description = read_description(files)
        record = trained_record(description, files)
        content = read_weights(description, files, "keras_v3")
    origin = f"{description.weights['keras_v3'].source} in {path}"
    arrays = read_from_zip(content, origin, _KERAS_ARRAYS, MAX_WEIGHTS_BYTES)
    require_enough_weights(record, len(arrays), origin)
    places = _places(record)
    found = read_arrays(
        io.BytesIO(arrays), {place: shape for place, (_, shape) in places.items()}, f"{_KERAS_ARRAYS} of {origin}"
    )
    for place, array in found.items():
        if not np.isfinite(array).all():
            raise RetinaJError(f"{origin}: the weights of {places[place][0]} are not all numbers; they cannot be trained on.")
    return StartingPoint(record, {name: found[place].astype(np.float32) for place, (name, _) in places.items()})


def _places(record: ModelRecord) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Where Keras stores each variable of the exported graph: place in the HDF5 file -> (variable path, shape).

    Keras names the places by kind and count of layers, not by our names. To tell them, each variable of the template is filled
    with its own number.
    """
    from retinaj.network.retinanet import build_network
    from retinaj_zoo.graphs import detection_model

    network = build_network(record.network)
    for number, variable in enumerate(network.variables):
        variable.assign(np.full(variable.shape, number, np.float32))
    with TemporaryDirectory(prefix="retinaj-template-", ignore_cleanup_errors=True) as folder:
        template = Path(folder) / "template.weights.h5"
        detection_model(network, record.network).save_weights(template)
        with h5py.File(template, "r") as file:
            stored: dict[str, Any] = {}
            file.visititems(lambda place, node: stored.update({place: node}))
            arrays = {place: node[()] for place, node in stored.items() if isinstance(node, h5py.Dataset)}
    names = [variable.path for variable in network.variables]
    return {place: (names[int(array.flat[0])], array.shape) for place, array in arrays.items()}
