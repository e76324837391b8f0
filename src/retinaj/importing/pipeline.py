"""pipeline.config of the TF2 Object Detection API: which network it describes, and whether RetinaJ has the same one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retinaj.importing import text_format
from retinaj.importing.fields import Fields
from retinaj.network.config import AnchorConfig, BackboneName, NetworkConfig, Tf2Layers, Tf2Layout

FEATURE_EXTRACTORS: dict[str, BackboneName] = {
    "ssd_resnet50_v1_fpn_keras": "resnet50",
    "ssd_resnet101_v1_fpn_keras": "resnet101",
    "ssd_resnet152_v1_fpn_keras": "resnet152",
    "ssd_mobilenet_v1_fpn_keras": "mobilenet_v1",
    "ssd_mobilenet_v2_fpn_keras": "mobilenet_v2",
}
_ACTIVATIONS = {"RELU": "relu", "RELU_6": "relu6"}
# The pixel that is 0 to the network, as pixel / 64 - 2: the API pads with zeros after its preprocessing.
_RESNET_FILL = tuple(mean / 64 - 2 for mean in (123.68, 116.779, 103.939))
_MOBILENET_FILL = (127.5 / 64 - 2,) * 3
_LEAST_SCORE = 1e-8
_CANDIDATES = 2000


@dataclass(frozen=True)
class Pipeline:
    """What a pipeline.config says.

    Attributes:
        network: the same network in RetinaJ.
        feature_extractor: its name in the API.
        background: whether the class head scores a background class, too, before the others.
        box_scales: what the box head's (y, x, height, width) are multiplied by.
        scaled: whether the BatchNorms of the backbone, the pyramid and the heads have a scale, which is 1 otherwise.
        resizer: how the API resizes an image before detection, for people.
        side: of the images that it was trained on, in pixels; the longer one.
        label_maps: the paths of label maps that it names.
        notes: what RetinaJ does otherwise.
    """

    network: NetworkConfig
    feature_extractor: str
    background: bool
    box_scales: tuple[float, float, float, float]
    scaled: dict[str, bool]
    resizer: str
    side: int
    label_maps: tuple[str, ...]
    notes: tuple[str, ...]


def read_pipeline(path: Path) -> Pipeline:
    """Read a pipeline.config.

    Raises:
        RetinaJError: if it is missing or broken; naming the first field that asks for what RetinaJ does not have.
    """
    whole = Fields(text_format.read(path), str(path))
    model = whole.child("model")
    model.require("", _kind(model), "ssd")
    ssd = model.child("ssd")
    extractor = ssd.child("feature_extractor")
    kind = extractor.text("type")
    if kind not in FEATURE_EXTRACTORS:
        raise extractor.wrong("type", repr(kind), f"one of {', '.join(FEATURE_EXTRACTORS)}")
    backbone = FEATURE_EXTRACTORS[kind]
    _require_plain(ssd, extractor)
    predictors = ssd.child("box_predictor")
    predictors.require("", _kind(predictors), "weight_shared_convolutional_box_predictor")
    predictor = predictors.child("weight_shared_convolutional_box_predictor")
    pyramid, pyramid_scaled = _layers(extractor)
    heads, heads_scaled = _layers(predictor)
    resnet = backbone.startswith("resnet")
    override = extractor.flag("override_base_feature_extractor_hyperparams")
    plain = Tf2Layers(activation="relu", epsilon=1e-5) if resnet else Tf2Layers(activation="relu6", epsilon=1e-3)
    processing = ssd.child("post_processing")
    nms = processing.child("batch_non_max_suppression")
    _require_sigmoid(processing, predictor)
    most = nms.whole("max_total_detections", 100, 1, 3000)
    resizer, side = _resizer(ssd.child("image_resizer"))
    steps = predictor.whole("num_layers_before_predictor", 0, 0, 8)
    low, high, width = _pyramid(extractor.child("fpn"), resnet=resnet)
    network = NetworkConfig(
        backbone=backbone,
        num_classes=ssd.whole("num_classes", 0, 1, 10_000),
        norm="batch",
        separable=predictor.flag("use_depthwise"),
        pyramid_width=width,
        head_depth=steps,
        anchors=_anchors(ssd, low, high),
        fill=_RESNET_FILL if resnet else _MOBILENET_FILL,
        max_detections=most,
        max_candidates=max(_CANDIDATES, most),
        score_floor=max(_LEAST_SCORE, nms.number("score_threshold", 0, 0, 0.99)),
        overlap=nms.number("iou_threshold", 0.6, 0.01, 1),
        tf2=Tf2Layout(
            backbone=pyramid if override else plain,
            pyramid=pyramid,
            heads=heads,
            separable_pyramid=extractor.flag("use_depthwise") and not resnet,
            head_width=_width(predictor, "depth", 0) if steps else width,
            shared_tower=predictor.flag("share_prediction_tower"),
        ),
    )
    coder = ssd.child("box_coder").child("faster_rcnn_box_coder")
    scales = (("y_scale", 10.0), ("x_scale", 10.0), ("height_scale", 5.0), ("width_scale", 5.0))
    y, x, height, width = (coder.number(name, usual, 1e-3, 1e3) for name, usual in scales)
    return Pipeline(
        network=network,
        feature_extractor=kind,
        background=ssd.flag("add_background_class", default=True),
        box_scales=(y, x, height, width),
        scaled={"backbone": pyramid_scaled or not override, "pyramid": pyramid_scaled, "heads": heads_scaled},
        resizer=resizer,
        side=side,
        label_maps=_label_maps(whole),
        notes=_notes(nms, most),
    )


def _kind(fields: Fields) -> str:
    """The one field of a message that holds one of several kinds."""
    return ", ".join(fields.message.fields) or "empty"


def _require_plain(ssd: Fields, extractor: Fields) -> None:
    """Refuse what changes the network in ways that RetinaJ does not follow."""
    coder = ssd.child("box_coder")
    coder.require("", _kind(coder), "faster_rcnn_box_coder")
    ssd.require("explicit_background_class", ssd.flag("explicit_background_class"), False)
    ssd.require("mask_head_config", "given" if ssd.has("mask_head_config") else "left out", "left out")
    extractor.require("depth_multiplier", extractor.number("depth_multiplier", 1, 0, 1e6), 1)
    extractor.whole("min_depth", 16, 0, 16)  # a higher one widens layers of MobileNet v2
    extractor.require("use_explicit_padding", extractor.flag("use_explicit_padding"), False)
    replaced = "replace_preprocessor_with_placeholder"
    extractor.require(replaced, extractor.flag(replaced), False)
    extractor.require("bifpn", "given" if extractor.has("bifpn") else "left out", "left out")
    multiple = extractor.whole("pad_to_multiple", 1, 1, 2**20)
    if 128 % multiple:
        raise extractor.wrong("pad_to_multiple", str(multiple), "a power of two up to 128")


def _require_sigmoid(processing: Fields, predictor: Fields) -> None:
    converters = sorted([processing.text("score_converter", "IDENTITY"), predictor.text("score_converter", "IDENTITY")])
    processing.require("score_converter", " and ".join(converters), "IDENTITY and SIGMOID")
    processing.require("logit_scale", processing.number("logit_scale", 1, -1e6, 1e6), 1)
    processing.require("calibration_config", "given" if processing.has("calibration_config") else "left out", "left out")
    nms = processing.child("batch_non_max_suppression")
    nms.require("use_class_agnostic_nms", nms.flag("use_class_agnostic_nms"), False)
    nms.require("soft_nms_sigma", nms.number("soft_nms_sigma", 0, 0, 1e6), 0)
    predictor.require("kernel_size", predictor.whole("kernel_size", 3, 0, 100), 3)
    predictor.require("box_code_size", predictor.whole("box_code_size", 4, 0, 100), 4)
    clip = "box_encodings_clip_range"
    predictor.require(clip, "given" if predictor.has(clip) else "left out", "left out")


def _layers(owner: Fields) -> tuple[Tf2Layers, bool]:
    """What follows the convolutions of the extractor or of the predictor, and whether their BatchNorm has a scale."""
    settings = owner.child("conv_hyperparams")
    activation = settings.text("activation", "RELU")
    if activation not in _ACTIVATIONS:
        raise settings.wrong("activation", activation, " or ".join(_ACTIVATIONS))
    settings.require("force_use_bias", settings.flag("force_use_bias"), False)
    settings.require("batch_norm", "given" if settings.has("batch_norm") else "left out", "given")
    norm = settings.child("batch_norm")
    norm.require("center", norm.flag("center", default=True), True)
    epsilon = norm.number("epsilon", 1e-3, 1e-12, 0.99)
    layers = Tf2Layers(activation="relu" if activation == "RELU" else "relu6", epsilon=epsilon)
    return layers, norm.flag("scale")


def _width(owner: Fields, field: str, default: int) -> int:
    width = owner.whole(field, default, 8, 512)
    if width % 8:
        raise owner.wrong(field, str(width), "a multiple of 8")
    return width


def _pyramid(fpn: Fields, *, resnet: bool) -> tuple[int, int, int]:
    """The first and the last level of the feature pyramid, and its channels."""
    if resnet:  # the API's ResNets do not pass on what `fpn` says
        return 3, 7, 256
    return fpn.whole("min_level", 3, 2, 5), fpn.whole("max_level", 7, 5, 7), _width(fpn, "additional_layer_depth", 256)


def _anchors(ssd: Fields, low: int, high: int) -> AnchorConfig:
    generators = ssd.child("anchor_generator")
    generators.require("", _kind(generators), "multiscale_anchor_generator")
    anchors = generators.child("multiscale_anchor_generator")
    for field, usual, of_pyramid in (("min_level", 3, low), ("max_level", 7, high)):
        found = anchors.whole(field, usual, 0, 100)
        anchors.require(field, found, of_pyramid)
    steps = anchors.whole("scales_per_octave", 2, 1, 9)
    ratios = anchors.numbers("aspect_ratios", 0.01, 100, 9)
    return AnchorConfig(
        min_level=low,
        max_level=high,
        base=anchors.number("anchor_scale", 4, 0.01, 64),
        scales=tuple(2 ** (step / steps) for step in range(steps)),
        aspect_ratios=tuple(1 / ratio for ratio in ratios),  # the API's are width / height
    )


def _resizer(resizers: Fields) -> tuple[str, int]:
    kind = _kind(resizers)
    if kind == "fixed_shape_resizer":
        fixed = resizers.child(kind)
        height, width = fixed.whole("height", 300, 1, 10**6), fixed.whole("width", 300, 1, 10**6)
        resizer, text, side = fixed, f"to {width} x {height} pixels", max(height, width)
    elif kind == "keep_aspect_ratio_resizer":
        kept = resizers.child(kind)
        short, long = kept.whole("min_dimension", 600, 1, 10**6), kept.whole("max_dimension", 1024, 1, 10**6)
        resizer, side = kept, long
        text = f"to a shorter side of {short} pixels, or a longer one of {long} if that is less"
    else:
        raise resizers.wrong("", kind, "fixed_shape_resizer or keep_aspect_ratio_resizer")
    resizer.require("convert_to_grayscale", resizer.flag("convert_to_grayscale"), False)
    return text, side


def _label_maps(whole: Fields) -> tuple[str, ...]:
    """The label maps that the inputs of training and evaluation name; evaluation may have several inputs."""
    found: list[str] = []
    for field in ("train_input_reader", "eval_input_reader"):
        for value in whole.message.fields.get(field, []):
            readers = [value] if isinstance(value, text_format.Message) else []
            found += [Fields(reader, whole.file, field).text("label_map_path") for reader in readers]
    return tuple(dict.fromkeys(path for path in found if path))


def _notes(nms: Fields, most: int) -> tuple[str, ...]:
    each = nms.whole("max_detections_per_class", 100, 1, 10**6)
    return (f"The API reports at most {each} objects of a class; RetinaJ only limits all together, to {most}.",) * (each < most)
