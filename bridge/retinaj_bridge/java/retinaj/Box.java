package retinaj;

/** A detected object, in pixels of the whole image, from the top-left corner of the top-left pixel. */
final class Box {
    final double xMin;
    final double yMin;
    final double xMax;
    final double yMax;
    final double score;
    /** The number of its class, from 0. */
    final int label;
    /** From 1; 0 for all slices, of a projection. */
    final int slice;
    /** From 1. */
    final int frame;

    Box(double xMin, double yMin, double xMax, double yMax, double score, int label, int slice, int frame) {
        this.xMin = xMin;
        this.yMin = yMin;
        this.xMax = xMax;
        this.yMax = yMax;
        this.score = score;
        this.label = label;
        this.slice = slice;
        this.frame = frame;
    }

    double width() {
        return xMax - xMin;
    }

    double height() {
        return yMax - yMin;
    }
}
