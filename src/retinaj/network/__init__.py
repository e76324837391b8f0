"""RetinaNet, a file per part. `config` and `anchors` import no TensorFlow."""
