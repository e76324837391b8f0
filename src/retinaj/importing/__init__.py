"""Models that other programs trained, made into model folders. One program so far: the TF2 Object Detection API.

It is a room of its own because it reads foreign files, as `retinaj.annotations` does, and ends in a model folder; what it needs
of the network is `retinaj.network.tf2_layout`. Importing it loads no TensorFlow.
"""
