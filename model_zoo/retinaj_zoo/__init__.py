"""RetinaJ and the BioImage Model Zoo: trained models become bioimage.io packages, and packages become detectors.

Reading (`open_package`, `open_model`) runs the ONNX weights and imports neither TensorFlow nor bioimageio.core. Writing is
`retinaj_zoo.packaging.package_model`, which needs both.
"""

from retinaj_zoo.reading import open_model, open_package

__all__ = ["open_model", "open_package"]
