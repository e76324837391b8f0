"""What runs inside the environment of the TF2 Object Detection API: its own reader and its own writer of records.

    python benchmarks/tf2_api_side.py decode RECORDS... --label-map FILE > decoded.json
    python benchmarks/tf2_api_side.py make VOC_FOLDER NAMES --label-map FILE --shards 4 --output DIR/voc.record

`benchmarks/tf2_api_records.py` calls it; RetinaJ is not imported here.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import tensorflow as tf
from lxml import etree
from object_detection.core.standard_fields import InputDataFields
from object_detection.data_decoders.tf_example_decoder import TfExampleDecoder
from object_detection.dataset_tools.create_pascal_tf_record import dict_to_tf_example
from object_detection.dataset_tools.tf_record_creation_util import open_sharded_output_tfrecords
from object_detection.utils import dataset_util, label_map_util


def main() -> None:
    """Decode records to JSON, or make records from a VOC folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    decoding = commands.add_parser("decode")
    decoding.add_argument("records", nargs="+")
    making = commands.add_parser("make")
    making.add_argument("voc", type=Path, help="folder with Annotations and JPEGImages")
    making.add_argument("names", type=Path, help="text file with one name per line")
    making.add_argument("--shards", type=int, required=True)
    making.add_argument("--output", required=True)
    for each in (decoding, making):
        each.add_argument("--label-map", required=True)
    options = parser.parse_args()
    if options.command == "decode":
        print(json.dumps(decode(options.records, options.label_map)))
    else:
        make(options.voc, options.names.read_text().split(), options.label_map, options.shards, options.output)


def decode(records: list[str], label_map: str) -> list[dict[str, Any]]:
    """Each record as the API's training sees it, with classes by name and, from a second decoder, by number."""
    by_text, by_number = TfExampleDecoder(label_map_proto_file=label_map), TfExampleDecoder()
    both = tf.data.TFRecordDataset(records).map(lambda record: (record, by_text.decode(record), by_number.decode(record)))
    return [described(*each) for each in both]


def described(record: Any, named: dict[str, Any], numbered: dict[str, Any]) -> dict[str, Any]:
    """One decoded record in plain numbers and texts."""
    encoded = tf.io.parse_single_example(record, {"image/encoded": tf.io.FixedLenFeature((), tf.string)})["image/encoded"]
    image = named[InputDataFields.image].numpy()
    return {
        "filename": named[InputDataFields.filename].numpy().decode(),
        "source_id": named[InputDataFields.source_id].numpy().decode(),
        "key": named[InputDataFields.key].numpy().decode(),
        "encoded_sha256": hashlib.sha256(encoded.numpy()).hexdigest(),
        "shape": image.shape,
        "pixels_sha256": hashlib.sha256(image.tobytes()).hexdigest(),
        "boxes": named[InputDataFields.groundtruth_boxes].numpy().tolist(),
        "classes": named[InputDataFields.groundtruth_classes].numpy().tolist(),
        "labels": numbered[InputDataFields.groundtruth_classes].numpy().tolist(),
        "difficult": named[InputDataFields.groundtruth_difficult].numpy().tolist(),
        "is_crowd": named[InputDataFields.groundtruth_is_crowd].numpy().tolist(),
        "area": named[InputDataFields.groundtruth_area].numpy().tolist(),
        "weights": named[InputDataFields.groundtruth_weights].numpy().tolist(),
    }


def make(voc: Path, names: list[str], label_map: str, shards: int, output: str) -> None:
    """Records of a VOC folder by the API's create_pascal_tf_record, dealt out to several files."""
    numbers = label_map_util.get_label_map_dict(label_map)
    with contextlib.ExitStack() as stack:
        files = open_sharded_output_tfrecords(stack, output, shards)
        for at, name in enumerate(names):
            root = etree.fromstring((voc / "Annotations" / f"{name}.xml").read_bytes())
            data = dataset_util.recursive_parse_xml_to_dict(root)["annotation"]
            # It looks for DATASET/folder/JPEGImages, as in VOC2012/JPEGImages.
            example = dict_to_tf_example(data | {"folder": ""}, str(voc), numbers)
            files[at % shards].write(example.SerializeToString())


if __name__ == "__main__":
    main()
